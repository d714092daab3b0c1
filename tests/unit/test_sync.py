"""The syncer's rules, one claim each, and a machine that holds it to a model with a queue per connection."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from trio_gcs.events.domain import NodeDied
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.generated.ray.ray_syncer_pb2 import (
    COMMANDS,
    RESOURCE_VIEW,
    CommandsSyncMessage,
    RaySyncMessage,
    RaySyncMessageBatch,
    ResourceViewSyncMessage,
)
from trio_gcs.ids import NodeID
from trio_gcs.managers.sync import Connection, SyncRelay
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore

A, B, C, D = (NodeID(bytes([letter]) * 28) for letter in b"abcd")


class Heard:
    """What the relay told the rest of the daemon."""

    def __init__(self) -> None:
        self.reports: list[tuple[bytes, int]] = []
        self.healthy: list[bytes] = []

    def apply_report(self, node_id: bytes, message: ResourceViewSyncMessage) -> None:
        self.reports.append((node_id, message.idle_duration_ms))


class Wire:
    """A relay with streams that only count how often they were ended."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.relay = SyncRelay(self.heard.apply_report, self.heard.healthy.append)
        self.ended: list[NodeID] = []

    def connect(self, node_id: NodeID) -> Connection:
        return self.relay.connect(node_id, lambda: self.ended.append(node_id))

    def say(self, connection: Connection, *messages: RaySyncMessage) -> bool:
        return self.relay.receive(connection, messages)

    def told(self, connection: Connection) -> set[tuple[bytes, int, int]]:
        batch = RaySyncMessageBatch.FromString(self.relay.take(connection))
        told = [(message.node_id, message.message_type, message.version) for message in batch.messages]
        assert len({entry[:2] for entry in told}) == len(told)
        return set(told)


def view(node_id: bytes, version: int) -> RaySyncMessage:
    report = ResourceViewSyncMessage(idle_duration_ms=version)
    return RaySyncMessage(version=version, node_id=node_id, sync_message=report.SerializeToString())


def commands(node_id: bytes, version: int) -> RaySyncMessage:
    command = CommandsSyncMessage(should_global_gc=True).SerializeToString()
    return RaySyncMessage(version=version, node_id=node_id, message_type=COMMANDS, sync_message=command)


def die(wire: Wire, node_id: bytes) -> None:
    with Ledger(MemoryStore()).change() as change:
        wire.relay.forget_node(change, NodeDied(GcsNodeInfo(node_id=node_id)))


def test_a_view_goes_to_all_others_and_never_back() -> None:
    wire = Wire()
    a, b, c = wire.connect(A), wire.connect(B), wire.connect(C)
    assert wire.say(a, view(A, 1))
    assert wire.told(a) == set()
    assert wire.told(b) == wire.told(c) == {(A, RESOURCE_VIEW, 1)}
    assert wire.told(b) == set()


def test_a_relayed_message_is_byte_for_byte_what_was_said() -> None:
    wire = Wire()
    a, b = wire.connect(A), wire.connect(B)
    message = commands(A, 7)
    wire.say(a, message)
    assert wire.relay.take(b) == RaySyncMessageBatch(messages=[message]).SerializeToString()


def test_only_the_newest_of_a_node_and_type_waits_for_a_slow_reader() -> None:
    wire = Wire()
    a, b = wire.connect(A), wire.connect(B)
    for version in range(1000):
        wire.say(a, view(A, version), commands(A, version))
    assert wire.relay.waiting(b) == 2
    assert wire.told(b) == {(A, RESOURCE_VIEW, 999), (A, COMMANDS, 999)}


def test_views_reach_the_daemon_and_commands_do_not() -> None:
    wire = Wire()
    a = wire.connect(A)
    wire.say(a, view(A, 1), commands(A, 1), view(A, 2))
    assert wire.heard.reports == [(A, 1), (A, 2)]


def test_a_version_that_is_not_newer_is_dropped() -> None:
    wire = Wire()
    a, b = wire.connect(A), wire.connect(B)
    assert wire.say(a, view(A, 5))
    assert not wire.say(a, view(A, 5), view(A, 4))
    assert not wire.say(b, view(A, 5))
    assert wire.heard.reports == [(A, 5)]


def test_version_zero_is_newer_than_none() -> None:
    wire = Wire()
    a, b = wire.connect(A), wire.connect(B)
    assert wire.say(a, view(A, 0))
    assert wire.told(b) == {(A, RESOURCE_VIEW, 0)}
    assert not wire.say(a, view(A, -1))


def test_each_batch_with_messages_is_a_sign_of_life_even_if_all_of_them_are_old() -> None:
    wire = Wire()
    a = wire.connect(A)
    wire.say(a, view(A, 1), view(A, 2))
    wire.say(a, view(A, 1))
    assert wire.heard.healthy == [A, A]


def test_an_empty_batch_is_ignored() -> None:
    wire = Wire()
    a = wire.connect(A)
    assert not wire.say(a)
    assert wire.heard.healthy == []


def test_a_newcomer_is_told_everything_current() -> None:
    wire = Wire()
    a = wire.connect(A)
    wire.say(a, view(A, 3), commands(A, 1), view(C, 8))
    assert wire.told(wire.connect(B)) == {(A, RESOURCE_VIEW, 3), (A, COMMANDS, 1), (C, RESOURCE_VIEW, 8)}


def test_any_peer_may_speak_about_any_node() -> None:
    wire = Wire()
    a, b = wire.connect(A), wire.connect(B)
    assert wire.say(a, view(D, 4))
    assert wire.heard.reports == [(D, 4)]
    assert wire.told(b) == {(D, RESOURCE_VIEW, 4)}


def test_a_node_is_not_told_what_others_say_about_it() -> None:
    wire = Wire()
    a, b = wire.connect(A), wire.connect(B)
    wire.say(b, view(A, 4))
    assert wire.told(a) == set()


def test_what_a_disconnected_node_said_is_not_told_to_newcomers() -> None:
    wire = Wire()
    a = wire.connect(A)
    wire.say(a, view(A, 3))
    wire.relay.disconnect(a)
    assert wire.told(wire.connect(B)) == set()


def test_what_a_node_said_before_it_disconnected_still_reaches_who_was_there() -> None:
    wire = Wire()
    a, b = wire.connect(A), wire.connect(B)
    wire.say(a, view(A, 3))
    wire.relay.disconnect(a)
    assert wire.told(b) == {(A, RESOURCE_VIEW, 3)}


def test_a_node_that_counts_anew_is_heard_by_the_daemon_and_by_newcomers_only_until_it_passes_its_old_version() -> None:
    wire = Wire()
    a, b = wire.connect(A), wire.connect(B)
    wire.say(a, view(A, 10))
    assert wire.told(b) == {(A, RESOURCE_VIEW, 10)}
    wire.relay.disconnect(a)
    c = wire.connect(C)
    a = wire.connect(A)
    wire.say(a, view(A, 1))
    assert wire.heard.reports == [(A, 10), (A, 1)]
    assert wire.told(b) == set()
    assert wire.told(c) == {(A, RESOURCE_VIEW, 1)}
    wire.say(a, view(A, 11))
    assert wire.told(b) == wire.told(c) == {(A, RESOURCE_VIEW, 11)}


def test_a_node_that_repeats_its_last_version_after_it_returned_is_not_told_again() -> None:
    wire = Wire()
    a, b = wire.connect(A), wire.connect(B)
    wire.say(a, view(A, 3))
    assert wire.told(b) == {(A, RESOURCE_VIEW, 3)}
    wire.relay.disconnect(a)
    assert wire.say(wire.connect(A), view(A, 3))
    assert wire.told(b) == set()
    assert wire.told(wire.connect(C)) == {(A, RESOURCE_VIEW, 3)}


def test_what_a_peer_said_of_others_is_not_kept_once_it_was_told_something_newer() -> None:
    wire = Wire()
    a, b = wire.connect(A), wire.connect(B)
    wire.say(b, view(A, 3))
    assert b.told_us
    wire.say(a, view(A, 4))
    assert wire.told(b) == {(A, RESOURCE_VIEW, 4)}
    assert not b.told_us


def test_a_second_stream_of_a_node_ends_the_first_and_keeps_what_it_said() -> None:
    wire = Wire()
    first = wire.connect(A)
    wire.say(first, view(A, 3))
    second = wire.connect(A)
    assert wire.ended == [A]
    wire.relay.disconnect(first)
    assert not wire.say(first, view(A, 9))
    assert wire.told(wire.connect(B)) == {(A, RESOURCE_VIEW, 3)}
    assert wire.say(second, view(A, 4))


def test_a_dead_node_that_is_still_connected_is_still_relayed() -> None:
    wire = Wire()
    a, b = wire.connect(A), wire.connect(B)
    die(wire, A)
    assert wire.say(a, view(A, 1))
    assert wire.told(b) == {(A, RESOURCE_VIEW, 1)}


def test_nothing_is_kept_of_a_dead_node_whose_stream_has_ended() -> None:
    wire = Wire()
    for order in ("died first", "disconnected first"):
        a = wire.connect(A)
        wire.say(a, view(A, 1), commands(A, 1))
        if order == "died first":
            die(wire, A)
            wire.relay.disconnect(a)
        else:
            wire.relay.disconnect(a)
            die(wire, A)
        assert not wire.relay._newest
        assert not wire.relay._dead


def test_messages_of_no_known_kind_are_ignored() -> None:
    wire = Wire()
    a, b = wire.connect(A), wire.connect(B)
    strange = RaySyncMessage(version=1, node_id=A)
    strange.message_type = 2  # type: ignore[assignment]  # a kind that nobody knows is a plain number
    assert not wire.say(a, strange, view(b"short", 1))
    assert not wire.say(a, RaySyncMessage(version=1, node_id=A, sync_message=b"\xff"))
    assert wire.told(b) == set()
    assert wire.say(a, view(A, 2))


Key = tuple[bytes, int]


class QueuedConnection:
    """A connection as Ray has it: versions of what went either way, and a queue of what is to be sent."""

    def __init__(self, node_id: bytes) -> None:
        self.node_id = node_id
        self.versions: dict[Key, int] = {}
        self.queue: dict[Key, int] = {}

    def push(self, key: Key, version: int) -> None:
        if key[0] != self.node_id and self.versions.get(key, -1) < version:
            self.versions[key] = version
            self.queue[key] = version


class Model:
    """The rules of Ray's syncer, one by one: each message is pushed to each connection."""

    def __init__(self) -> None:
        self.view: dict[Key, int] = {}
        self.connections: dict[bytes, QueuedConnection] = {}
        self.reports: list[tuple[bytes, int]] = []

    def connect(self, node_id: bytes) -> None:
        connection = self.connections[node_id] = QueuedConnection(node_id)
        for key, version in self.view.items():
            connection.push(key, version)

    def disconnect(self, node_id: bytes) -> None:
        del self.connections[node_id]
        for key in [key for key in self.view if key[0] == node_id]:
            del self.view[key]

    def receive(self, node_id: bytes, messages: Iterable[RaySyncMessage]) -> None:
        peer = self.connections[node_id]
        for message in messages:
            key: Key = message.node_id, message.message_type
            if peer.versions.get(key, -1) >= message.version:
                continue
            peer.versions[key] = message.version
            # The one departure: Ray would still send an older version that it had queued. We know better by now.
            peer.queue.pop(key, None)
            if self.view.get(key, -1) >= message.version:
                continue
            self.view[key] = message.version
            if message.message_type == RESOURCE_VIEW:
                self.reports.append((message.node_id, message.version))
            for connection in self.connections.values():
                connection.push(key, message.version)

    def take(self, node_id: bytes) -> set[tuple[bytes, int, int]]:
        queue, self.connections[node_id].queue = self.connections[node_id].queue, {}
        return {(*key, version) for key, version in queue.items()}


NODES = st.sampled_from([A, B, C])
MESSAGES = st.lists(
    st.builds(
        lambda kind, node_id, version: kind(node_id, version),
        st.sampled_from([view, view, commands]),
        st.sampled_from([A, B, C, D]),
        st.integers(0, 6),
    ),
    min_size=1,
    max_size=3,
)


class RelayMachine(RuleBasedStateMachine):
    """Random peers, messages and moments of reading: what is told is what the model's queues hold."""

    streams = Bundle("streams")

    def __init__(self) -> None:
        super().__init__()
        self.wire = Wire()
        self.model = Model()
        self.told_last: dict[Connection, dict[Key, int]] = {}

    @rule(target=streams, node_id=NODES)
    def connect(self, node_id: NodeID) -> Connection:
        # A newcomer in the place of an older stream is a connection of its own; the model has one per node.
        self.model.connect(node_id)
        connection = self.wire.connect(node_id)
        self.told_last[connection] = {}
        return connection

    @rule(connection=consumes(streams))
    def disconnect(self, connection: Connection) -> None:
        if self.is_open(connection):
            self.model.disconnect(connection.node_id)
        self.wire.relay.disconnect(connection)

    @rule(connection=streams, messages=MESSAGES)
    def receive(self, connection: Connection, messages: list[RaySyncMessage]) -> None:
        if self.is_open(connection):
            self.model.receive(connection.node_id, messages)
        self.wire.say(connection, *messages)

    @rule(connection=streams)
    def take(self, connection: Connection) -> None:
        if not self.is_open(connection):
            return
        waiting = self.wire.relay.waiting(connection)
        told = self.wire.told(connection)
        assert told == self.model.take(connection.node_id)
        assert waiting == len(told)
        last = self.told_last[connection]
        for node_id, kind, version in told:
            assert node_id != connection.node_id
            assert version > last.get((node_id, kind), -1)
            last[node_id, kind] = version

    @invariant()
    def reports_are_those_of_the_model(self) -> None:
        assert self.wire.heard.reports == self.model.reports

    def is_open(self, connection: Connection) -> bool:
        return self.wire.relay._connections.get(connection.node_id) is connection

    def teardown(self) -> None:
        for connection in list(self.wire.relay._connections.values()):
            self.take(connection)
            assert not self.wire.relay.is_behind(connection)


RelayMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestRelay = RelayMachine.TestCase
