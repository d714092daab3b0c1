"""A plan: where the bundles go that are being placed. The one thing about a group that Ray's rows have no word for.

It names bundles by their index alone; what each asks for is in the group's row. In the store it has the form of such a
row, so what the store keeps of a group is in Ray's words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from trio_gcs.generated.ray.common_pb2 import Bundle
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats, PlacementGroupTableData
from trio_gcs.managers.placement_groups.rows import index_of
from trio_gcs.store.tables import Codec, message_codec

Stored = PlacementGroupTableData
Indexes = list[int]


class Plan(NamedTuple):
    """The node of each bundle, by its index; ``attempt`` tells plans of one group apart.

    ``is_prepared`` says that every node has reserved its part. ``topology`` is the label that holds the group together,
    and the value that was chosen for it.
    """

    group_id: bytes
    attempt: int
    nodes: Mapping[int, bytes]
    topology: Mapping[str, str]
    is_prepared: bool = False

    def by_node(self) -> dict[bytes, Indexes]:
        """The indexes of the bundles, by node."""
        found: dict[bytes, Indexes] = {}
        for index, node_id in self.nodes.items():
            found.setdefault(node_id, []).append(index)
        return found

    def on(self, nodes: Iterable[bytes]) -> dict[bytes, Indexes]:
        """The indexes of the bundles on these nodes, by node; nodes that the plan does not name are left out."""
        by_node = self.by_node()
        return {node_id: by_node[node_id] for node_id in nodes if node_id in by_node}


def _stored(plan: Plan) -> Stored:
    return Stored(
        placement_group_id=plan.group_id,
        state=Stored.PREPARED if plan.is_prepared else Stored.PENDING,
        stats=PlacementGroupStats(scheduling_attempt=plan.attempt),
        topology_assignments=plan.topology,
        bundles=[
            Bundle(
                bundle_id=Bundle.BundleIdentifier(placement_group_id=plan.group_id, bundle_index=index), node_id=node_id
            )
            for index, node_id in plan.nodes.items()
        ],
    )


def _read(stored: Stored) -> Plan:
    return Plan(
        stored.placement_group_id,
        stored.stats.scheduling_attempt,
        {index_of(bundle): bundle.node_id for bundle in stored.bundles},
        dict(stored.topology_assignments),
        stored.state == Stored.PREPARED,
    )


_MESSAGE = message_codec(Stored)
CODEC = Codec[Plan](
    encode=lambda plan: _MESSAGE.encode(_stored(plan)),
    decode=lambda raw: _read(_MESSAGE.decode(raw)),
)
