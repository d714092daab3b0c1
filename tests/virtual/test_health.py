"""The health of nodes over virtual time: when a raylet is probed, when it is spared, and when its node is dead."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from trio_gcs.config import GcsConfig
from trio_gcs.errors import RemoteError, RemoteGone
from trio_gcs.events.domain import NodeDied
from trio_gcs.generated.ray.autoscaler_pb2 import DrainNodeRequest
from trio_gcs.generated.ray.common_pb2 import NodeDeathInfo
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.managers.nodes import NodeManager
from trio_gcs.store.base import Page, Write
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore

NODE = bytes([1] * 28)
OTHER = bytes([2] * 28)

Answer = Callable[[], Awaitable[bool]]


async def well() -> bool:
    await trio.lowlevel.checkpoint()
    return True


async def unwell() -> bool:
    await trio.lowlevel.checkpoint()
    return False


async def refused() -> bool:
    await trio.lowlevel.checkpoint()
    raise RemoteError(14, "connection refused")


async def gone() -> bool:
    await trio.lowlevel.checkpoint()
    raise RemoteGone("the raylet")


async def hung() -> bool:
    await trio.sleep_forever()
    raise AssertionError


class ScriptedRaylets:
    """Answers probes from a script, the last line for ever, and notes when each of them came."""

    def __init__(self, *script: Answer) -> None:
        self.script = list(script)
        self.probes: list[tuple[float, bytes]] = []

    async def check_health(self, node_id: bytes) -> bool:
        self.probes.append((trio.current_time(), node_id))
        answer = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return await answer()

    async def notify_restart(self, node_id: bytes) -> None:
        await trio.lowlevel.checkpoint()

    async def shut_down(self, node_id: bytes) -> None:
        await trio.lowlevel.checkpoint()


class Cluster:
    """A node manager that runs, and what came of it."""

    def __init__(self, raylets: ScriptedRaylets) -> None:
        self.raylets = raylets
        self.began_at = trio.current_time()
        self.deaths: list[tuple[float, bytes]] = []
        self.ledger = Ledger(MemoryStore(), publish=self._hear)
        self.nodes = NodeManager(self.ledger, raylets, GcsConfig(), clock=lambda: 0)

    def _hear(self, revision: int, events: Sequence[object]) -> None:
        self.deaths += [(self.passed_s, event.node.node_id) for event in events if isinstance(event, NodeDied)]

    @property
    def passed_s(self) -> float:
        return trio.current_time() - self.began_at

    @property
    def probed_at(self) -> list[float]:
        return [at - self.began_at for at, _ in self.raylets.probes]

    def register(self, node_id: bytes = NODE, *, head: bool = False) -> None:
        self.nodes.register(GcsNodeInfo(node_id=node_id, is_head_node=head))

    def mark_healthy(self, node_id: bytes = NODE) -> None:
        self.nodes.health.mark_healthy(node_id)


Start = Callable[..., Awaitable[Cluster]]


@pytest.fixture
async def start(nursery: trio.Nursery) -> Start:
    async def start_cluster(*script: Answer) -> Cluster:
        cluster = Cluster(ScriptedRaylets(*script))
        await nursery.start(cluster.ledger.serve)
        await nursery.start(cluster.nodes.serve)
        return cluster

    return start_cluster


async def test_a_healthy_node_is_probed_every_period_after_the_first_delay(
    autojump_clock: MockClock, start: Start
) -> None:
    cluster = await start(well)
    cluster.register()
    await trio.sleep(15)
    assert cluster.probed_at == [5, 8, 11, 14]
    assert cluster.raylets.probes[0][1] == NODE
    assert cluster.deaths == []


@pytest.mark.parametrize("answer", [unwell, refused, gone])
async def test_a_silent_node_dies_after_five_probes(autojump_clock: MockClock, start: Start, answer: Answer) -> None:
    cluster = await start(answer)
    cluster.register()
    await trio.sleep(100)
    assert cluster.probed_at == [5, 8, 11, 14, 17]
    assert cluster.deaths == [(17, NODE)]
    dead = cluster.nodes.dead_node(NODE)
    assert dead is not None
    assert dead.death_info.reason == NodeDeathInfo.UNEXPECTED_TERMINATION


async def test_one_success_forgives_four_failures(autojump_clock: MockClock, start: Start) -> None:
    cluster = await start(*[refused] * 4, well, refused)
    cluster.register()
    await trio.sleep(100)
    assert cluster.deaths == [(5 + 9 * 3, NODE)]
    assert len(cluster.probed_at) == 10


async def test_a_hung_raylet_costs_its_timeout_and_the_period_each_time(
    autojump_clock: MockClock, start: Start
) -> None:
    cluster = await start(hung)
    cluster.register()
    await trio.sleep(100)
    assert cluster.probed_at == [5, 18, 31, 44, 57]
    assert cluster.deaths == [(67, NODE)]


async def test_the_period_begins_with_the_reply(autojump_clock: MockClock, start: Start) -> None:
    async def slow() -> bool:
        await trio.sleep(9)
        return True

    cluster = await start(slow)
    cluster.register()
    await trio.sleep(30)
    assert cluster.probed_at == [5, 17, 29]


async def test_a_sign_of_life_puts_the_probe_off_to_exactly_a_period_after_it(
    autojump_clock: MockClock, start: Start
) -> None:
    cluster = await start(well)
    cluster.register()
    await trio.sleep(4.5)
    cluster.mark_healthy()
    await trio.sleep(4)
    assert cluster.probed_at == [7.5]


async def test_a_sign_of_life_that_is_a_period_old_spares_nothing(autojump_clock: MockClock, start: Start) -> None:
    cluster = await start(well)
    cluster.register()
    await trio.sleep(2)
    cluster.mark_healthy()
    await trio.sleep(4)
    assert cluster.probed_at == [5]


async def test_a_node_that_sends_often_is_never_probed_until_it_falls_silent(
    autojump_clock: MockClock, start: Start
) -> None:
    cluster = await start(refused)
    cluster.register()
    for _ in range(50):
        await trio.sleep(1)
        cluster.mark_healthy()
    assert cluster.probed_at == []
    await trio.sleep(50)
    assert cluster.probed_at == [53, 56, 59, 62, 65]
    assert cluster.deaths == [(65, NODE)]


async def test_a_sign_of_life_forgives_no_failure(autojump_clock: MockClock, start: Start) -> None:
    cluster = await start(refused)
    cluster.register()
    await trio.sleep(15)  # four probes
    cluster.mark_healthy()
    await trio.sleep(20)
    assert cluster.deaths == [(18, NODE)]


async def test_a_sign_of_life_of_another_node_or_of_nobody_changes_nothing(
    autojump_clock: MockClock, start: Start
) -> None:
    cluster = await start(well)
    cluster.register()
    await trio.sleep(4.5)
    cluster.mark_healthy(OTHER)
    await trio.sleep(1)
    assert cluster.probed_at == [5]


async def test_a_node_that_unregisters_is_probed_no_more_even_while_a_probe_is_under_way(
    autojump_clock: MockClock, start: Start
) -> None:
    cluster = await start(hung)
    cluster.register()
    await trio.sleep(6)
    cluster.nodes.unregister(NODE, NodeDeathInfo(reason=NodeDeathInfo.EXPECTED_TERMINATION))
    await trio.sleep(100)
    assert cluster.deaths == [(6, NODE)]
    assert cluster.probed_at == [5]


async def test_a_new_life_of_a_node_begins_with_a_full_delay_and_no_failures(
    autojump_clock: MockClock, start: Start
) -> None:
    cluster = await start(refused)
    cluster.register()
    await trio.sleep(15)  # four failures
    cluster.nodes.unregister(NODE, NodeDeathInfo())
    cluster.register()
    cluster.mark_healthy()  # not watched yet
    await trio.sleep(16)
    assert cluster.probed_at == [5, 8, 11, 14, 20, 23, 26, 29]
    assert cluster.deaths == [(15, NODE)]


async def test_a_last_failure_that_arrives_with_the_end_of_a_life_spares_the_next_one(
    autojump_clock: MockClock, start: Start
) -> None:
    answered = trio.Event()

    async def late() -> bool:
        await answered.wait()
        return False

    cluster = await start(*[unwell] * 4, late)
    cluster.register()
    await trio.sleep(18)
    answered.set()  # the fifth failure is on its way to the duty, which has not run yet
    cluster.nodes.unregister(NODE, NodeDeathInfo())
    cluster.register()
    await trio.sleep(1)
    assert cluster.nodes.is_alive(NODE)
    assert cluster.deaths == [(18, NODE)]


async def test_registering_twice_does_not_put_the_probes_off(autojump_clock: MockClock, start: Start) -> None:
    cluster = await start(well)
    cluster.register()
    await trio.sleep(4)
    cluster.register()
    cluster.nodes.set_draining(NODE, DrainNodeRequest(deadline_timestamp_ms=1))
    await trio.sleep(5)
    assert cluster.probed_at == [5, 8]


async def test_an_old_head_is_dead_before_the_new_one_is_there_and_is_probed_no_more(
    autojump_clock: MockClock, start: Start
) -> None:
    cluster = await start(well)
    cluster.register(NODE, head=True)
    await trio.sleep(6)
    cluster.register(OTHER, head=True)
    assert cluster.deaths == [(6, NODE)]
    await trio.sleep(6)
    assert [node_id for _, node_id in cluster.raylets.probes] == [NODE, OTHER]


async def test_nodes_are_probed_each_on_its_own_time(autojump_clock: MockClock, start: Start) -> None:
    cluster = await start(hung, well)
    cluster.register(NODE)
    await trio.sleep(1)
    cluster.register(OTHER)
    await trio.sleep(9)
    assert [(at - cluster.began_at, node_id) for at, node_id in cluster.raylets.probes] == [
        (5, NODE),
        (6, OTHER),
        (9, OTHER),
    ]


class StoredNode(MemoryStore):
    async def load(self, table: str) -> AsyncIterator[Page]:
        yield [(NODE, GcsNodeInfo(node_id=NODE).SerializeToString())] if table == "NODE" else []


async def test_a_restart_begins_with_a_full_delay(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    raylets = ScriptedRaylets(well)
    ledger = Ledger(StoredNode())
    nodes = NodeManager(ledger, raylets, GcsConfig(), clock=lambda: 0)
    await ledger.load()
    nodes.recover()
    began_at = trio.current_time()
    await nursery.start(nodes.serve)
    await trio.sleep(9)
    assert [at - began_at for at, _ in raylets.probes] == [5, 8]


class SlowStore(MemoryStore):
    keeps = True

    async def commit(self, writes: Sequence[Write], revision: int) -> None:
        await trio.sleep(2)


async def test_a_node_is_watched_once_it_is_durable_and_not_before(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    raylets = ScriptedRaylets(well)
    ledger = Ledger(SlowStore())
    nodes = NodeManager(ledger, raylets, GcsConfig(), clock=lambda: 0)
    await nursery.start(ledger.serve)
    await nursery.start(nodes.serve)
    began_at = trio.current_time()
    nodes.register(GcsNodeInfo(node_id=NODE))
    await trio.sleep(8)
    assert [at - began_at for at, _ in raylets.probes] == [7]


@given(st.lists(st.sampled_from([well, unwell, hung, refused]), min_size=1, max_size=12))
@settings(deadline=None)
def test_a_node_dies_when_any_five_answers_in_a_row_are_bad(answers: list[Answer]) -> None:
    died_at_s: list[float] = []

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            cluster = Cluster(ScriptedRaylets(*answers, well))
            await nursery.start(cluster.ledger.serve)
            await nursery.start(cluster.nodes.serve)
            cluster.register()
            await trio.sleep(500)
            died_at_s.extend(at for at, _ in cluster.deaths)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=MockClock(autojump_threshold=0))
    expected_s, failures = 5.0, 0
    for answer in answers:
        expected_s += 10 if answer is hung else 0
        failures = 0 if answer is well else failures + 1
        if failures == 5:
            assert died_at_s == [pytest.approx(expected_s)]
            return
        expected_s += 3
    assert died_at_s == []
