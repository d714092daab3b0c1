"""The event stream of trio-gcs as one long iteration, however often the connection or the daemon goes down in between.

The hard idea: the token of the last message that was handed out is the whole state. Whatever ends a connection, a
cancelled reader included, the next read begins a new one from there; so nothing is missed and nothing comes twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import trio
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError

from trio_gcs.client.calls import Calls
from trio_gcs.client.errors import Compacted, Unavailable, error_of_grpc
from trio_gcs.client.generated.trio_gcs import v1
from trio_gcs.rpc.client_stream import ClientStream

EVENTS = "/trio_gcs.v1.Observer/Events"

NOW = "now"
SNAPSHOT = "snapshot"
PERIODS_UNTIL_DEAD = 4  # of bookmarks that did not come
FIRST_MESSAGE_WITHIN_S = 20.0
LAGGED = "lagged"
StreamMessage = v1.Hello | v1.Row | v1.Synced | v1.Event | v1.Bookmark


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What to send: all changes that pass every list that is not empty. See docs/events.md."""

    kinds: Iterable[str] = ()
    ids: Iterable[str] = ()
    jobs: Iterable[str] = ()
    namespaces: Iterable[str] = ()
    states: Iterable[str] = ()
    coalesce: bool = False

    def request(self, begin: str) -> v1.EventsRequest:
        """Ask for it, from there on."""
        lists = (list(self.kinds), list(self.ids), list(self.jobs), list(self.namespaces), list(self.states))
        return v1.EventsRequest(v1.EventFilter(*lists), begin, self.coalesce)


class EventStream:
    """Messages of the stream: ``async for message in stream``.

    A `Hello` whose ``from_`` is "snapshot" says that all rows follow, and that what was known before is void. Where the
    token is too old, `Compacted` is raised, unless the stream began with "snapshot": then it begins so again.
    """

    def __init__(self, calls: Calls, wish: Wish, begin: str = NOW) -> None:
        self._calls = calls
        self._wish = wish
        self._begins_again = begin == SNAPSHOT
        self._token = ""  # of the last message that was handed out and has one
        self._begin = begin
        self._call: ClientStream[v1.EventsRequest, v1.StreamMessage] | None = None
        self._patience_s = FIRST_MESSAGE_WITHIN_S

    @property
    def token(self) -> str:
        """Where to go on from, after what was read; empty before the first mark of it."""
        return self._token

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> StreamMessage:
        pauses = self._calls.patience.pauses()
        gone_since_s: float | None = None
        while True:
            try:
                message = await self._read()
            except Unavailable:
                now_s = trio.current_time()
                gone_since_s = now_s if gone_since_s is None else gone_since_s
                pause_s = next(pauses)
                if now_s + pause_s - gone_since_s > self._calls.patience.unavailable_s:
                    raise
                await trio.sleep(pause_s)
                continue
            content = self._unwrapped(message)
            if content is not None:
                return content
            await self._drop()

    async def aclose(self) -> None:
        """End the connection."""
        await self._drop()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._drop()  # noqa: ASYNC102 - it does not wait

    async def _read(self) -> v1.StreamMessage:
        """The next message of the call there is, or of a new one; raises Unavailable where that has ended.

        The stub's own iteration is not used: left early, it leaves an inner generator open, which Trio cannot close.
        """
        try:
            with trio.fail_after(self._patience_s):
                if self._call is None:
                    await self._open()
                assert self._call is not None, "just opened"
                message = await self._call.recv_message()
                if message is not None:
                    return message
                await self._call.recv_trailing_metadata()
            self._call = None
            raise Unavailable(f"{self._calls.address}: the event stream has ended")
        except trio.TooSlowError:
            await self._drop()  # noqa: ASYNC120 - it does not wait
            raise Unavailable(f"{self._calls.address}: the event stream has gone silent") from None
        except GRPCError as error:
            await self._drop()  # noqa: ASYNC120 - it does not wait
            if error.status is Status.RESOURCE_EXHAUSTED and (error.message or "").startswith(LAGGED):
                raise Unavailable("the reader has lagged") from error
            raise error_of_grpc(error) from error

    async def _open(self) -> None:
        self._patience_s = FIRST_MESSAGE_WITHIN_S
        request = self._wish.request(self._token or self._begin)
        call = self._calls.channel.request(
            EVENTS, Cardinality.UNARY_STREAM, v1.EventsRequest, v1.StreamMessage, metadata=self._calls.metadata()
        )
        await call.send_message(request, end=True)
        self._call = call

    async def _drop(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            await call.cancel()

    def _unwrapped(self, message: v1.StreamMessage) -> StreamMessage | None:
        """What is in a message; None if this call is over with it, and another one should go on."""
        if message.compacted is not None:
            if not self._begins_again:
                raise Compacted(f"cannot go on from {self._token or self._begin}: {message.compacted.reason}")
            self._token, self._begin = "", SNAPSHOT
            return None
        if message.end is not None:
            self._token = message.end.token or self._token
            return None
        content = message.hello or message.row or message.event or message.synced or message.bookmark
        if isinstance(content, v1.Hello):
            self._patience_s = max(content.bookmark_period_ms / 1000 * PERIODS_UNTIL_DEAD, 1.0)
        elif isinstance(content, v1.Event | v1.Synced | v1.Bookmark):
            self._token = content.token
        return content
