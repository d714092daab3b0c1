"""A network in memory: addresses where gRPC servers (on h2) listen, or do not, for clients on the real channel.

net = Net(nursery)
host = net.host("10.0.0.1", 7000)
host.replies["DrainRaylet"] = DrainRayletReply(is_accepted=True)
raylets = Raylets(..., open_channel=net.open_channel)
"""

from collections.abc import Callable

import trio
from google.protobuf.message import Message
from grpclib.const import Status
from h2.errors import ErrorCodes

from tests.fakes.h2_server import H2Server, Request, serve_h2
from trio_gcs.rpc.channel import Channel, ChannelLimits

Reply = Message | Status | ErrorCodes | None


class Host:
    """One address. `seen` has (time, method, message) of every call; a method without reply stays unanswered."""

    def __init__(self) -> None:
        self.is_up = True
        self.swallows = False  # connecting hangs
        self.replies: dict[str, Reply | Callable[[bytes], Reply]] = {}
        self.seen: list[tuple[float, str, bytes]] = []
        self.requests: list[Request] = []
        self.dials: list[float] = []
        self.open_count = 0
        self._scopes: set[trio.CancelScope] = set()

    def take_down(self) -> None:
        """Break all connections, and refuse new ones until `is_up` is set."""
        self.is_up = False
        for scope in self._scopes:
            scope.cancel()

    def times(self, method: str) -> list[float]:
        return [at for at, name, _ in self.seen if name == method]

    def messages(self, method: str) -> list[bytes]:
        return [message for _, name, message in self.seen if name == method]

    def respond(self, server: H2Server, request: Request) -> None:
        method = request.path.rsplit("/", 1)[-1]
        message = request.messages[0]
        self.requests.append(request)
        self.seen.append((trio.current_time(), method, message))
        reply = self.replies.get(method)
        if callable(reply):
            reply = reply(message)
        if isinstance(reply, Status):
            server.refuse(request.stream_id, reply.value, reply.name.lower())
        elif isinstance(reply, ErrorCodes):
            server.reset(request.stream_id, reply)
        elif reply is not None:
            server.reply(request.stream_id, reply.SerializeToString())

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.open_count += 1
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                await serve_h2(stream, self.respond)
            finally:
                self.open_count -= 1
                self._scopes.discard(scope)


class Net:
    """Every address is refused unless a host was put there."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._hosts: dict[tuple[str, int], Host] = {}
        self.metadata: dict[str, str] = {}
        self.limits = ChannelLimits()

    def host(self, ip: str, port: int) -> Host:
        return self._hosts.setdefault((ip, port), Host())

    def open_channel(self, ip: str, port: int) -> Channel:
        async def dial() -> trio.abc.Stream:
            host = self._hosts.get((ip, port))
            if host is not None:
                host.dials.append(trio.current_time())
                if host.swallows:
                    await trio.sleep_forever()
            await trio.lowlevel.checkpoint()
            if host is None or not host.is_up:
                raise ConnectionRefusedError(111, "connection refused")
            ours, theirs = trio.testing.memory_stream_pair()
            self._nursery.start_soon(host.serve, theirs)
            return ours

        return Channel(ip, port, metadata=self.metadata, limits=self.limits, dial=dial)
