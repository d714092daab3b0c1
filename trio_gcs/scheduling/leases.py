"""Leases that wait for a node which the daemon itself chooses. Owns LEASE, LEASE_CLASS and LEASE_TAKEN, in memory.

Leases wait in classes (see ``asks``), and only the head of a class is tried: what it cannot get, none behind it could.
So a pass costs by classes and not by leases, and a class that is blocked blocks no other one. A class whose head fits on
no node at all is *infeasible*: who joins it is not even tried before the cluster changes, and the autoscaler is told.

What a chosen node must give is taken from the view at once. It is given back where the lease is called off; but where
its raylet has answered, yes or no, that answer stands against our view, and only the raylet's next report mends it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from enum import Enum
from random import Random
from typing import NamedTuple, Protocol

from trio_gcs.config import GcsConfig
from trio_gcs.generated.ray.common_pb2 import TaskSpec
from trio_gcs.generated.ray.gcs_pb2 import ResourceDemand, ResourceLoad
from trio_gcs.scheduling.asks import LeaseClass, lease_class
from trio_gcs.scheduling.bundles import Outcome
from trio_gcs.scheduling.policies import BUILT_IN, Choice, tuning_of
from trio_gcs.scheduling.registry import policy_named
from trio_gcs.scheduling.resources import Amounts
from trio_gcs.scheduling.view import NodeView
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Table

_log = logging.getLogger(__name__)


class ClusterView(Protocol):
    """The nodes, what is free there, and a way to take some of it."""

    def view(self, node_id: bytes) -> NodeView | None:
        """One node; None if it is not alive."""
        ...

    def views(self) -> Iterator[tuple[bytes, NodeView]]:
        """All nodes that are alive."""
        ...

    def take(self, change: Change, needs: Mapping[bytes, Mapping[str, int]]) -> None:
        """Deduct from what is free, by node."""
        ...

    def give_back(self, change: Change, node_id: bytes, need: Mapping[str, int]) -> None:
        """Undo a deduction."""
        ...


class Waiting(Enum):
    """What is known of a class."""

    UNTRIED = "its head has not been tried"
    NOT_NOW = "its head would fit if more were free"
    INFEASIBLE = "its head would not fit if all were free"


class ClassRow(NamedTuple):
    """A class in which leases wait."""

    lease_class: LeaseClass
    waiting: Waiting = Waiting.UNTRIED


class Taken(NamedTuple):
    """What was taken from the view for a lease."""

    node_id: bytes
    amounts: Amounts


class LeaseQueue:
    """The cluster's queue of leases. ``wake`` is run when something waits that was not tried: it makes a pass."""

    grants_or_rejects = True

    def __init__(
        self,
        ledger: Ledger,
        cluster: ClusterView,
        *,
        config: GcsConfig,
        rng: Random,
        wake: Callable[[], Awaitable[None]],
        is_group_gone: Callable[[bytes], bool] = lambda group_id: False,
    ) -> None:
        self._leases: Table[bytes] = ledger.table("LEASE", None, indexes={"by_class": lambda key: (key,)})
        self._classes: Table[ClassRow] = ledger.table("LEASE_CLASS", None)
        self._taken: Table[Taken] = ledger.table("LEASE_TAKEN", None)
        self._cluster = cluster
        self._rng = rng
        self._wake = wake
        self._is_group_gone = is_group_gone
        self._tuning = tuning_of(config)
        self._default_policy = config.actor_policy
        self._policies = {**BUILT_IN, config.actor_policy: policy_named(config.actor_policy)}
        self._last = b""  # where the last lease went
        self._is_stale = False  # something was given back since the last pass

    # Steps of others' decisions.

    def choose(self, change: Change, lease: bytes, spec: TaskSpec, *, rejected: bool = False) -> None:
        """Let the lease wait for its node, which the next pass may find."""
        if rejected:
            self.defer(change, lease, spec)
        elif self._join(change, lease, spec) is Waiting.UNTRIED:
            change.errand(self._wake)

    def defer(self, change: Change, lease: bytes, spec: TaskSpec) -> None:
        """Let the lease wait until the cluster changes, since its raylet knows better than our view."""
        change.delete(self._taken, lease)
        self._join(change, lease, spec, Waiting.NOT_NOW)

    def settle(self, change: Change, lease: bytes) -> None:
        """The raylet granted the lease: what it uses is the raylet's to report."""
        change.delete(self._taken, lease)

    def call_off(self, change: Change, lease: bytes) -> None:
        """The lease is not wanted any more, whether it waits or has a node."""
        self._leave(change, lease)
        taken = self._taken.get(lease)
        if taken is not None:
            change.delete(self._taken, lease)
            self._cluster.give_back(change, *taken)
            if len(self._classes):
                self._is_stale = True
                change.errand(self._wake)

    def choose_waiting(
        self, change: Change, pending: object = None, *, news: bool
    ) -> Iterator[tuple[bytes, bytes | None]]:
        """Make a pass: the leases that have a node now; None for one that no node will ever do.

        The queue knows by itself what is ``pending``. Without ``news`` of the cluster only classes are tried that have not been.
        """
        news, self._is_stale = news or self._is_stale, False
        for key, row in list(self._classes.items()):
            if news or row.waiting is Waiting.UNTRIED:
                yield from self._try(change, key, row)

    # Queries.

    def may_place(self, node_id: bytes) -> bool:
        """Whether a pass could do something about what was just learned of a node."""
        if not len(self._classes):
            return False
        view = self._cluster.view(node_id)
        if view is None:
            return False
        return any(_concerns(view, row) or self._is_hopeless(row.lease_class) for row in self._classes.values())

    def load(self) -> ResourceLoad:
        """What waits here, as raylets tell what waits there."""
        return ResourceLoad(resource_demands=[self._demand(key, row) for key, row in self._classes.items()])

    def _demand(self, key: bytes, row: ClassRow) -> ResourceDemand:
        demand = ResourceDemand(shape=row.lease_class.shape, label_selectors=row.lease_class.selectors)
        count = self._leases.count("by_class", key)
        if row.waiting is Waiting.INFEASIBLE:
            demand.num_infeasible_requests_queued = count
        else:
            demand.num_ready_requests_queued = count
        return demand

    # The classes.

    def _join(self, change: Change, lease: bytes, spec: TaskSpec, alone: Waiting = Waiting.UNTRIED) -> Waiting:
        """Let the lease wait behind others of its class; ``alone`` is what is known of the class if there are none."""
        self._leave(change, lease)
        joined = lease_class(spec, self._tuning, self._default_policy)
        row = self._classes.get(joined.key)
        if row is None:
            row = ClassRow(joined, alone)
            change.put(self._classes, joined.key, row)
        change.put(self._leases, lease, joined.key)
        return row.waiting

    def _leave(self, change: Change, lease: bytes) -> None:
        key = self._leases.get(lease)
        if key is None:
            return
        was_head = self._leases.first("by_class", key) == lease
        change.delete(self._leases, lease)
        if was_head and not self._leases.count("by_class", key):
            change.delete(self._classes, key)

    def _try(self, change: Change, key: bytes, row: ClassRow) -> Iterator[tuple[bytes, bytes | None]]:
        """Take leases from the head of a class until one finds no node."""
        while (head := self._leases.first("by_class", key)) is not None:
            choice = self._chosen(row.lease_class)
            if choice.outcome is Outcome.PLACED:
                self._leave(change, head)
                self._cluster.take(change, {choice.node_id: row.lease_class.takes})
                change.put(self._taken, head, Taken(choice.node_id, row.lease_class.takes))
                self._last = choice.node_id
                yield head, choice.node_id
            elif choice.outcome is Outcome.INFEASIBLE and self._is_hopeless(row.lease_class):
                self._leave(change, head)
                yield head, None
            else:
                waiting = Waiting.INFEASIBLE if choice.outcome is Outcome.INFEASIBLE else Waiting.NOT_NOW
                if waiting is not row.waiting:
                    change.put(self._classes, key, row._replace(waiting=waiting))
                return

    def _is_hopeless(self, wanted: LeaseClass) -> bool:
        """Whether no node that may come later will do."""
        return wanted.names_node or (wanted.group_id != b"" and self._is_group_gone(wanted.group_id))

    def _chosen(self, wanted: LeaseClass) -> Choice:
        """The best that any ask of the class can get; an earlier one wins where both get as much."""
        best = Choice(Outcome.INFEASIBLE)
        policy = self._policies[wanted.policy]
        for ask in wanted.asks:
            choice = policy(ask._replace(after=self._last), self._cluster.views(), self._rng)
            if choice.outcome is not Outcome.INFEASIBLE and self._cluster.view(choice.node_id) is None:
                _log.error("policy %s chose node %s, which is not alive", wanted.policy, choice.node_id.hex())
                continue
            if choice.outcome is Outcome.PLACED:
                return choice
            if best.outcome is Outcome.INFEASIBLE:
                best = choice
        return best


def _concerns(view: NodeView, row: ClassRow) -> bool:
    return any(
        view.fits(ask.request) or (row.waiting is Waiting.INFEASIBLE and view.feasible(ask.request))
        for ask in row.lease_class.asks
    )
