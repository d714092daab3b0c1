"""Drivers: they want actors and placement groups, change their minds, and drop what they no longer need."""

from __future__ import annotations

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from tests.sim.clients import Client
from tests.sim.faults import Violation
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import (
    PACK,
    SPREAD,
    STRICT_PACK,
    STRICT_SPREAD,
    Bundle,
    PlacementGroupSpec,
    TaskSpec,
    TaskType,
)
from trio_gcs.generated.ray.gcs_pb2 import JobTableData
from trio_gcs.ids import ActorID, JobID, PlacementGroupID

STRATEGIES = (PACK, SPREAD, STRICT_PACK, STRICT_SPREAD)
NOT_FOUND, INVALID, ALREADY_EXISTS = 17, 4, 20
ACTORS_MAX, GROUPS_MAX = 14, 8


class Driver(Client):
    """One job and what it made."""

    def __init__(self, world, number: int, at) -> None:
        super().__init__(world, f"driver {number}")
        self.number = number
        self.at = at  # its address as a worker
        self.job_id = JobID.from_number(number)
        self.actors_made: list[bytes] = []  # registered, as far as it was told
        self.groups_made: list[bytes] = []
        self.removed: set[bytes] = set()
        self.begun = 0

    async def live(self) -> None:
        faults, rng = self.world.faults, self.world.faults.rng
        job = JobTableData(job_id=self.job_id, driver_address=self.at)
        job.config.ray_namespace = "sim"
        await self.ask_perhaps_twice(self.jobs.AddJob, pb.AddJobRequest(data=job))
        async with trio.open_nursery() as nursery:
            while not faults.healed.is_set():
                deed = rng.choice(
                    (self.make_actor, self.make_actor, self.make_group, self.kill, self.let_go, self.remove_group)
                )
                nursery.start_soon(deed)
                await trio.sleep(rng.choice((0, 0, 1, 1, 3)))
        await faults.healed.wait()
        await trio.sleep_forever()

    # Actors.

    async def make_actor(self) -> None:
        if self.begun >= ACTORS_MAX:
            return
        self.begun += 1
        rng = self.world.faults.rng
        actor_id = ActorID(self.begun.to_bytes(12, "big") + self.job_id)
        spec = TaskSpec(type=TaskType.ACTOR_CREATION_TASK, name="A", job_id=self.job_id, caller_address=self.at)
        spec.required_resources.update({"CPU": rng.choice((1, 1, 2))} if rng.random() < 0.8 else {})
        if self.groups_made and rng.random() < 0.3:
            group = rng.choice(self.groups_made)
            spec.ClearField("required_resources")
            spec.required_resources.update({f"CPU_group_{group.hex()}": 1})
            spec.scheduling_strategy.placement_group_scheduling_strategy.placement_group_id = group
        creation = spec.actor_creation_task_spec
        creation.actor_id = actor_id
        creation.ray_namespace = "sim"
        creation.max_actor_restarts = rng.choice((0, 1, 3, -1))
        creation.is_detached = rng.random() < 0.2
        if creation.is_detached:
            spec.root_detached_actor_id = actor_id
        register = pb.RegisterActorRequest(task_spec=spec)

        async def send(request, **more):
            self.world.safety.registrations[actor_id] += 1
            return await self.actors.RegisterActor(request, **more)

        self.expect(await self.ask_perhaps_twice(send, register), actor_id)
        self.actors_made.append(actor_id)
        self.world.safety.registered(actor_id)
        reply = await self.ask_perhaps_twice(self.actors.CreateActor, pb.CreateActorRequest(task_spec=spec))
        if not reply.status.code:
            self.world.safety.created(actor_id, reply.actor_address)

    def expect(self, reply, what: bytes) -> None:
        if reply.status.code:
            raise Violation(f"{self.name}: {what.hex()} was refused: {reply.status}")

    async def kill(self) -> None:
        if not self.actors_made:
            return
        rng = self.world.faults.rng
        actor_id, no_restart = rng.choice(self.actors_made), rng.random() < 0.4
        request = pb.KillActorViaGcsRequest(actor_id=actor_id, force_kill=True, no_restart=no_restart)
        await self.ask(self.actors.KillActorViaGcs, request)
        if no_restart:
            self.world.safety.killed(actor_id)

    async def let_go(self) -> None:
        if self.actors_made and self.world.faults.rng.random() < 0.3:
            self.world.workers.let_go(self.world.faults.rng.choice(self.actors_made))
        await trio.lowlevel.checkpoint()

    # Groups.

    async def make_group(self) -> None:
        if len(self.groups_made) >= GROUPS_MAX:
            return
        rng = self.world.faults.rng
        self.world.groups += 1
        group_id = PlacementGroupID(self.world.groups.to_bytes(14, "big") + self.job_id)
        self.groups_made.append(group_id)
        spec = PlacementGroupSpec(
            placement_group_id=group_id,
            strategy=rng.choice(STRATEGIES),
            creator_job_id=self.job_id,
            creator_actor_id=ActorID.nil(),
            creator_actor_dead=True,
        )
        for index in range(rng.randint(1, 3)):
            bundle = Bundle(unit_resources={"CPU": 1})
            bundle.bundle_id.placement_group_id = group_id
            bundle.bundle_id.bundle_index = index
            spec.bundles.append(bundle)
        request = pb.CreatePlacementGroupRequest(placement_group_spec=spec)
        self.expect(await self.ask_perhaps_twice(self.groups.CreatePlacementGroup, request), group_id)
        self.world.safety.group_made(group_id)
        wait = pb.WaitPlacementGroupUntilReadyRequest(placement_group_id=group_id)
        try:
            reply = await self.ask(self.groups.WaitPlacementGroupUntilReady, wait)
        except GRPCError as error:
            if error.status is not Status.ABORTED:
                raise
            return
        if not reply.status.code:
            self.world.safety.group_ready(group_id)

    async def remove_group(self) -> None:
        rng = self.world.faults.rng
        if not self.groups_made or rng.random() < 0.3:
            return
        group_id = rng.choice(self.groups_made)
        if not self.world.safety.is_group_made(group_id):
            return  # asked again after that, its creation would make it anew
        request = pb.RemovePlacementGroupRequest(placement_group_id=group_id)
        await self.ask_perhaps_twice(self.groups.RemovePlacementGroup, request)
        self.removed.add(group_id)
        self.world.safety.group_removed(group_id)
