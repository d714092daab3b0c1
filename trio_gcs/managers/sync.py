"""The syncer without its streams: raylets tell their views and commands, and everybody else is told the newest.

Owns what each node said last, in memory only. Each message has a node, a type and a version; a connection is told only
versions that are newer than what it ever told or was told, and never anything about its own node.

The one hard idea: nothing is queued per connection. All newest entries stand in *one* order, that of their arrival, and
a connection is a cursor into it. So a message costs the same for one listener as for a thousand, a slow reader costs
nothing (what it did not read in time was replaced by something newer), and memory is one entry per node and type.

What remains is a node that disconnects, returns and counts its versions from the start. Its old entry is then no longer
*current* (newcomers are not told it, new versions need not beat it), but whoever was told it must still not be told a
lower version. So the new entry stands *above* the old one: :meth:`_Entry.seen_by` goes down to the entry that counts for
a given connection. As soon as the versions pass the old one, it is dropped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from google.protobuf.message import DecodeError

from trio_gcs.events.domain import NodeDied
from trio_gcs.generated.ray.ray_syncer_pb2 import (
    RESOURCE_VIEW,
    MessageType,
    RaySyncMessage,
    RaySyncMessageBatch,
    ResourceViewSyncMessage,
)
from trio_gcs.ids import NodeID
from trio_gcs.store.ledger import Change

log = logging.getLogger(__name__)

_Key = tuple[bytes, int]
_TYPES = frozenset(MessageType.values())
_NO_VERSION = -1
_NEVER = 1 << 63
# Far above any cluster, so that whoever invents nodes cannot fill the memory; a node that speaks for itself is always heard.
ENTRIES_MAX = 100_000


class _Entry:
    """A message that was the newest of its key when it arrived, as the bytes that a batch is made of."""

    __slots__ = ("below", "erased_at", "key", "raw", "sequence", "version")

    def __init__(self, key: _Key, version: int, raw: bytes, sequence: int) -> None:
        self.key = key
        self.version = version
        self.raw = raw
        self.sequence = sequence
        self.erased_at = _NEVER  # the sequence at which its node disconnected
        self.below: _Entry | None = None  # an erased one with a higher version

    @property
    def is_current(self) -> bool:
        """Whether newcomers are told it, and versions have to beat it."""
        return self.erased_at == _NEVER

    def seen_by(self, connection: Connection) -> _Entry | None:
        """The entry of this key that ``connection`` was told or is to be told; None if there is none."""
        entry = self
        while entry.below is not None and entry.below.erased_at > connection.born:
            entry = entry.below
        return entry if entry.erased_at > connection.born else None


class Connection:
    """One raylet's stream. ``end`` is called when another stream of the same node takes its place."""

    __slots__ = ("born", "cursor", "end", "is_odd", "node_id", "own", "told_us")

    def __init__(self, node_id: NodeID, born: int, end: Callable[[], None]) -> None:
        self.node_id = node_id
        self.born = born  # the sequence at which it began; what was erased before is nothing to it
        self.cursor = 0  # everything up to this sequence was told
        self.own: dict[_Key, int] = {}  # versions that came from it about itself
        self.told_us: dict[_Key, int] = {}  # and about others, unless it was told a higher one since
        self.end = end
        self.is_odd = False  # something of it was ignored


def _ignore(connection: Connection, how: str) -> None:
    """Say once a stream that something is not listened to: a peer that sends a million of it must not fill the log."""
    if not connection.is_odd:
        connection.is_odd = True
        log.warning("node %s speaks %s; that is ignored", connection.node_id.hex(), how)


class SyncRelay:
    """Receives what raylets say, and knows what each of them is still to be told.

    ``apply_report`` hears each newest resource view, ``mark_healthy`` each sign of life. What a batch contains is
    accepted from any peer about any node: after a reconnect, raylets repeat what they know of others.
    """

    def __init__(
        self,
        apply_report: Callable[[bytes, ResourceViewSyncMessage], None],
        mark_healthy: Callable[[bytes], None],
        *,
        entries_max: int = ENTRIES_MAX,
    ) -> None:
        self._entries_max = entries_max
        self._apply_report = apply_report
        self._mark_healthy = mark_healthy
        self._newest: dict[_Key, _Entry] = {}  # in the order of their sequence
        self._connections: dict[bytes, Connection] = {}
        self._dead: set[bytes] = set()  # died, but their streams are still open
        self._sequence = 0

    # Connections.

    def connect(self, node_id: NodeID, end: Callable[[], None]) -> Connection:
        """Begin a connection, which is to be told everything current. An older one of the same node is ended.

        What the node said stays current: it is the same raylet, and its versions go on. (In Ray it is a matter of
        timing whether the end of the old stream erases it.)
        """
        old = self._connections.get(node_id)
        new = self._connections[node_id] = Connection(node_id, self._sequence, end)
        if old is not None:
            old.end()
        return new

    def disconnect(self, connection: Connection) -> None:
        """End a connection. What its node said is current no more, unless another stream of it is open."""
        node_id = connection.node_id
        if self._connections.get(node_id) is not connection:
            return
        del self._connections[node_id]
        self._sequence += 1
        for kind in _TYPES:
            entry = self._newest.get((node_id, kind))
            if entry is not None and entry.is_current:
                entry.erased_at = self._sequence
        if node_id in self._dead:
            self._dead.discard(node_id)
            self._forget(node_id)

    # Messages.

    def receive(self, connection: Connection, messages: Iterable[RaySyncMessage]) -> bool:
        """Take a batch in; True if there is something new to tell to others. An empty batch says nothing at all."""
        if self._connections.get(connection.node_id) is not connection:
            return False
        before = self._sequence
        silent = True
        for message in messages:
            if silent:
                self._mark_healthy(connection.node_id)
                silent = False
            self._receive_one(connection, message)
        return self._sequence > before

    def is_behind(self, connection: Connection) -> bool:
        """Whether something arrived since the last :meth:`take`. It need not be for this connection."""
        return connection.cursor < self._sequence

    def waiting(self, connection: Connection) -> int:
        """How many messages :meth:`take` would return."""
        return len(self._owed(connection))

    def take(self, connection: Connection) -> bytes:
        """All that the connection is to be told, as a serialized RaySyncMessageBatch, which counts as told.

        Empty if there is nothing; then nothing is to be sent, for a raylet takes an empty batch badly.
        """
        owed = self._owed(connection)
        connection.cursor = self._sequence
        told_us = connection.told_us
        if told_us:
            for entry in owed:
                told_us.pop(entry.key, None)
        return b"".join([entry.raw for entry in owed])

    # Reactions.

    def forget_node(self, change: Change, event: NodeDied) -> None:
        """Drop what a dead node said once its stream has ended; a node's id never comes back.

        Not part of the change: were it taken back, the node would only have to repeat its view.
        """
        node_id = event.node.node_id
        if node_id in self._connections:
            self._dead.add(node_id)
        else:
            self._forget(node_id)

    # The rules.

    def _receive_one(self, connection: Connection, message: RaySyncMessage) -> None:
        key = message.node_id, message.message_type
        version = message.version
        newest = self._newest.get(key)
        if version <= self._version_known_to(connection, key, newest):
            return
        if len(key[0]) != NodeID.SIZE or key[1] not in _TYPES:
            _ignore(connection, "of what is not known")
            return
        if newest is None and len(self._newest) >= self._entries_max and key[0] not in self._connections:
            _ignore(connection, "of more nodes than there can be")
            return
        (connection.own if key[0] == connection.node_id else connection.told_us)[key] = version
        if newest is not None and newest.is_current and newest.version >= version:
            return
        view = None
        if key[1] == RESOURCE_VIEW:
            try:
                view = ResourceViewSyncMessage.FromString(message.sync_message)
            except DecodeError:
                _ignore(connection, "in a way that cannot be read")
                return
        self._replace(newest, key, version, RaySyncMessageBatch(messages=[message]).SerializeToString())
        if view is not None:
            self._apply_report(key[0], view)

    def _replace(self, old: _Entry | None, key: _Key, version: int, raw: bytes) -> None:
        self._sequence += 1
        entry = _Entry(key, version, raw, self._sequence)
        if old is not None:
            del self._newest[key]  # so that the new one goes to the end
            below: _Entry | None = old
            while below is not None and below.version < version:  # so a current one always goes
                below = below.below
            entry.below = below
        self._newest[key] = entry

    def _version_known_to(self, connection: Connection, key: _Key, newest: _Entry | None) -> int:
        if key[0] == connection.node_id:
            return connection.own.get(key, _NO_VERSION)
        version = connection.told_us.get(key, _NO_VERSION)
        seen = newest.seen_by(connection) if newest is not None else None
        return version if seen is None else max(version, seen.version)

    def _owed(self, connection: Connection) -> list[_Entry]:
        owed = []
        cursor, born, node_id, told_us = connection.cursor, connection.born, connection.node_id, connection.told_us
        for entry in reversed(self._newest.values()):
            if entry.sequence <= cursor:
                break
            if entry.key[0] == node_id:
                continue
            if entry.below is not None or entry.erased_at <= born:
                seen = entry.seen_by(connection)
                if seen is None or seen.sequence <= cursor:
                    continue
                entry = seen  # noqa: PLW2901
            if told_us and told_us.get(entry.key, _NO_VERSION) >= entry.version:
                continue
            owed.append(entry)
        return owed

    def _forget(self, node_id: bytes) -> None:
        for kind in _TYPES:
            self._newest.pop((node_id, kind), None)
