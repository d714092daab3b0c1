"""The epoch: the name of the life of the stores, in every resume token.

Each of the two ledgers has its part in its own store, made when the store is used for the first time: where one of the
files was lost or replaced, revisions begin anew, and no token from before may look as if it fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from trio_gcs.store.ledger import Ledger
from trio_gcs.store.tables import BYTES

_KEY: Final = b"epoch"
_PART_BYTES: Final = 6


class Epoch:
    """Owns EVENT_EPOCH in each ledger."""

    def __init__(self, ledgers: Iterable[Ledger], random_bytes: Callable[[int], bytes]) -> None:
        self._parts = [(ledger, ledger.table("EVENT_EPOCH", BYTES)) for ledger in ledgers]
        self._random_bytes = random_bytes

    def recover(self) -> None:
        """Give a name to what has none."""
        for ledger, table in self._parts:
            if _KEY not in table:
                with ledger.change() as change:
                    change.put(table, _KEY, self._random_bytes(_PART_BYTES))

    def text(self) -> str:
        """The epoch, as tokens begin with it."""
        return "".join(table[_KEY].hex() for _, table in self._parts)
