"""A wire to Redis that breaks where the test says: after so many bytes of the server's next answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


class Proxy:
    """Passes bytes on. ``answer_bytes_left`` None lets all pass; at 0 the connection breaks, and the next one is whole."""

    def __init__(self, port: int) -> None:
        self.port = 0
        self.answer_bytes_left: int | None = None
        self.breaks_count = 0
        self._to = port

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    async def serve(self, stream: trio.SocketStream) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", self._to) as server, stream, trio.open_nursery() as nursery:
            nursery.start_soon(self._questions, stream, server, nursery.cancel_scope)
            await self._answers(server, stream)
            nursery.cancel_scope.cancel()

    async def _questions(self, client: trio.SocketStream, server: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            async for some in client:
                await server.send_all(some)
        except trio.BrokenResourceError:
            pass
        scope.cancel()

    async def _answers(self, server: trio.SocketStream, client: trio.SocketStream) -> None:
        try:
            async for some in server:
                left = self.answer_bytes_left
                if left is None:
                    await client.send_all(some)
                    continue
                await client.send_all(some[:left])
                self.answer_bytes_left = left - len(some[:left])
                if left <= len(some):
                    self.answer_bytes_left = None
                    self.breaks_count += 1
                    return
        except trio.BrokenResourceError:
            pass


@asynccontextmanager
async def proxy_to(port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(port)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, proxy.serve, 0)
        proxy.port = listeners[0].socket.getsockname()[1]
        yield proxy
        nursery.cancel_scope.cancel()
