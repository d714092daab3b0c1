"""A group as its table keeps it: Ray's row with the bundles apart, in octets.

A row of forty bundles is large, and whatever happens to a group, nothing of its bundles changes but where they are. So the
octets of each are made once, as raylets are sent them, and are shared by all that the group ever was. In the store, and to
everybody who asks, a group is Ray's row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from trio_gcs.generated.ray.common_pb2 import Bundle, PlacementGroupSpec
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats, PlacementGroupTableData
from trio_gcs.ids import NodeID, PlacementGroupID, is_nil
from trio_gcs.managers.placement_groups.rows import copied, index_of, need_of
from trio_gcs.octets import embedder
from trio_gcs.scheduling.resources import Amounts
from trio_gcs.store.tables import Codec, message_codec

Row = PlacementGroupTableData
Indexes = list[int]

NS_PER_MS = 1_000_000

_MESSAGE = message_codec(Row)
_as_bundle = embedder(Row, "bundles")
_as_node = embedder(Bundle, "node_id")
_FRAME_BYTES = 2  # that a bundle, or its node, has around it; of a large bundle it is 3


class Group(NamedTuple):
    """``head`` is the row but for its bundles. Of each bundle there are its octets, without node, and its node, or ``b""``.

    ``bundle_bytes`` is the size of all those octets.

    It is frozen as rows are: a group that changes is another one, with a copy of the head.
    """

    head: Row
    bundles: tuple[bytes, ...]
    nodes: tuple[bytes, ...]
    bundle_bytes: int

    @property
    def is_registered(self) -> bool:
        """Whether the group is not removed."""
        return self.head.state != Row.REMOVED

    @property
    def is_done(self) -> bool:
        """Whether nobody is left who could want the group."""
        head = self.head
        return not head.is_detached and head.creator_job_dead and head.creator_actor_dead

    @property
    def is_placed(self) -> bool:
        """Whether any bundle has a node."""
        return any(self.nodes)

    def unplaced(self) -> Indexes:
        """The indexes of the bundles that have no node."""
        return [index for index, node_id in enumerate(self.nodes) if not node_id]

    def on_nodes(self) -> frozenset[bytes]:
        """The nodes that have a bundle of the group."""
        return frozenset(self.nodes) - {b""}

    def by_node(self) -> dict[bytes, Indexes]:
        """The indexes of the bundles that have a node, by that."""
        found: dict[bytes, Indexes] = {}
        for index, node_id in enumerate(self.nodes):
            if node_id:
                found.setdefault(node_id, []).append(index)
        return found

    def need_of(self, indexes: Iterable[int]) -> Amounts:
        """What these bundles ask for in sum."""
        return need_of(Bundle.FromString(self.bundles[index]) for index in indexes)

    def edited(self) -> Group:
        """The same group with a copy of its head, which may be edited until somebody else has it."""
        return Group(copied(self.head), self.bundles, self.nodes, self.bundle_bytes)

    def placed(self, nodes: Mapping[int, bytes]) -> Group:
        """The same group with nodes for these bundles; none is ``b""``."""
        placed = list(self.nodes)
        for index, node_id in nodes.items():
            placed[index] = node_id
        return Group(self.head, self.bundles, tuple(placed), self.bundle_bytes)

    def row(self) -> Row:
        """The group in Ray's words."""
        return Row.FromString(self.SerializeToString())

    def SerializeToString(self) -> bytes:
        """The wire form of Ray's row."""
        return b"".join(
            [
                self.head.SerializeToString(),
                *[
                    _as_bundle(octets + _as_node(node_id) if node_id else octets)
                    for octets, node_id in zip(self.bundles, self.nodes, strict=True)
                ],
            ]
        )

    def ByteSize(self) -> int:
        """The size of the wire form, but for an octet a bundle: where the past is limited, each change is weighed."""
        count = len(self.nodes)
        placed = count - self.nodes.count(b"")
        return self.head.ByteSize() + self.bundle_bytes + _FRAME_BYTES * count + (NodeID.SIZE + _FRAME_BYTES) * placed


def born(spec: PlacementGroupSpec, namespace: str, now_ms: int) -> Group:
    """The first form of a group; nobody else has it, so its head may be edited."""
    head = Row(
        placement_group_id=spec.placement_group_id,
        name=spec.name,
        strategy=spec.strategy,
        state=Row.PENDING,
        creator_job_id=spec.creator_job_id,
        creator_actor_id=spec.creator_actor_id,
        creator_job_dead=spec.creator_job_dead,
        creator_actor_dead=spec.creator_actor_dead,
        is_detached=spec.is_detached,
        ray_namespace=namespace,
        soft_target_node_id=spec.soft_target_node_id,
        placement_group_creation_timestamp_ms=now_ms,
        topology_strategy=spec.topology_strategy,
        stats=PlacementGroupStats(creation_request_received_ns=now_ms * NS_PER_MS),
    )
    group_id = spec.placement_group_id
    bundles = tuple([_octets_of(bundle, group_id, index) for index, bundle in enumerate(spec.bundles)])
    return Group(head, bundles, (b"",) * len(bundles), sum(map(len, bundles)))


def _octets_of(bundle: Bundle, group_id: bytes, index: int) -> bytes:
    """Whatever a request says, nothing of it is placed, and a bundle's index is where it stands in the list."""
    if bundle.node_id or index_of(bundle) != index or bundle.bundle_id.placement_group_id != group_id:
        bundle = copied(bundle)
        bundle.ClearField("node_id")
        bundle.bundle_id.placement_group_id = group_id
        bundle.bundle_id.bundle_index = index
    return bundle.SerializeToString()


def group_of(row: Row) -> Group:
    """A row of Ray as a group; the row is taken over, and is no more to be used."""
    group_id = row.placement_group_id
    nodes = tuple([b"" if is_nil(bundle.node_id) else bundle.node_id for bundle in row.bundles])
    for bundle in row.bundles:
        bundle.ClearField("node_id")
    bundles = tuple([_octets_of(bundle, group_id, index) for index, bundle in enumerate(row.bundles)])
    row.ClearField("bundles")
    head = copied(row)  # what was cleared is held in memory as long as its message
    return Group(head, bundles, nodes, sum(map(len, bundles)))


def _read(raw: bytes) -> Group:
    row = _MESSAGE.decode(raw)
    if len(row.placement_group_id) != PlacementGroupID.SIZE:
        raise ValueError(f"a placement group whose ID is {row.placement_group_id.hex() or 'empty'}")
    return group_of(row)


CODEC = Codec[Group](encode=lambda group: group.SerializeToString(), decode=_read)
