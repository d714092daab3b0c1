"""What a store is: rows as bytes by table and key, read once at start, then written in order.

The contract, which ``tests/contract/test_store.py`` holds against every store:

* A batch is committed whole or not at all, and batches in the order in which they were given.
* When :meth:`Store.commit` returns, the batch survives ``kill -9`` of this process, and of the machine where the
  store says so.
* A later :meth:`Store.load` yields exactly the rows of all batches that were committed, in no particular order.
* :meth:`Store.last_revision` is the revision of the last batch that was committed, 0 for an empty store.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final, NamedTuple, Protocol

Page = list[tuple[bytes, bytes]]

UNFINISHED: Final = -1
"""The revision of a store that is being filled by a restore or a copy. No daemon starts on it."""


class Write(NamedTuple):
    """One row of a batch. ``value`` is None where the row is deleted."""

    table: str
    key: bytes
    value: bytes | None


class Store(Protocol):
    """Where a ledger keeps its rows."""

    @property
    def keeps(self) -> bool:
        """Whether rows outlive this process. False means that a change is durable as soon as it is made."""
        ...

    async def last_revision(self) -> int:
        """The revision of the last batch that was committed."""
        ...

    def load(self, table: str) -> AsyncGenerator[Page, None]:
        """All rows of a table, a page at a time."""
        ...

    async def commit(self, writes: Sequence[Write], revision: int) -> None:
        """Make a batch durable. One call at a time; raises :class:`StoreError` when it cannot.

        Cancelling it leaves open whether the batch was committed.
        """
        ...

    async def tables(self) -> list[str]:
        """The names of the tables that have rows."""
        ...

    async def clear(self) -> None:
        """Delete all rows, in steps; it is at revision :data:`UNFINISHED` from then until the next commit."""
        ...

    async def aclose(self) -> None:
        """Release what the store holds. No commit may be under way."""
        ...
