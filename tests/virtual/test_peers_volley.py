"""Many calls about one subject, made and heard by one task, on real connections: under virtual time."""

from contextlib import asynccontextmanager
from functools import partial

import trio
from grpclib.const import Status
from h2.errors import ErrorCodes

from tests.fakes.net import Net
from trio_gcs.config import GcsConfig
from trio_gcs.errors import RemoteError, RemoteGone
from trio_gcs.generated.ray.node_manager_pb2 import (
    GetResourceLoadReply,
    GetResourceLoadRequest,
    PrepareBundleResourcesReply,
    PrepareBundleResourcesRequest,
)
from trio_gcs.rpc.raylets import Raylets
from trio_gcs.rpc.turns import Turns
from trio_gcs.rpc.volley import MOMENT_S

GROUP = b"group"
PREPARE = "PrepareBundleResources"
NODES = [bytes([number]) * 28 for number in range(3)]


class World:
    """Three raylets that say yes, our connections to them, and what was told of each volley, and when."""

    def __init__(self, net: Net) -> None:
        self.start = trio.current_time()
        self.living = {node: (f"10.0.0.{number}", 7000) for number, node in enumerate(NODES)}
        self.hosts = [net.host(*address) for address in self.living.values()]
        self.raylets = Raylets(self.living.get, GcsConfig(), open_channel=net.open_channel)
        self.turns = Turns(60)
        self.told: list[tuple[float, dict[bytes, object]]] = []
        for host in self.hosts:
            host.replies[PREPARE] = PrepareBundleResourcesReply(success=True)
            host.replies["GetResourceLoad"] = GetResourceLoadReply()

    async def connect(self) -> None:
        for node in NODES:
            await self.raylets.get_resource_load(node, GetResourceLoadRequest())

    async def ask_all(self) -> None:
        await self.turns.take_all(
            GROUP,
            dict.fromkeys(NODES, PrepareBundleResourcesRequest().SerializeToString()),
            begin=partial(self.raylets.begin, PrepareBundleResourcesRequest),
            ask=self.ask,
            tell=lambda answers: self.told.append((trio.current_time() - self.start, dict(answers))),
        )

    async def ask(self, node: bytes, octets: bytes) -> object:
        return await self.raylets.prepare_bundle_resources(node, PrepareBundleResourcesRequest.FromString(octets))

    @property
    def answers(self) -> dict[bytes, object]:
        return {node: answer for _, answers in self.told for node, answer in answers.items()}

    def says_yes(self, node: bytes) -> bool:
        answer = self.answers.get(node)
        return isinstance(answer, PrepareBundleResourcesReply) and answer.success

    def error_of(self, node: bytes) -> RemoteError:
        answer = self.answers[node]
        assert isinstance(answer, RemoteError)
        return answer


@asynccontextmanager
async def world(*, connected: bool = True):
    async with trio.open_nursery() as nursery:
        made = World(Net(nursery))
        await nursery.start(made.raylets.serve)
        if connected:
            await made.connect()
        yield made
        nursery.cancel_scope.cancel()


async def test_what_comes_together_is_told_together(autojump_clock):
    async with world() as w:
        await w.ask_all()
        assert all(map(w.says_yes, NODES))
        assert [len(host.times(PREPARE)) for host in w.hosts] == [1, 1, 1]


async def test_a_call_needs_no_task(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        for host in w.hosts:
            del host.replies[PREPARE]
        await trio.testing.wait_all_tasks_blocked()
        before = trio.lowlevel.current_statistics().tasks_living
        nursery.start_soon(w.ask_all)
        await trio.testing.wait_all_tasks_blocked()
        assert [host.times(PREPARE) for host in w.hosts] == [[w.start]] * 3
        assert trio.lowlevel.current_statistics().tasks_living == before + 1
        w.turns.stop()


async def test_raylets_that_we_are_not_connected_to_are_asked_all_the_same(autojump_clock):
    async with world(connected=False) as w:
        await w.ask_all()
        assert all(map(w.says_yes, NODES))


async def test_one_that_is_silent_holds_up_nobody_and_is_given_up_in_time(autojump_clock):
    async with world() as w:
        del w.hosts[1].replies[PREPARE]
        await w.ask_all()
        assert [(at, sorted(answers)) for at, answers in w.told][-1] == (60, [NODES[1]])
        assert {node for at, answers in w.told if at == MOMENT_S for node in answers} == {NODES[0], NODES[2]}
        assert w.error_of(NODES[1]).status == Status.DEADLINE_EXCEEDED.value
        assert w.turns.claim_all((NODES[1],), GROUP)


async def test_a_turn_ends_with_its_own_call(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        del w.hosts[1].replies[PREPARE]
        nursery.start_soon(w.ask_all)
        await trio.testing.wait_all_tasks_blocked()
        assert w.turns.claim_all(NODES, GROUP) == [NODES[0], NODES[2]]
        w.turns.stop()


async def test_a_caller_that_is_cancelled_hears_to_the_end(autojump_clock):
    async with world() as w:
        del w.hosts[1].replies[PREPARE]
        with trio.move_on_after(5):
            await w.ask_all()
        assert trio.current_time() - w.start == 60
        assert w.error_of(NODES[1]).status == Status.DEADLINE_EXCEEDED.value


async def test_who_waits_for_a_turn_is_asked_when_it_comes(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        assert w.turns.claim_all((NODES[1],), GROUP)
        nursery.start_soon(w.ask_all)
        await trio.sleep(3)
        assert w.hosts[1].times(PREPARE) == []
        w.turns.pass_on(NODES[1], GROUP)
        await trio.sleep(1)
        assert w.hosts[1].times(PREPARE) == [w.start + 3]
        assert all(map(w.says_yes, NODES))


async def test_who_waits_for_a_turn_can_be_cancelled(autojump_clock):
    async with world() as w:
        assert w.turns.claim_all((NODES[1],), GROUP)
        with trio.move_on_after(3):
            await w.ask_all()
        assert trio.current_time() - w.start == 3
        assert w.hosts[1].times(PREPARE) == []


async def test_a_raylet_that_is_dropped_is_gone(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        del w.hosts[1].replies[PREPARE]
        nursery.start_soon(w.ask_all)
        await trio.sleep(2)
        w.raylets.drop_raylet(NODES[1])
        await trio.sleep(1)
        assert isinstance(w.answers[NODES[1]], RemoteGone)
        assert [at for at, answers in w.told if NODES[1] in answers] == [2]


async def test_a_raylet_that_was_dead_before_is_gone_as_well(autojump_clock):
    async with world() as w:
        del w.living[NODES[1]]
        w.raylets.drop_raylet(NODES[1])
        await w.ask_all()
        assert isinstance(w.answers[NODES[1]], RemoteGone)
        assert w.says_yes(NODES[0])


async def test_the_raylets_own_words_arrive_in_the_error(autojump_clock):
    async with world() as w:
        w.hosts[1].replies[PREPARE] = Status.INTERNAL
        await w.ask_all()
        error = w.error_of(NODES[1])
        assert (error.status, error.message) == (Status.INTERNAL.value, "internal")


async def test_a_connection_that_breaks_is_an_error_and_not_the_end_of_the_raylet(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        del w.hosts[1].replies[PREPARE]
        nursery.start_soon(w.ask_all)
        await trio.sleep(2)
        w.hosts[1].take_down()
        await trio.sleep(1)
        assert w.error_of(NODES[1]).status == Status.UNAVAILABLE.value
        assert not isinstance(w.answers[NODES[1]], RemoteGone)


async def test_a_request_that_was_surely_not_looked_at_is_sent_again(autojump_clock):
    async with world() as w:
        refusals = iter([ErrorCodes.REFUSED_STREAM])
        w.hosts[1].replies[PREPARE] = lambda _: next(refusals, PrepareBundleResourcesReply(success=True))
        await w.ask_all()
        assert all(map(w.says_yes, NODES))
        assert len(w.hosts[1].times(PREPARE)) == 2


async def test_the_end_of_the_daemon_ends_the_hearing(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        del w.hosts[1].replies[PREPARE]
        nursery.start_soon(w.ask_all)
        await trio.sleep(2)
        w.turns.stop()
        await trio.lowlevel.checkpoint()
        assert trio.current_time() - w.start == 2


async def test_a_raylet_that_is_being_asked_is_not_idle(autojump_clock):
    async with world() as w, trio.open_nursery() as nursery:
        del w.hosts[1].replies[PREPARE]
        nursery.start_soon(w.ask_all)
        await trio.testing.wait_all_tasks_blocked()
        assert [w.raylets._peers[node].is_idle for node in NODES] == [True, False, True]
        w.turns.stop()


async def test_raylets_that_are_only_asked_without_a_task_stay_connected(autojump_clock):
    async with world() as w:
        raylets = dict(w.raylets._peers)
        for _ in range(10):
            await trio.sleep(0.4 * GcsConfig().client_idle_timeout_s)
            await w.ask_all()
        assert w.raylets._peers == raylets
        await trio.sleep(2 * GcsConfig().client_idle_timeout_s)
        assert w.raylets.peers_count == 0


async def test_what_is_sent_at_once_needs_no_other_task(autojump_clock):
    async with world() as w:
        await w.turns.take_all(
            GROUP,
            dict.fromkeys(NODES, b""),
            begin=partial(w.raylets.begin, PrepareBundleResourcesRequest, at_once=True),
            ask=w.ask,
            tell=w.told.append,
        )
        assert all(len(host.times(PREPARE)) == 1 for host in w.hosts)


async def test_who_has_answered_by_the_time_all_is_sent_needs_no_turn_of_trio():
    turns, heard, told, others = Turns(60), [], [], []

    async def note() -> None:
        others.append("had a turn")

    def begin(requests, hear):
        heard.extend(partial(hear, node, "yes") for node in requests)
        return dict.fromkeys(requests)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(note)
        await turns.take_all(
            GROUP,
            dict.fromkeys(NODES, b""),
            begin=begin,
            ask=None,
            tell=lambda answers: told.append(dict(answers)),
            look=lambda: [answer() for answer in heard],
        )
        assert told == [dict.fromkeys(NODES, "yes")]
        assert not others
    assert turns.claim_all(NODES, GROUP) == NODES
