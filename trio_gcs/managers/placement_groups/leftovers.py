"""What the last daemon left behind on raylets. Owns PLACEMENT_GROUP_LEFTOVER, in memory; filled at start only.

Each raylet is told which bundles are in use, and frees all others: what was being prepared when the last daemon ended,
and what nobody knows of. Until a raylet has answered, or its node is dead, nothing is placed anywhere: it could free
what it has just reserved.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import trio

from trio_gcs.errors import RemoteError
from trio_gcs.generated.ray.common_pb2 import Bundle
from trio_gcs.generated.ray.node_manager_pb2 import ReleaseUnusedBundlesRequest
from trio_gcs.managers.placement_groups.peers import Raylets
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Owed, Table

_log = logging.getLogger(__name__)


class Leftovers:
    """The raylets that have not answered yet. ``over`` is a step that is taken when the last of them has."""

    def __init__(self, ledger: Ledger, raylets: Raylets, over: Callable[[Change], None]) -> None:
        self.table: Table[ReleaseUnusedBundlesRequest] = ledger.table(
            "PLACEMENT_GROUP_LEFTOVER", None, owes=lambda node_id, _: (Owed(self._release),)
        )
        self._ledger = ledger
        self._raylets = raylets
        self._over = over

    def begin(self, change: Change, node_id: bytes, in_use: Iterable[Bundle]) -> None:
        """Tell this raylet which bundles are in use."""
        change.put(self.table, node_id, ReleaseUnusedBundlesRequest(bundles_in_use=in_use))

    def end(self, change: Change, node_id: bytes) -> None:
        """The raylet answered, or never will."""
        if node_id in self.table:
            change.delete(self.table, node_id)
            if not self.table:
                self._over(change)

    @property
    def are_there(self) -> bool:
        """Whether a raylet has yet to answer."""
        return len(self.table) > 0

    async def _release(self, node_id: bytes) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            await self._raylets.release_unused_bundles(node_id, self.table[node_id])
        except RemoteError as error:
            _log.warning("node %s did not release its unused bundles: %s", node_id.hex(), error)
        await trio.lowlevel.checkpoint_if_cancelled()
        with self._ledger.change() as change:
            self.end(change, node_id)
