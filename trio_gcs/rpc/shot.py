"""A unary call without a task: it is opened on a connection that is there, and tells one function how it ended.

The hard idea is what such a call cannot do: wait. It needs a connection that takes calls now, it knows no deadline, and
a request that the peer has surely not looked at is not sent again. Who makes it (see `rpc/volley`) does all that for many
of them at once, and asks in the usual way where this one cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError
from grpclib.const import Status

from trio_gcs.errors import RemoteError, RemoteGone
from trio_gcs.rpc.codec import reader
from trio_gcs.wire.client_call import Call
from trio_gcs.wire.client_reply import DEADLINE_EXCEEDED, Outcome
from trio_gcs.wire.known_replies import REPLY_BYTES_MAX

if TYPE_CHECKING:
    from trio_gcs.rpc.client_link import Link
    from trio_gcs.rpc.peers import Peer

# Hears, with the caller's key of the call, the reply or the error; None means that the peer has not looked at the request,
# so that it may be sent again.
Hear = Callable[[bytes, Any], None]


class Shape:
    """What is the same for all calls of a method, of whatever peer."""

    __slots__ = ("_octets", "_read", "_reply", "path")

    def __init__(self, path: str, reply_type: type) -> None:
        self.path = path.encode("ascii")
        self._read: Callable[[bytes], Any] = reader(reply_type)
        self._octets: bytes | None = None
        self._reply: Any = None

    def reply(self, messages: Sequence[bytes]) -> Any:
        """What a call was answered that ended well, or an error if that makes no sense.

        A reply is frozen: peers who agree say the same small thing, and so it is read but once.
        """
        if len(messages) != 1:
            return RemoteError(Status.INTERNAL.value, f"{len(messages)} messages in a unary reply")
        octets = messages[0]
        if octets == self._octets:
            return self._reply
        try:
            reply = self._read(octets)
        except (DecodeError, ValueError) as error:
            return RemoteError(Status.INTERNAL.value, f"the reply cannot be read: {error}")
        if len(octets) <= REPLY_BYTES_MAX:
            self._octets, self._reply = octets, reply
        return reply


class Shot(Call):
    """One call under way."""

    __slots__ = ("_hear", "_key", "_link", "_peer", "_shape")

    def __init__(self, peer: Peer, link: Link, shape: Shape, key: bytes, hear: Hear) -> None:
        super().__init__([])
        self._peer = peer
        self._link = link
        self._shape = shape
        self._key = key
        self._hear: Hear | None = hear

    def wake(self) -> None:
        """Tell how the call ended; the connection calls this."""
        hear, outcome = self._hear, self.outcome
        if hear is not None and outcome is not None:
            self._hear = None
            self._peer.shots_count -= 1
            hear(self._key, self._error(outcome) if outcome.status else self._shape.reply(self.messages))

    def give_up(self) -> None:
        """End the call, since it took too long. It is told so at once."""
        self._link.cancel(self, Outcome(DEADLINE_EXCEEDED, "no answer in time"))

    def _error(self, outcome: Outcome) -> RemoteError | None:
        if self._peer.gone:
            return RemoteGone(self._peer.name)
        if self.refused:
            return None
        details = outcome.details.decode("utf-8", "replace") if outcome.details else ""
        return RemoteError(outcome.status, outcome.message or "", details)
