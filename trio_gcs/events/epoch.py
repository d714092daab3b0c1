"""The epoch and the lives: which history a resume token is of.

The epoch is the name of the stores. Each of the two ledgers has its part in its own store, made when the store is used
for the first time: where one of the files was lost or replaced, revisions begin anew, and no token from before may look as
if it fitted.

The hard idea is the store that is put back to an older state, by a backup or by a machine that loses what it had promised
to keep: its revisions are given out a second time, for other changes. So each start of the daemon is a life with a name
of its own, each store keeps how far the log was when a life began, and a token is taken only if its life is known and got
no further in this history than the token says.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Final, NamedTuple

from trio_gcs.events.entry import Position
from trio_gcs.events.journal import Journal
from trio_gcs.events.tokens import Life
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.tables import BYTES

LIVES_MAX: Final = 1000  # starts that are remembered, though nothing happened between them

_KEY: Final = b"epoch"
_PART_BYTES: Final = 6
_NAME_BYTES: Final = 4
_BEGUN: Final = struct.Struct(">4sQI")  # the name of a life, and the position that the log had when it began
_NUMBER_BYTES: Final = 8


class _Begun(NamedTuple):
    number: int
    name: bytes
    at: Position


class _Part:
    """What one store knows: its part of the epoch, and where each life began."""

    def __init__(self, ledger: Ledger, journal: Journal) -> None:
        self.name = b""  # of this life
        self._ledger = ledger
        self._journal = journal
        self._epochs = ledger.table("EVENT_EPOCH", BYTES)
        self._lives = ledger.table("EVENT_LIVES", BYTES)
        self._ends: dict[bytes, Position] = {}  # of the lives before this one

    @property
    def epoch(self) -> bytes:
        """The part of the epoch."""
        return self._epochs[_KEY]

    def recover(self, random_bytes: Callable[[int], bytes]) -> None:
        """Begin a life, and forget those whose tokens are all too old."""
        ring = self._journal.ring
        begun = [_begun(key, self._lives[key]) for key in sorted(self._lives)]
        self.name = random_bytes(_NAME_BYTES)
        begun.append(_Begun(begun[-1].number + 1 if begun else 0, self.name, ring.last))
        with self._ledger.change() as change:
            if _KEY not in self._epochs:
                change.put(self._epochs, _KEY, random_bytes(_PART_BYTES))
            change.put(self._lives, _key(begun[-1].number), _BEGUN.pack(self.name, *ring.last))
            for life, following in pairwise(begun):
                if following.at < ring.forgotten or life.number <= begun[-1].number - LIVES_MAX:
                    change.delete(self._lives, _key(life.number))
                else:
                    self._ends[life.name] = following.at

    def lived(self, name: bytes, until: Position) -> bool:
        """Whether the history of this store has this life, up to this position at least."""
        if name == self.name:
            return until <= self._journal.ring.last
        end = self._ends.get(name)
        return end is not None and until <= end


class Epoch:
    """Owns EVENT_EPOCH and EVENT_LIVES in each ledger."""

    def __init__(self, histories: Iterable[tuple[Ledger, Journal]], random_bytes: Callable[[int], bytes]) -> None:
        self._parts = [_Part(ledger, journal) for ledger, journal in histories]
        self._random_bytes = random_bytes

    def recover(self) -> None:
        """Begin a life; the journals are loaded."""
        for part in self._parts:
            part.recover(self._random_bytes)

    @property
    def life(self) -> Life:
        """The life of the daemon that runs now, as tokens begin with it."""
        return Life(
            b"".join(part.epoch for part in self._parts).hex(), b"".join(part.name for part in self._parts).hex()
        )

    def lived(self, life: Life, until: Iterable[Position]) -> bool:
        """Whether what was sent in that life up to these positions is what the stores say has happened."""
        names = bytes.fromhex(life.name) if len(life.name) % 2 == 0 else b""
        of_parts = [names[at : at + _NAME_BYTES] for at in range(0, len(names), _NAME_BYTES)]
        return len(of_parts) == len(self._parts) and all(
            part.lived(name, position) for part, name, position in zip(self._parts, of_parts, until, strict=False)
        )


def _begun(key: bytes, raw: bytes) -> _Begun:
    name, revision, index = _BEGUN.unpack(raw)
    return _Begun(int.from_bytes(key, "big"), name, Position(revision, index))


def _key(number: int) -> bytes:
    return number.to_bytes(_NUMBER_BYTES, "big")
