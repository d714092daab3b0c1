"""The hub: where subscribers come to the events of both ledgers, and from where they begin.

One journal per ledger, with a ring each; a feed per subscriber, with a cursor. Publishing is appending and waking whoever
waits. A snapshot is a copy of the durable rows, and the place in the rings where that copy was made: the copy is made at
once, between two changes, and its rows are encoded later, one pull after the other, since rows are never edited.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, Protocol

import trio

from trio_gcs.events.cursor import Cursor
from trio_gcs.events.entry import TASK_SUMMARY, Position, Thing
from trio_gcs.events.feed import COMPACTED, Bookmarks, Feed
from trio_gcs.events.filters import Filter
from trio_gcs.events.forms import Shared
from trio_gcs.events.journal import MIB, Journal, JournalLimits, entry_of_key
from trio_gcs.events.ring import Ring
from trio_gcs.events.summaries import Summaries
from trio_gcs.events.things import KEY_TABLES, TABLES
from trio_gcs.events.tokens import Life, Token, read_token

NOW: Final = "now"
SNAPSHOT: Final = "snapshot"
TABLES_LIMITS: Final = JournalLimits()
KEYS_LIMITS: Final = JournalLimits(bytes_max=8 * MIB)
EVERYTHING: Final = Filter()


@dataclass(frozen=True, slots=True)
class HubLimits:
    """What subscribers may cost, and how often they hear that nothing is missing."""

    journal: JournalLimits = TABLES_LIMITS
    keys_journal: JournalLimits = KEYS_LIMITS
    budget_bytes: int = 4 * MIB
    subscribers_max: int = 4096
    bookmark_period_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What a subscriber asks for."""

    begins: str = NOW
    wanted: Filter = EVERYTHING
    coalesce: bool = False


class History(Protocol):
    """What has happened to the stores."""

    @property
    def life(self) -> Life:
        """The life of the daemon, as tokens begin with it."""
        ...

    def lived(self, life: Life, until: Iterable[Position]) -> bool:
        """Whether what was sent in that life up to these positions is what the stores say has happened."""
        ...


class TooManySubscribers(Exception):
    """There is no room for another subscriber."""


class Hub:
    """The event stream. ``history`` knows the lives of the stores; ``things`` copies what is durable of some kinds, at once.

    ``sure`` waits until the stores are known to be ours still.
    """

    def __init__(
        self,
        *,
        history: Callable[[], History],
        things: Callable[[frozenset[str]], Iterable[Thing]],
        clock: Callable[[], int],
        sure: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
        limits: HubLimits | None = None,
    ) -> None:
        self.limits = limits or HubLimits()
        self.tables = Journal(TABLES, clock, self.wake, self.limits.journal)
        self.keys = Journal(KEY_TABLES, clock, self.wake, self.limits.keys_journal, entry_of_key)
        self.summaries = Summaries()
        self.feeds: set[Feed] = set()
        self.news = trio.lowlevel.ParkingLot()  # whoever waits for something to pull
        self._history = history
        self._things = things
        self._sure = sure
        self._bookmarks_due = 0
        self._bookmarks = Bookmarks(lambda: self._bookmarks_due, clock)

    def wake(self) -> None:
        """Something can be pulled."""
        if self.news:
            self.news.unpark_all()

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Let bookmarks become due, until cancelled."""
        task_status.started()
        while True:
            await trio.sleep(self.limits.bookmark_period_s)
            self._bookmarks_due += 1
            self.wake()

    async def admit(self, wish: Wish, shared: Shared) -> Feed:
        """As :meth:`open`, as soon as it is sure that nobody has succeeded this daemon."""
        await self._sure()
        return self.open(wish, shared)

    def open(self, wish: Wish, shared: Shared) -> Feed:
        """Begin a stream. Raises ``ValueError`` if its beginning makes no sense, or :class:`TooManySubscribers`."""
        if len(self.feeds) >= self.limits.subscribers_max:
            raise TooManySubscribers
        rings = self._rings(wish.wanted)
        heads = [ring.next for ring in rings]
        at, begins, compacted = heads, wish.begins, None
        rows: Iterable[Thing] = ()
        if wish.begins == SNAPSHOT:
            rows = self._things(wish.wanted.kinds)
        elif wish.begins != NOW:
            token = read_token(wish.begins)
            begins, compacted = "token", self._objection(token, rings)
            if compacted is None:
                positions = [token.tables, token.keys]
                at = [ring.number_after(each or ring.last) for ring, each in zip(rings, positions, strict=False)]
        summaries = self.summaries if TASK_SUMMARY in wish.wanted.kinds else None
        if summaries is not None:
            rows = chain(rows, summaries.now())
        form, life = shared.form, self._history().life
        opening = [form.hello(begins, life.epoch, int(self.limits.bookmark_period_s * 1000))]
        if compacted is not None:
            opening.append(form.compacted(compacted, life.epoch, self._oldest(rings)))
        cursor = Cursor(rings, at, wish.wanted.accepts, budget_bytes=self.limits.budget_bytes, coalesce=wish.coalesce)
        feed = Feed(
            shared,
            cursor,
            wish.wanted,
            life,
            self._bookmarks,
            opening=opening,
            rows=rows,
            until=heads,
            summaries=summaries,
            over=COMPACTED if compacted is not None else None,
        )
        self.feeds.add(feed)
        return feed

    def wants_summaries(self) -> bool:
        """Whether anybody follows the summaries of tasks."""
        return any(feed.wants_summaries for feed in self.feeds)

    def show_summaries(self, counts: Mapping[bytes, Mapping[str, int]]) -> None:
        """Tell those who follow how many attempts of each job are in which state."""
        if self.summaries.show(counts):
            self.wake()

    def close(self, feed: Feed) -> None:
        """The subscriber is gone."""
        self.feeds.discard(feed)

    # Steps.

    def _rings(self, wanted: Filter) -> list[Ring]:
        return [self.tables.ring, self.keys.ring] if wanted.follows_keys else [self.tables.ring]

    def _objection(self, token: Token, rings: Sequence[Ring]) -> str | None:
        """Why a token cannot be resumed from."""
        if token.life.epoch != self._history().life.epoch:
            return "other_epoch"
        if len(rings) > 1 and token.keys is None:
            return "unkeyed"
        for ring, position in zip(rings, (token.tables, token.keys), strict=False):
            assert position is not None, "a ring of keys has been looked for"
            if position < ring.forgotten:
                return "too_old"
        positions = [token.tables] if token.keys is None else [token.tables, token.keys]
        return None if self._history().lived(token.life, positions) else "ahead"

    def _oldest(self, rings: Sequence[Ring]) -> str:
        positions: list[Position] = [ring.forgotten for ring in rings]
        return str(Token(self._history().life, *positions))
