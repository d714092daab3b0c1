"""What a raylet may cost that invents nodes, or says what cannot be read."""

from __future__ import annotations

import pytest

from trio_gcs.generated.ray.ray_syncer_pb2 import COMMANDS, RaySyncMessage, RaySyncMessageBatch, ResourceViewSyncMessage
from trio_gcs.ids import NodeID
from trio_gcs.managers.sync import SyncRelay

A, B = (NodeID(bytes([letter]) * 28) for letter in b"ab")


def never() -> None:
    raise AssertionError("nobody took the stream's place")


def view(node_id: bytes) -> RaySyncMessage:
    return RaySyncMessage(version=1, node_id=node_id)


def test_whoever_invents_nodes_is_soon_not_heard_but_a_node_that_speaks_for_itself_always_is() -> None:
    reports: list[bytes] = []

    def apply_report(node_id: bytes, _: ResourceViewSyncMessage) -> None:
        reports.append(node_id)

    relay = SyncRelay(apply_report, lambda _: None, entries_max=3)
    liar, node = relay.connect(A, never), relay.connect(B, never)
    relay.receive(liar, [view(bytes([number]) * 28) for number in range(10)])
    assert len(reports) == 3
    relay.receive(node, [view(B), RaySyncMessage(version=1, node_id=B, message_type=COMMANDS)])
    told = RaySyncMessageBatch.FromString(relay.take(liar))
    assert [message.node_id for message in told.messages].count(B) == 2


def test_a_million_messages_that_are_ignored_are_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    relay = SyncRelay(lambda *_: None, lambda _: None)
    odd = relay.connect(A, never)
    for _ in range(100):
        relay.receive(odd, [view(b"abc"), RaySyncMessage(version=1, node_id=A, sync_message=b"\xff")])
    assert len(caplog.records) == 1
