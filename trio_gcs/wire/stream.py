"""One stream off the fast path: what has come, what waits to leave, and who owns the call.

A unary call whose request came in one piece and whose reply leaves in one piece never has one of these. A stream gets
one when its message comes in parts, when its reply must wait for windows, when its own window was enlarged, or when
the method is streaming. Plain state: `server.py` receives into it, `sender.py` sends out of it.
"""

from collections import deque
from typing import Protocol

from trio_gcs.wire.messages import Assembler
from trio_gcs.wire.metadata import Field
from trio_gcs.wire.request import Request


class Owner(Protocol):
    """Whoever serves a call, as its connection knows it."""

    def lost(self) -> None:
        """Hear that the caller is gone: its stream was reset or its connection ended. Nothing can be sent."""
        ...


class StreamOwner(Owner, Protocol):
    """The owner of a streaming call."""

    def readable(self) -> None:
        """Hear that a message came, or that none will come any more."""
        ...

    def writable(self) -> None:
        """Hear that all that was queued has left."""
        ...


class WireStream:
    """The state of one stream. `owner` is None until somebody serves it."""

    __slots__ = (
        "assembler", "body", "content_left", "deadline", "headers_sent", "id", "inbox", "inbox_bytes", "owed_bytes",
        "owner", "pieces", "queued_bytes", "receive_window", "remote_closed", "request", "streaming", "trailers",
        "window",
    )  # fmt: skip

    def __init__(
        self, stream_id: int, request: Request | None, deadline: float, window: int, receive_window: int
    ) -> None:
        self.id = stream_id
        self.request = request
        self.deadline = deadline
        self.owner: Owner | None = None
        self.streaming: StreamOwner | None = None  # the owner again, when the call is streaming
        # Receiving.
        self.remote_closed = False
        self.receive_window = receive_window
        self.owed_bytes = 0  # received, and not yet given back to the peer's window
        self.content_left = request.content_length if request is not None else None
        self.assembler: Assembler | None = None
        self.body: bytes | None = None  # the message of a unary call, until the peer has closed its side
        self.inbox: deque[bytes] = deque()  # messages of a streaming call that nobody has read
        self.inbox_bytes = 0
        # Sending.
        self.window = window
        self.headers_sent = False
        self.pieces: deque[bytes | memoryview] = deque()
        self.queued_bytes = 0
        self.trailers: list[Field] | None = None  # they end the call once `pieces` have left
