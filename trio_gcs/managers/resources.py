"""Resources: what every node has, what is free, and what waits there. Owns RESOURCES, in memory only.

Rows come from three sides: nodes that register or die (reactions, inside their change), raylets that report (many times
a second, through the syncer), and load that is pulled. The one hard idea: *a report is no decision*. Nothing durable
follows from it, so it bypasses the ledger's queue and is placed straight into the table, which stays correct because
the ledger opens a change, edits and closes it without a pause: no report can fall between. Reactions do go through the
change, so a cascade that is taken back takes the view back too, and replies wait for nodes that are not durable yet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping

import trio

from trio_gcs.bounds import INT64_MAX
from trio_gcs.events.domain import NodeAdded, NodeDied, NodeDraining
from trio_gcs.generated.ray.gcs_pb2 import (
    GcsNodeInfo,
    PlacementGroupLoad,
    ResourceLoad,
    ResourcesData,
    ResourceUsageBatchData,
)
from trio_gcs.generated.ray.ray_syncer_pb2 import ResourceViewSyncMessage
from trio_gcs.ids import is_nil
from trio_gcs.scheduling.demands import total_demands
from trio_gcs.scheduling.resources import held_by_node
from trio_gcs.scheduling.view import NodeRow, NodeView
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Table

log = logging.getLogger(__name__)

# The id that the daemon itself has as a peer of raylets. It is no node.
GCS_NODE_ID = bytes(28)


class ResourceManager:
    """Keeps the view of the cluster.

    ``update_snapshot`` hears every report, for the node's own row; ``placement_group_load`` says what placement groups
    wait for, or None while there is nothing to say. ``waiting_leases`` is what waits for a node in the daemon itself, and
    ``hear_of_node`` is told whenever what is known of a node was replaced.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        clock: Callable[[], int],
        refresh_s: float,
        update_snapshot: Callable[[bytes, ResourceViewSyncMessage], None],
        placement_group_load: Callable[[], PlacementGroupLoad | None],
        waiting_leases: Callable[[], ResourceLoad] = ResourceLoad,
        hear_of_node: Callable[[bytes], None] = lambda node_id: None,
    ) -> None:
        self._clock = clock
        self._refresh_s = refresh_s
        self._refreshed_ms = 0
        self._update_snapshot = update_snapshot
        self._placement_group_load = placement_group_load
        self._waiting_leases = waiting_leases
        self._hear_of_node = hear_of_node
        self._rows: Table[NodeRow] = ledger.table("RESOURCES", None)
        self._ledger = ledger

    def recover(self, alive: Iterable[GcsNodeInfo]) -> None:
        """Begin with the nodes that are alive. What is free there is unknown until they report: all of it."""
        with self._ledger.change() as change:
            for node in alive:
                self._add(change, node)

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Take back, now and then, what was deducted from a node that reports nothing of it."""
        task_status.started()
        while True:
            await trio.sleep(self._refresh_s)
            self.refresh()

    # Reports: not changes, see above.

    def apply_report(self, node_id: bytes, message: ResourceViewSyncMessage) -> None:
        """Take over what the raylet of ``node_id`` says. A node that is not known changes nothing here."""
        if node_id == GCS_NODE_ID:
            return
        row = self._rows.get(node_id)
        if row is None:
            log.debug("node %s reports its resources, but is not known", node_id.hex())
        else:
            self._rows.place(node_id, row.reported_as(message))
            self._hear_of_node(node_id)
        self._update_snapshot(node_id, message)

    def update_loads(self, load: ResourcesData) -> None:
        """Take over what a raylet answered when it was asked for its load. It says itself which node it is."""
        row = self._rows.get(load.node_id)
        if row is not None:
            self._rows.place(load.node_id, row._replace(load=load))

    def refresh(self) -> None:
        """Put the last report of a node back, where we led away from it and no report followed for a while."""
        now_ms = self._clock()
        before_ms = now_ms - round(self._refresh_s * 1000)
        if now_ms < self._refreshed_ms:  # the clock was set back: nothing would look old for as long as it was set back
            before_ms = INT64_MAX
        self._refreshed_ms = now_ms
        for node_id, row in list(self._rows.items()):
            refreshed = row.refreshed(before_ms)
            if refreshed is not row:
                self._rows.place(node_id, refreshed)
            # Even where nothing changed: a raylet may have said no for reasons that no report shows.
            self._hear_of_node(node_id)

    # Steps of other managers' decisions.

    def take(self, change: Change, needs: Mapping[bytes, Mapping[str, int]]) -> None:
        """Deduct what is needed, by node, from what is available, ahead of reports. A lost node has nothing."""
        now_ms = self._clock()
        for node_id, need in needs.items():
            row = self._rows.get(node_id)
            if row is not None:
                change.put(self._rows, node_id, row.led(row.view.without(need), now_ms))

    def give_back(self, change: Change, node_id: bytes, need: Mapping[str, int]) -> None:
        """Undo :meth:`take`."""
        row = self._rows.get(node_id)
        if row is not None:
            change.put(self._rows, node_id, row.led(row.view.with_back(need), self._clock()))

    # Reactions.

    def add_node(self, change: Change, event: NodeAdded) -> None:
        """See a node that has come to life, with all that it has free."""
        self._add(change, event.node)

    def drain_node(self, change: Change, event: NodeDraining) -> None:
        """Let nothing be placed on a node that is being drained."""
        row = self._rows.get(event.node_id)
        if row is not None:
            change.put(self._rows, event.node_id, row.drained(event.deadline_ms, self._clock()))

    def forget_node(self, change: Change, event: NodeDied) -> None:
        """See a node no more."""
        change.delete(self._rows, event.node.node_id)

    # Queries.

    def view(self, node_id: bytes) -> NodeView | None:
        """One node as placement sees it; None if it is not alive."""
        row = self._rows.get(node_id)
        return row.view if row is not None else None

    def views(self) -> Iterator[tuple[bytes, NodeView]]:
        """All nodes as placement sees them. Views are frozen; the iteration must not outlive the decision."""
        return ((node_id, row.view) for node_id, row in self._rows.items())

    def usage(self) -> ResourceUsageBatchData | None:
        """What is used and waited for everywhere, in a new message; None while there is no node."""
        if not self._rows:
            return None
        usage = ResourceUsageBatchData(batch=[_usage_of(node_id, row) for node_id, row in self._rows.items()])
        loads = (row.load.resource_load_by_shape for row in self._rows.values() if row.load is not None)
        demands = total_demands([*loads, self._waiting_leases()])
        if demands:
            usage.resource_load_by_shape.resource_demands.extend(demands)
        waiting = self._placement_group_load()
        if waiting is not None:
            usage.placement_group_load.CopyFrom(waiting)
        return usage

    def _add(self, change: Change, node: GcsNodeInfo) -> None:
        if node.node_id == GCS_NODE_ID or is_nil(node.node_id):  # where nothing can be placed
            return
        if not node.resources_total:
            log.warning("node %s registered without any resources", node.node_id.hex())
        row = self._rows.get(node.node_id) or NodeRow(address=node.node_manager_address)
        totals = held_by_node(node.resources_total)
        change.put(self._rows, node.node_id, row.with_capacity(totals, dict(node.labels), self._clock()))


def _usage_of(node_id: bytes, row: NodeRow) -> ResourcesData:
    usage = ResourcesData(node_id=node_id, node_manager_address=row.address)
    if row.last_total is not None:
        usage.resources_total.MergeFrom(row.last_total.resources_total)
    if row.last_report is not None:
        usage.resources_available.MergeFrom(row.last_report.resources_available)
    if row.load is not None:
        usage.resource_load.MergeFrom(row.load.resource_load)
        usage.resource_load_by_shape.CopyFrom(row.load.resource_load_by_shape)
    return usage
