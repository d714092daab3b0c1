"""What raylets have to give back. Owns PLACEMENT_GROUP_RELEASE, stored as the very message that is owed.

Whatever was perhaps reserved and is not wanted any more becomes a row here, in the change that decided so, and the row
is owed until the raylet has answered or its node is dead: nobody gives up on it. The group itself goes on, or is
removed, meanwhile; only nothing of it is placed on that node again before, or the release could free the new bundle.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import count

import trio

from trio_gcs.errors import RemoteError, RemoteGone
from trio_gcs.generated.ray.node_manager_pb2 import RemovePlacementGroupBundlesRequest
from trio_gcs.ids import PlacementGroupID
from trio_gcs.managers.placement_groups.peers import Answers, Nodes, Raylets, Resources, Turns
from trio_gcs.managers.placement_groups.rows import index_of, need_of
from trio_gcs.octets import embedder
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Owed, Table, message_codec

Release = RemovePlacementGroupBundlesRequest

_as_spec = embedder(Release, "bundle_specs")

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
        settle_s: float,
        freed: Callable[[Change, bytes], None],
    ) -> None:
        self.table: Table[Release] = ledger.table(
            "PLACEMENT_GROUP_RELEASE",
            message_codec(Release),
            indexes={"by_group": lambda release: (release.placement_group_id,)},
        )
        # Every group that has rows there, and one task for all of them: anew when there is more to ask for.
        self.rounds: Table[int] = ledger.table(
            "PLACEMENT_GROUP_ROUND", None, owes=lambda _, number: (Owed(self._release, number),)
        )
        self._numbers = count()
        self._ledger = ledger
        self._raylets = raylets
        self._turns = turns
        self._nodes = nodes
        self._resources = resources
        self._retry_s = retry_s
        self._settle_s = settle_s
        self._freed = freed

    def owe(self, change: Change, group_id: bytes, node_id: bytes, bundles: Mapping[int, bytes]) -> None:
        """Let this node give back bundles of a group, besides those that it owes already. A dead node owes nothing.

        ``bundles``: the octets of each, without its node as raylets are sent them, by its index.
        """
        if not self._nodes.is_alive(node_id):
            return
        old = self.table.get(group_id + node_id)
        owed = {} if old is None else {index_of(bundle): bundle.SerializeToString() for bundle in old.bundle_specs}
        owed.update(bundles)
        release = Release.FromString(b"".join(map(_as_spec, owed.values())))
        release.placement_group_id = group_id
        change.put(self.table, group_id + node_id, release)
        self._ask_anew(change, group_id)

    def owing(self, group_id: bytes) -> frozenset[bytes]:
        """The nodes that have yet to give back something of this group."""
        return frozenset(map(_node_of, self.table.find("by_group", group_id)))

    def forget_dead(self, change: Change) -> None:
        """What is dead gives nothing back, and holds nothing."""
        for key in [key for key in self.table if not self._nodes.is_alive(_node_of(key))]:
            self._forget(change, key[: PlacementGroupID.SIZE], [_node_of(key)])

    def resume(self, change: Change) -> None:
        """Go on with what the last daemon left owed."""
        for group_id in dict.fromkeys(key[: PlacementGroupID.SIZE] for key in self.table):
            self._ask_anew(change, group_id)

    def _ask_anew(self, change: Change, group_id: bytes) -> None:
        change.put(self.rounds, group_id, next(self._numbers))

    def _forget(self, change: Change, group_id: bytes, node_ids: Iterable[bytes]) -> None:
        for node_id in node_ids:
            self._turns.settle(node_id, group_id)
            change.delete(self.table, group_id + node_id)
        if not self.table.count("by_group", group_id):
            change.delete(self.rounds, group_id)

    async def _release(self, group_id: bytes) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        number = self.rounds[group_id]

        def tell(answers: Answers) -> None:
            if self.rounds.get(group_id) == number:  # or another task asks, since more is owed
                unsettled.update(self._hear(group_id, releases, answers))

        while True:
            unsettled: set[bytes] = set()
            releases = {_node_of(key): self.table[key] for key in self.table.find("by_group", group_id)}
            await self._turns.take_all(
                group_id,
                {node_id: release.SerializeToString() for node_id, release in releases.items()},
                begin=partial(self._raylets.begin, Release),
                ask=self._ask,
                tell=tell,
            )
            # Unless this task is over, since nothing is owed any more.
            await trio.sleep(self._settle_s if unsettled else self._retry_s)

    async def _ask(self, node_id: bytes, octets: bytes) -> object:
        return await self._raylets.remove_placement_group_bundles(node_id, Release.FromString(octets))

    def _hear(self, group_id: bytes, releases: Mapping[bytes, Release], answers: Answers) -> set[bytes]:
        """Nodes have answered: what they gave back is free, in one change, and the others are asked again.

        A request whose connection broke may still arrive, and after this release of what it asks for. So where one
        ended without an answer, the node's first yes does not count; those nodes are returned.
        """
        free, unsettled = [], set()
        for node_id, answer in answers.items():
            if self.table.get(group_id + node_id) is not releases[node_id]:
                continue
            if isinstance(answer, RemoteGone) and not self._nodes.is_alive(node_id):
                free.append(node_id)
            elif not isinstance(answer, RemoteError):
                if self._turns.settle(node_id, group_id):
                    unsettled.add(node_id)
                else:
                    free.append(node_id)
            elif not isinstance(answer, RemoteGone):
                _log.warning("node %s did not release bundles of group %s: %s", node_id.hex(), group_id.hex(), answer)
        if free:
            with self._ledger.change() as change:
                self._forget(change, group_id, free)
                for node_id in free:
                    self._resources.give_back(change, node_id, need_of(releases[node_id].bundle_specs))
                self._freed(change, group_id)
        return unsettled


def _node_of(key: bytes) -> bytes:
    return key[PlacementGroupID.SIZE :]
