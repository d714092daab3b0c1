"""The server: listens, accepts within its limits, serves, and stops without breaking what it has promised.

The hard idea is the order of stopping. Nothing new is accepted, every peer is told to go away, calls in tasks get the
time that is left, while promises and streams, which would never end by themselves, are ended at once.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

import structlog
import trio

from trio_gcs.rpc.calls import STOPPING
from trio_gcs.rpc.handlers import Parked
from trio_gcs.rpc.links import Hub
from trio_gcs.rpc.stream import Stream
from trio_gcs.rpc.stream_link import StreamLink
from trio_gcs.wire.limits import Limits
from trio_gcs.wire.stream import WireStream

if TYPE_CHECKING:
    from grpclib._typing import IServable

    from trio_gcs.rpc.dispatch import Dispatch
    from trio_gcs.wire.receiver import Receiver

log = structlog.get_logger(__name__)

_OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
_ACCEPT_PAUSE_S: Final = 0.1
_TICK_S: Final = 1.0


class Server:
    """Serves services, through the gate of a dispatch, on any number of listeners."""

    def __init__(self, services: Iterable[IServable], dispatch: Dispatch, limits: Limits | None = None) -> None:
        dispatch.add(services)
        self.dispatch = dispatch
        self.limits = limits if limits is not None else Limits()
        self._hub = Hub(dispatch, self.limits)
        self._accepting = trio.CancelScope()
        self._serving = trio.CancelScope()

    async def serve(
        self,
        listeners: Sequence[trio.SocketListener],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Serve until cancelled or stopped; closes the listeners. Raises what means the end of the daemon."""
        try:
            with self._serving:
                async with trio.open_nursery() as nursery:
                    self.dispatch.pool.open(nursery)
                    nursery.start_soon(self._hub.run)
                    nursery.start_soon(self._hub.run_flusher)
                    nursery.start_soon(self.dispatch.deadlines.run)
                    nursery.start_soon(self._tick)
                    nursery.start_soon(self._accept_all, listeners)
                    task_status.started()
        finally:
            self._hub.close()
            for listener in listeners:
                listener.socket.close()

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """Serve one connection over any stream, until it ends; `serve` must be running. Closes the stream."""
        await StreamLink(self.dispatch, self.limits, stream).run()

    async def stop(self, grace_s: float) -> None:
        """Stop accepting, let calls in tasks end within `grace_s`, then close everything; `serve` returns."""
        self._accepting.cancel()
        self.dispatch.stopping = True
        self._hub.empty = trio.Event()
        for link in list(self._hub.links.values()):
            end_promises(link.connection)
            link.connection.drain()
        if self._hub.links:
            with trio.move_on_after(grace_s):
                await self._hub.empty.wait()
        self._serving.cancel()

    async def _tick(self) -> None:
        while True:
            await trio.sleep(_TICK_S)
            self._hub.tick()

    async def _accept_all(self, listeners: Sequence[trio.SocketListener]) -> None:
        with self._accepting:
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    nursery.start_soon(self._accept, listener)
        for listener in listeners:
            listener.socket.close()

    async def _accept(self, listener: trio.SocketListener) -> None:
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                if error.errno not in _OUT_OF_FILES:
                    raise
                log.warning("cannot accept", error=str(error))
                await trio.sleep(_ACCEPT_PAUSE_S)
                continue
            # The hub watches plain sockets; trio's gives its own up.
            sock = socket.socket(fileno=stream.socket.detach())
            if len(self._hub.links) < self.limits.connections_max:
                self._hub.add(sock)
            else:
                sock.close()


def end_promises(connection: Receiver) -> None:
    """End what would not end by itself: long polls and streams."""
    for entry in list(connection.streams.values()):
        owner = entry.owner if isinstance(entry, WireStream) else entry
        if isinstance(owner, Parked):
            owner.refuse(STOPPING)
        elif isinstance(owner, Stream):
            owner.stop(STOPPING)
