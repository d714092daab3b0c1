"""Services behind the real gate and a real connection, without a socket; time is trio's, so a mock clock rules it."""

from contextlib import asynccontextmanager

import trio

from tests.fakes.wire_world import World, prefixed, with_header
from trio_gcs.rpc.dispatch import Dispatch
from trio_gcs.wire import frames
from trio_gcs.wire.limits import Limits
from trio_gcs.wire.server import ServerConnection


class FakeSettler:
    """Handlers `touch` what is not durable; `commit` makes everything durable."""

    def __init__(self):
        self.touched = None
        self.open = None
        self.waits_count = 0
        self._durable = trio.Event()
        self.error = None

    def touch(self, what):
        self.touched = self.open = what

    def commit(self):
        self.open = None
        self._durable.set()
        self._durable = trio.Event()

    def fail(self, error):
        self.error = error
        self.commit()

    def begin(self):
        self.touched = None

    def unsettled(self):
        return self.touched if self.open is not None else None

    def everything(self):
        return self.open

    def promise(self, unsettled, word):
        return False

    async def settled(self, unsettled):
        self.waits_count += 1
        while self.open is not None:
            await self._durable.wait()
        if self.error is not None:
            raise self.error


class RpcWorld(World):
    """One client of one dispatch."""

    def __init__(self, dispatch, **limits):
        super().__init__(greet=False)
        self.dispatch = dispatch
        self.connection = ServerConnection(dispatch, Limits(**limits), self._note, trio.current_time())
        self.now = trio.current_time()
        self.next_id = -1
        self.send(frames.PREFACE + frames.settings_frame([]))
        self.seen.clear()

    def begin(self, path, message, *headers):
        """Send a whole unary request; returns its stream."""
        self.next_id += 2
        octets = message if isinstance(message, bytes) else message.SerializeToString()
        self.now = trio.current_time()
        self.send(
            self.head(self.next_id, with_header((":path", path), *headers)) + self.body(self.next_id, prefixed(octets))
        )
        return self.next_id

    def open(self, path, *headers):
        """Send the headers of a streaming call; returns its stream."""
        self.next_id += 2
        self.now = trio.current_time()
        self.send(self.head(self.next_id, with_header((":path", path), *headers)))
        return self.next_id

    def say(self, stream_id, message, *, last=False):
        self.now = trio.current_time()
        body = prefixed(message.SerializeToString()) if message is not None else b""
        self.send(self.body(stream_id, body, frames.END_STREAM if last else 0))

    def cancel(self, stream_id):
        self.send(frames.reset_frame(stream_id, 8))

    async def settle(self):
        """Let every task come to rest; returns all answers since the last look."""
        await trio.testing.wait_all_tasks_blocked()
        self.sent()
        return self.answers()

    async def ask(self, path, message, *headers):
        """One whole unary call; returns its answer, or None when there is none yet."""
        stream_id = self.begin(path, message, *headers)
        return (await self.settle()).get(stream_id)


@asynccontextmanager
async def rpc_world(*services, settler=None, token=None, cluster_id=None, **limits):
    dispatch = Dispatch(settler=settler, token=token, cluster_id=cluster_id)
    dispatch.add(services)
    async with trio.open_nursery() as nursery:
        dispatch.pool.open(nursery)
        nursery.start_soon(dispatch.deadlines.run)
        yield RpcWorld(dispatch, **limits)
        nursery.cancel_scope.cancel()


def messages_of(answer, kind):
    """The messages of a streaming answer."""
    found, octets = [], answer.body
    while octets:
        end = 5 + int.from_bytes(octets[1:5], "big")
        found.append(kind.FromString(octets[5:end]))
        octets = octets[end:]
    return found
