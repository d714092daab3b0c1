"""A server on loopback, in this process, and a thread for clients that block."""

from contextlib import asynccontextmanager

import trio

from tests.fakes.echo_service import Echo
from trio_gcs.generated import POOL
from trio_gcs.rpc.dispatch import Dispatch
from trio_gcs.rpc.health import Health
from trio_gcs.rpc.reflection import reflection
from trio_gcs.rpc.server import Server
from trio_gcs.wire.limits import Limits


class Running:
    """What a test needs of a server that runs."""

    def __init__(self, server, port, echo, health):
        self.server = server
        self.port = port
        self.echo = echo
        self.health = health
        self.address = f"127.0.0.1:{port}"
        self._streams = []

    async def connect(self):
        """A connection that is closed with the server, if not before."""
        self._streams.append(await trio.open_tcp_stream("127.0.0.1", self.port))
        return self._streams[-1]

    def close(self):
        for stream in self._streams:
            stream.socket.close()


@asynccontextmanager
async def running(*, settler=None, token=None, cluster_id=None, **limits):
    echo, health, dispatch = Echo(), Health(), Dispatch(settler=settler, token=token, cluster_id=cluster_id)
    server = Server([echo, health, *reflection([POOL], dispatch.service_names)], dispatch, Limits(**limits))
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]

        async def serve(task_status):
            await server.serve(listeners, task_status=task_status)

        await nursery.start(serve)
        there = Running(server, port, echo, health)
        try:
            yield there
        finally:
            there.close()
        nursery.cancel_scope.cancel()
