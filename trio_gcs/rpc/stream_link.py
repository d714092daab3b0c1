"""A connection over any trio stream: TLS, or a pair in memory where a test simulates the network.

The hard idea: there is none of the hub's economy here. One task reads, one writes, and the connection's state lies
between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from trio_gcs.wire.server import ServerConnection

if TYPE_CHECKING:
    from trio_gcs.rpc.dispatch import Dispatch
    from trio_gcs.wire.limits import Limits

_READ_BYTES: Final = 65_536
_TICK_S: Final = 1.0


class StreamLink:
    """One stream and its connection."""

    def __init__(self, dispatch: Dispatch, limits: Limits, stream: trio.abc.Stream) -> None:
        self._dispatch = dispatch
        self._stream = stream
        self._output = trio.Event()
        self.connection = ServerConnection(dispatch, limits, self._wake, trio.current_time())

    def _wake(self) -> None:
        self._output.set()

    async def run(self) -> None:
        """Serve until either side has closed."""
        async with self._stream:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write, nursery.cancel_scope)
                    nursery.start_soon(self._tick, nursery.cancel_scope)
                    await self._read()
                    nursery.cancel_scope.cancel()
            finally:
                self.connection.lost()

    async def _read(self) -> None:
        while True:
            try:
                octets = await self._stream.receive_some(_READ_BYTES)
            except trio.BrokenResourceError:
                return
            if not octets or not self._dispatch.contained(self.connection.receive, bytes(octets), trio.current_time()):
                return
            if self.connection.out:
                self._output.set()

    async def _write(self, scope: trio.CancelScope) -> None:
        connection = self.connection
        while connection.out or not (connection.closed or connection.drained):
            await self._output.wait()
            self._output = trio.Event()
            connection.awake = False
            out, connection.out = connection.out, []
            try:
                await self._stream.send_all(b"".join(out))
            except trio.BrokenResourceError:
                break
            connection.flushed(0)
            if connection.out:
                self._output.set()
        scope.cancel()

    async def _tick(self, scope: trio.CancelScope) -> None:
        while True:
            await trio.sleep(_TICK_S)
            if self.connection.tick(trio.current_time()) is not None:
                scope.cancel()
