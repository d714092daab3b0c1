"""The code of jobs is kept exactly as long as somebody may load it."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trio_gcs.events.domain import ActorForgotten, ActorRegistered, JobAdded, JobFinished
from trio_gcs.generated.ray.common_pb2 import TaskSpec
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, JobTableData
from trio_gcs.ids import ActorID, JobID
from trio_gcs.managers.functions import FunctionManager
from trio_gcs.managers.kv import KVManager
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore

ONE, TWO = JobID.from_number(1), JobID.from_number(2)
CODE = (b"RemoteFunction:%b:x", b"ActorClass:%b:\xff", b"FunctionsToRun:%b:z")


class World:
    def __init__(self) -> None:
        self.kv = KVManager(Ledger(MemoryStore()))
        for job_id in (ONE, TWO):
            for key in CODE:
                self.kv.put(b"fun", key % job_id.hex().encode(), b"code")
        self.kv.put(b"fun", b"RemoteFunction:%b" % ONE.hex().encode(), b"no colon at its end")
        self.kv.put(b"other", b"RemoteFunction:%b:x" % ONE.hex().encode(), b"another namespace")

    async def start(self, nursery: trio.Nursery) -> None:
        """Begin a life of the daemon, on the same key-value store."""
        self.ledger = Ledger(MemoryStore())
        self.functions = FunctionManager(self.ledger, self.kv)
        functions = self.functions
        self.ledger._reactions = {
            JobAdded: (functions.begin_job,),
            JobFinished: (functions.end_job,),
            ActorRegistered: (functions.add_actor,),
            ActorForgotten: (functions.forget_actor,),
        }
        await nursery.start(self.ledger.serve)

    def happen(self, *events: object) -> None:
        for event in events:
            with self.ledger.change() as change:
                change.react(event)

    async def kept(self, job_id: JobID = ONE) -> bool:
        """Whether all of a job's code is there; none of it, or all, is."""
        await trio.testing.wait_all_tasks_blocked()
        assert self.kv.exists(b"fun", b"RemoteFunction:%b" % ONE.hex().encode())
        assert self.kv.exists(b"other", b"RemoteFunction:%b:x" % ONE.hex().encode())
        there = {self.kv.exists(b"fun", key % job_id.hex().encode()) for key in CODE}
        assert len(there) == 1
        return there.pop()


@pytest.fixture
async def world(nursery: trio.Nursery) -> World:
    made = World()
    await made.start(nursery)
    return made


def job(job_id: JobID = ONE, **fields: object) -> JobTableData:
    return JobTableData(job_id=job_id, **fields)


def actor(number: int, job_id: JobID = ONE) -> ActorTableData:
    return ActorTableData(actor_id=ActorID(bytes([number]) * 12 + job_id), job_id=job_id)


async def test_the_code_goes_with_its_job(world: World) -> None:
    world.happen(JobAdded(job()), JobAdded(job(TWO)))
    assert await world.kept()
    world.happen(JobFinished(job()))
    assert not await world.kept()
    assert await world.kept(TWO)


async def test_actors_keep_the_code_of_a_job_that_ended(world: World) -> None:
    world.happen(JobAdded(job()), ActorRegistered(actor(1), TaskSpec()), ActorRegistered(actor(2), TaskSpec()))
    world.happen(JobFinished(job()), ActorForgotten(actor(1)))
    assert await world.kept()
    world.happen(ActorForgotten(actor(2)))
    assert not await world.kept()


async def test_what_is_said_twice_counts_once(world: World) -> None:
    world.happen(JobAdded(job()), JobAdded(job(), again=True), ActorRegistered(actor(1), TaskSpec()))
    world.happen(JobFinished(job()), JobFinished(job(), again=True))
    assert await world.kept()
    world.happen(ActorForgotten(actor(1)))
    assert not await world.kept()


async def test_the_unknown_hold_nothing(world: World) -> None:
    world.happen(JobFinished(job()), ActorForgotten(actor(1)))
    assert await world.kept()


async def test_a_restart_holds_again_what_lives(world: World, nursery: trio.Nursery) -> None:
    await world.start(nursery)
    world.functions.recover([job(), job(TWO, is_dead=True)], [actor(1, TWO)])
    assert await world.kept()
    assert await world.kept(TWO)
    world.happen(JobFinished(job()), ActorForgotten(actor(1, TWO)))
    assert not await world.kept()
    assert not await world.kept(TWO)


async def test_a_restart_removes_the_code_of_jobs_that_ended_without_it(world: World, nursery: trio.Nursery) -> None:
    await world.start(nursery)
    world.functions.recover([job(is_dead=True), job(TWO)], [])
    assert not await world.kept()
    assert await world.kept(TWO)
