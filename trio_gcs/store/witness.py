"""The witness: what a handler has read or written that a crash could still undo.

A reply that rests on such rows must wait for them (the ledger's rule: no client sees what a crash could undo), and for
nothing else: a package of 100 MB on its way to disk must not delay the answer about a node. So every table notes
here, as rows are touched, the ledger and revision that they wait for. One handler runs at a time between two
checkpoints, so one witness serves the whole daemon.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Unsettled = dict["Lane", int]


class Lane(Protocol):
    """A ledger, as the witness sees it."""

    @property
    def revision(self) -> int:
        """The revision of the last change that was made."""
        ...

    @property
    def durable(self) -> int:
        """The revision up to which changes are durable."""
        ...

    async def settled(self, revision: int) -> None:
        """Wait until ``revision`` is durable."""
        ...

    def promise(self, revision: int, word: Callable[[], None]) -> bool:
        """Say ``word`` when ``revision`` is durable; False where only :meth:`settled` can wait for it."""
        ...


class Lease(Lane, Protocol):
    """The right to the stores, as the witness sees it."""

    @property
    def is_sure(self) -> bool:
        """Whether nobody else can have it."""
        ...


class Witness:
    """Collects what the running handler depends on; ``rpc/dispatch`` asks for it and waits."""

    def __init__(self) -> None:
        self._seen: Unsettled = {}
        self._lanes: list[Lane] = []
        self._lease: Lease | None = None

    def watch(self, lane: Lane) -> None:
        """Let ``lane`` count in :meth:`everything`."""
        self._lanes.append(lane)

    def hold(self, lease: Lease) -> None:
        """Let no reply go while it is not sure that this daemon still owns its stores."""
        self._lease = lease
        self._lanes.append(lease)

    def note(self, lane: Lane, revision: int) -> None:
        """The running handler touched a row of ``lane`` that is not durable before ``revision``."""
        if revision > self._seen.get(lane, 0):
            self._seen[lane] = revision

    def begin(self) -> None:
        """A handler starts that has seen nothing yet."""
        if self._seen:
            self._seen = {}

    def unsettled(self) -> Unsettled | None:
        """What the handler that just ran depends on; None if all of it is durable."""
        lease = self._lease
        if not self._seen and (lease is None or lease.is_sure):
            return None
        seen, self._seen = self._seen, {}
        if lease is not None and not lease.is_sure:
            seen[lease] = lease.revision
        return seen

    def everything(self) -> Unsettled | None:
        """All that is not durable yet: what a handler that waited may have seen."""
        behind = {lane: lane.revision for lane in self._lanes if lane.durable < lane.revision}
        return behind or None

    async def settled(self, unsettled: Unsettled) -> None:
        """Wait until all of ``unsettled`` is durable."""
        for lane, revision in unsettled.items():
            await lane.settled(revision)

    async def sure(self) -> None:
        """Wait until it is sure that this daemon still owns its stores: what begins to be told is then not out of date."""
        if self._lease is not None:
            await self._lease.settled(self._lease.revision)

    def promise(self, unsettled: Unsettled, word: Callable[[], None]) -> bool:
        """Say ``word`` when all of it is durable, if that is one change; else return False, and nothing is promised."""
        if len(unsettled) > 1:
            return False
        ((lane, revision),) = unsettled.items()
        return lane.promise(revision, word)
