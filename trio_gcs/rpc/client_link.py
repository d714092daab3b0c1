"""One live connection of a channel: the sans-IO connection, and what moves its octets.

The hard idea: nobody who makes a call touches the socket. Callers leave octets with the connection and ring, and what
they left leaves once all tasks of a wake-up have had their say: so the requests of many callers go out in one send.
:class:`StreamLink` moves octets over any stream with two tasks of its own; sockets of channels that share a hub are moved
by the hub (`client_hub`).
"""

import math
from abc import ABC, abstractmethod

import trio
from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, reschedule, wait_task_rescheduled

from trio_gcs.wire.client_call import Call
from trio_gcs.wire.client_connection import ClientConnection
from trio_gcs.wire.client_reply import Outcome

_READ_BYTES_MAX = 65_536
# How long a connection that is over may take to send what is left, such as the reason why it ends.
LAST_WORDS_S = 1.0


class Link(ABC):
    """A connection that is served. Calls that are given to it always get an outcome, however it ends."""

    __slots__ = ("connection",)

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    @abstractmethod
    def send_soon(self) -> None:
        """Send what the connection has to say, once all tasks of this wake-up have had their say."""

    def send_at_once(self) -> None:
        """Send it now where that can be, for a caller who knows that nobody else is about to call this peer."""
        self.send_soon()

    def flush(self) -> None:
        """Wake the callers that have news and, when there is anything to send, whoever sends."""
        connection = self.connection
        woken = connection.woken
        if woken:
            for call in woken:
                call.wake()
            woken.clear()
        if connection.out or not connection.can_open:  # it may be over
            self.send_soon()

    def cancel(self, call: Call, outcome: Outcome) -> None:
        """End a call from our side and tell the peer."""
        self.connection.cancel(call, outcome)
        self.flush()

    def lost(self, why: str) -> None:
        """End every call with UNAVAILABLE; a no-op when the connection is closed already."""
        self.connection.lost(why)
        self.flush()

    @property
    def is_over(self) -> bool:
        """Whether nothing is left for which the connection should stay."""
        return not self.connection.can_open and self.connection.idle


class StreamLink(Link):
    """A connection over a byte stream, with a task that reads and one that writes."""

    __slots__ = ("_keepalive_s", "_pong_within_s", "_stream", "_writer", "_written")

    def __init__(
        self, stream: trio.abc.Stream, connection: ClientConnection, keepalive_s: float, pong_within_s: float
    ) -> None:
        super().__init__(connection)
        self._keepalive_s = keepalive_s
        self._pong_within_s = pong_within_s
        self._stream = stream
        self._writer: Task | None = None
        self._written = trio.Event()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Move octets until the connection ends. It has `closed` set then, and its socket is closed.

        Started means that the server has greeted us, or that the connection has ended before.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                if self._keepalive_s < math.inf:
                    nursery.start_soon(self._keep_alive, nursery.cancel_scope)
                while not (self.connection.greeted or self.is_over):
                    await self._read()
                task_status.started()
                while not self.is_over:
                    await self._read()
                with trio.move_on_after(LAST_WORDS_S):
                    await self._written.wait()
                nursery.cancel_scope.cancel()
        finally:
            self.lost("the connection was closed by this side")
            await trio.aclose_forcefully(self._stream)

    def send_soon(self) -> None:
        """Let the writer run."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            reschedule(writer)

    async def _keep_alive(self, scope: trio.CancelScope) -> None:
        """Ping while there are calls; cancels `scope` when the peer stays silent."""
        while True:
            await trio.sleep(self._keepalive_s)
            if self.connection.idle:
                continue  # servers take pings without calls for abuse
            before = self.connection.pongs_count
            self.connection.ping()
            self.flush()
            await trio.sleep(self._pong_within_s)
            if self.connection.pongs_count == before:
                self.lost("the server does not answer pings")
                scope.cancel()  # whoever moves octets may wait for the peer
                return

    async def _read(self) -> None:
        connection = self.connection
        try:
            octets = await self._stream.receive_some(_READ_BYTES_MAX)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            connection.lost(f"the connection broke: {error.__cause__ or error}")
        else:
            if octets:
                connection.receive(bytes(octets))
            else:
                connection.lost("the server closed the connection")
        self.flush()

    async def _write(self) -> None:
        connection = self.connection
        while True:
            if connection.out:
                try:
                    await self._stream.send_all(connection.take_output())
                except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
                    self.lost(f"the connection broke: {error.__cause__ or error}")
            elif self.is_over:
                self._written.set()
                await trio.aclose_forcefully(self._stream)  # lets the reader go
                return
            else:
                self._writer = current_task()
                await wait_task_rescheduled(self._abort_write)

    def _abort_write(self, _raise_cancel: RaiseCancelT) -> Abort:
        self._writer = None
        return Abort.SUCCEEDED
