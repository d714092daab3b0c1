"""What may be asked about nodes: selectors, a limit and a filter by state, exactly as Ray's clients know them.

The one hard thing is that the three ways to ask do not agree with each other: by ids, or for the head, a limit is not
looked at; with anything else it is. Clients rely on each of them, so each has its own function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.generated.ray.gcs_service_pb2 import GetAllNodeAddressAndLivenessRequest, GetAllNodeInfoRequest
from trio_gcs.ids import NodeID
from trio_gcs.managers.nodes.states import LivingNode
from trio_gcs.store.tables import Table

Selector = GetAllNodeInfoRequest.NodeSelector


@dataclass(frozen=True)
class NodeQueries:
    """Answers questions about the living and the dead; reads only."""

    alive: Table[LivingNode]
    dead: Table[GcsNodeInfo]

    def total(self) -> int:
        """How many records there are; an id that died and lives again counts twice."""
        return len(self.alive) + len(self.dead)

    def select(self, request: GetAllNodeInfoRequest) -> list[GcsNodeInfo]:
        """The records that a client asked for. Raises :class:`Invalid` for an id of a wrong length."""
        selectors = list(request.node_selectors)
        kinds = {selector.WhichOneof("node_selector") for selector in selectors}
        view = self._view(request)
        if selectors and kinds <= {"node_id", None}:
            return list(view.of_ids(_ids(selectors)))
        if len(selectors) == 1 and selectors[0].is_head_node:
            return list(islice(filter(_is_head, view.everyone()), 1))
        matching = filter(_matcher(selectors), view.everyone()) if selectors else view.everyone()
        return list(islice(matching, _limit(request.limit)))

    def select_liveness(self, request: GetAllNodeAddressAndLivenessRequest) -> list[GcsNodeInfo]:
        """The same question where little is said of each. The limit counts ids here, or records where no id is named."""
        view = self._view(request)
        limit = _limit(request.limit)
        if not request.node_ids:
            return list(islice(view.everyone(), limit))
        found: list[GcsNodeInfo] = []
        for node_id in dict.fromkeys(map(NodeID.parse, request.node_ids)):
            if limit is not None and len(found) >= limit:
                break
            found += view.of_ids([node_id])
        return found

    def _view(self, request: GetAllNodeInfoRequest | GetAllNodeAddressAndLivenessRequest) -> _View:
        """The living, the dead, both or, for a state that does not exist, nobody."""
        wanted = {request.state_filter} if request.HasField("state_filter") else {GcsNodeInfo.ALIVE, GcsNodeInfo.DEAD}
        return _View(
            self.alive if GcsNodeInfo.ALIVE in wanted else None, self.dead if GcsNodeInfo.DEAD in wanted else None
        )


@dataclass(frozen=True)
class _View:
    """The tables that a filter leaves."""

    alive: Table[LivingNode] | None
    dead: Table[GcsNodeInfo] | None

    def everyone(self) -> Iterator[GcsNodeInfo]:
        """The living first."""
        if self.alive is not None:
            yield from (node.record for node in self.alive.values())
        if self.dead is not None:
            yield from self.dead.values()

    def of_ids(self, node_ids: Iterable[NodeID]) -> Iterator[GcsNodeInfo]:
        """For each id its living record, then its dead one."""
        for node_id in node_ids:
            if self.alive is not None and (node := self.alive.get(node_id)) is not None:
                yield node.record
            if self.dead is not None and (dead := self.dead.get(node_id)) is not None:
                yield dead


def _limit(limit: int) -> int | None:
    return limit if limit > 0 else None


def _ids(selectors: Iterable[Selector]) -> dict[NodeID, None]:
    """The ids that are named, each once. A selector in which nothing is set names none."""
    return dict.fromkeys(
        NodeID.parse(selector.node_id) for selector in selectors if selector.WhichOneof("node_selector") == "node_id"
    )


def _is_head(record: GcsNodeInfo) -> bool:
    return record.is_head_node


def _matcher(selectors: Iterable[Selector]) -> Callable[[GcsNodeInfo], bool]:
    """Whether a record is meant by any of the selectors; of several that ask for heads, the last one counts."""
    ids = _ids(selectors)
    names: set[str] = set()
    addresses: set[str] = set()
    heads: set[bool] = set()
    for selector in selectors:
        match selector.WhichOneof("node_selector"):
            case "node_name":
                names.add(selector.node_name)
            case "node_ip_address":
                addresses.add(selector.node_ip_address)
            case "is_head_node":
                heads = {selector.is_head_node}

    def matches(record: GcsNodeInfo) -> bool:
        return (
            NodeID.parse(record.node_id) in ids
            or record.node_name in names
            or record.node_manager_address in addresses
            or record.is_head_node in heads
        )

    return matches
