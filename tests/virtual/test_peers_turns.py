"""Effectful calls take turns at a peer, and are heard to the end."""

import pytest
import trio

from trio_gcs.errors import RemoteError
from trio_gcs.rpc.turns import Turns

RAYLET, OTHER, GROUP = b"raylet", b"other", b"group"


class Calls:
    """Calls that take a while, and the order in which they were made and answered."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.story: list[tuple[str, float]] = []
        self.start = trio.current_time()

    async def make(self, name: str, takes_s: float, peer: bytes = RAYLET, subject: bytes = GROUP) -> str:
        async def call() -> str:
            self.tell(f"{name} sent")
            await trio.sleep(takes_s)
            self.tell(f"{name} answered")
            return name

        return await self.turns.take(peer, subject, call)

    def tell(self, what: str) -> None:
        self.story.append((what, trio.current_time() - self.start))


async def test_a_release_waits_for_the_answer_to_its_prepare(autojump_clock):
    calls = Calls(Turns(60))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(calls.make, "prepare", 5)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(calls.make, "release", 1)
    assert calls.story == [("prepare sent", 0), ("prepare answered", 5), ("release sent", 5), ("release answered", 6)]


async def test_a_cancelled_caller_still_occupies_its_turn(autojump_clock):
    calls = Calls(Turns(60))
    async with trio.open_nursery() as nursery:

        async def impatient() -> None:
            with trio.move_on_after(1):
                await calls.make("prepare", 5)

        nursery.start_soon(impatient)
        await trio.sleep(2)
        assert await calls.make("release", 1) == "release"
    assert calls.story[1:3] == [("prepare answered", 5), ("release sent", 5)]


async def test_a_caller_that_waits_for_its_turn_can_be_cancelled(autojump_clock):
    calls = Calls(Turns(60))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(calls.make, "prepare", 5)
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await calls.make("release", 1)
        assert trio.current_time() - calls.start == 1
    assert calls.story == [("prepare sent", 0), ("prepare answered", 5)]


async def test_other_subjects_and_other_peers_do_not_wait(autojump_clock):
    calls = Calls(Turns(60))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(calls.make, "a", 5)
        nursery.start_soon(calls.make, "b", 5, OTHER)
        nursery.start_soon(calls.make, "c", 5, RAYLET, b"another group")
    assert trio.current_time() - calls.start == 5


async def test_a_peer_that_never_answers_ends_the_turn_in_time(autojump_clock):
    calls = Calls(Turns(60))
    with pytest.raises(RemoteError) as caught:
        await calls.make("prepare", 1_000)
    assert caught.value.status == 4
    assert trio.current_time() - calls.start == 60
    assert await calls.make("release", 1) == "release"


async def test_stopping_gives_up_what_is_under_way(autojump_clock):
    turns = Turns(60)
    calls = Calls(turns)
    async with trio.open_nursery() as nursery:

        async def shut_down() -> None:
            await trio.sleep(2)
            nursery.cancel_scope.cancel()
            turns.stop()

        nursery.start_soon(shut_down)
        await calls.make("prepare", 50)
    assert trio.current_time() - calls.start == 2


async def test_nothing_is_kept_of_turns_that_are_over(autojump_clock):
    turns = Turns(60)
    calls = Calls(turns)
    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(calls.make, "x", 1, RAYLET, b"%d" % (number % 3))
    assert not turns._waiting
    assert not turns._calls


async def test_turns_come_in_the_order_of_asking_whoever_gives_up(autojump_clock):
    calls = Calls(Turns(60))

    async def impatient() -> None:
        with trio.move_on_after(2):
            await calls.make("b", 1)

    async with trio.open_nursery() as nursery:
        for step in (calls.make, impatient, calls.make, calls.make):
            args = () if step is impatient else (f"call {len(calls.story)}", 5)
            nursery.start_soon(step, *args)
            await trio.testing.wait_all_tasks_blocked()
    sent = [when for what, when in calls.story if what.endswith("sent")]
    assert sent == [0, 5, 10]


async def test_nothing_begins_once_they_are_stopped(autojump_clock):
    turns = Turns(60)
    calls = Calls(turns)
    async with trio.open_nursery() as nursery:
        turns.stop()
        nursery.start_soon(calls.make, "prepare", 50)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert calls.story == []
    assert not turns._waiting
