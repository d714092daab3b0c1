"""What raylets may answer to the two phases: whatever it is, a group is held in full in the end, or not at all."""

from __future__ import annotations

import itertools

import pytest
import trio
from grpclib.const import Status

from tests.fakes.group_world import AGREED, COMMIT, PREPARE, RELEASE, GroupWorld, Wire, indexes, node_id
from trio_gcs.errors import RemoteError
from trio_gcs.generated.ray.common_pb2 import STRICT_SPREAD
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats as Stats
from trio_gcs.generated.ray.node_manager_pb2 import PrepareBundleResourcesReply

NO = PrepareBundleResourcesReply(success=False)
UNREACHABLE = RemoteError(Status.UNAVAILABLE.value, "nobody listens")


def answer_prepares(world: GroupWorld, **answers: object) -> None:
    """What nodes answer, by number; the others agree."""

    def answer(peer: bytes, request: object):
        said = answers.get(f"node_{int.from_bytes(peer, 'big')}", AGREED[PREPARE])
        if isinstance(said, Exception):
            raise said
        return said

    world.raylets.script(PREPARE, answer)


async def test_only_nodes_that_may_hold_something_give_it_back(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1, 1])
    async with world.serving():
        world.play(PREPARE)
        world.create(1, {"CPU": 1}, {"CPU": 1})
        for _ in range(2):
            call = await world.asked(PREPARE)
            call.answer(NO if call.peer == node_id(2) else AGREED[PREPARE])
        await world.settle()
        assert [node for node, _ in world.sent(RELEASE)] == [1]
        assert (world.state(), world.places()) == (Wire.PENDING, [0, 0])
        assert world.stats().scheduling_state == Stats.NO_RESOURCES


async def test_retries_come_ever_more_rarely(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    asked: list[float] = []

    def refuse(peer: bytes, request: object) -> PrepareBundleResourcesReply:
        asked.append(trio.current_time())
        assert world.stats().highest_retry_delay_ms == sum(delays[len(asked) - 2 : len(asked) - 1])
        return NO

    delays = [100, 150, 225, 337, 506, 759, 1000, 1000, 1000]
    async with world.serving():
        world.raylets.script(PREPARE, refuse)
        world.create()
        await trio.sleep(sum(delays) / 1000 + 0.01)
        assert [round(1000 * (later - earlier)) for earlier, later in itertools.pairwise(asked)] == delays
        assert world.stats().scheduling_attempt == len(asked)


async def test_a_group_is_placed_as_soon_as_its_time_has_come(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1, 1])
    async with world.serving():
        answer_prepares(world, node_2=NO)
        world.create(1, {"CPU": 1}, {"CPU": 1})
        await trio.sleep(0.26)
        answer_prepares(world)
        await trio.sleep(0.225)
        assert world.state() == Wire.CREATED
        assert world.stats().highest_retry_delay_ms == 225


@pytest.mark.parametrize("failed", [UNREACHABLE, RemoteError(Status.INTERNAL.value, "a bug")])
async def test_who_did_not_answer_a_prepare_gives_back_what_it_may_hold(
    autojump_clock: trio.abc.Clock, failed: RemoteError
) -> None:
    world = GroupWorld([1, 1])
    async with world.serving():
        answer_prepares(world, node_2=failed)
        world.create(1, {"CPU": 1}, {"CPU": 1})
        await trio.sleep(0.01)
        assert sorted(node for node, _ in world.sent(RELEASE)) == [1, 2]
        answer_prepares(world)
        await trio.sleep(3)
        assert world.state() == Wire.CREATED


async def test_a_raylet_that_hangs_holds_a_group_up_but_not_for_ever(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1, 2], call_timeout_s=60)
    async with world.serving():
        world.play(PREPARE)
        world.create(1, {"CPU": 2})
        hung = await world.asked(PREPARE)
        assert hung.peer == node_id(2)
        world.agree(PREPARE)
        world.create(2, {"CPU": 1})
        await trio.sleep(59)
        assert world.state(2) == Wire.PENDING
        await trio.sleep(3.5)
        assert (world.state(1), world.state(2)) == (Wire.CREATED, Wire.CREATED)
        assert world.sent(RELEASE) == [(2, [0])] * 2


async def test_what_a_broken_connection_may_still_bring_is_given_back_as_well(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        answer_prepares(world, node_1=UNREACHABLE)
        world.play(RELEASE)
        world.create()
        (await world.asked(RELEASE)).answer(AGREED[RELEASE])
        answer_prepares(world)
        await trio.sleep(1.9)
        assert (len(world.sent(RELEASE)), len(world.sent(PREPARE))) == (1, 1)
        (await world.asked(RELEASE)).answer(AGREED[RELEASE])
        await trio.sleep(1)
        assert (len(world.sent(RELEASE)), world.state()) == (2, Wire.CREATED)


async def test_nothing_of_a_group_goes_where_it_has_yet_to_be_given_back(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1, 1])
    async with world.serving():
        answer_prepares(world, node_2=UNREACHABLE)
        world.play(RELEASE)
        world.create(1, {"CPU": 1}, {"CPU": 1})
        first, second = await world.asked(RELEASE), await world.asked(RELEASE)
        answer_prepares(world)
        await trio.sleep(20)
        assert (len(world.sent(PREPARE)), world.stats().scheduling_state) == (2, Stats.NO_RESOURCES)
        world.create(2, {"CPU": 0.5})
        await world.settle()
        assert world.state(2) == Wire.PENDING  # what is to be given back is not free yet
        first.answer(AGREED[RELEASE])
        second.answer(AGREED[RELEASE])
        await trio.sleep(1.1)
        assert {world.state(1), world.state(2)} == {Wire.PENDING, Wire.CREATED}


async def test_a_release_is_repeated_until_it_is_answered(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        world.create()
        await world.settle()
        world.raylets.script(RELEASE, UNREACHABLE)
        world.remove()
        await trio.sleep(0.5)
        for sends in range(1, 10):
            assert world.sent(RELEASE) == [(1, [0])] * sends
            await trio.sleep(1)
        world.agree(RELEASE)
        await trio.sleep(100)
        assert len(world.sent(RELEASE)) == 12  # its first yes may have come before the request that was lost


async def test_a_release_ends_with_its_node(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        world.create()
        await world.settle()
        world.play(RELEASE)
        world.remove()
        await world.asked(RELEASE)
        world.end_node(1)
        await trio.sleep(100)
        assert len(world.sent(RELEASE)) == 1
        assert len(world.groups._releases.table) == 0


async def test_a_commit_that_failed_is_given_back_and_placed_elsewhere(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1, 1])
    async with world.serving():
        world.play(COMMIT)
        world.create(1, {"CPU": 1}, {"CPU": 1}, strategy=STRICT_SPREAD)
        waiter = world.wait()
        for _ in range(2):
            call = await world.asked(COMMIT)
            if call.peer == node_id(2):
                call.refuse(Status.INTERNAL)
                lost = indexes(call.request.bundle_specs)
            else:
                call.answer(AGREED[COMMIT])
        world.agree(COMMIT)
        await world.settle()
        assert (world.state(), world.places()[lost[0]]) == (Wire.RESCHEDULING, 0)
        assert world.stats().scheduling_state == Stats.FAILED_TO_COMMIT_RESOURCES
        assert world.sent(RELEASE) == [(2, lost)]
        assert waiter.reply is None
        await trio.sleep(1)
        # The node may have it after all: it is not taken for one that holds another bundle of the group.
        assert (world.state(), sorted(world.places())) == (Wire.CREATED, [1, 2])
        assert world.sent(PREPARE)[2:] == [(2, lost)]
        assert waiter.reply is not None
        held = [(place, [index]) for index, place in enumerate(world.places())]
        world.remove()
        await world.settle()
        assert sorted(world.sent(RELEASE)[1:]) == sorted(held)


async def test_commits_that_always_fail_do_not_make_a_busy_loop(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([1])
    async with world.serving():
        world.raylets.script(COMMIT, UNREACHABLE)
        world.create()
        await trio.sleep(60)
        assert 20 < len(world.sent(COMMIT)) < 40
        world.agree(COMMIT)
        await trio.sleep(4)
        assert world.state() == Wire.CREATED


async def test_what_a_failed_plan_took_is_free_again(autojump_clock: trio.abc.Clock) -> None:
    world = GroupWorld([2, 2])
    async with world.serving():
        answer_prepares(world, node_2=NO)
        world.create(1, {"CPU": 2}, {"CPU": 2})
        await world.settle()
        assert (world.free(1), world.free(2)) == (2, 2)
