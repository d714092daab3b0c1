"""The two forms of a message: JSON for people, and the binary one of ``trio_gcs.v1.StreamMessage``.

An event is encoded once for all who are sent it in one form, and kept for a while, since those who follow come for it
one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, Protocol

from trio_gcs.events.entry import KEY, TASK_SUMMARY, Entry, Thing
from trio_gcs.events.plain import Plain, plain
from trio_gcs.generated.trio_gcs.v1 import events_pb2 as pb

_SHARED_BYTES_MAX: Final = 8 << 20


class Form(Protocol):
    """How messages become octets."""

    def hello(self, begins: str, epoch: str, bookmark_period_ms: int) -> bytes:
        """The first message."""
        ...

    def row(self, thing: Thing) -> bytes:
        """A row of the snapshot."""
        ...

    def event(self, entry: Entry, token: str) -> bytes:
        """An event."""
        ...

    def synced(self, token: str) -> bytes:
        """All that there was has been sent."""
        ...

    def bookmark(self, token: str, time_ms: int) -> bytes:
        """Nothing up to here is missing."""
        ...

    def compacted(self, reason: str, epoch: str, oldest: str) -> bytes:
        """The token cannot be resumed from."""
        ...

    def end(self, reason: str, token: str) -> bytes:
        """The stream ends."""
        ...


class Json:
    """One JSON object per message."""

    def hello(self, begins: str, epoch: str, bookmark_period_ms: int) -> bytes:
        """The first message."""
        return _json({"type": "hello", "from": begins, "epoch": epoch, "bookmark_period_ms": bookmark_period_ms})

    def row(self, thing: Thing) -> bytes:
        """A row of the snapshot."""
        return _json({"type": "row", "row": plain_row(thing)})

    def event(self, entry: Entry, token: str) -> bytes:
        """An event."""
        told = entry.told
        cause = told.cause
        return _json(
            {
                "type": "event",
                "token": token,
                "revision": entry.revision,
                "index": entry.index,
                "time_ms": entry.time_ms,
                "op": "delete" if told.thing.body is None else "put",
                "row": plain_row(told.thing),
                "was": told.was,
                "what": told.what,
                "cause": None if cause is None else {"what": cause.what, "kind": cause.kind, "id": cause.id},
            }
        )

    def synced(self, token: str) -> bytes:
        """All that there was has been sent."""
        return _json({"type": "synced", "token": token})

    def bookmark(self, token: str, time_ms: int) -> bytes:
        """Nothing up to here is missing."""
        return _json({"type": "bookmark", "token": token, "time_ms": time_ms})

    def compacted(self, reason: str, epoch: str, oldest: str) -> bytes:
        """The token cannot be resumed from."""
        return _json({"type": "compacted", "reason": reason, "epoch": epoch, "oldest": oldest})

    def end(self, reason: str, token: str) -> bytes:
        """The stream ends."""
        return _json({"type": "end", "reason": reason, "token": token})


class Binary:
    """One ``StreamMessage`` per message."""

    def hello(self, begins: str, epoch: str, bookmark_period_ms: int) -> bytes:
        """The first message."""
        hello = pb.Hello(epoch=epoch, bookmark_period_ms=bookmark_period_ms, **{"from": begins})
        return pb.StreamMessage(hello=hello).SerializeToString()

    def row(self, thing: Thing) -> bytes:
        """A row of the snapshot."""
        return pb.StreamMessage(row=thing.row()).SerializeToString()

    def event(self, entry: Entry, token: str) -> bytes:
        """An event."""
        return pb.StreamMessage(event=entry.message(token)).SerializeToString()

    def synced(self, token: str) -> bytes:
        """All that there was has been sent."""
        return pb.StreamMessage(synced=pb.Synced(token=token)).SerializeToString()

    def bookmark(self, token: str, time_ms: int) -> bytes:
        """Nothing up to here is missing."""
        return pb.StreamMessage(bookmark=pb.Bookmark(token=token, time_ms=time_ms)).SerializeToString()

    def compacted(self, reason: str, epoch: str, oldest: str) -> bytes:
        """The token cannot be resumed from."""
        compacted = pb.Compacted(reason=reason, epoch=epoch, oldest=oldest)
        return pb.StreamMessage(compacted=compacted).SerializeToString()

    def end(self, reason: str, token: str) -> bytes:
        """The stream ends."""
        return pb.StreamMessage(end=pb.End(reason=reason, token=token)).SerializeToString()


class Shared:
    """Messages in one form, each put into an ``envelope``; events are kept for the next who want them."""

    def __init__(self, form: Form, envelope: Callable[[bytes], bytes] = bytes) -> None:
        self.form = form
        self.envelope = envelope
        self._kept: dict[tuple[Entry, str], bytes] = {}
        self._kept_bytes = 0

    def event(self, entry: Entry, token: str) -> bytes:
        """An event; the token is the same for all who have come as far as this."""
        octets = self._kept.get((entry, token))
        if octets is None:
            octets = self._kept[entry, token] = self.envelope(self.form.event(entry, token))
            self._kept_bytes += len(octets)
            while self._kept_bytes > _SHARED_BYTES_MAX:
                self._kept_bytes -= len(self._kept.pop(next(iter(self._kept))))
        return octets


def plain_row(thing: Thing) -> Plain:
    """What is said of a thing, as what JSON can say."""
    row: Plain = {
        "kind": thing.kind,
        "id": thing.id,
        "state": thing.state,
        "job": thing.job,
        "namespace": thing.namespace,
    }
    body: Any = thing.body
    if body is None:
        return row
    if thing.kind == KEY:
        row["body"] = {"size_bytes": body.size_bytes}
    elif thing.kind == TASK_SUMMARY:
        row["body"] = {"attempts_by_state": dict(body.attempts_by_state)}
    else:
        row["body"] = plain(body)
    return row


def _json(message: Plain) -> bytes:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode()
