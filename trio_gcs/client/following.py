"""What a subscription gives to its reader: rows that are followed, or messages that nobody keeps.

The hard idea: the reader does the work. A following has no task of its own; it notes what is published, and when its
reader asks for the next change it merges that, or fetches everything where messages may be missing. What was there
already, or is older than what is known, is not told again: so neither a restart of the server nor a race between
fetching and listening shows.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic, Self, TypeVar

import trio

from trio_gcs.client.errors import ClientError, DeadlineExceeded
from trio_gcs.client.generated.ray.rpc import PubMessage

Row = TypeVar("Row")
Message = TypeVar("Message")
NOTED_MAX = 10_000  # messages that a reader may be behind


class Following(ABC, Generic[Row]):
    """Rows that are kept up to date while somebody reads: ``async for row in following`` gives each change.

    ``rows`` is what is known, by id, as of the last change that was read.
    """

    def __init__(self) -> None:
        self._rows: dict[bytes, Row] = {}
        self._latest: dict[bytes, Row] = {}  # with what is in `_ready`
        self._ready: deque[tuple[bytes, Row]] = deque()

    @property
    def rows(self) -> Mapping[bytes, Row]:
        """All rows that are known, by id."""
        return MappingProxyType(self._rows)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Row:
        while not self._ready:
            await self._advance()
        key, row = self._ready.popleft()
        self._rows[key] = row
        return row

    async def ready(self) -> Mapping[bytes, Row]:
        """Read until nothing is known to be new, at least once; returns all rows."""
        await trio.lowlevel.checkpoint()
        await self._catch_up()
        while self._ready:
            key, row = self._ready.popleft()
            self._rows[key] = row
        return self.rows

    async def until(self, true: Callable[[Row], bool], *, timeout_s: float) -> Row:
        """Read until there is a row for which this is true, and return it; raises DeadlineExceeded."""
        with trio.move_on_after(timeout_s):
            for row in (await self.ready()).values():
                if true(row):
                    return row
            async for row in self:
                if true(row):
                    return row
        raise DeadlineExceeded(f"it did not come about within {timeout_s:g} s")

    def _note(self, source: "Source[Row]", row: Row) -> None:
        """Have a row read, if it is news."""
        key = source.key(row)
        known = self._latest.get(key)
        if known is None or (known != row and not source.is_final(known)):
            self._latest[key] = row
            self._ready.append((key, row))

    @abstractmethod
    async def _advance(self) -> None:
        """Wait for something to happen, and put what it changed into `_ready`. Nothing is lost when it is cancelled."""

    @abstractmethod
    async def _catch_up(self) -> None:
        """Put all that there is now, and is not known yet, into `_ready`."""


@dataclass(frozen=True, kw_only=True)
class Source(Generic[Row]):
    """Where rows of one kind come from: fetched and published by Ray's own means, or out of the event stream."""

    key: Callable[[Row], bytes]
    is_final: Callable[[Row], bool]  # whether nothing can come after this
    fetch: Callable[[], Awaitable[Iterable[Row]]]
    merge: Callable[[PubMessage, Row | None], Row | None]  # a publication, and the row as it is known, if it is
    supersedes: Callable[[Row, Row], bool]  # whether the second may be published after the first was fetched
    parse: Callable[[bytes], Row | None]  # the record in the stream; None if it is none that is followed


class PubSubFollowing(Following[Row]):
    """Rows that are fetched, and then published: a listener of a `Subscriber`."""

    def __init__(self, source: Source[Row]) -> None:
        super().__init__()
        self._source = source
        self._noted: deque[PubMessage] = deque()
        self._doubts = True
        self._error: ClientError | None = None
        self._news = trio.Event()

    def hear(self, message: PubMessage) -> None:
        """Note it; a reader that is far behind is better off with a fetch."""
        self._noted.append(message)
        if len(self._noted) > NOTED_MAX:
            self._noted.clear()
            self._doubts = True
        self._news.set()

    def doubt(self) -> None:
        """Fetch before anything else."""
        self._doubts = True
        self._news.set()

    def fail(self, error: ClientError) -> None:
        """Let the reader have the error, after what was heard before."""
        self._error = error
        self._news.set()

    async def _advance(self) -> None:
        await trio.lowlevel.checkpoint()
        if self._doubts or self._noted:
            await self._catch_up()
        elif self._error is not None:
            raise self._error
        else:
            self._news = trio.Event()
            await self._news.wait()

    async def _catch_up(self) -> None:
        if self._doubts and self._error is None:
            self._doubts = False
            fetched = False
            try:
                rows = await self._source.fetch()
                fetched = True
            finally:
                self._doubts = self._doubts or not fetched
            for row in rows:
                self._take(row)
        while self._noted:
            message = self._noted.popleft()
            merged = self._source.merge(message, self._latest.get(message.key_id))
            if merged is None:
                self._doubts = True  # a change of what we have never seen
            else:
                self._take(merged)

    def _take(self, row: Row) -> None:
        known = self._latest.get(self._source.key(row))
        if known is None or self._source.supersedes(known, row):
            self._note(self._source, row)


class Hearing(Generic[Message]):
    """Messages that nobody keeps: ``async for message in hearing``. What is published while nobody listens is gone.

    ``gaps`` counts how often some may have been missed: the connection was away, or the reader too far behind.
    """

    def __init__(self, unwrap: Callable[[PubMessage], Message | None]) -> None:
        self.gaps = 0
        self._unwrap = unwrap
        self._noted: deque[Message] = deque()
        self._error: ClientError | None = None
        self._news = trio.Event()

    def hear(self, message: PubMessage) -> None:
        """Note it; where too many wait already, the oldest goes."""
        content = self._unwrap(message)
        if content is None:
            return
        if len(self._noted) >= NOTED_MAX:
            self._noted.popleft()
            self.gaps += 1
        self._noted.append(content)
        self._news.set()

    def doubt(self) -> None:
        """Count it: there is nothing that could be fetched."""
        self.gaps += 1

    def fail(self, error: ClientError) -> None:
        """Let the reader have the error, after what was heard before."""
        self._error = error
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        await trio.lowlevel.checkpoint()
        while not self._noted:
            if self._error is not None:
                raise self._error
            self._news = trio.Event()
            await self._news.wait()
        return self._noted.popleft()
