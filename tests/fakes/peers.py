"""Raylets and workers that a test plays: every call is written down, and waits until the test answers it.

They are the real classes with the transport taken out, so they have the same methods with the same signatures and
cannot drift. A test either scripts an answer beforehand or answers call by call:

    raylets = FakeRaylets()
    raylets.script("DrainRaylet", DrainRayletReply(is_accepted=True))
    ...
    call = await raylets.called("RequestWorkerLease")
    call.answer(RequestWorkerLeaseReply(...))          # or call.refuse(Status.INTERNAL)
    raylets.drop_raylet(node_id)                       # all its calls raise RemoteGone
"""

from collections.abc import Callable

import trio
from google.protobuf.message import Message
from grpclib.const import Status

from trio_gcs.config import GcsConfig
from trio_gcs.errors import RemoteError, RemoteGone
from trio_gcs.generated.grpc.health_grpc import HealthStub
from trio_gcs.generated.ray.core_worker_grpc import CoreWorkerServiceStub
from trio_gcs.generated.ray.node_manager_grpc import NodeManagerServiceStub
from trio_gcs.rpc.raylets import Raylet, Raylets
from trio_gcs.rpc.workers import Worker, Workers

# A reply to be given each time, an error to be raised each time, or a function of (peer's id, request) that does so.
Answer = Message | Exception | Callable[[bytes, Message], Message]


class FakeCall:
    """One call that somebody has made: `peer` is the id of a node or a worker, `method` the name on the wire."""

    def __init__(self, peer: bytes, method: str, request: Message, *, repeats: bool) -> None:
        self.peer = peer
        self.method = method
        self.request = request
        self.repeats = repeats  # the real client would send it again after UNAVAILABLE and UNKNOWN
        self.gone = False  # the caller has given up
        self._done = trio.Event()
        self._reply: Message | None = None
        self._error: Exception | None = None

    def __repr__(self) -> str:
        return f"<{self.method} to {self.peer.hex()[:8]} {'answered' if self.is_answered else 'waiting'}>"

    @property
    def is_answered(self) -> bool:
        return self._done.is_set()

    def answer(self, reply: Message) -> None:
        assert not self.is_answered, "a call is answered once"
        self._reply = reply
        self._done.set()

    def refuse(self, error: Exception | Status = Status.INTERNAL, message: str = "refused by the test") -> None:
        if isinstance(error, Status):
            again = {Status.UNAVAILABLE, Status.UNKNOWN}
            assert not self.repeats or error not in again, f"the caller of {self.method} would never see {error.name}"
            error = RemoteError(error.value, message)
        assert not self.is_answered, "a call is answered once"
        self._error = error
        self._done.set()

    async def wait(self) -> Message:
        try:
            await self._done.wait()
        finally:
            self.gone = not self.is_answered
        if self._error is not None:
            raise self._error
        assert self._reply is not None, "answered"
        return self._reply


class Switchboard:
    """All calls of one fake, in order, and the scripted answers."""

    def __init__(self) -> None:
        self.calls: list[FakeCall] = []
        self._scripts: dict[str, Answer] = {}
        self._news = trio.Event()
        self._seen: set[int] = set()

    def script(self, method: str, answer: Answer) -> None:
        """Answer all calls of a method so from now on."""
        self._scripts[method] = answer

    def unscript(self, method: str) -> None:
        """Let calls of a method wait for the test again."""
        del self._scripts[method]

    def waiting(self, method: str | None = None) -> list[FakeCall]:
        """Return the calls that wait for an answer."""
        return [
            call
            for call in self.calls
            if not call.is_answered and not call.gone and (method is None or call.method == method)
        ]

    def requests(self, method: str) -> list[Message]:
        """Return all requests of a method, in order."""
        return [call.request for call in self.calls if call.method == method]

    async def called(self, method: str) -> FakeCall:
        """Wait for the next call of a method, and return it; every call is returned once."""
        while True:
            for number, call in enumerate(self.calls):
                if number not in self._seen and call.method == method:
                    self._seen.add(number)
                    return call
            await self._news.wait()

    async def take(self, call: FakeCall) -> Message:
        self.calls.append(call)
        self._news.set()
        self._news = trio.Event()
        answer = self._scripts.get(call.method)
        if answer is None:
            return await call.wait()
        await trio.lowlevel.checkpoint()
        if isinstance(answer, Exception):
            call.refuse(answer)
        else:
            call.answer(answer if isinstance(answer, Message) else answer(call.peer, call.request))
        return await call.wait()


class _FakePeer:
    """Takes the place of a peer's transport."""

    def __init__(self, name: str, key: bytes, board: Switchboard) -> None:
        self.name = name
        self.key = key
        self.gone = False
        self.board = board
        self._calls: set[FakeCall] = set()

    async def call(self, method, request, timeout_s=None):
        if timeout_s is None:
            return await self._take(method, request, repeats=False)
        with trio.move_on_after(timeout_s):
            return await self._take(method, request, repeats=False)
        raise RemoteError(Status.DEADLINE_EXCEEDED.value, "the deadline of the call has passed")

    async def persist(self, method, request):
        return await self._take(method, request, repeats=True)

    def begin(self, shape, key, octets, hear, *, at_once) -> None:
        """Tests see tasks: nothing begins without one."""

    def drop(self) -> None:
        self.gone = True
        for call in self._calls:
            if not call.is_answered:
                call.refuse(RemoteGone(self.name))

    async def _take(self, method, request, *, repeats: bool):
        copy = type(request)()
        copy.CopyFrom(request)
        call = FakeCall(self.key, method.name.rsplit("/", 1)[-1], copy, repeats=repeats)
        self._calls.add(call)
        try:
            return await self.board.take(call)
        finally:
            self._calls.discard(call)


class FakeRaylet(_FakePeer, Raylet):
    def __init__(self, key: bytes, board: Switchboard) -> None:
        super().__init__(f"the raylet of node {key.hex()}", key, board)
        self.node_manager = NodeManagerServiceStub(None)
        self.health = HealthStub(None)


class FakeWorker(_FakePeer, Worker):
    def __init__(self, key: bytes, node_id: bytes, board: Switchboard) -> None:
        super().__init__(f"worker {key.hex()}", key, board)
        self.node_id = node_id
        self.core_worker = CoreWorkerServiceStub(None)


class FakeRaylets(Switchboard, Raylets):
    """Raylets played by a test. Every node is alive until it is dropped or put into `dead`."""

    def __init__(self) -> None:
        Switchboard.__init__(self)
        Raylets.__init__(self, lambda node_id: None if node_id in self.dead else ("127.0.0.1", 1), GcsConfig())
        self.dead: set[bytes] = set()

    def drop_raylet(self, node_id: bytes) -> None:
        self.dead.add(node_id)
        super().drop_raylet(node_id)

    def _raylet(self, node_id: bytes) -> FakeRaylet:
        raylet = self._peers.get(node_id)
        if raylet is None:
            raylet = FakeRaylet(node_id, self)
            if node_id in self.dead:
                raise RemoteGone(raylet.name)
            self._peers[node_id] = raylet
        return raylet


class FakeWorkers(Switchboard, Workers):
    """Workers played by a test; `call.peer` is the worker's id."""

    def __init__(self, raylets: FakeRaylets | None = None) -> None:
        Switchboard.__init__(self)
        Workers.__init__(self, FakeRaylets() if raylets is None else raylets, GcsConfig())

    def _made(self, address) -> FakeWorker:
        return FakeWorker(address.worker_id, address.node_id, self)
