"""A feed: one subscriber's stream, as octets to be pulled by whoever sends them.

It goes hello, then the rows of a snapshot or the events since a token, then `synced`, then what happens. Nothing is
queued for anybody: what comes next is made when the last has left, from where the feed stands in the rings.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple

from trio_gcs.events.cursor import Cursor
from trio_gcs.events.entry import Entry, Position, Thing, Told
from trio_gcs.events.filters import Filter
from trio_gcs.events.forms import Shared
from trio_gcs.events.summaries import Summaries
from trio_gcs.events.tokens import Life, Token

PULL_BYTES: Final = 64 << 10
ROWS_MAX: Final = 50  # of a snapshot, in one pull: making them takes time
ROWS_LOOKED_AT_MAX: Final = 1000
LAGGED: Final = "lagged"
SHUTDOWN: Final = "shutdown"
COMPACTED: Final = "compacted"


class Stand(NamedTuple):
    """Where a feed is: two that follow the same and stand at one place are sent the same."""

    at: tuple[int, ...]
    reached: tuple[Position, ...]
    bookmarks: int
    summaries: int


@dataclass(frozen=True, slots=True)
class Bookmarks:
    """How many bookmarks are due by now, and the time."""

    count: Callable[[], int]
    clock: Callable[[], int]


class Feed:
    """What one subscriber is sent. ``opening`` are its first messages; one that is ``over`` has no others."""

    def __init__(
        self,
        shared: Shared,
        cursor: Cursor,
        wanted: Filter,
        life: Life,
        bookmarks: Bookmarks,
        *,
        opening: Sequence[bytes],
        rows: Iterable[Thing],
        until: Sequence[int],
        summaries: Summaries | None = None,
        over: str | None = None,
    ) -> None:
        self.ended: str | None = None  # why, once the last message was pulled
        self._shared = shared
        self._cursor = cursor
        self._wanted = wanted
        self._life = life
        self._bookmarks = bookmarks
        self._bookmarked = bookmarks.count()
        self._opening = [shared.envelope(message) for message in opening]
        self._rows: Iterator[Thing] | None = iter(rows)
        self._until = tuple(until)
        self._synced = False
        self._summaries = summaries
        self._summarised = summaries.version if summaries is not None else 0
        self._over = over

    @property
    def token(self) -> str:
        """Where to go on after what was pulled; empty as long as a snapshot is not complete."""
        if self._rows is not None:
            return ""
        return self._token(*self._cursor.reached)

    @property
    def is_behind(self) -> bool:
        """Whether a pull would give something, or come nearer to it."""
        return self.ended is None and (
            not self._synced
            or self._cursor.is_behind
            or self._bookmarked != self._bookmarks.count()
            or (self._summaries is not None and self._summarised != self._summaries.version)
        )

    @property
    def wants_summaries(self) -> bool:
        """Whether somebody must count tasks for it."""
        return self._summaries is not None

    def has_lagged(self) -> bool:
        """Whether the next pull will end the stream because its subscriber was too slow."""
        return self.ended is None and self._cursor.has_lagged()

    def pull(self, bytes_max: int = PULL_BYTES) -> list[bytes]:
        """The next messages, as they are sent."""
        if self.ended is not None:
            return []
        frames, self._opening = self._opening, []
        if self._over is not None:
            self.ended = self._over
            return frames
        if self._cursor.has_lagged():
            return [*frames, *self.end(LAGGED)]
        if self._rows is not None and not self._take_rows(frames, bytes_max):
            return frames
        if not self._synced:
            self._take(frames, bytes_max, self._until)
            if all(at >= until for at, until in zip(self._cursor.at, self._until, strict=True)):
                self._synced = True
                frames.append(self._shared.envelope(self._shared.form.synced(self.token)))
                self._cursor.budgeted = not self._cursor.is_behind
            return frames
        self._take(frames, bytes_max, None)
        if not self._cursor.is_behind:
            self._cursor.budgeted = True
            self._take_summaries(frames)
            self._take_bookmark(frames)
        return frames

    def end(self, reason: str) -> list[bytes]:
        """The last message; nothing if the stream has ended before."""
        if self.ended is not None:
            return []
        self.ended = reason
        return [self._shared.envelope(self._shared.form.end(reason, self.token))]

    # Shared pulls.

    def shared_key(self) -> Hashable | None:
        """Equal for feeds that will be sent the same next; None for one that has something of its own to send."""
        cursor = self._cursor
        if not self._synced or not cursor.budgeted or cursor.holds or self.ended is not None:
            return None
        return self._shared, self._wanted, cursor.coalesces, self.stand()

    @property
    def may_share(self) -> bool:
        """Whether who was sent the same is where this feed is now."""
        return self.ended is None and not self._cursor.holds

    def stand(self) -> Stand:
        """Where it is."""
        return Stand(tuple(self._cursor.at), tuple(self._cursor.reached), self._bookmarked, self._summarised)

    def leap(self, stand: Stand) -> None:
        """Be where another feed of the same key is after its pull, whose messages were sent to this one, too."""
        self._cursor.leap(stand.at, stand.reached)
        self._bookmarked = stand.bookmarks
        self._summarised = stand.summaries

    # Steps.

    def _take_rows(self, frames: list[bytes], bytes_max: int) -> bool:
        size = count = 0
        assert self._rows is not None, "asked only while there are rows"
        for looked_at, thing in enumerate(self._rows, 1):
            if self._wanted.accepts_row(thing):
                frames.append(self._shared.envelope(self._shared.form.row(thing)))
                size += len(frames[-1])
                count += 1
            if size >= bytes_max or count >= ROWS_MAX or looked_at >= ROWS_LOOKED_AT_MAX:
                return False
        self._rows = None
        return True

    def _take(self, frames: list[bytes], bytes_max: int, until: Sequence[int] | None) -> None:
        keys_before = self._cursor.reached[1:]
        taken = self._cursor.take(bytes_max, until)
        for lane, entry in taken:
            if lane == 0:
                token = self._token(entry.position, *keys_before)
            else:
                token = self._token(self._cursor.reached[0], entry.position)
            frames.append(self._shared.event(entry, token))

    def _take_summaries(self, frames: list[bytes]) -> None:
        if self._summaries is None:
            return
        for thing in self._summaries.since(self._summarised):
            if self._wanted.accepts_row(thing):
                revision = self._cursor.reached[0].revision
                entry = Entry(revision, 0, self._bookmarks.clock(), 0, partial(Told, thing))
                frames.append(self._shared.envelope(self._shared.form.event(entry, self.token)))
        self._summarised = self._summaries.version

    def _take_bookmark(self, frames: list[bytes]) -> None:
        due = self._bookmarks.count()
        if due != self._bookmarked:
            self._bookmarked = due
            bookmark = self._shared.form.bookmark(self.token, self._bookmarks.clock())
            frames.append(self._shared.envelope(bookmark))

    def _token(self, tables: Position, keys: Position | None = None) -> str:
        return str(Token(self._life, tables, keys))
