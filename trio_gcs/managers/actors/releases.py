"""Raylets that must first let go of workers that nobody uses. Owns ACTOR_RELEASE, in memory; filled at start only.

A daemon that ended left leases and workers behind that nobody knows. Each raylet is told which workers are in use and
ends the rest; until it has answered it is asked for nothing, or it would end what it has just granted.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import trio

from trio_gcs.errors import RemoteError
from trio_gcs.generated.ray.node_manager_pb2 import ReleaseUnusedActorWorkersRequest
from trio_gcs.managers.actors.peers import Raylets
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Owed, Table

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """The workers of one node that are in use, and whether its raylet knows."""

    used: Sequence[bytes]
    over: trio.Event = field(default_factory=trio.Event)


class Releases:
    """The raylets that have not answered yet."""

    def __init__(self, ledger: Ledger, raylets: Raylets) -> None:
        self.table: Table[Release] = ledger.table("ACTOR_RELEASE", None, owes=lambda node_id, _: (Owed(self._release),))
        self._ledger = ledger
        self._raylets = raylets

    def begin(self, change: Change, node_id: bytes, used: Sequence[bytes]) -> None:
        """Tell this raylet which workers are in use."""
        change.put(self.table, node_id, Release(used))

    def end(self, change: Change, node_id: bytes) -> None:
        """The raylet answered, or never will."""
        release = self.table.get(node_id)
        if release is not None:
            change.delete(self.table, node_id)
            release.over.set()

    async def answered(self, node_id: bytes) -> None:
        """Wait until this raylet may be asked for workers."""
        release = self.table.get(node_id)
        if release is not None:
            await release.over.wait()

    async def _release(self, node_id: bytes) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        request = ReleaseUnusedActorWorkersRequest(worker_ids_in_use=self.table[node_id].used)
        try:
            await self._raylets.release_unused_actor_workers(node_id, request)
        except RemoteError as error:
            _log.warning("node %s did not release its unused workers: %s", node_id.hex(), error)
        await trio.lowlevel.checkpoint_if_cancelled()
        with self._ledger.change() as change:
            self.end(change, node_id)
