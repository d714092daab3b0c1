"""The autoscaler: what it is told of the cluster, and what it says. Owns "nodes seen", in memory only.

A restart loses all of this, as in stock Ray: nodes are seen anew within a second, and the autoscaler repeats the rest.
The one hard idea is that what is pulled from raylets is no decision, so it bypasses changes (as in ``resources.py``):
the next answer replaces it, and nothing durable follows from it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from trio_gcs.config import GcsConfig
from trio_gcs.errors import RemoteError
from trio_gcs.events.domain import ErrorRaised, NodeAdded, NodeDied
from trio_gcs.generated.ray.autoscaler_pb2 import (
    AutoscalingState,
    ClusterConfig,
    ClusterResourceConstraint,
    ClusterResourceState,
)
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo, PlacementGroupLoad, ResourceLoad, ResourcesData
from trio_gcs.generated.ray.node_manager_pb2 import (
    CancelLeasesWithResourceShapesReply,
    CancelLeasesWithResourceShapesRequest,
)
from trio_gcs.managers.autoscaler.cluster_state import (
    NodeStates,
    SeenNode,
    as_registered,
    dead_state,
    gang_request,
    pending_requests,
)
from trio_gcs.managers.autoscaler.infeasible import cancellation, infeasible_error, more_than_before
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Table

log = logging.getLogger(__name__)

NAMESPACE = b"__autoscaler"
V2_KEY = b"__autoscaler_v2_enabled"
CLUSTER_CONFIG_KEY = b"__autoscaler_cluster_config"


class Nodes(Protocol):
    """The records of nodes."""

    def alive_nodes(self) -> Iterable[GcsNodeInfo]:
        """Those that are alive, each with its newest snapshot."""
        ...

    def dead_nodes(self) -> Iterable[GcsNodeInfo]:
        """Those that died and are remembered."""
        ...


class PlacementGroups(Protocol):
    """Placement groups, as far as the autoscaler is told of them."""

    def load(self) -> PlacementGroupLoad | None:
        """The groups that wait for resources; None while there is nothing to say."""
        ...

    def on_node(self, node_id: bytes) -> Iterable[bytes]:
        """The ids of the groups that have a bundle on the node."""
        ...


class Raylets(Protocol):
    """The raylets, as far as requests that wait there are cancelled."""

    async def cancel_leases_with_resource_shapes(
        self, node_id: bytes, request: CancelLeasesWithResourceShapesRequest
    ) -> CancelLeasesWithResourceShapesReply:
        """Let the requests for these resources fail. Asked once; raises :class:`RemoteError`."""
        ...


class Values(Protocol):
    """The part of the key-value store where other processes look for the autoscaler."""

    def put(self, namespace: bytes, key: bytes, value: bytes, *, overwrite: bool = True) -> bool:
        """Store a value."""
        ...


class AutoscalerManager:
    """Tells the autoscaler the state of the cluster, and keeps what it reports and what users ask of it.

    ``session_name`` names the cluster in replies, and is the key under which drivers are told of infeasible requests.
    ``waiting_leases`` is what waits for a node in the daemon itself, and in no raylet.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        nodes: Nodes,
        placement_groups: PlacementGroups,
        raylets: Raylets,
        values: Values,
        config: GcsConfig,
        session_name: str,
        clock: Callable[[], int],
        waiting_leases: Callable[[], ResourceLoad] = ResourceLoad,
    ) -> None:
        self._ledger = ledger
        self._nodes = nodes
        self._groups = placement_groups
        self._raylets = raylets
        self._values = values
        self._v2 = config.autoscaler_v2
        self._fails_early = config.infeasible_tasks_fail_early
        self._session_name = session_name
        self._clock = clock
        self._waiting_leases = waiting_leases
        self._states = NodeStates()
        self._seen: Table[SeenNode] = ledger.table("nodes seen", None)
        self._version = 0  # of the last state that was told
        self._report: AutoscalingState | None = None
        self._constraint: ClusterResourceConstraint | None = None

    def recover(self) -> None:
        """Begin with the nodes that are alive, and say which autoscaler this cluster has."""
        self._values.put(NAMESPACE, V2_KEY, b"1" if self._v2 else b"0")
        with self._ledger.change() as change:
            for node in self._nodes.alive_nodes():
                change.put(self._seen, node.node_id, as_registered(node, self._clock()))

    # Reports of raylets: not changes, see above.

    def update_loads(self, load: ResourcesData) -> None:
        """Take over what a raylet answered when it was asked for its load; it replaces all that it said before."""
        if load.node_id in self._seen:
            self._seen.place(load.node_id, SeenNode(load, self._clock()))
        else:
            log.info("node %s told its load, but is not alive", load.node_id.hex())

    # Decisions.

    def report(self, report: AutoscalingState) -> None:
        """Keep what the autoscaler says of itself, unless it said something newer before.

        When it gives up on more requests than before, drivers are told; or, where it is configured so, whatever waits
        for what it gave up on fails, and that with each report, since raylets are asked only once.
        """
        before = self._report
        newer = before is None or report.autoscaler_state_version >= before.autoscaler_state_version
        if newer:
            self._report = report
        else:
            log.info("the autoscaler's report %d is older than the last one", report.autoscaler_state_version)
        with self._ledger.change() as change:
            if self._fails_early:
                self._cancel_infeasible(change)
            elif newer and more_than_before(report, before):
                change.emit(ErrorRaised(self._session_name.encode(), infeasible_error(self._clock())))

    def constrain(self, constraint: ClusterResourceConstraint) -> None:
        """Keep what the cluster shall have room for at least, in place of what was asked before."""
        self._constraint = constraint

    def configure(self, cluster_config: ClusterConfig) -> None:
        """Store which nodes the autoscaler may start, for whoever looks it up."""
        self._values.put(NAMESPACE, CLUSTER_CONFIG_KEY, cluster_config.SerializeToString())

    def _cancel_infeasible(self, change: Change) -> None:
        assert self._report is not None, "called with a report"
        for node_id, seen in self._seen.items():
            request = cancellation(self._report, seen.load.resource_load_by_shape)
            if request is not None:
                change.errand(self._cancel, node_id, request)

    async def _cancel(self, node_id: bytes, request: CancelLeasesWithResourceShapesRequest) -> None:
        try:
            await self._raylets.cancel_leases_with_resource_shapes(node_id, request)
        except RemoteError as error:
            # The autoscaler will report the same again.
            log.warning("raylet of node %s cancelled no infeasible requests: %s", node_id.hex(), error)

    # Queries.

    def cluster_state(self) -> ClusterResourceState:
        """The state of the cluster, as a message of its own with a version that no other one has."""
        now_ms = self._clock()
        self._version += 1
        state = ClusterResourceState(
            cluster_resource_state_version=self._version, cluster_session_name=self._session_name
        )
        for node in self._nodes.alive_nodes():
            seen = self._seen[node.node_id]
            groups = self._groups.on_node(node.node_id)
            self._states.living(
                state.node_states.add(), node, seen, groups=groups, version=self._version, now_ms=now_ms
            )
        state.node_states.extend(dead_state(node, self._version) for node in self._nodes.dead_nodes())
        loads = (seen.load.resource_load_by_shape for seen in self._seen.values())
        state.pending_resource_requests.extend(pending_requests([*loads, self._waiting_leases()]))
        waiting = self._groups.load()
        if waiting is not None:
            state.pending_gang_resource_requests.extend(map(gang_request, waiting.placement_group_data))
        if self._constraint is not None:
            state.cluster_resource_constraints.append(self._constraint)
        return state

    def last_report(self) -> AutoscalingState | None:
        """What the autoscaler last said of itself, or None."""
        return self._report

    # Reactions.

    def add_node(self, change: Change, event: NodeAdded) -> None:
        """See a node that has come to life."""
        change.put(self._seen, event.node.node_id, as_registered(event.node, self._clock()))

    def lose_node(self, change: Change, event: NodeDied) -> None:
        """See a node no more; its record among the dead is enough."""
        self._states.forget(event.node.node_id)
        change.delete(self._seen, event.node.node_id)
