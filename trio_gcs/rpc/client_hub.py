"""All sockets of many channels behind one epoll and one task that waits for it.

A daemon has a connection to every raylet, and a decision about forty of them makes forty calls on forty sockets. With a
task per socket, trio is paid forty times for their replies; here a wake-up of trio is paid once for all that has
arrived, each socket is read once, and what callers left for all of them is sent by one task after their last word.
"""

from __future__ import annotations

import math
import select
import socket
from typing import Final

import trio
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_readable, wait_task_rescheduled

from trio_gcs.rpc.client_link import Link
from trio_gcs.wire.client_connection import ClientConnection

# Most replies are small, and so small a piece of memory is at hand; what is more is read at once besides.
_READ_BYTES: Final = 448
_READ_BYTES_MAX: Final = 65_536
_LINKS_A_TURN: Final = 64
# Each arrival is told of once; until all is read, the kernel need not look at the socket again.
_NEWS: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET
_HUNG_UP: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_CLOSED: Final = "the connection was closed by this side"


class ClientHub:
    """Moves the octets of the links that are added to it, as long as `run` runs, and keeps those alive that have calls."""

    def __init__(self, keepalive_s: float = math.inf, pong_within_s: float = 20.0) -> None:
        self._keepalive_s = keepalive_s
        self._pong_within_s = pong_within_s
        self._links: dict[int, SocketLink] = {}
        self._epoll = select.epoll()
        self._due: list[SocketLink] = []
        self._sender: Task | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read and send until cancelled; what is left then is closed."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send)
                nursery.start_soon(self._keep_alive)
                task_status.started()
                await self._read()
        finally:
            for link in list(self._links.values()):
                link.lost(_CLOSED)
                self.remove(link)
            self._epoll.close()

    @property
    def links_count(self) -> int:
        """How many connections there are."""
        return len(self._links)

    def add(self, link: SocketLink) -> None:
        """Begin to move the octets of a link."""
        self._links[link.fd] = link
        self._epoll.register(link.fd, _NEWS)

    def remove(self, link: SocketLink) -> None:
        """Leave a link alone, and close its socket."""
        if self._links.get(link.fd) is link:
            del self._links[link.fd]
            self._epoll.unregister(link.fd)
            link.sock.close()
            link.end()

    def watch(self, link: SocketLink, *, writable: bool) -> None:
        """Be told of what a socket brings, also of what it has by now; and, if asked for, when it takes more."""
        self._epoll.modify(link.fd, _NEWS | select.EPOLLOUT if writable else _NEWS)

    def send_soon(self, link: SocketLink) -> None:
        """Send what a link has when the tasks that run now have had their turn."""
        self._due.append(link)
        if self._sender is not None:
            reschedule(self._sender)
            self._sender = None

    async def _keep_alive(self) -> None:
        """Ping all that have calls at once, since servers take pings without calls for abuse; end those that are silent."""
        while True:
            await trio.sleep(self._keepalive_s)
            asked = [(link, link.connection.pongs_count) for link in self._links.values() if not link.connection.idle]
            for link, _ in asked:
                link.connection.ping()
                link.flush()
            if asked:
                await trio.sleep(self._pong_within_s)
            for link, before in asked:
                if link.connection.pongs_count == before:
                    link.leave("the server does not answer pings")

    def read_now(self) -> None:
        """Take in what has arrived by now, as far as one turn should go."""
        poll, links = self._epoll.poll, self._links
        left = _LINKS_A_TURN
        # More arrives while we read, and to look for it here costs a tenth of a turn of trio.
        while left > 0 and (ready := poll(0, left)):
            left -= len(ready)
            for fd, events in ready:
                link = links.get(fd)
                if link is None:
                    continue
                if events & ~select.EPOLLOUT:
                    link.read(hung_up=bool(events & _HUNG_UP))
                if events & select.EPOLLOUT:
                    link.send()

    async def _read(self) -> None:
        number = self._epoll.fileno()
        while True:
            await wait_readable(number)
            self.read_now()

    async def _send(self) -> None:
        def forget(_: object) -> Abort:
            self._sender = None
            return Abort.SUCCEEDED

        while True:
            if not self._due:
                self._sender = current_task()
                await wait_task_rescheduled(forget)
            due, self._due = self._due, []
            for link in due:
                link.send()


class SocketLink(Link):
    """A connection over a socket that a hub watches; it needs no task of its own."""

    __slots__ = ("_begun", "_blocked", "_hub", "_is_due", "_unsent", "ended", "fd", "sock")

    def __init__(self, hub: ClientHub, sock: socket.socket, connection: ClientConnection) -> None:
        super().__init__(connection)
        self.sock = sock
        self.fd = sock.fileno()
        self.ended = False
        self._hub = hub
        self._begun: trio.Event | None = None  # there while somebody waits for the server to greet us
        self._is_due = False
        self._blocked = False
        self._unsent: memoryview | bytes = b""

    async def begin(self) -> None:
        """Be served by the hub, and wait until the server has greeted us, or the connection has ended before."""
        self._begun = trio.Event()
        self._hub.add(self)
        self.send_soon()
        begun = False
        try:
            await self._begun.wait()
            begun = True
        finally:
            self._begun = None
            if not begun:
                self.leave()

    def leave(self, why: str = _CLOSED) -> None:
        """End the connection from our side, if it has not ended; what the socket does not take now is not said."""
        if not self.ended:
            self.lost(why)
            self.send()
            self._hub.remove(self)

    def end(self) -> None:
        """The hub has let go of it."""
        self.ended = True
        if self._begun is not None:
            self._begun.set()

    def send_soon(self) -> None:
        """Have the hub send."""
        if not self._is_due:
            self._is_due = True
            self._hub.send_soon(self)

    def read(self, *, hung_up: bool) -> None:
        """Take what has arrived; ``hung_up`` says that there is an end, too."""
        connection = self.connection
        is_more = hung_up
        try:
            octets = self.sock.recv(_READ_BYTES)
            if len(octets) == _READ_BYTES:
                octets += self._more()
                is_more = True
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            connection.lost(f"the connection broke: {error}")
        else:
            known = connection.receive_known(octets)
            if known is not None:
                known.wake()
                if connection.can_open and not connection.out and not hung_up:
                    return
            elif octets:
                connection.receive_unknown(octets)
            else:
                connection.lost("the server closed the connection")
        if is_more and connection.closed is None:
            self._hub.watch(self, writable=self._blocked)
        self.flush()
        if self._begun is not None and (connection.greeted or self.is_over):
            self._begun.set()

    def _more(self) -> bytes:
        try:
            return self.sock.recv(_READ_BYTES_MAX)
        except OSError:  # nothing more for now; or the connection broke, as the next read will tell
            return b""

    def send(self) -> None:
        """Send what there is, or as much as the socket takes; close when the connection is over and all is said."""
        self._is_due = False
        if self.ended:
            return
        self._push()
        if self.connection.woken:
            self.flush()
        if self.is_over and not self._unsent:
            self._hub.remove(self)

    def send_at_once(self) -> None:
        """Send now. Calls that end because that fails hear of it later: whoever calls is not done yet."""
        self._push()
        if self.connection.woken:
            self.send_soon()

    def _push(self) -> None:
        """Give the socket what it takes. If that fails the connection is over, and its calls have news."""
        connection = self.connection
        try:
            while self._unsent or connection.out:
                octets = self._unsent or connection.take_output()
                sent = self.sock.send(octets)
                self._unsent = memoryview(octets)[sent:] if sent < len(octets) else b""
        except (BlockingIOError, InterruptedError):
            if not self._unsent:
                self._unsent = octets
            if not self._blocked:
                self._blocked = True
                self._hub.watch(self, writable=True)
            return
        except OSError as error:
            self._unsent = b""
            connection.lost(f"the connection broke: {error}")
            connection.take_output()
        if self._blocked:
            self._blocked = False
            self._hub.watch(self, writable=False)
