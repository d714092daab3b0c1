"""A small story on simulated nodes: they join, a job begins, a group and actors are placed, a node dies, the job ends.

Told through the client alone, as drivers and raylets tell a GCS of their lives.
"""

import os
from collections.abc import Callable

import trio

from trio_gcs.client import GcsClient
from trio_gcs.client.generated.ray.rpc import BundleBundleIdentifier, FunctionDescriptor, PythonFunctionDescriptor
from trio_gcs.client.messages import (
    ActorCreationTaskSpec,
    ActorState,
    Address,
    Bundle,
    Job,
    JobConfig,
    Node,
    NodeState,
    PlacementGroupSpec,
    PlacementStrategy,
    TaskSpec,
    TaskType,
    Worker,
    WorkerExitType,
)
from trio_gcs.ids import ActorID, JobID, NodeID, PlacementGroupID
from trio_gcs.simulated.node import SimulatedNode

NAMES = ("ash", "birch", "cedar")
CPUS = 4.0


class Story:
    """One telling of it; ``tell`` is given each line, and ``pause`` is awaited after each."""

    def __init__(self, client: GcsClient, nursery: trio.Nursery, tell: Callable[[str], None], pause_s: float) -> None:
        self._client = client
        self._nursery = nursery
        self._tell = tell
        self._pause_s = pause_s
        self._nodes: dict[str, tuple[SimulatedNode, trio.CancelScope]] = {}

    async def play(self) -> ActorID:
        """Tell it; returns the actor that has lived through all of it."""
        client = self._client
        await self._say("three nodes join")
        for name in NAMES:
            await self._join(name)
        await self._say("a job begins, with a placement group over two of them")
        job_id = await client.jobs.next_id()
        driver = _worker_of(self._nodes["ash"][0])
        job = Job(job_id=job_id, config=JobConfig(ray_namespace="demo"), entrypoint="story.py", driver_address=driver)
        await client.jobs.add(job)
        group_id = PlacementGroupID(os.urandom(14) + job_id)
        await client.placement_groups.create(_group(group_id, job_id))
        await client.placement_groups.wait(group_id)
        await self._say("two actors: a keeper, which is detached and may restart, and a guest of the job")
        keeper = await self._actor("keeper", job_id, _worker_of(self._nodes["birch"][0]), detached=True)
        guest = await self._actor("guest", job_id, driver, detached=False)
        await self._say("birch, where the keeper lives, answers no more")
        node, life = self._nodes["birch"]
        life.cancel()
        await client.nodes.wait(node.node_id, NodeState.DEAD)
        async with client.actors.subscribe(keeper) as following:
            await following.until(lambda row: row.num_restarts == 1 and row.state == ActorState.ALIVE, timeout_s=30)
        await self._say("the driver ends: its job, its group and the guest go with it")
        await client.jobs.finish(job_id)
        await client.workers.report_failure(
            Worker(worker_address=driver, exit_type=WorkerExitType.INTENDED_USER_EXIT, exit_detail="the story is over")
        )
        await client.actors.wait(guest, ActorState.DEAD)
        await self._say("the keeper is still there")
        return keeper

    async def _say(self, line: str) -> None:
        await trio.sleep(self._pause_s)
        self._tell(line)

    async def _join(self, name: str) -> None:
        node = SimulatedNode(NodeID(os.urandom(NodeID.SIZE)))
        life = trio.CancelScope()
        self._nodes[name] = (node, life)
        await self._nursery.start(_live, node, life)
        await self._client.nodes.register(
            Node(
                node_id=node.node_id,
                node_manager_address="127.0.0.1",
                node_manager_port=node.port,
                node_name=name,
                resources_total={"CPU": CPUS},
            )
        )

    async def _actor(self, name: str, job_id: JobID, owner: Address, *, detached: bool) -> ActorID:
        actor_id = ActorID(os.urandom(12) + job_id)
        python = PythonFunctionDescriptor(module_name="story", class_name=name.title(), function_name="__init__")
        spec = TaskSpec(
            type=TaskType.ACTOR_CREATION_TASK,
            name=f"{name.title()}.__init__",
            job_id=job_id,
            task_id=b"\xff" * 8 + actor_id,
            caller_address=owner,
            required_resources={"CPU": 1.0},
            function_descriptor=FunctionDescriptor(python_function_descriptor=python),
            actor_creation_task_spec=ActorCreationTaskSpec(
                actor_id=actor_id, max_actor_restarts=1, is_detached=detached, name=name, ray_namespace="demo"
            ),
        )
        await self._client.actors.register(spec)
        await self._client.actors.create(spec)
        return actor_id


async def _live(node: SimulatedNode, life: trio.CancelScope, *, task_status: trio.TaskStatus[None]) -> None:
    with life:
        await node.serve(task_status=task_status)


def _worker_of(node: SimulatedNode) -> Address:
    return Address.parse(node.new_worker().SerializeToString())


def _group(group_id: PlacementGroupID, job_id: JobID) -> PlacementGroupSpec:
    bundles = [
        Bundle(
            bundle_id=BundleBundleIdentifier(placement_group_id=group_id, bundle_index=index),
            unit_resources={"CPU": 1.0},
        )
        for index in range(2)
    ]
    return PlacementGroupSpec(
        placement_group_id=group_id,
        name="grove",
        bundles=bundles,
        strategy=PlacementStrategy.SPREAD,
        creator_job_id=job_id,
        creator_actor_dead=True,  # there is none
    )
