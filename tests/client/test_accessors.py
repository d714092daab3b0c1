"""Each method of each accessor, against trio-gcs and against stock Ray's own server."""

from __future__ import annotations

import os

import pytest
import trio

from tests.client.world import actor_spec, group_spec, id_of, new, node_row, worker_row
from trio_gcs.client import (
    AlreadyExists,
    DeadlineExceeded,
    Gone,
    InvalidRequest,
    NotFound,
    Unsupported,
    open_client,
)
from trio_gcs.client.generated.ray.rpc import TaskInfoEntry, TaskStateUpdate
from trio_gcs.client.generated.ray.rpc import autoscaler as autoscaler_pb
from trio_gcs.client.generated.ray.rpc.events import RayEventsData
from trio_gcs.client.messages import (
    ActorState,
    Address,
    ErrorTableData,
    Job,
    JobConfig,
    LogBatch,
    NodeDeathInfo,
    NodeDeathReason,
    NodeState,
    PlacementGroupState,
    TaskEventData,
    TaskEvents,
)
from trio_gcs.ids import JobID, NodeID, TaskID, WorkerID
from trio_gcs.simulated.node import running_node


@pytest.fixture
async def client(address, use_stream):
    async with open_client(address, use_stream=use_stream) as client:
        yield client


@pytest.fixture
async def node(client):
    """A node that answers, until the test is over."""
    async with running_node() as node:
        await client.nodes.register(node_row(node.node_id, port=node.port))
        yield node
        if (await client.nodes.get(node.node_id)).state == NodeState.ALIVE:
            await client.nodes.unregister(node.node_id)


@pytest.fixture
async def job_id(client):
    job_id = await client.jobs.next_id()
    await client.jobs.add(Job(job_id=job_id, config=JobConfig(ray_namespace="ns"), entrypoint="me.py"))
    return job_id


async def test_keys_are_stored_found_and_deleted(client):
    namespace, kv = os.urandom(4).hex().encode(), client.internal_kv
    assert await kv.get(b"k", namespace=namespace) is None
    assert await kv.put(b"k", b"\0v", namespace=namespace)
    assert not await kv.put(b"k", b"w", namespace=namespace, overwrite=False)
    assert not await kv.put(b"k", b"x", namespace=namespace)
    assert await kv.put(b"l", b"", namespace=namespace, overwrite=False)
    assert await kv.get(b"k", namespace=namespace) == b"x"
    assert await kv.get(b"l", namespace=namespace) == b""
    assert await kv.multi_get([b"k", b"l", b"m"], namespace=namespace) == {b"k": b"x", b"l": b""}
    assert await kv.exists(b"k", namespace=namespace)
    assert not await kv.exists(b"m", namespace=namespace)
    assert sorted(await kv.keys(namespace=namespace)) == [b"k", b"l"]
    assert await kv.keys(b"l", namespace=namespace) == [b"l"]
    assert await kv.delete(b"k", namespace=namespace) == 1
    assert await kv.delete(b"k", namespace=namespace) == 0
    assert await kv.delete(b"", namespace=namespace, by_prefix=True) == 1
    assert "health_check_initial_delay_ms" in await kv.config()


async def test_a_key_that_is_refused_is_an_invalid_request(client):
    with pytest.raises(InvalidRequest, match="@namespace_") as caught:
        await client.internal_kv.get(b"@namespace_x")
    assert caught.value.code == 2


async def test_jobs_are_numbered_added_listed_and_finished(client):
    job_id = await client.jobs.next_id()
    assert await client.jobs.next_id() != job_id
    with pytest.raises(NotFound, match=job_id.hex()):
        await client.jobs.get(job_id)
    await client.jobs.add(Job(job_id=job_id, config=JobConfig(ray_namespace="ns"), entrypoint="me.py"))
    assert (await client.jobs.get(job_id.hex())).entrypoint == "me.py"
    assert job_id in {job.job_id for job in await client.jobs.list(submissions=True)}
    assert len(await client.jobs.list(limit=1)) == 1
    with pytest.raises(DeadlineExceeded):
        await client.jobs.wait(job_id, timeout_s=0.1)
    async with client.jobs.subscribe(job_id) as following:
        assert not (await following.__anext__()).is_dead
        await client.jobs.finish(job_id)
        assert (await following.__anext__()).is_dead
    assert (await client.jobs.wait(job_id)).is_dead


async def test_nodes_are_registered_listed_and_unregistered(client):
    row = node_row(node_name="n" + os.urandom(4).hex(), labels={"a": "b"})
    node_id = NodeID(row.node_id)
    with pytest.raises(NotFound, match=node_id.hex()):
        await client.nodes.get(node_id)
    await client.nodes.register(row)
    assert (await client.nodes.get(node_id)).labels["a"] == "b"
    assert [found.node_id for found in await client.nodes.list(names=[row.node_name])] == [node_id]
    assert node_id in {found.node_id for found in await client.nodes.list(ip_addresses=["127.0.0.1"])}
    assert node_id in {found.node_id for found in await client.nodes.list(state=NodeState.ALIVE, head=False)}
    assert [(at.node_id, at.state) for at in await client.nodes.addresses(ids=[node_id])] == [
        (node_id, NodeState.ALIVE)
    ]
    liveness = await client.nodes.check_alive([node_id, new(NodeID)])
    assert (liveness.ray_version, liveness.is_leader, liveness.alive) == ("2.60.0", True, (True, False))
    info = NodeDeathInfo(reason=NodeDeathReason.EXPECTED_TERMINATION, reason_message="enough")
    await client.nodes.unregister(node_id, info)
    assert (await client.nodes.wait(node_id, NodeState.DEAD)).death_info.reason_message == "enough"
    with pytest.raises(Gone, match="dead"):
        await client.nodes.wait(node_id)


async def test_a_node_can_be_asked_to_end(client, node):
    await client.nodes.shut_down([node.node_id])
    with trio.fail_after(5):
        await node.ended.wait()


async def test_nodes_are_followed_as_whole_rows(client):
    row = node_row(node_name="followed")
    async with client.nodes.subscribe(row.node_id) as following, client.nodes.subscribe() as everything:
        assert await following.ready() == {}
        await everything.ready()
        await client.nodes.register(row)
        assert (await following.__anext__()).node_name == "followed"
        await client.nodes.unregister(row.node_id, NodeDeathInfo(reason_message="enough"))
        dead = await following.__anext__()
        assert (dead.state, dead.node_name, dead.death_info.reason_message) == (NodeState.DEAD, "followed", "enough")
        states = [(await everything.__anext__()).state for _ in range(2)]
        assert states == [NodeState.ALIVE, NodeState.DEAD]
        assert everything.rows[row.node_id] == dead


async def test_a_cache_of_nodes_follows(client):
    row = node_row()
    async with client.node_cache() as cache:
        assert cache.get(row.node_id) is None
        with trio.fail_after(5):
            await client.nodes.register(row)
            while not cache.is_alive(row.node_id):
                await cache.changed()
            assert row.node_id in {node.node_id for node in cache.alive}
            await client.nodes.unregister(row.node_id)
            while cache.is_alive(row.node_id):
                await cache.changed()
        assert cache.nodes[row.node_id].state == NodeState.DEAD


async def test_resources_of_nodes(client, node):
    resources = client.node_resources
    assert (await resources.total())[node.node_id]["CPU"] == 4.0
    assert (await resources.available())[node.node_id]["CPU"] == 4.0
    assert await resources.draining() == {}
    await resources.usage()


async def test_the_autoscalers_calls(client, node):
    autoscaler = client.autoscaler
    assert node.node_id in {state.node_id for state in (await autoscaler.cluster_state()).node_states}
    await autoscaler.report_state(autoscaler_pb.AutoscalingState(autoscaler_state_version=7))
    assert (await autoscaler.cluster_status()).autoscaling_state.autoscaler_state_version == 7
    await autoscaler.request_resources([{"CPU": 2.0}, {"CPU": 2.0}])
    assert len((await autoscaler.cluster_state()).cluster_resource_constraints) == 1
    await autoscaler.request_resources([])
    await autoscaler.report_config(autoscaler_pb.ClusterConfig(max_resources={"CPU": 8}))
    assert await autoscaler.resize_node(node.node_id, {"CPU": 6.0}) == {"CPU": 6.0}
    reason = autoscaler_pb.DrainNodeReason.PREEMPTION
    accepted = await autoscaler.drain_node(node.node_id, reason, "going", deadline_ms=2_000_000_000_000)
    assert accepted.is_accepted
    with pytest.raises(InvalidRequest):
        await autoscaler.drain_node(node.node_id, reason, deadline_ms=-1)


async def test_workers_are_added_found_and_followed_to_their_end(client):
    row = worker_row(pid=7)
    worker_id, workers = WorkerID(row.worker_address.worker_id), client.workers
    with pytest.raises(NotFound, match=worker_id.hex()):
        await workers.get(worker_id)
    await workers.add(row)
    assert (await workers.get(worker_id)).pid == 7
    await workers.set_debugger_port(worker_id, 5)
    await workers.add_paused_threads(worker_id, 2)
    found = await workers.get(worker_id)
    assert (found.debugger_port, found.num_paused_threads) == (5, 2)
    for some in (await workers.list(), await workers.list(alive=True), await workers.list(paused=True)):
        assert worker_id in {found.worker_address.worker_id for found in some}
    assert len(await workers.list(limit=1)) == 1
    async with workers.subscribe_failures(worker_id) as ends:
        assert await ends.ready() == {}
        await workers.report_failure(row)
        assert (await ends.__anext__()).worker_id == worker_id
    assert worker_id in {found.worker_address.worker_id for found in await workers.list(alive=False)}
    assert not (await workers.wait_for_failure(worker_id)).is_alive


async def test_an_actor_from_its_name_to_its_end(client, node, job_id):
    actors = client.actors
    spec = actor_spec(job_id, name="a" + os.urandom(4).hex())
    actor_id, name = id_of(spec), spec.actor_creation_task_spec.name
    with pytest.raises(NotFound, match=actor_id.hex()):
        await actors.get(actor_id)
    with pytest.raises(NotFound, match=name):
        await actors.by_name(name, "ns")
    async with actors.subscribe(actor_id) as following, actors.subscribe() as everything:
        assert await following.ready() == {}
        await everything.ready()
        await actors.register(spec)
        with pytest.raises(AlreadyExists, match=name):
            await actors.register(actor_spec(job_id, name=name))
        reply = await actors.create(spec)
        assert reply.actor_address.node_id == node.node_id
        assert (await actors.wait(actor_id)).class_name == "C"
        found = await actors.by_name(name, "ns")
        assert (found.actor.state, found.task_spec.job_id) == (ActorState.ALIVE, job_id)
        assert name in {entry.name for entry in await actors.names("ns")}
        assert name in {entry.name for entry in await actors.names()}
        for some in (
            await actors.list(),
            await actors.list(job_id=job_id),
            await actors.list(state=ActorState.ALIVE, dead_jobs=False),
        ):
            assert actor_id in {found.actor_id for found in some}
        assert len(await actors.list(limit=1)) == 1
        await actors.kill(actor_id)
        with pytest.raises(Gone, match=actor_id.hex()):
            await actors.wait(actor_id)
        seen = []
        async for row in following:
            if (row.state, row.name, row.class_name) not in seen:  # the event stream has every edit of a row
                seen.append((row.state, row.name, row.class_name))
            if row.state == ActorState.DEAD:
                break
        wanted = [ActorState.DEPENDENCIES_UNREADY, ActorState.PENDING_CREATION, ActorState.ALIVE, ActorState.DEAD]
        assert seen == [(state, name, "C") for state in wanted]
        of_all = await everything.until(
            lambda row: row.actor_id == actor_id and row.state == ActorState.DEAD, timeout_s=5
        )
        assert of_all.class_name == "C"
    assert (await actors.wait(actor_id, ActorState.DEAD)).state == ActorState.DEAD


async def test_an_actor_that_nobody_holds_can_be_called_back(client, node, job_id):
    spec = actor_spec(job_id, Address.parse(node.new_worker().SerializeToString()), restarts=-1, detached=False)
    await client.actors.register(spec)
    await client.actors.create(spec)
    await client.actors.report_out_of_scope(id_of(spec))
    await client.actors.wait(id_of(spec), ActorState.DEAD)
    await client.actors.restart_for_lineage(id_of(spec), lineage_restarts=1)
    assert (await client.actors.wait(id_of(spec), ActorState.ALIVE)).num_restarts == 1


async def test_a_placement_group_from_its_name_to_its_end(client, node, job_id):
    groups = client.placement_groups
    spec = group_spec(job_id, name="g" + os.urandom(4).hex())
    group_id = spec.placement_group_id
    with pytest.raises(NotFound, match=group_id.hex()):
        await groups.get(group_id)
    with pytest.raises(NotFound, match=spec.name):
        await groups.by_name(spec.name, "ns")
    await groups.create(spec)
    assert (await groups.wait(group_id)).state == PlacementGroupState.CREATED
    try:
        async with groups.subscribe(group_id) as following:
            assert (await following.__anext__()).name == spec.name
    except Unsupported:
        assert not await client.observer.is_there() or not await client.follows_events()
    assert (await groups.by_name(spec.name, "ns")).placement_group_id == group_id
    assert group_id in {group.placement_group_id for group in await groups.list()}
    assert len(await groups.list(limit=1)) == 1
    await groups.remove(group_id)
    assert (await groups.get(group_id)).state == PlacementGroupState.REMOVED


async def test_a_group_that_fits_nowhere_is_waited_for_in_vain(client, node, job_id):
    spec = group_spec(job_id, cpus=1000.0)
    await client.placement_groups.create(spec)
    with pytest.raises(DeadlineExceeded):
        await client.placement_groups.wait(spec.placement_group_id, timeout_s=0.2)
    await client.placement_groups.remove(spec.placement_group_id)


def attempt(job_id, name, task_id=None):
    task_id = task_id or new(TaskID, bytes(job_id))
    return TaskEvents(
        task_id=task_id,
        job_id=job_id,
        task_info=TaskInfoEntry(name=name, job_id=job_id, task_id=task_id),
        state_updates=TaskStateUpdate(state_ts_ns={11: 5}),
    )


async def test_tasks_are_reported_and_listed(client, job_id):
    one, two = attempt(job_id, "one"), attempt(job_id, "two")
    await client.tasks.add(TaskEventData(events_by_task=[one, two], job_id=job_id))
    await client.tasks.add_events(RayEventsData())
    everything = await client.tasks.list(job_id=job_id)
    assert {found.task_info.name for found in everything.attempts} == {"one", "two"}
    assert (everything.total, everything.filtered, everything.truncated) == (2, 0, 0)
    assert [found.task_id for found in (await client.tasks.list(task_ids=[one.task_id])).attempts] == [one.task_id]
    by_name = await client.tasks.list(job_id=job_id, name="TWO", state="finished")
    assert ([found.task_id for found in by_name.attempts], by_name.filtered) == ([two.task_id], 1)
    assert (await client.tasks.list(job_id=job_id, limit=1)).truncated == 1
    assert (await client.tasks.list(actor_id=b"\1" * 16, drivers=True)).attempts == []


async def test_errors_and_logs_are_heard(client):
    job_id = new(JobID)
    async with (
        client.errors.subscribe(job_id) as errors,
        client.errors.subscribe() as all_errors,
        client.publisher.subscribe_logs() as logs,
        client.publisher.subscribe_node_resource_usage() as usage,
    ):
        await client.errors.report(job_id, "kind", "it fell", timestamp_ms=5.0)
        told = ErrorTableData(job_id=job_id, type="kind", error_message="it fell", timestamp=5.0)
        with trio.fail_after(5):
            assert await errors.__anext__() == await all_errors.__anext__() == told
            await client.publisher.error(job_id.hex().encode(), told)
            assert await errors.__anext__() == told
            await client.publisher.logs(b"key", LogBatch(ip="1.2.3.4", lines=["a", "b"]))
            assert (await logs.__anext__()).lines == ["a", "b"]
            node_id = new(NodeID)
            await client.publisher.node_resource_usage(node_id, "{}")
            assert await usage.__anext__() == (node_id.hex().encode(), "{}")
        assert errors.gaps == 0


async def test_packages_are_pinned(client):
    await client.runtime_env.pin("gcs://package.zip", 1)


async def test_an_id_that_is_none_is_refused_before_it_is_sent(client):
    for nonsense in (b"abc", "no hex", "ab"):
        with pytest.raises(InvalidRequest):
            await client.actors.get(nonsense)
