"""trio_gcs.v1.Observer: the event stream, the tree of tasks, stories and what is stored. All of it only looks.

The stream is back-pressured by the call itself: what comes next is made when the last message has left. A subscriber that
takes nothing for a while, and has lagged by then, is ended with the token to go on from.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import trio
from grpclib.const import Handler, Status
from grpclib.exceptions import GRPCError

from trio_gcs.errors import InvalidArgument
from trio_gcs.events.feed import LAGGED, Feed
from trio_gcs.events.filters import Filter
from trio_gcs.events.forms import Binary, Shared
from trio_gcs.events.hub import NOW, Hub, TooManySubscribers, Wish
from trio_gcs.events.story import story_of
from trio_gcs.generated.trio_gcs.v1.events_pb2 import EventsRequest, StreamMessage
from trio_gcs.generated.trio_gcs.v1.observer_grpc import ObserverBase
from trio_gcs.generated.trio_gcs.v1.observer_pb2 import (
    StatsReply,
    StatsRequest,
    StoryReply,
    StoryRequest,
    TreeReply,
    TreeRequest,
)
from trio_gcs.rpc.handlers import unary
from trio_gcs.services.live_tree import live_tree
from trio_gcs.services.stats import stats_of
from trio_gcs.store.ledger import Ledger

if TYPE_CHECKING:
    from grpclib.server import Stream

EVENTS: Final = "/trio_gcs.v1.Observer/Events"
STALL_TIMEOUT_S: Final = 10.0


class Encoded:
    """A message as the bytes that it is on the wire: an event is encoded once for all."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def SerializeToString(self) -> bytes:
        """All that the transport asks of a message."""
        return self._raw


class ObserverService(ObserverBase):
    """Speaks for the hub and about the daemon itself."""

    def __init__(self, hub: Hub, ledgers: Sequence[Ledger]) -> None:
        self._hub = hub
        self._ledgers = ledgers
        self._shared = Shared(Binary())

    def __mapping__(self) -> dict[str, Handler]:
        """The methods; messages of the stream are octets already."""
        methods = super().__mapping__()
        events = methods[EVENTS]
        assert events.reply_type is StreamMessage, "what is encoded are messages of the stream"
        return methods | {EVENTS: events._replace(reply_type=Encoded)}

    async def Events(self, stream: Stream[EventsRequest, StreamMessage]) -> None:
        """Send what happens, until the caller is gone or has lagged."""
        request = await stream.recv_message()
        if request is None:
            raise GRPCError(Status.INVALID_ARGUMENT, "a request was expected")
        try:
            feed = await self._hub.admit(_wish(request), self._shared)
        except ValueError as error:
            raise GRPCError(Status.INVALID_ARGUMENT, str(error)) from None
        except TooManySubscribers:
            raise GRPCError(Status.RESOURCE_EXHAUSTED, "there are too many subscribers") from None
        try:
            await self._send(stream, feed)
        finally:
            self._hub.close(feed)

    async def _send(self, stream: Stream[EventsRequest, StreamMessage], feed: Feed) -> None:
        sending = trio.CancelScope()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch, feed, sending)
            with sending:
                while feed.ended is None:
                    if not feed.is_behind:
                        sending.deadline = float("inf")
                        await self._hub.news.park()
                    for raw in feed.pull():
                        sending.deadline = float("inf")
                        await stream.send_message(cast(StreamMessage, Encoded(raw)))
                    await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        if sending.cancelled_caught:
            raise GRPCError(Status.RESOURCE_EXHAUSTED, f"{LAGGED}: go on from the last token that came")

    async def _watch(self, feed: Feed, sending: trio.CancelScope) -> None:
        """Whoever has lagged and takes not one more message is ended."""
        while True:
            await trio.sleep(STALL_TIMEOUT_S)
            if feed.has_lagged() and sending.deadline == float("inf"):
                sending.deadline = trio.current_time() + STALL_TIMEOUT_S

    @unary
    def Tree(self, request: TreeRequest) -> TreeReply:
        """The tasks of the daemon."""
        return live_tree(request.tasks_max)

    @unary
    def Story(self, request: StoryRequest) -> StoryReply:
        """What happened to an id."""
        if not request.id:
            raise InvalidArgument("Story needs an id, or the beginning of one")
        return story_of([self._hub.tables.ring, self._hub.keys.ring], request.id, request.lines_max)

    @unary
    async def Stats(self, request: StatsRequest) -> StatsReply:
        """Rows and bytes."""
        return await stats_of(self._ledgers, self._hub)


def _wish(request: Any) -> Wish:
    asked = request.filter
    wanted = Filter.read(
        kinds=asked.kinds, ids=asked.ids, jobs=asked.jobs, namespaces=asked.namespaces, states=asked.states
    )
    return Wish(getattr(request, "from") or NOW, wanted, request.coalesce)
