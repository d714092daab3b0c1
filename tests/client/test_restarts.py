"""A daemon that is killed and comes back on its SQLite store, with clients that see all that happened, once."""

from __future__ import annotations

import socket
import threading
from contextlib import AsyncExitStack, contextmanager

import pytest
import trio

from tests.client.world import actor_spec, id_of, node_row, worker_row
from tests.real.process.processes import TRIO_GCS, environment, started
from trio_gcs.client import GlobalState, Patience, Unavailable, WrongCluster, open_client
from trio_gcs.client.messages import ActorState, ErrorTableData, Job, NodeState
from trio_gcs.ids import JobID

PATIENT = Patience(pause_max_s=0.2)
QUIET = '{"health_check_initial_delay_ms": 3600000, "gcs_pull_resource_loads_period_milliseconds": 3600000}'


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Daemon:
    """A daemon that keeps its port and its store from one life to the next."""

    def __init__(self, home, store: str = "") -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._home = home
        self._store = store or f"sqlite:///{home}/gcs.sqlite"

    @contextmanager
    def running(self, *, port: int = 0):
        """One life; another ``port`` hides it from those who know the daemon. It ends as by a crash."""
        command = [str(TRIO_GCS), "run", f"--port={port or self.port}", f"--store={self._store}", "--ray-config", QUIET]
        environ = environment(self._home, TRIO_GCS_EVENTS_PORT=str(free_port()))
        with started(command, environ, "Ctrl-C") as process:
            # What it says later has to go somewhere.
            reader = threading.Thread(target=process.stdout.read, daemon=True)
            reader.start()
            yield process
            process.kill()
            process.wait()
            reader.join()


@pytest.fixture
def daemon(tmp_path):
    return Daemon(tmp_path)


@pytest.mark.parametrize("use_stream", [True, False], ids=["events", "pubsub"])
async def test_what_happened_while_the_server_was_out_of_reach_is_told_once(daemon, use_stream):
    one, two, three, worker, job_id = node_row(), node_row(), node_row(), worker_row(), JobID(b"\1\0\0\0")
    spec = actor_spec(job_id)
    async with AsyncExitStack() as stack:
        with daemon.running():
            client = await stack.enter_async_context(
                open_client(daemon.address, patience=PATIENT, use_stream=use_stream)
            )
            nodes, jobs, actors, ends, cache = [
                await stack.enter_async_context(context)
                for context in (
                    client.nodes.subscribe(),
                    client.jobs.subscribe(),
                    client.actors.subscribe(),
                    client.workers.subscribe_failures(),
                    client.node_cache(),
                )
            ]
            await client.nodes.register(one)
            assert (await nodes.__anext__()).node_id == one.node_id
            for following in (jobs, actors, ends):
                await following.ready()
        hidden = free_port()
        with daemon.running(port=hidden):
            async with open_client(f"127.0.0.1:{hidden}") as somebody:
                await somebody.nodes.unregister(one.node_id)
                await somebody.nodes.register(two)
                await somebody.nodes.register(three)
                await somebody.jobs.add(Job(job_id=job_id, entrypoint="me.py"))
                await somebody.actors.register(spec)
                await somebody.workers.report_failure(worker)
        with daemon.running(), trio.fail_after(30):
            seen = {(row.node_id, row.state) for row in [await nodes.__anext__() for _ in range(3)]}
            alive, dead = NodeState.ALIVE, NodeState.DEAD
            assert seen == {(one.node_id, dead), (two.node_id, alive), (three.node_id, alive)}
            assert (await jobs.__anext__()).entrypoint == "me.py"
            assert (await ends.__anext__()).worker_id == worker.worker_address.worker_id
            row = await actors.__anext__()
            assert (row.actor_id, row.state) == (id_of(spec), ActorState.DEPENDENCIES_UNREADY)
            while cache.is_alive(one.node_id) or not cache.is_alive(three.node_id):
                await cache.changed()
            # It goes on, and nothing is told twice.
            await client.nodes.unregister(two.node_id)
            last = await nodes.__anext__()
            assert (last.node_id, last.state) == (two.node_id, dead)


@pytest.mark.parametrize("use_stream", [True, False], ids=["events", "pubsub"])
async def test_a_subscription_that_waits_notices_a_restart_by_itself(daemon, use_stream):
    row = node_row()
    async with AsyncExitStack() as stack:
        with daemon.running():
            client = await stack.enter_async_context(
                open_client(daemon.address, patience=PATIENT, use_stream=use_stream)
            )
            following = await stack.enter_async_context(client.nodes.subscribe(row.node_id))
            await following.ready()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(restart_and_register, daemon, client, row, nursery.cancel_scope)
            with trio.fail_after(30):
                assert (await following.__anext__()).node_id == row.node_id
            nursery.cancel_scope.cancel()


async def restart_and_register(daemon, client, row, scope):
    with daemon.running():
        await client.nodes.register(row)
        await trio.sleep_forever()


async def test_calls_wait_for_a_server_that_is_on_its_way(daemon):
    async with AsyncExitStack() as stack:
        with daemon.running():
            client = await stack.enter_async_context(open_client(daemon.address, patience=PATIENT))
            await client.internal_kv.put(b"k", b"v")
        found = []

        async def ask():
            found.append(await client.internal_kv.get(b"k"))
            found.append(await client.internal_kv.put(b"l", b"w", overwrite=False))

        nursery = await stack.enter_async_context(trio.open_nursery())
        nursery.start_soon(ask)
        await trio.sleep(0.2)
        with daemon.running(), trio.fail_after(20):
            while nursery.child_tasks:  # noqa: ASYNC110 - until it is over
                await trio.sleep(0.02)
    assert found == [b"v", True]


async def test_messages_that_nobody_keeps_are_counted_as_a_gap(daemon):
    async with AsyncExitStack() as stack:
        with daemon.running():
            client = await stack.enter_async_context(open_client(daemon.address, patience=PATIENT))
            errors = await stack.enter_async_context(client.errors.subscribe())
            await client.errors.report(b"\1\0\0\0", "kind", "before")
            assert (await errors.__anext__()).error_message == "before"
            assert errors.gaps == 0
        with daemon.running(), trio.fail_after(30):
            while not errors.gaps:  # noqa: ASYNC110 - nothing is told of a gap but its count
                await trio.sleep(0.05)
            await client.publisher.error(b"01000000", ErrorTableData(error_message="after"))
            assert (await errors.__anext__()).error_message == "after"


async def test_a_server_that_stays_away_is_given_up(daemon):
    async with AsyncExitStack() as stack:
        with daemon.running():
            patience = Patience(unavailable_s=0.5, pause_max_s=0.1)
            client = await stack.enter_async_context(open_client(daemon.address, patience=patience))
            following = await stack.enter_async_context(client.jobs.subscribe())
            await following.ready()
        with trio.fail_after(10), pytest.raises(Unavailable):
            await following.__anext__()
        with pytest.raises(Unavailable, match="refused"):
            await client.jobs.list()


async def test_another_cluster_at_the_same_address_is_not_taken_for_ours(tmp_path):
    daemon = Daemon(tmp_path, store="memory:")
    async with AsyncExitStack() as stack:
        with daemon.running():
            client = await stack.enter_async_context(open_client(daemon.address, patience=PATIENT))
            following = await stack.enter_async_context(client.jobs.subscribe())
            await following.ready()
        with daemon.running(), trio.fail_after(20):
            with pytest.raises(WrongCluster):
                await following.__anext__()
            with pytest.raises(WrongCluster):
                await client.jobs.list()


def test_a_script_goes_on_after_a_restart(daemon):
    with daemon.running():
        state = GlobalState(daemon.address, patience=PATIENT)
        state.internal_kv.put(b"k", b"v")
    with daemon.running():
        assert state.internal_kv.get(b"k") == b"v"
        state.close()
