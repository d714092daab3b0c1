"""Packages are kept exactly as long as somebody may fetch them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing

from trio_gcs.events.domain import ActorForgotten, ActorRegistered, JobAdded, JobFinished
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import TaskSpec
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, JobTableData
from trio_gcs.ids import ActorID, JobID
from trio_gcs.managers.kv import KVManager
from trio_gcs.managers.runtime_env import RuntimeEnvManager
from trio_gcs.rpc.handlers import plain_function
from trio_gcs.services.runtime_env import RuntimeEnvService
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore

A, B, REMOTE, BROKEN = "gcs://_ray_pkg_a.zip", "gcs://_ray_pkg_b.zip", "s3://bucket/c.zip", "no uri"


class World:
    def __init__(self) -> None:
        self.kv = KVManager(Ledger(MemoryStore()))
        for uri in (A, B, REMOTE, BROKEN):
            self.kv.put(b"", uri.encode(), b"package")
        self.ids = (bytes([number]) * 28 for number in range(255))
        self.ledger = Ledger(MemoryStore())
        self.envs = envs = RuntimeEnvManager(self.ledger, self.kv, lambda size: next(self.ids))
        self.ledger._reactions = {
            JobAdded: (envs.begin_job,),
            JobFinished: (envs.end_job,),
            ActorRegistered: (envs.add_actor,),
            ActorForgotten: (envs.forget_actor,),
        }

    @asynccontextmanager
    async def running(self) -> Iterator[None]:
        async with trio.open_nursery() as nursery:
            await nursery.start(self.ledger.serve)
            await nursery.start(self.envs.serve)
            yield
            nursery.cancel_scope.cancel()

    def happen(self, *events: object) -> None:
        for event in events:
            with self.ledger.change() as change:
                change.react(event)

    async def kept(self) -> set[str]:
        await trio.testing.wait_all_tasks_blocked()
        return {key.decode() for key in self.kv.keys_under(b"", b"")}

    def pin(self, uri: str, duration_s: int) -> None:
        plain_function(RuntimeEnvService(self.envs).PinRuntimeEnvURI)(
            pb.PinRuntimeEnvURIRequest(uri=uri, expiration_s=duration_s)
        )


@pytest.fixture
def world() -> World:
    return World()


def job(number: int, *uris: str, is_dead: bool = False) -> JobTableData:
    made = JobTableData(job_id=JobID.from_number(number), is_dead=is_dead)
    made.config.runtime_env_info.uris.working_dir_uri = uris[0] if uris else ""
    made.config.runtime_env_info.uris.py_modules_uris.extend(uris[1:])
    return made


def actor(uri: str, *, is_detached: bool = True) -> ActorRegistered:
    actor_id = ActorID(b"a" * 16)
    task = TaskSpec()
    task.actor_creation_task_spec.actor_id = actor_id
    task.actor_creation_task_spec.is_detached = is_detached
    task.runtime_env_info.uris.working_dir_uri = uri
    return ActorRegistered(ActorTableData(actor_id=actor_id, is_detached=is_detached), task)


async def test_packages_go_with_the_last_job_that_refers_to_them(world: World) -> None:
    async with world.running():
        world.happen(JobAdded(job(1, A, B)), JobAdded(job(2, B)), JobFinished(job(1)))
        assert await world.kept() == {B, REMOTE, BROKEN}
        world.happen(JobFinished(job(2)))
        assert await world.kept() == {REMOTE, BROKEN}


async def test_only_packages_of_the_key_value_store_are_removed(world: World) -> None:
    async with world.running():
        world.happen(JobAdded(job(1, REMOTE, BROKEN)), JobFinished(job(1)))
        assert await world.kept() == {A, B, REMOTE, BROKEN}


async def test_one_package_named_twice_is_held_once(world: World) -> None:
    async with world.running():
        world.happen(JobAdded(job(1, A, A, B, B)), JobAdded(job(1, A, A, B, B), again=True), JobFinished(job(1)))
        assert await world.kept() == {REMOTE, BROKEN}
        world.happen(JobFinished(job(1), again=True))


async def test_a_job_without_packages_holds_nothing(world: World) -> None:
    async with world.running():
        world.happen(JobAdded(job(1)), JobFinished(job(1)))
        assert await world.kept() == {A, B, REMOTE, BROKEN}


async def test_a_detached_actor_holds_its_packages_until_it_is_forgotten(world: World) -> None:
    async with world.running():
        world.happen(JobAdded(job(1, A)), actor(A), JobFinished(job(1)))
        assert A in await world.kept()
        world.happen(ActorForgotten(actor(A).actor))
        assert A not in await world.kept()


async def test_other_actors_hold_nothing(world: World) -> None:
    async with world.running():
        world.happen(JobAdded(job(1, A)), actor(A, is_detached=False), JobFinished(job(1)))
        assert A not in await world.kept()


async def test_a_pin_holds_a_package_for_its_time(world: World, autojump_clock: trio.abc.Clock) -> None:
    async with world.running():
        world.pin(A, 10)
        world.pin(A, 30)
        world.pin(B, 0)
        await trio.sleep(29)
        assert A in await world.kept()
        assert B not in await world.kept()
        await trio.sleep(2)
        assert A not in await world.kept()


async def test_a_job_that_began_meanwhile_outlives_the_pin(world: World, autojump_clock: trio.abc.Clock) -> None:
    async with world.running():
        world.pin(A, 10)
        world.happen(JobAdded(job(1, A)))
        await trio.sleep(20)
        assert A in await world.kept()


async def test_a_restart_holds_again_what_lives(world: World) -> None:
    detached, other = actor(B).task_spec, actor(A, is_detached=False).task_spec
    world.envs.recover([job(1, A), job(2, A, is_dead=True)], [detached, other])
    async with world.running():
        world.happen(JobAdded(job(3, A, B)), JobFinished(job(3)))
        assert {A, B} <= await world.kept()
        world.happen(JobFinished(job(1)), ActorForgotten(actor(B).actor))
        assert not {A, B} & await world.kept()
