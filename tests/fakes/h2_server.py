"""A gRPC server's end of one connection, made of the h2 library: the oracle of the client's tests.

It is sans-IO too. h2 raises when the client breaks a rule; flow control is h2's own. `pump` carries octets to and fro
between it and a `ClientConnection`, in pieces as small as a test likes.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

import trio
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, PingReceived, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.settings import SettingCodes

from trio_gcs.wire.client_connection import ClientConnection
from trio_gcs.wire.frames import goaway_frame
from trio_gcs.wire.messages import pack_prefix

Headers = Iterable[tuple[str, str]]
# The header fields of every request of a client, but for its path.
KEPT = (
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":authority", b"somewhere:1"),
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
)
HEAD = ((":status", "200"), ("content-type", "application/grpc"))


def prefixed(message: bytes, compressed: int = 0) -> bytes:
    return pack_prefix(compressed, len(message)) + message


class Request:
    """What the server has seen of one call."""

    def __init__(self, stream_id: int, headers: list[tuple[str, str]]) -> None:
        self.stream_id = stream_id
        self.headers = dict(headers)
        self.body = bytearray()
        self.ended = False
        self.reset: int | None = None

    @property
    def path(self) -> str:
        return self.headers[":path"]

    @property
    def messages(self) -> list[bytes]:
        rest, messages = bytes(self.body), []
        while len(rest) >= 5:
            size = int.from_bytes(rest[1:5], "big")
            messages.append(rest[5 : 5 + size])
            rest = rest[5 + size :]
        return messages


class H2Server:
    """`requests` holds every call by its stream; `ended` those whose requests are complete, in order."""

    def __init__(self, settings: dict[SettingCodes, int] | None = None, *, generous: bool = True) -> None:
        self.connection = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.connection.initiate_connection()
        if settings:
            self.connection.update_settings(settings)
        self.requests: dict[int, Request] = {}
        self.ended: list[Request] = []
        self.pings = 0
        self._generous = generous  # gives back the windows of what it received at once
        self._raw = b""
        self._unsent: dict[int, deque[bytes]] = {}
        self._trailers: dict[int, Headers] = {}

    def receive(self, octets: bytes) -> None:
        for event in self.connection.receive_data(octets):
            if isinstance(event, RequestReceived):
                self.requests[event.stream_id] = Request(event.stream_id, event.headers)
            elif isinstance(event, DataReceived):
                self.requests[event.stream_id].body += event.data
                if self._generous and event.flow_controlled_length:
                    self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                self.requests[event.stream_id].ended = True
                self.ended.append(self.requests[event.stream_id])
            elif isinstance(event, StreamReset):
                self.requests[event.stream_id].reset = int(event.error_code)
                self._unsent.pop(event.stream_id, None)
                self._trailers.pop(event.stream_id, None)
            elif isinstance(event, PingReceived):
                self.pings += 1
            elif isinstance(event, WindowUpdated):
                self._send_unsent()
        self._send_unsent()

    def take(self) -> bytes:
        raw, self._raw = self._raw, b""
        return self.connection.data_to_send() + raw

    # Replies.

    def head(self, stream_id: int, headers: Headers = HEAD, *, end: bool = False) -> None:
        self.connection.send_headers(stream_id, list(headers), end_stream=end)

    def data(self, stream_id: int, octets: bytes) -> None:
        """Send octets as the windows allow; the rest waits for the client."""
        self._unsent.setdefault(stream_id, deque()).append(octets)
        self._send_unsent()

    def trailers(self, stream_id: int, status: int = 0, more: Headers = ()) -> None:
        self._trailers[stream_id] = (("grpc-status", str(status)), *more)
        self._send_unsent()

    def reply(self, stream_id: int, message: bytes, status: int = 0) -> None:
        """Answer a unary call."""
        self.head(stream_id)
        self.data(stream_id, prefixed(message))
        self.trailers(stream_id, status)

    def refuse(self, stream_id: int, status: int, message: str = "") -> None:
        """Answer a call with trailers only."""
        self.head(stream_id, (*HEAD, ("grpc-status", str(status)), ("grpc-message", message)), end=True)

    def reset(self, stream_id: int, code: ErrorCodes = ErrorCodes.CANCEL) -> None:
        self.connection.reset_stream(stream_id, code)

    def leave(self, last_stream_id: int) -> None:
        """Say that no later stream will be served, and go on with the others; h2 itself knows no graceful end."""
        self._raw += goaway_frame(last_stream_id, 0)

    def _send_unsent(self) -> None:
        for stream_id, pieces in list(self._unsent.items()):
            while pieces:
                size = min(
                    len(pieces[0]),
                    self.connection.local_flow_control_window(stream_id),
                    self.connection.max_outbound_frame_size,
                )
                if size <= 0 and pieces[0]:
                    break
                self.connection.send_data(stream_id, pieces[0][:size])
                if size == len(pieces[0]):
                    pieces.popleft()
                else:
                    pieces[0] = pieces[0][size:]
            if not pieces:
                del self._unsent[stream_id]
        for stream_id in [key for key in self._trailers if key not in self._unsent]:
            self.connection.send_headers(stream_id, list(self._trailers.pop(stream_id)), end_stream=True)


def pieces_of(octets: bytes, sizes: Iterator[int] | None) -> Iterator[bytes]:
    while octets:
        size = next(sizes) if sizes is not None else len(octets)
        yield octets[:size]
        octets = octets[size:]


def pump(client: ClientConnection, server: H2Server, sizes: Iterator[int] | None = None) -> None:
    """Carry octets until both sides are silent."""
    while True:
        moved = False
        if client.out:
            moved = True
            for piece in pieces_of(client.take_output(), sizes):
                server.receive(piece)
        for piece in pieces_of(server.take(), sizes):
            moved = True
            client.receive(piece)
        if not moved:
            return


Respond = Callable[[H2Server, Request], None]


async def serve_h2(stream: trio.abc.Stream, respond: Respond, server: H2Server | None = None) -> None:
    """Serve one connection: `respond` is called with every request that is complete."""
    server = server or H2Server()
    async with stream:
        try:
            await stream.send_all(server.take())
            while octets := await stream.receive_some(65_536):
                server.receive(bytes(octets))
                ended, server.ended = server.ended, []
                for request in ended:
                    respond(server, request)
                if output := server.take():
                    await stream.send_all(output)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return
