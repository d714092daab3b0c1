"""Actors that were asked politely to end, and are ended for good if they take too long. Owns ACTOR_PARTING, in memory.

Only an actor that may come back needs it: the worker of one that is finally dead ends on its own, or with its node.
"""

from __future__ import annotations

from dataclasses import dataclass

import trio

from trio_gcs.generated.ray.common_pb2 import ActorDeathCause
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.managers.actors.mail import Mail
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Owed, Table


@dataclass(frozen=True, slots=True)
class Parting:
    """The actor as it was when its worker was asked to end."""

    row: ActorTableData
    cause: ActorDeathCause


class Partings:
    """Workers that are given a time to end by themselves. ``timeout_s`` None or 0: for ever."""

    def __init__(self, ledger: Ledger, mail: Mail, timeout_s: float | None) -> None:
        self.table: Table[Parting] = ledger.table(
            "ACTOR_PARTING",
            None,
            owes=lambda actor_id, parting: (Owed(self._insist, parting.row.address.worker_id),),
        )
        self._ledger = ledger
        self._mail = mail
        self._timeout_s = timeout_s

    def begin(self, change: Change, row: ActorTableData, cause: ActorDeathCause) -> None:
        """The worker of ``row`` was asked to end; insist when the time is over."""
        if self._timeout_s is not None and self._timeout_s > 0:
            change.put(self.table, row.actor_id, Parting(row, cause))

    def end(self, change: Change, actor_id: bytes) -> None:
        """Insist no more: the worker was killed for good, or the actor is somebody else's concern now."""
        change.delete(self.table, actor_id)

    async def _insist(self, actor_id: bytes) -> None:
        assert self._timeout_s is not None, "a parting without an end owes nothing"
        await trio.sleep(self._timeout_s)
        await trio.lowlevel.checkpoint_if_cancelled()
        parting = self.table[actor_id]
        with self._ledger.change() as change:
            self._mail.kill(change, parting.row, parting.cause, force=True)
            change.delete(self.table, actor_id)
