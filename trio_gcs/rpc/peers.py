"""Clients of the processes that we call, raylets and workers: one channel a peer, retries, and when to give up.

The hard idea: a peer that cannot be reached is not dead until somebody says so. A call that may be repeated is
*parked* while its peer is away, and the identical request is sent again when the peer can be reached; one watch a
peer, not one a call, looks every `retry_period_s`. While the peer stays away the watch asks, ever more rarely,
whether it is known to be gone. Whoever knows first, the watch or a manager, drops the peer, and that ends its calls.
"""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

import trio
from grpclib.client import UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from trio_gcs.config import GcsConfig
from trio_gcs.errors import RemoteError, RemoteGone
from trio_gcs.rpc.channel import Channel
from trio_gcs.rpc.client_hub import ClientHub
from trio_gcs.rpc.shot import Hear, Shape, Shot

Request = TypeVar("Request")
Reply = TypeVar("Reply")
Result = TypeVar("Result")

# After these the peer may well answer the same request later; Ray retries exactly these two.
_RETRIED = frozenset({Status.UNAVAILABLE.value, Status.UNKNOWN.value})

OpenChannel = Callable[[str, int], Channel]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a peer that is away: between tries, and between questions whether it is gone."""

    retry_period_s: float
    unavailable_min_s: float
    unavailable_max_s: float


class Peer:
    """One raylet or worker, until it is dropped. Its calls then end with :class:`RemoteGone`."""

    def __init__(
        self,
        name: str,
        channel: Channel,
        patience: Patience,
        is_gone: Callable[[], Awaitable[bool]],
        nursery: trio.Nursery,
    ) -> None:
        self.name = name
        self.channel = channel
        self.gone = False
        self.used_at = trio.current_time()
        self._patience = patience
        self._is_gone = is_gone
        self._nursery = nursery
        self._scopes: set[trio.CancelScope] = set()
        self.shots_count = 0  # calls under way that need no task
        self.was_called = False  # such a call was made since somebody looked
        self._reachable: trio.Event | None = None  # there while calls are parked
        nursery.start_soon(channel.run)

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for this peer."""
        return not self._scopes and not self.shots_count

    async def call(
        self, method: UnaryUnaryMethod[Request, Reply], request: Request, timeout_s: float | None = None
    ) -> Reply:
        """Call once. Raises :class:`RemoteError` with what went wrong."""
        return await self._until_dropped(partial(_once, method, request, timeout_s))

    def begin(self, shape: Shape, key: bytes, octets: bytes, hear: Hear, *, at_once: bool) -> Shot | None:
        """Call once, without a task, if there is a connection; None, and nothing was sent, if there is none.

        `at_once` lets the request leave now, and not with what others have to say to this peer in the same moment.
        """
        link = None if self.gone else self.channel.ready_link
        if link is None:
            return None
        shot = Shot(self, link, shape, key, hear)
        self.shots_count += 1
        self.was_called = True
        link.connection.open(shot, shape.path, (), octets, end=True)
        # It takes calls, so nobody has news.
        if at_once:
            link.send_at_once()
        else:
            link.send_soon()
        return shot

    async def persist(self, method: UnaryUnaryMethod[Request, Reply], request: Request) -> Reply:
        """Call until the peer answers. Raises :class:`RemoteError` when the answer is an error."""
        return await self._until_dropped(partial(self._persist, method, request))

    def drop(self) -> None:
        """Forget the peer: its calls end with :class:`RemoteGone`, its connection is closed."""
        self.gone = True
        for scope in self._scopes:
            scope.cancel()
        self.channel.close()

    async def _until_dropped(self, work: Callable[[], Awaitable[Result]]) -> Result:
        if self.gone:
            raise RemoteGone(self.name)
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                return await work()
            finally:
                self._scopes.discard(scope)
                self.used_at = trio.current_time()
        raise RemoteGone(self.name)

    async def _persist(self, method: UnaryUnaryMethod[Request, Reply], request: Request) -> Reply:
        while True:
            try:
                return await _once(method, request, None)
            except RemoteError as error:
                if error.status not in _RETRIED:
                    raise
            if self._reachable is None:
                self._reachable = trio.Event()
                self._nursery.start_soon(self._watch, self._reachable)
            await self._reachable.wait()

    async def _watch(self, reachable: trio.Event) -> None:
        """Look for the peer until it can be reached, nobody waits any more, or it is gone."""
        with trio.CancelScope() as scope:
            self._scopes.add(scope)
            try:
                await self._look_for(reachable)
            finally:
                self._scopes.discard(scope)
                self._reachable = None
                reachable.set()

    async def _look_for(self, reachable: trio.Event) -> None:
        wait_s = self._patience.unavailable_min_s
        ask_at = trio.current_time() + wait_s
        await trio.sleep(self._patience.retry_period_s)
        while reachable.statistics().tasks_waiting:
            if await _connects(self.channel):
                return
            if trio.current_time() >= ask_at:
                if await self._is_gone():
                    self.drop()
                    return
                wait_s = min(2 * wait_s, self._patience.unavailable_max_s)
                ask_at = trio.current_time() + wait_s
            await trio.sleep(self._patience.retry_period_s)


async def _once(method: UnaryUnaryMethod[Request, Reply], request: Request, timeout_s: float | None) -> Reply:
    try:
        return await method(request, timeout=timeout_s)
    except GRPCError as error:
        details = error.details.decode("utf-8", "replace") if isinstance(error.details, bytes) else ""
        raise RemoteError(error.status.value, error.message or "", details) from error


async def _connects(channel: Channel) -> bool:
    try:
        await channel.link()
    except GRPCError:
        return False
    return True


Key = TypeVar("Key", bound=Hashable)
SomePeer = TypeVar("SomePeer", bound=Peer)


class Pool(Generic[Key, SomePeer]):
    """The peers of one kind, made when they are first called."""

    def __init__(self, config: GcsConfig, token: str | None, open_channel: OpenChannel | None) -> None:
        self._idle_timeout_s = config.client_idle_timeout_s
        self.metadata = {"authorization": f"Bearer {token}"} if token else {}
        self._open_channel = open_channel or self._open_tcp_channel
        self._peers: dict[Key, SomePeer] = {}
        self._nursery: trio.Nursery | None = None
        self._hub = ClientHub(config.client_keepalive_period_s, config.client_keepalive_timeout_s)

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the connections of all peers, and close those that nobody has used for long. Ends all calls."""
        async with trio.open_nursery() as around, trio.open_nursery() as nursery:
            await around.start(self._hub.run)
            self._nursery = nursery
            task_status.started()
            try:
                while True:
                    await trio.sleep(self._idle_timeout_s / 2)
                    self._drop_idle()
            finally:
                self._nursery = None
                for key in list(self._peers):
                    self._drop(key)
                around.cancel_scope.cancel()

    def read_now(self) -> None:
        """Take in what peers have answered by now."""
        self._hub.read_now()

    @property
    def peers_count(self) -> int:
        """How many peers there are clients of."""
        return len(self._peers)

    def running(self) -> trio.Nursery:
        """Return the nursery of `serve`."""
        assert self._nursery is not None, "calls need `serve` to be running"
        return self._nursery

    def _drop(self, key: Key) -> None:
        peer = self._peers.pop(key, None)
        if peer is not None:
            peer.drop()

    def _drop_idle(self) -> None:
        now = trio.current_time()
        for key, peer in list(self._peers.items()):
            if peer.was_called or not peer.is_idle:
                peer.was_called, peer.used_at = False, now
            elif peer.used_at <= now - self._idle_timeout_s:
                self._drop(key)

    def _open_tcp_channel(self, host: str, port: int) -> Channel:
        return Channel(host, port, metadata=self.metadata, hub=self._hub)
