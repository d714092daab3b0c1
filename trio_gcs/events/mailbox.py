"""What waits for a subscriber: letters, mailboxes, and the bound on how much of one topic may lie unread.

A message is encoded once, when it is published; from then on it is bytes that all mailboxes share. A letter stays in a
mailbox until the subscriber says that it got it, so a lost reply costs nothing but a second sending.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from operator import attrgetter
from typing import Generic, Protocol, TypeVar

from trio_gcs.generated.ray.gcs_service_pb2 import GcsSubscriberPollReply
from trio_gcs.octets import embedder, varint

_SEQUENCE_ID_TAG = b"\x70"  # PubMessage.sequence_id (14)
_as_message = embedder(GcsSubscriberPollReply, "pub_messages")
_as_publisher_id = embedder(GcsSubscriberPollReply, "publisher_id")


class Encodable(Protocol):
    """A protobuf message, as far as it matters here."""

    def SerializeToString(self) -> bytes:
        """The message in its wire form."""
        ...


def signature(publisher_id: bytes) -> bytes:
    """What ends a reply to a poll: the field that says who publishes. Letters and this are the whole wire form."""
    return _as_publisher_id(publisher_id)


class Letter:
    """A published message: bytes, ready to stand in a reply; none once it was blanked or everyone got it."""

    __slots__ = ("_bounds", "_holders", "sequence_id", "wire")

    def __init__(self, message: Encodable, sequence_id: int) -> None:
        body = message.SerializeToString() + _SEQUENCE_ID_TAG + varint(sequence_id)
        self.sequence_id = sequence_id
        self.wire = _as_message(body)
        self._holders = 0
        self._bounds: tuple[Bound, ...] = ()

    def hold(self) -> None:
        """One more mailbox has it."""
        self._holders += 1

    def release(self) -> None:
        """One mailbox less has it; the last one frees its bytes."""
        self._holders -= 1
        if not self._holders:
            self.blank()

    def count_in(self, bound: Bound) -> None:
        """Let its bytes count against ``bound`` until they are gone."""
        bound.unread_bytes += len(self.wire)
        self._bounds += (bound,)

    def blank(self) -> None:
        """Drop the bytes. Mailboxes pass over what is left."""
        for bound in self._bounds:
            bound.unread_bytes -= len(self.wire)
        self._bounds = ()
        self.wire = b""


class Bound:
    """How many bytes of one topic may lie unread. Beyond it the oldest letters go; the newest always stays."""

    __slots__ = ("_bytes_max", "_letters", "unread_bytes")

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._letters: deque[Letter] = deque()
        self.unread_bytes = 0

    def admit(self, letter: Letter) -> None:
        """Make room for ``letter``, and count it."""
        letters = self._letters
        while letters and (not letters[0].wire or self.unread_bytes + len(letter.wire) > self._bytes_max):
            letters.popleft().blank()
        letters.append(letter)
        letter.count_in(self)


class Poll(Protocol):
    """A caller that waits for messages; ``rpc.handlers.Parked`` is one."""

    @property
    def gone(self) -> bool:
        """Whether nobody waits any more."""
        ...

    def answer(self, reply: bytes) -> None:
        """Send a reply that is encoded already; nothing happens if the caller is gone."""
        ...


P = TypeVar("P", bound=Poll)
_sequence_id = attrgetter("sequence_id")


class Subscriber(Generic[P]):
    """One who polls: the letters that it has not acknowledged, its poll if one is waiting, and where it is registered."""

    __slots__ = ("id", "letters", "poll", "seen_s", "senders", "topics")

    def __init__(self, subscriber_id: bytes, now_s: float) -> None:
        self.id = subscriber_id
        self.letters: list[Letter] = []
        self.poll: P | None = None
        self.seen_s = now_s
        self.senders: tuple[bytes, ...] = ()
        self.topics: set[tuple[int, bytes]] = set()

    def deliver(self, letter: Letter) -> None:
        """Put a letter into the mailbox."""
        letter.hold()
        self.letters.append(letter)

    def acknowledge(self, sequence_id: int) -> None:
        """Let go of the letters up to ``sequence_id``: the subscriber has them."""
        count = bisect_right(self.letters, sequence_id, key=_sequence_id)
        _release(self.letters[:count])
        del self.letters[:count]

    def batch(self, messages_max: int, bytes_max: int) -> bytes:
        """The oldest letters, as many as may go into one reply, joined; they stay in the mailbox."""
        chosen: list[bytes] = []
        size = 0
        for letter in self.letters:
            size += len(letter.wire)
            if size > bytes_max or len(chosen) == messages_max:
                break
            if letter.wire:
                chosen.append(letter.wire)
        return chosen[0] if len(chosen) == 1 else b"".join(chosen)

    def close(self) -> None:
        """Throw the mailbox away."""
        _release(self.letters)
        self.letters = []


def _release(letters: Iterable[Letter]) -> None:
    for letter in letters:
        letter.release()
