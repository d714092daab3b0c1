"""One call as its caller's role sees it: what it still has to send, and what has been heard of it.

The hard idea: a call is one object from the caller's `request()` to its outcome; the connection moves it and the
layer above (`rpc/client_stream`) extends it with whoever waits for it, so a frame or a message costs no object of
its own. A call that wants its news only at the end (`eager` is False) is not woken before.
"""

from collections import deque
from collections.abc import MutableSequence

from trio_gcs.wire.client_reply import Outcome, Reply
from trio_gcs.wire.messages import PREFIX_SIZE, Assembler, unpack_prefix
from trio_gcs.wire.metadata import Field


class Opening:
    """A request that has not left yet: the peer allows no further stream for the moment."""

    __slots__ = ("passing", "path")

    def __init__(self, path: bytes, passing: tuple[Field, ...]) -> None:
        self.path = path
        self.passing = passing


class Call:
    """One call. Readers look at `head`, `messages`, `trailers` and `outcome`; everything else is the connection's.

    `outcome` is set exactly once, and last. `refused` says that the server has surely not looked at the request,
    so that sending it again is safe.
    """

    __slots__ = (
        "assembler",
        "eager",
        "ended",
        "head",
        "held_bytes",
        "messages",
        "opening",
        "outcome",
        "receive_window",
        "refused",
        "send_window",
        "stream_id",
        "trailers",
        "unsent",
    )

    def __init__(self, messages: MutableSequence[bytes] | None = None) -> None:
        """`messages` is an empty list for a call that gets one: a queue takes more memory than all the rest of it."""
        self.stream_id = 0
        self.eager = False
        self.head: Reply | None = None
        self.trailers: Reply | None = None
        self.outcome: Outcome | None = None
        self.refused = False
        self.messages: MutableSequence[bytes] = deque() if messages is None else messages
        self.held_bytes = 0  # of messages that nobody has taken yet, with their prefixes
        self.assembler: Assembler | None = None  # for messages that come in pieces or compressed
        self.receive_window = 0
        self.send_window = 0
        self.unsent: deque[memoryview] | None = None
        self.ended = False  # nothing will follow `unsent`
        self.opening: Opening | None = None

    def wake(self) -> None:
        """Hear that there is news; the layer above, which knows who waits, overrides this."""

    def forget_refusal(self) -> None:
        """Make a refused call fit to be opened again, on whatever connection."""
        assert self.refused, "only a call that the server has not looked at may be sent again"
        self.head = self.trailers = self.outcome = self.unsent = self.assembler = None
        self.messages.clear()
        self.held_bytes = 0
        self.refused = False

    def take_octets(self, payload: bytes, message_bytes_max: int) -> None:
        """Take the payload of a DATA frame; raises `CallError` when the peer's messages are unfit."""
        if not self.is_partial and len(payload) >= PREFIX_SIZE:
            # Nearly always a frame holds one whole message.
            compressed, size = unpack_prefix(payload)
            if size == len(payload) - PREFIX_SIZE and size <= message_bytes_max and not compressed:
                self.messages.append(payload[PREFIX_SIZE:])
                self.held_bytes += len(payload)
                return
        if self.assembler is None:
            assert self.head is not None, "data follows headers"
            self.assembler = Assembler(self.head.encoding, message_bytes_max)
        for message in self.assembler.feed(payload):
            self.messages.append(message)
            self.held_bytes += len(message) + PREFIX_SIZE

    @property
    def is_partial(self) -> bool:
        """Whether the beginning of a message has come, but not its end."""
        return self.assembler is not None and self.assembler.pending_bytes > 0

    def take_message(self) -> bytes:
        """Take the oldest message; tell the connection (`credit`) when the call goes on."""
        message = self.messages[0]
        del self.messages[0]
        self.held_bytes -= len(message) + PREFIX_SIZE
        return message
