"""What trio-gcs tells of itself, and stock Ray's server does not: events, stories of ids, the tree of tasks, what is stored.

On a server without it, all of these raise Unsupported.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from trio_gcs.client.calls import Calls
from trio_gcs.client.errors import NotFound, Unsupported
from trio_gcs.client.event_stream import NOW, EventStream, Wish
from trio_gcs.client.generated.trio_gcs import v1


class Observer:
    """``client.observer``."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._stub = calls.stub(v1.ObserverStub)

    @asynccontextmanager
    async def events(
        self,
        *,
        begin: str = NOW,
        kinds: Iterable[str] = (),
        ids: Iterable[str] = (),
        jobs: Iterable[str] = (),
        namespaces: Iterable[str] = (),
        states: Iterable[str] = (),
        coalesce: bool = False,
    ) -> AsyncIterator[EventStream]:
        """Read every committed change, in order, for the length of the block; across restarts, without a gap.

        ``begin`` is "now", "snapshot", or the ``token`` of an earlier stream with the same filters.
        """
        wish = Wish(kinds=kinds, ids=ids, jobs=jobs, namespaces=namespaces, states=states, coalesce=coalesce)
        async with EventStream(self._calls, wish, begin) as stream:
            yield stream

    async def tree(self, *, tasks_max: int = 0, timeout_s: float | None = None) -> v1.TreeReply:
        """The tasks of the daemon, the nurseries that they are in, and what they wait for."""
        return await self._calls.call(self._stub.tree, v1.TreeRequest(tasks_max), timeout_s=timeout_s)

    async def story(self, thing_id: str, *, lines_max: int = 0, timeout_s: float | None = None) -> v1.StoryReply:
        """What happened to an id, or to all that begin so, as far as it is kept; raises NotFound if nothing is."""
        request = v1.StoryRequest(thing_id, lines_max)
        reply = await self._calls.call(self._stub.story, request, timeout_s=timeout_s)
        if not reply.lines:
            raise NotFound(f"nothing is kept of {thing_id}")
        return reply

    async def stats(self, *, timeout_s: float | None = None) -> v1.StatsReply:
        """Rows and bytes, by table and by job."""
        return await self._calls.call(self._stub.stats, v1.StatsRequest(), timeout_s=timeout_s)

    async def is_there(self) -> bool:
        """Whether this server has all of this."""
        try:
            async with self.events(kinds=["node"]) as stream:
                await anext(stream)
        except Unsupported:
            return False
        return True
