"""The view of one node: what it has, what of it is free, and how both change.

Views are frozen; each change makes a new one, so a reader may keep what it read. The one hard idea: the view *leads* the
raylet. When a bundle is placed, the daemon takes its resources out of the view at once, long before the raylet reports
it. If no report follows, the deduction was about something that never happened, and :meth:`NodeRow.refreshed` puts the
last report back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from trio_gcs.generated.ray.gcs_pb2 import ResourcesData
from trio_gcs.generated.ray.ray_syncer_pb2 import ResourceViewSyncMessage
from trio_gcs.scheduling.labels import ANY_NODE, Selector, satisfies
from trio_gcs.scheduling.resources import Amounts, amount_of, covers, held_by_node, minus, plus

NO_DEADLINE_MS = -1


class Request(NamedTuple):
    """What somebody wants of one node."""

    need: Amounts
    selector: Selector = ANY_NODE
    stores_objects: bool = False  # cannot run where object pulls wait for memory


class NodeView(NamedTuple):
    """A node as placement sees it."""

    total: Amounts
    available: Amounts
    labels: Mapping[str, str]
    object_pulls_queued: bool = False
    idle_duration_ms: int = 0
    is_draining: bool = False
    draining_deadline_ms: int = NO_DEADLINE_MS

    def feasible(self, request: Request) -> bool:
        """Whether the request fits on the node once everything there is free."""
        return covers(self.total, request.need) and satisfies(self.labels, request.selector)

    def fits(self, request: Request) -> bool:
        """Whether the request fits on the node now."""
        if request.stores_objects and self.object_pulls_queued:
            return False
        return covers(self.available, request.need) and satisfies(self.labels, request.selector)

    def without(self, need: Mapping[str, int]) -> NodeView:
        """The node with ``need`` taken."""
        return self._with_available(minus(self.available, need))

    def with_back(self, need: Mapping[str, int]) -> NodeView:
        """The node with ``need`` given back."""
        return self._with_available(plus(self.available, need, self.total))

    def _with_available(self, available: Amounts) -> NodeView:
        # As _replace, in a third of the time: a group takes of many nodes.
        return tuple.__new__(NodeView, (self.total, available, *self[2:]))


EMPTY = NodeView({}, {}, {})


class NodeRow(NamedTuple):
    """Everything known about the resources of a node.

    ``reported`` is the view as its raylet last told it, and ``modified_ms`` when we led away from it (None: we did not).
    The rest is kept, as it came, for whoever asks how the cluster is used.
    """

    view: NodeView = EMPTY
    reported: NodeView | None = None
    modified_ms: int | None = None
    address: str = ""
    last_total: ResourceViewSyncMessage | None = None  # the last report that had totals
    last_report: ResourceViewSyncMessage | None = None
    load: ResourcesData | None = None

    def with_capacity(self, totals: Mapping[str, int], labels: Mapping[str, str], now_ms: int) -> NodeRow:
        """The node as it registered: each total moves, and what is available moves by as much."""
        total, available = dict(self.view.total), dict(self.view.available)
        for name, amount in totals.items():
            more = amount - amount_of(total, name)
            total[name] = max(0, amount_of(total, name) + more)
            available[name] = max(0, amount_of(available, name) + more)
        view = self.view._replace(total=_written(total), available=_written(available), labels=labels)
        return self._replace(view=view, modified_ms=now_ms)

    def reported_as(self, message: ResourceViewSyncMessage) -> NodeRow:
        """The node after its raylet's report: it replaces everything but a drain, which only grows."""
        old = self.view
        total = message.resources_total
        view = NodeView(
            held_by_node(total),
            held_by_node(message.resources_available),
            dict(message.labels),
            message.object_pulls_queued,
            message.idle_duration_ms,
            old.is_draining or message.is_draining,
            old.draining_deadline_ms if old.is_draining else message.draining_deadline_timestamp_ms,
        )
        return NodeRow(view, view, None, self.address, message if total else self.last_total, message, self.load)

    def drained(self, deadline_ms: int, now_ms: int) -> NodeRow:
        """The node with a drain accepted; a later one replaces its deadline."""
        view = self.view._replace(is_draining=True, draining_deadline_ms=deadline_ms)
        reported = self.reported and self.reported._replace(is_draining=True, draining_deadline_ms=deadline_ms)
        return self._replace(view=view, reported=reported, modified_ms=now_ms)

    def led(self, view: NodeView, now_ms: int) -> NodeRow:
        """The node with a view that its raylet has not reported."""
        return tuple.__new__(NodeRow, (view, self.reported, now_ms, *self[3:]))

    def refreshed(self, before_ms: int) -> NodeRow:
        """The node as last reported, if we led away from that before ``before_ms`` and heard nothing since."""
        if self.modified_ms is None or self.reported is None or self.modified_ms >= before_ms:
            return self
        return self._replace(view=self.reported, modified_ms=None)


def _written(amounts: Amounts) -> Amounts:
    """The set without what a node has by default."""
    return {name: amount for name, amount in amounts.items() if amount != amount_of({}, name)}
