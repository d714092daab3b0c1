"""The client's side: calls to one address, shaped so that grpclib's generated stubs work on it under Trio.

A channel is a task: somebody's nursery runs `run()`, and everything that the channel keeps alive lives and dies in
there. The hard idea: there is at most one connection that takes new calls, made when a call wants it and not
before; calls that arrive meanwhile share the attempt and its failure. A connection that the peer drains lives on
beside its successor until its last call has ended. Nothing is tried again here, and nothing is delayed: a failed
connection is UNAVAILABLE to the calls that it had, and the next call makes a new one.

    async with open_channel("127.0.0.1", 6379) as channel:
        reply = await channel.stub(HealthStub).Check(HealthCheckRequest(), timeout=5)
"""

import math
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import grpclib.client
import trio
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError
from grpclib.metadata import Deadline

from trio_gcs import __version__
from trio_gcs.rpc.client_hub import ClientHub, SocketLink
from trio_gcs.rpc.client_link import Link, StreamLink
from trio_gcs.rpc.client_stream import Answer, ClientStream, Method, Request
from trio_gcs.rpc.dial import dial, family_of
from trio_gcs.wire.client_connection import ClientConnection
from trio_gcs.wire.client_sender import ClientLimits
from trio_gcs.wire.messages import ACCEPTED
from trio_gcs.wire.metadata import MetadataLike, encode_metadata

Stub = TypeVar("Stub")
Dial = Callable[[], Awaitable[trio.abc.Stream]]


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """What a channel grants its peer, and how long it waits for it."""

    connection: ClientLimits = field(default_factory=ClientLimits)
    connect_timeout_s: float = 5.0
    keepalive_s: float = math.inf  # between pings; none by default, since a server may take them amiss
    pong_within_s: float = 20.0


class Channel:
    """Calls to one server. `run` must be running for a call to get anywhere; calls made before wait for it."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        metadata: MetadataLike | None = None,
        limits: ChannelLimits | None = None,
        tls: ssl.SSLContext | None = None,
        dial: Dial | None = None,
        hub: ClientHub | None = None,
    ) -> None:
        """`metadata` goes with every call; `tls` is set to offer HTTP/2 alone.

        `dial` makes the byte stream in place of TCP, for tests. `hub` moves the octets of plain TCP, for channels that
        are many; it has a pace of pings of its own.
        """
        self.host = host
        self.port = port
        self._limits = limits or ChannelLimits()
        self._tls = tls
        if tls is not None:
            tls.set_alpn_protocols(["h2"])
        self._dial = dial or self._dial_tcp
        self._hub = hub
        self._kept = (
            (b":method", b"POST"),
            (b":scheme", b"http" if tls is None else b"https"),
            (b":authority", _authority(host, port)),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", f"grpc-python-trio-gcs/{__version__}".encode()),
            (b"grpc-accept-encoding", ACCEPTED),
            *encode_metadata(metadata),
        )
        self._methods: dict[object, Method[Any, Any]] = {}
        self._nursery: trio.Nursery | None = None
        self._attempt: _Attempt | None = None
        self._link: Link | None = None
        self._on_hub: list[SocketLink] = []
        self._closed = False

    async def run(self, *, task_status: trio.TaskStatus["Channel"] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the channel's connections alive until `close` or cancellation, which end all its calls."""
        assert self._nursery is None, "a channel runs once"
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                if self._closed:
                    nursery.cancel_scope.cancel()
                if self._attempt is not None:
                    nursery.start_soon(self._connect, self._attempt)
                task_status.started(self)
                await trio.sleep_forever()
        finally:
            self.close()
            for link in self._on_hub:
                link.leave()

    def close(self) -> None:
        """End all calls with UNAVAILABLE, and `run`. The socket is closed when `run` has returned."""
        self._closed = True
        if self._attempt is not None:
            self._attempt.done.set()
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()

    @property
    def is_idle(self) -> bool:
        """Whether no call is under way."""
        return self._attempt is None and (self._link is None or self._link.connection.idle)

    def stub(self, make: Callable[[grpclib.client.Channel], Stub]) -> Stub:
        """Make a generated stub on this channel; for the type checker, which knows grpclib's own channel only."""
        return make(cast("grpclib.client.Channel", self))

    def request(
        self,
        name: str,
        cardinality: Cardinality,
        request_type: type[Request],
        reply_type: type[Answer],
        *,
        timeout: float | None = None,
        deadline: Deadline | None = None,
        metadata: MetadataLike | None = None,
    ) -> ClientStream[Request, Answer]:
        """Make a call; nothing is sent yet. Generated stubs call this."""
        at = math.inf if timeout is None else trio.current_time() + timeout
        if deadline is not None:
            at = min(at, trio.current_time() + deadline.time_remaining())
        key = (name, cardinality, request_type, reply_type)  # stubs of both generators may share a channel
        method = self._methods.get(key)
        if method is None:
            method = self._methods[key] = Method(name, cardinality, request_type, reply_type)
        passing = tuple(encode_metadata(metadata)) if metadata else ()
        return ClientStream(self, method, deadline=at, passing=passing)

    @property
    def ready_link(self) -> Link | None:
        """The connection that takes new calls, if there is one."""
        link = self._link
        return link if link is not None and link.connection.can_open else None

    async def link(self, deadline: float = math.inf) -> Link:
        """Return a connection for a new call; connects, or joins an attempt under way. Raises GRPCError."""
        ready = self.ready_link
        if ready is not None:
            return ready
        if self._closed:
            raise GRPCError(Status.UNAVAILABLE, "the channel is closed")
        attempt = self._attempt
        if attempt is None:
            attempt = self._attempt = _Attempt()
            if self._nursery is not None:
                self._nursery.start_soon(self._connect, attempt)
        with trio.CancelScope(deadline=deadline) as scope:
            await attempt.done.wait()
        if scope.cancelled_caught:
            raise GRPCError(Status.DEADLINE_EXCEEDED, "the deadline of the call passed while connecting")
        if attempt.link is None:
            raise GRPCError(Status.UNAVAILABLE, f"cannot connect to {self.host}:{self.port}: {attempt.why}")
        return attempt.link

    async def _connect(self, attempt: "_Attempt") -> None:
        assert self._nursery is not None, "started in there"
        try:
            with trio.move_on_after(self._limits.connect_timeout_s):
                connection = ClientConnection(self._kept, self._limits.connection)
                link = await self._link_over(await self._dial(), connection, self._nursery)
                if connection.can_open:
                    self._link = attempt.link = link
                else:
                    attempt.why = connection.closed or "the server is closing the connection"
        except (OSError, trio.BrokenResourceError) as error:
            attempt.why = _why(error)
        finally:
            self._attempt = None
            attempt.done.set()

    async def _link_over(self, stream: trio.abc.Stream, connection: ClientConnection, nursery: trio.Nursery) -> Link:
        """A link that is served, and greeted unless its connection has ended."""
        if self._hub is None or not isinstance(stream, trio.SocketStream):
            link = StreamLink(stream, connection, self._limits.keepalive_s, self._limits.pong_within_s)
            await nursery.start(link.serve)
            return link
        # The hub watches plain sockets; trio's gives its own up, with the options that it had set.
        on_hub = SocketLink(self._hub, socket.socket(fileno=stream.socket.detach()), connection)
        self._on_hub = [*(each for each in self._on_hub if not each.ended), on_hub]
        await on_hub.begin()
        return on_hub

    async def _dial_tcp(self) -> trio.abc.Stream:
        stream = await dial(self.host, self.port)
        if self._tls is None:
            return stream
        secured = trio.SSLStream(stream, self._tls, server_hostname=self.host)
        is_secured = False
        try:
            await secured.do_handshake()
            is_secured = True
        finally:
            if not is_secured:
                await trio.aclose_forcefully(stream)
        return secured


class _Attempt:
    """One try to connect, shared by all calls that wait for it."""

    __slots__ = ("done", "link", "why")

    def __init__(self) -> None:
        self.done = trio.Event()
        self.link: Link | None = None
        self.why = "the time for connecting is over"


def _why(error: Exception) -> str:
    """What went wrong, in the words of the system; of several addresses that failed, those of the last."""
    cause = error.__cause__ or error
    return str(cause.exceptions[-1] if isinstance(cause, BaseExceptionGroup) else cause)


def _authority(host: str, port: int) -> bytes:
    """How the peer is called in our headers; nothing for a text that names no host, and so cannot be reached either."""
    text = f"[{host}]:{port}" if family_of(host) is socket.AF_INET6 else f"{host}:{port}"
    try:
        return text.encode("ascii" if host.isascii() else "idna")
    except UnicodeError:
        return b""


@asynccontextmanager
async def open_channel(
    host: str,
    port: int,
    *,
    metadata: MetadataLike | None = None,
    limits: ChannelLimits | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Channel]:
    """Run a channel for the length of a block."""
    channel = Channel(host, port, metadata=metadata, limits=limits, tls=tls)
    async with trio.open_nursery() as nursery:
        await nursery.start(channel.run)
        yield channel
        channel.close()
