"""What raylets have to give back. Owns PLACEMENT_GROUP_RELEASE, stored as the very message that is owed.

Whatever was perhaps reserved and is not wanted any more becomes a row here, in the change that decided so, and the row
is owed until the raylet has answered or its node is dead: nobody gives up on it. The group itself goes on, or is
removed, meanwhile; only nothing of it is placed on that node again before, or the release could free the new bundle.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial

import trio

from trio_gcs.errors import RemoteError, RemoteGone
from trio_gcs.generated.ray.common_pb2 import Bundle
from trio_gcs.generated.ray.node_manager_pb2 import RemovePlacementGroupBundlesRequest
from trio_gcs.ids import PlacementGroupID
from trio_gcs.managers.placement_groups.peers import Nodes, Raylets, Resources, Turns
from trio_gcs.managers.placement_groups.rows import index_of, nameless
from trio_gcs.scheduling.resources import added, request_of
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Owed, Table, message_codec

Release = RemovePlacementGroupBundlesRequest

_log = logging.getLogger(__name__)


class Releases:
    """The bundles that are to be given back, by group and node. ``freed`` is a step that is taken after each."""

    def __init__(
        self,
        ledger: Ledger,
        raylets: Raylets,
        turns: Turns,
        *,
        nodes: Nodes,
        resources: Resources,
        retry_s: float,
        freed: Callable[[Change, bytes], None],
    ) -> None:
        self.table: Table[Release] = ledger.table(
            "PLACEMENT_GROUP_RELEASE",
            message_codec(Release),
            indexes={"by_group": lambda release: (release.placement_group_id,)},
            owes=lambda _, release: (Owed(self._release, len(release.bundle_specs)),),  # they only get more
        )
        self._ledger = ledger
        self._raylets = raylets
        self._turns = turns
        self._nodes = nodes
        self._resources = resources
        self._retry_s = retry_s
        self._freed = freed

    def owe(self, change: Change, group_id: bytes, node_id: bytes, bundles: Iterable[Bundle]) -> None:
        """Let this node give back bundles of a group, besides those that it owes already. A dead node owes nothing."""
        if not self._nodes.is_alive(node_id):
            return
        old = self.table.get(group_id + node_id)
        owed = {index_of(bundle): bundle for bundle in (old.bundle_specs if old is not None else ())}
        owed.update((index_of(bundle), bundle) for bundle in nameless(bundles))
        release = Release(placement_group_id=group_id, bundle_specs=owed.values())
        change.put(self.table, group_id + node_id, release)

    def owing(self, group_id: bytes) -> frozenset[bytes]:
        """The nodes that have yet to give back something of this group."""
        return frozenset(map(_node_of, self.table.find("by_group", group_id)))

    def forget_dead(self, change: Change) -> None:
        """What is dead gives nothing back, and holds nothing."""
        for key in [key for key in self.table if not self._nodes.is_alive(_node_of(key))]:
            change.delete(self.table, key)

    async def _release(self, key: bytes) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        release, node_id = self.table[key], _node_of(key)
        ask = partial(self._raylets.remove_placement_group_bundles, node_id, release)
        while True:
            try:
                await self._turns.take(node_id, release.placement_group_id, ask)
            except RemoteGone:
                if not self._nodes.is_alive(node_id):
                    break
            except RemoteError as error:
                group = release.placement_group_id.hex()
                _log.warning("node %s did not release bundles of group %s: %s", node_id.hex(), group, error)
            else:
                break
            await trio.sleep(self._retry_s)
        await trio.lowlevel.checkpoint_if_cancelled()
        with self._ledger.change() as change:
            change.delete(self.table, key)
            needs = added(request_of(bundle.unit_resources) for bundle in release.bundle_specs)
            self._resources.give_back(change, node_id, needs)
            self._freed(change, release.placement_group_id)


def _node_of(key: bytes) -> bytes:
    return key[PlacementGroupID.SIZE :]
