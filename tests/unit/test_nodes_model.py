"""Nodes against a model that is three dictionaries, over any history; and the table of states, line by line."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.fakes.nodes_world import NodesWorld, node_id, node_record
from trio_gcs.events.domain import ErrorRaised, NodeAdded, NodeDied, NodeRegistered
from trio_gcs.generated.ray.autoscaler_pb2 import (
    DRAIN_NODE_REASON_IDLE_TERMINATION,
    DRAIN_NODE_REASON_PREEMPTION,
    DrainNodeRequest,
)
from trio_gcs.generated.ray.common_pb2 import NodeDeathInfo
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.generated.ray.gcs_service_pb2 import GetAllNodeInfoRequest
from trio_gcs.machine import IllegalTransition
from trio_gcs.managers.nodes.states import MACHINE, Input, State

# What follows from each input in the states ALIVE, DRAINING, DEAD and unborn; None where it is ignored.
MOVES = {
    Input.REGISTER: (State.ALIVE, State.DRAINING, State.ALIVE, State.ALIVE),
    Input.DRAIN: (State.DRAINING, State.DRAINING, None, None),
    Input.UNREGISTER: (State.DEAD, State.DEAD, None, None),
    Input.FAIL: (State.DEAD, State.DEAD, None, None),
}
STATES = (State.ALIVE, State.DRAINING, State.DEAD, None)


def test_every_state_and_every_input_is_spoken_of() -> None:
    assert set(MOVES) == set(Input)
    assert set(STATES) == {*State, None}


@given(st.sampled_from(STATES), st.sampled_from(list(Input)))
def test_a_state_moves_as_the_table_says_or_refuses(state: State | None, stimulus: Input) -> None:
    expected = MOVES[stimulus][STATES.index(state)]
    assert MACHINE.accepts(state, stimulus) == (expected is not None)
    if expected is None:
        with pytest.raises(IllegalTransition):
            MACHINE.after(state, stimulus)
    else:
        assert MACHINE.after(state, stimulus) is expected


numbers = st.integers(1, 4)
reasons = st.sampled_from(NodeDeathInfo.Reason.values())
drain_reasons = st.sampled_from([DRAIN_NODE_REASON_IDLE_TERMINATION, DRAIN_NODE_REASON_PREEMPTION])
DEAD_MAX = 2


class AnyHistory(RuleBasedStateMachine):
    """The model: names of the living, (name, reason) of the dead in order of death, what the store has, drains."""

    def __init__(self) -> None:
        super().__init__()
        self.world = NodesWorld(dead_max=DEAD_MAX)
        self.alive: dict[bytes, GcsNodeInfo] = {}
        self.dead: dict[bytes, tuple[str, int]] = {}
        self.stored: dict[bytes, tuple[str, int]] = {}
        self.drains: dict[bytes, tuple[int, int]] = {}
        self.told: list[tuple[type, bytes]] = []
        self.lives = 0

    def die(self, node: bytes, reason: int) -> None:
        name = self.alive.pop(node).node_name
        self.drains.pop(node, None)
        if len(self.dead) >= DEAD_MAX:
            oldest = next(iter(self.dead))
            del self.dead[oldest]
            if oldest not in self.alive:
                self.stored.pop(oldest, None)
        self.dead.pop(node, None)
        self.dead[node] = (name, reason)
        self.stored[node] = (name, GcsNodeInfo.DEAD)
        if reason == NodeDeathInfo.UNEXPECTED_TERMINATION:
            self.told.append((ErrorRaised, node))
        self.told.append((NodeDied, node))

    def expected_reason(self, node: bytes) -> int:
        reason, deadline_ms = self.drains.get(node, (0, 0))
        late = reason == DRAIN_NODE_REASON_PREEMPTION and deadline_ms and deadline_ms < self.world.now_ms
        return NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED if late else NodeDeathInfo.UNEXPECTED_TERMINATION

    @rule(number=numbers, head=st.booleans())
    def register(self, number: int, head: bool) -> None:
        self.lives += 1
        node, record = node_id(number), node_record(number, f"life-{self.lives}", head=head)
        for other in [key for key, old in self.alive.items() if head and old.is_head_node and key != node]:
            self.die(other, self.expected_reason(other))
        self.told.append((NodeRegistered, node))
        self.stored[node] = (record.node_name, GcsNodeInfo.ALIVE)
        if node not in self.alive:
            self.alive[node] = record
            self.told.append((NodeAdded, node))
        self.world.nodes.register(record)

    @rule(number=numbers, reason=reasons)
    def unregister(self, number: int, reason: NodeDeathInfo.Reason.ValueType) -> None:
        if node_id(number) in self.alive:
            self.die(node_id(number), reason)
        self.world.nodes.unregister(node_id(number), NodeDeathInfo(reason=reason))

    @rule(number=numbers)
    def fail(self, number: int) -> None:
        if node_id(number) in self.alive:
            self.die(node_id(number), self.expected_reason(node_id(number)))
        self.world.nodes.fail(node_id(number))

    @rule(number=numbers, reason=drain_reasons, after_ms=st.sampled_from([None, 0, 5, 50]))
    def drain(self, number: int, reason: int, after_ms: int | None) -> None:
        deadline_ms = 0 if after_ms is None else self.world.now_ms + after_ms
        if node_id(number) in self.alive:
            self.drains[node_id(number)] = (reason, deadline_ms)
        self.world.nodes.set_draining(
            node_id(number), DrainNodeRequest(reason=reason, deadline_timestamp_ms=deadline_ms)
        )

    @rule(passed_ms=st.integers(1, 20))
    def wait(self, passed_ms: int) -> None:
        self.world.now_ms += passed_ms

    @rule()
    def restart(self) -> None:
        deaths = sorted(
            (record for record in self.world.stored.values() if record.state == GcsNodeInfo.DEAD),
            key=lambda record: record.end_time_ms,
        )
        self.dead = {record.node_id: (record.node_name, record.death_info.reason) for record in deaths}
        self.alive = {key: row for key, row in self.world.stored.items() if self.stored[key][1] == GcsNodeInfo.ALIVE}
        self.drains.clear()
        self.told.clear()
        self.world = trio.run(self.world.restarted)

    @invariant()
    def agrees_with_the_model(self) -> None:
        world = self.world
        assert world.alive == self.alive
        assert {key: (row.node_name, row.death_info.reason) for key, row in world.dead.items()} == self.dead
        assert list(world.dead) == list(self.dead)
        assert {key: (row.node_name, row.state) for key, row in world.stored.items()} == self.stored

    @invariant()
    def tells_what_happened_in_order(self) -> None:
        heard = [
            (type(event), bytes.fromhex(event.key.decode()) if isinstance(event, ErrorRaised) else event.node.node_id)
            for event in self.world.events
            if isinstance(event, ErrorRaised | NodeAdded | NodeDied | NodeRegistered)
        ]
        assert heard == self.told

    @invariant()
    def every_living_node_is_watched_and_no_dead_one(self) -> None:
        alive = self.world.nodes._alive
        assert all(len(alive._owed(key, row)) == 1 for key, row in alive.items())
        assert alive.find("heads", value=True) == [key for key, row in self.alive.items() if row.is_head_node]

    @invariant()
    def queries_see_both_tables(self) -> None:
        queries = self.world.nodes.queries
        assert queries.total() == len(queries.select(GetAllNodeInfoRequest())) == len(self.alive) + len(self.dead)


AnyHistory.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyHistory = AnyHistory.TestCase
