"""What stands between a sans-IO connection and its octets: a socket watched by the hub, or any trio stream.

The hard idea: all sockets share one epoll, and one task waits for it, so that a wake-up of trio is paid once for all
that has arrived. Each socket is read once, and all replies to what was read leave in one send. While a socket cannot
take our replies it is not read: a peer that does not listen is not listened to.
"""

from __future__ import annotations

import select
import socket
from math import inf
from typing import TYPE_CHECKING, Final

import trio
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_readable, wait_task_rescheduled

if TYPE_CHECKING:
    from trio_gcs.rpc.dispatch import Dispatch
    from trio_gcs.wire.limits import Limits
    from trio_gcs.wire.sender import Octets

from trio_gcs.wire.server import ServerConnection

_READ_BYTES: Final = 16_384
_READ_BYTES_MAX: Final = 262_144
_LINKS_A_TURN: Final = 64
_GATHERED_MAX: Final = 512  # buffers for one sendmsg; the kernel takes 1024
_JOINED_BYTES_MAX: Final = 65_536  # above this, gathering is cheaper than joining
_LINGER_S: Final = 1.0


class Link:
    """One socket and its connection."""

    __slots__ = ("_hub", "_read_bytes", "closing_since", "connection", "fd", "progress_at", "sock")

    def __init__(self, hub: Hub, sock: socket.socket, now: float) -> None:
        self._hub = hub
        self.sock = sock
        self.fd = sock.fileno()
        self.connection = ServerConnection(hub.dispatch, hub.limits, self._wake, now)
        self.progress_at = now
        self.closing_since = inf
        self._read_bytes = _READ_BYTES

    def _wake(self) -> None:
        self._hub.flush_soon(self)

    def read(self, now: float) -> None:
        """Take what has arrived, serve it and send what came of it."""
        try:
            octets = self.sock.recv(self._read_bytes)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            octets = b""
        if not octets:
            self._hub.drop(self)
            return
        if len(octets) == self._read_bytes:
            self._read_bytes = _READ_BYTES_MAX
        elif len(octets) < _READ_BYTES:
            self._read_bytes = _READ_BYTES
        connection = self.connection
        if connection.closed:
            return  # We have said goodbye; what still comes is discarded until the peer closes.
        connection.awake = True
        if not self._hub.dispatch.contained(connection.receive, octets, now):
            self._hub.drop(self)
            return
        if connection.out:
            self.flush()
        else:
            connection.awake = False

    def flush(self) -> None:
        """Send all there is, or as much as the socket takes; the hub comes back when it takes more."""
        connection = self.connection
        was_blocked = connection.blocked
        try:
            while connection.out:
                unsent = self._send(connection.out, connection.unsent_bytes)
                connection.flushed(unsent)
                if unsent:
                    self.progress_at = trio.current_time()
                    break
        except OSError:
            self._hub.drop(self)
            return
        connection.awake = connection.blocked
        if connection.blocked != was_blocked:
            self._hub.watch(self, writable=connection.blocked)
        if not connection.blocked and (connection.closed or connection.drained):
            self._hub.close_soon(self)

    def _send(self, out: list[Octets], size: int) -> int:
        """Send from `out` and take it out of there; returns how much is left."""
        try:
            if size > _JOINED_BYTES_MAX:
                return self._send_gathered(out)
            octets = out[0] if len(out) == 1 else b"".join(out)
            sent = self.sock.send(octets)
        except (BlockingIOError, InterruptedError):
            return sum(map(len, out))
        left = len(octets) - sent
        if left:
            out[:] = [memoryview(octets)[sent:]]
        else:
            out.clear()
        return left

    def _send_gathered(self, out: list[Octets]) -> int:
        """Send without joining: large bodies are not copied."""
        while out:
            chunk = out[:_GATHERED_MAX]
            sent = self.sock.sendmsg(chunk)
            done = 0
            for octets in chunk:
                if sent < len(octets):
                    break
                sent -= len(octets)
                done += 1
            del out[:done]
            if done < len(chunk):
                if sent:
                    out[0] = memoryview(out[0])[sent:]
                return sum(map(len, out))
        return 0


class Hub:
    """All sockets of a server: reads, writes, ticks and closes them."""

    def __init__(self, dispatch: Dispatch, limits: Limits) -> None:
        self.dispatch = dispatch
        self.limits = limits
        self.links: dict[int, Link] = {}
        self._epoll = select.epoll()
        self.empty = trio.Event()  # of links; whoever waits for it makes a new one first
        self._unflushed: list[Link] = []
        self._flusher: Task | None = None

    def add(self, sock: socket.socket) -> None:
        """Serve a socket that was accepted."""
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(self, sock, trio.current_time())
        self.links[link.fd] = link
        self._epoll.register(link.fd, select.EPOLLIN)

    async def run(self) -> None:
        """Wait for sockets and serve them until cancelled."""
        poll, links, number = self._epoll.poll, self.links, self._epoll.fileno()
        while True:
            await wait_readable(number)
            now = trio.current_time()
            for fd, events in poll(0, _LINKS_A_TURN):
                link = links.get(fd)
                if link is None:
                    continue
                if events & select.EPOLLOUT:
                    link.connection.now = now
                    link.flush()
                elif not link.connection.blocked:
                    link.read(now)
                else:
                    self.drop(link)  # Watched for writing only, so this is an error or a hang-up.

    # Sending what was said outside of a read.

    def flush_soon(self, link: Link) -> None:
        """Send what a connection has to say when the tasks that run now have had their turn."""
        self._unflushed.append(link)
        if self._flusher is not None:
            reschedule(self._flusher)
            self._flusher = None

    async def run_flusher(self) -> None:
        """Flush connections that have news, until cancelled."""

        def forget(_: object) -> Abort:
            self._flusher = None
            return Abort.SUCCEEDED

        while True:
            if not self._unflushed:
                self._flusher = current_task()
                await wait_task_rescheduled(forget)
            # A turn later, so that those first ask others who were woken by the same news: while a raylet works, we send.
            await trio.lowlevel.cancel_shielded_checkpoint()
            self.flush_all()

    def flush_all(self) -> None:
        """Flush connections that have news, now."""
        unflushed, self._unflushed = self._unflushed, []
        for link in unflushed:
            if self.links.get(link.fd) is link and not link.connection.blocked:
                link.flush()

    # Time and the end.

    def tick(self) -> None:
        """Look at every connection's clock; call it about once a second."""
        now = trio.current_time()
        for link in list(self.links.values()):
            stuck = link.connection.blocked and now - link.progress_at > self.limits.unread_timeout_s
            if stuck or now - link.closing_since > _LINGER_S or link.connection.tick(now) is not None:
                self.drop(link)

    def watch(self, link: Link, *, writable: bool) -> None:
        """Wait for a socket to take more, or to bring more."""
        self._epoll.modify(link.fd, select.EPOLLOUT if writable else select.EPOLLIN)

    def close_soon(self, link: Link) -> None:
        """All is said: close our side, and the rest when the peer has closed, so that it reads our last words."""
        if link.closing_since != inf:
            return
        link.closing_since = trio.current_time()
        link.connection.lost()
        try:
            link.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.drop(link)

    def drop(self, link: Link) -> None:
        """Close a socket and tell the owners of its calls."""
        if self.links.get(link.fd) is not link:
            return
        del self.links[link.fd]
        self._epoll.unregister(link.fd)
        link.sock.close()
        link.connection.lost()
        if not self.links:
            self.empty.set()

    def close(self) -> None:
        """Drop everything."""
        for link in list(self.links.values()):
            self.drop(link)
        self._epoll.close()
