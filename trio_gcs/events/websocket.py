"""The event stream over websocket: accepts, shakes hands, keeps connections alive, and closes them with a reason.

trio-websocket reads and speaks the protocol. What it would do too slowly, frames of events for a thousand subscribers,
goes past it through the pipe below: frames of a server are not masked, so they are the same octets for everybody.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, wrap_server_stream
from wsproto.utilities import ProtocolError

from trio_gcs.events.fanout import FanOut, Subscriber
from trio_gcs.events.feed import COMPACTED, LAGGED, SHUTDOWN
from trio_gcs.events.forms import Binary, Json, Shared
from trio_gcs.events.handshake import BINARY, JSON, SUBPROTOCOL, Refusal, check, read_wish
from trio_gcs.events.hub import Hub, TooManySubscribers
from trio_gcs.events.pipe import Pipe

log = structlog.get_logger(__name__)

TEXT_FRAME: Final = 0x81
BINARY_FRAME: Final = 0x82
CLOSE_FRAME: Final = 0x88
CLOSE_CODES: Final = {LAGGED: 4408, COMPACTED: 4410, SHUTDOWN: 1001}
UNSUPPORTED: Final = 1003

_SHORT: Final = 126
_MEDIUM: Final = 1 << 16
_OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_ACCEPT_PAUSE_S: Final = 0.1
# wsproto decodes some headers as ASCII, whatever they are; nothing of ours is decoded while a connection is served.
_ENDS_OF_CONNECTIONS: Final = (
    ConnectionClosed,
    ProtocolError,
    UnicodeDecodeError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
)


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """What a connection may cost, and how long anything may take."""

    handshakes_max: int = 256
    handshake_timeout_s: float = 5.0
    message_bytes_max: int = 4096
    ping_period_s: float = 20.0
    ping_timeout_s: float = 20.0
    stall_timeout_s: float = 10.0
    close_timeout_s: float = 2.0
    send_buffer_bytes: int = 256 << 10  # what the kernel holds for a subscriber that does not read


def frame(kind: int, payload: bytes) -> bytes:
    """A whole message as one frame of a server."""
    size = len(payload)
    if size < _SHORT:
        return struct.pack("!BB", kind, size) + payload
    if size < _MEDIUM:
        return struct.pack("!BBH", kind, 126, size) + payload
    return struct.pack("!BBQ", kind, 127, size) + payload


def say_goodbye(subscriber: Subscriber) -> None:
    """Tell a subscriber where to go on, if its socket takes that at once: a daemon that stops waits for nobody."""
    if subscriber.feed.ended is None and not subscriber.pipe.is_full:
        code = CLOSE_CODES[SHUTDOWN].to_bytes(2, "big")
        subscriber.pipe.offer(b"".join(subscriber.feed.end(SHUTDOWN)) + frame(CLOSE_FRAME, code + SHUTDOWN.encode()))


class EventSockets:
    """Serves the hub's stream on listeners. ``token`` None: everybody may connect."""

    def __init__(self, hub: Hub, token: str | None = None, limits: SocketLimits | None = None) -> None:
        self._hub = hub
        self._token = token
        self._limits = limits or SocketLimits()
        self._fan_out = FanOut(hub)
        self._forms = {
            JSON: Shared(Json(), partial(frame, TEXT_FRAME)),
            BINARY: Shared(Binary(), partial(frame, BINARY_FRAME)),
        }
        self._handshakes = 0

    async def serve(
        self,
        listeners: Sequence[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled; subscribers are told then where to go on. Closes the listeners."""
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(self._fan_out.serve)
                for listener in listeners:
                    nursery.start_soon(self._accept, listener, nursery)
                task_status.started()
        finally:
            for listener in listeners:
                listener.socket.close()

    async def _accept(self, listener: trio.SocketListener, nursery: trio.Nursery) -> None:
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                if error.errno not in _OUT_OF_FILES:
                    raise
                log.warning("cannot accept", error=str(error))
                await trio.sleep(_ACCEPT_PAUSE_S)
                continue
            sock = socket.socket(fileno=stream.socket.detach())
            if self._handshakes < self._limits.handshakes_max:
                nursery.start_soon(self._serve_socket, sock)
            else:
                sock.close()

    async def _serve_socket(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.send_buffer_bytes)
        await self.serve_pipe(Pipe(sock))

    async def serve_pipe(self, pipe: Pipe) -> None:
        """Serve one connection until it ends; closes it."""
        try:
            async with trio.open_nursery() as nursery:
                subscriber, connection = await self._shake_hands(pipe, nursery)
                if subscriber is not None and connection is not None:
                    await self._attend(subscriber, connection, nursery)
                nursery.cancel_scope.cancel()
        except ExceptionGroup as group:
            # What a peer does to its own connection ends that one, and nothing else.
            _, rest = group.split(_ENDS_OF_CONNECTIONS)
            if rest is not None:
                raise rest from None
        finally:
            pipe.close()

    # The handshake.

    async def _shake_hands(
        self, pipe: Pipe, nursery: trio.Nursery
    ) -> tuple[Subscriber | None, WebSocketConnection | None]:
        self._handshakes += 1
        try:
            with trio.move_on_after(self._limits.handshake_timeout_s):
                request = await wrap_server_stream(
                    nursery, pipe, message_queue_size=1, max_message_size=self._limits.message_bytes_max
                )
                try:
                    return await self._let_in(request, pipe)
                except Refusal as refusal:
                    body = f"{refusal.text}\n".encode()
                    plain = [(b"Content-Type", b"text/plain; charset=utf-8"), (b"Connection", b"close")]
                    await request.reject(refusal.status, extra_headers=plain, body=body)
        except ConnectionClosed:
            pass
        finally:
            self._handshakes -= 1
        return None, None

    async def _let_in(self, request: WebSocketRequest, pipe: Pipe) -> tuple[Subscriber, WebSocketConnection]:
        offered = request.proposed_subprotocols
        wish, form = read_wish(request.path)
        check(request.headers, offered, self._token)
        try:
            feed = await self._hub.admit(wish, self._forms[form])
        except TooManySubscribers:
            raise Refusal(503, "there are too many subscribers") from None
        try:
            connection = await request.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        except BaseException:
            self._hub.close(feed)
            raise
        return Subscriber(pipe, feed, self._limits.stall_timeout_s), connection

    # The stream.

    async def _attend(self, subscriber: Subscriber, connection: WebSocketConnection, nursery: trio.Nursery) -> None:
        feed = subscriber.feed
        self._fan_out.add(subscriber)
        try:
            nursery.start_soon(self._listen, connection, nursery.cancel_scope)
            nursery.start_soon(self._keep_alive, connection, nursery.cancel_scope)
            taken = await subscriber.attend(self._hub)
            if not taken:
                log.info("a subscriber that read nothing was cut off", why=feed.ended or LAGGED)
                return
            await self._close(connection, CLOSE_CODES[feed.ended or LAGGED], feed.ended or LAGGED)
        except trio.Cancelled:
            if connection.closed is None:
                say_goodbye(subscriber)
            raise
        finally:
            self._fan_out.remove(subscriber)
            self._hub.close(feed)

    async def _close(self, connection: WebSocketConnection, code: int, reason: str) -> None:
        with trio.move_on_after(self._limits.close_timeout_s):
            await connection.aclose(code, reason)

    async def _listen(self, connection: WebSocketConnection, scope: trio.CancelScope) -> None:
        try:
            await connection.get_message()
        except ConnectionClosed:
            pass
        else:
            await self._close(connection, UNSUPPORTED, "a subscriber sends no messages")
        scope.cancel()

    async def _keep_alive(self, connection: WebSocketConnection, scope: trio.CancelScope) -> None:
        try:
            while True:
                await trio.sleep(self._limits.ping_period_s)
                with trio.fail_after(self._limits.ping_timeout_s):
                    await connection.ping()
        except (ConnectionClosed, trio.TooSlowError):
            scope.cancel()
