"""Nothing about an actor leaves before it is durable, and what is taken back leaves no trace."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import trio

from tests.fakes.actor_invariants import check, check_duties
from tests.fakes.actor_scheduling import raylets_only
from tests.fakes.actor_world import ActorWorld, Caller, KeptStore, actor_spec, grant
from trio_gcs.events.domain import ActorMoved
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply
from trio_gcs.store.base import Write

UNREADY, PENDING, ALIVE, RESTARTING, DEAD = range(5)


class SlowStore(KeptStore):
    """A store that takes a second for each batch."""

    async def commit(self, writes: Sequence[Write], revision: int) -> None:
        await trio.sleep(1)
        await super().commit(writes, revision)


class Boom(Exception):
    pass


@raylets_only
async def test_nobody_is_asked_for_or_told_what_a_crash_could_undo(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1, store=SlowStore())
    async with world.serving():
        await trio.sleep(10)
        began = trio.current_time()
        caller = world.begin()
        assert world.told == []
        lease = await world.lease()
        assert trio.current_time() - began == pytest.approx(1)
        grant(lease, 100)
        push = await world.push()
        assert trio.current_time() - began == pytest.approx(2)
        push.answer(PushTaskReply())
        await trio.sleep(0.5)
        assert (world.state(), caller.reply, world.states()) == (ALIVE, None, [])
        await trio.sleep(1)
        assert (caller.reply.status.code, world.states()) == (0, [ALIVE])
        check_duties(world)


async def test_what_was_taken_back_before_it_was_durable_is_not_sent(autojump_clock: trio.abc.Clock) -> None:
    world = ActorWorld(nodes=1, store=SlowStore())
    async with world.serving():
        await trio.sleep(10)
        caller = world.begin()
        world.kill()
        await trio.sleep(10)
        assert world.leases() == []
        assert world.workers.calls == []
        assert caller.reply.status.code == 19
        check_duties(world)


async def test_the_whole_life_of_an_actor_is_durable_in_order(autojump_clock: trio.abc.Clock) -> None:
    store = SlowStore()
    world = ActorWorld(nodes=1, store=store)
    async with world.serving():
        await trio.sleep(10)
        world.begin()
        world.kill()
        world.register(2)
        await trio.sleep(10)
        assert [type(event).__name__ for event in world.told] == [
            "ActorRegistered",
            "ActorPending",
            "ActorMoved",
            "ActorForgotten",
            "ActorRegistered",
        ]
        assert len(store.rows["ACTOR"]) == 2
        assert len(store.rows["ACTOR_TASK_SPEC"]) == 1


def test_a_decision_that_fails_in_somebody_elses_reaction_leaves_no_trace() -> None:
    world = ActorWorld(nodes=1)
    caller = world.begin(1)
    world.register(2)
    before = [world.row(number) for number in (1, 2)]

    def fail(change: object, event: object) -> None:
        raise Boom

    world.ledger._reactions[ActorMoved] = (fail,)
    with pytest.raises(Boom):
        world.kill(1)
    assert [world.row(number) for number in (1, 2)] == before
    assert (caller.reply, caller.gone) == (None, False)
    check(world)
    later = Caller()
    assert world.actors.create(actor_spec(1), later) is None
    del world.ledger._reactions[ActorMoved]
    world.kill(1)
    assert caller.reply == later.reply
    check(world)
