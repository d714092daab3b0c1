"""Which raylet to ask for an actor's worker, in one of two ways.

Either any raylet is asked, which does the real placing and sends us on where it cannot (:class:`ByRaylets`); or the
daemon chooses the node itself, and its raylet may only grant or reject (``scheduling/leases``). Who makes attempts knows
neither, only :class:`Placing`. The one hard idea: an actor without a node is never placed where it stands, in the middle
of somebody's decision; it waits, and a pass of its own finds what has a node by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from random import Random
from typing import Protocol

from trio_gcs.generated.ray.common_pb2 import LabelSelectorOperator, TaskSpec
from trio_gcs.managers.actors.peers import Nodes
from trio_gcs.managers.actors.rows import needed
from trio_gcs.store.ledger import Change

NODE_ID_LABEL = "ray.io/node-id"

Pending = Callable[[], Iterable[tuple[bytes, TaskSpec]]]


class Placing(Protocol):
    """Chooses nodes for actors; each method is a step of somebody's decision."""

    @property
    def grants_or_rejects(self) -> bool:
        """Whether the raylet that is asked first must not send us on."""
        ...

    def choose(self, change: Change, actor_id: bytes, spec: TaskSpec, *, rejected: bool = False) -> bytes | None:
        """The node to ask; None if the actor has to wait. ``rejected``: the raylet of the last one said no."""
        ...

    def defer(self, change: Change, actor_id: bytes, spec: TaskSpec) -> None:
        """The node that was asked will not do, and the cluster is as it was: let the actor wait for news."""
        ...

    def settle(self, change: Change, actor_id: bytes) -> None:
        """The actor got a worker."""
        ...

    def call_off(self, change: Change, actor_id: bytes) -> None:
        """The actor needs no node any more, or not the one that it has."""
        ...

    def choose_waiting(self, change: Change, pending: Pending, *, news: bool) -> Iterable[tuple[bytes, bytes | None]]:
        """Of the actors that wait, those that have a node to ask now; None for one that no node will ever do.

        ``pending`` are all that wait, for who keeps no order of its own. ``news``: nodes came, or something was freed.
        """
        ...


class ByRaylets:
    """Any raylet is asked, and knows better. An actor waits only while no node is alive."""

    grants_or_rejects = False

    def __init__(self, nodes: Nodes, rng: Random) -> None:
        self._nodes = nodes
        self._rng = rng

    def choose(self, change: Change, actor_id: bytes, spec: TaskSpec, *, rejected: bool = False) -> bytes | None:
        """The node to ask first, whoever rejected the actor before: the next raylet knows more by then."""
        return choose_node(spec, self._nodes, self._rng)

    def defer(self, change: Change, actor_id: bytes, spec: TaskSpec) -> None:
        """The actor's row says that it waits."""

    def settle(self, change: Change, actor_id: bytes) -> None:
        """Nothing was set aside."""

    def call_off(self, change: Change, actor_id: bytes) -> None:
        """Nothing was set aside."""

    def choose_waiting(self, change: Change, pending: Pending, *, news: bool) -> Iterator[tuple[bytes, bytes | None]]:
        """A node for each, if there is any, in the order in which they began to wait."""
        for actor_id, spec in pending():
            node_id = self.choose(change, actor_id, spec)
            if node_id is not None:
                yield actor_id, node_id


def choose_node(spec: TaskSpec, nodes: Nodes, rng: Random) -> bytes | None:
    """The node whose raylet is asked first; None while no node is alive.

    Only aliveness matters here: a node that is being drained is asked too, and refuses by itself.
    """
    for node_id in _wanted(spec):
        if nodes.is_alive(node_id):
            return node_id
    return nodes.random_alive(rng)


def _wanted(spec: TaskSpec) -> list[bytes]:
    """Nodes that come before any other, best first."""
    wanted = _selected(spec)
    strategy = spec.scheduling_strategy
    if strategy.HasField("node_affinity_scheduling_strategy"):
        wanted.append(strategy.node_affinity_scheduling_strategy.node_id)
    # An actor that needs nothing would crowd its owner's node, so only one that needs something goes there.
    if needed(spec):
        wanted.append(spec.caller_address.node_id)
    return wanted


def _selected(spec: TaskSpec) -> list[bytes]:
    values = [
        value
        for constraint in spec.label_selector.label_constraints
        if constraint.label_key == NODE_ID_LABEL and constraint.operator == LabelSelectorOperator.LABEL_OPERATOR_IN
        for value in constraint.label_values
    ]
    return [bytes.fromhex(value) for value in sorted(values) if _is_hex(value)]


def _is_hex(text: str) -> bool:
    try:
        bytes.fromhex(text)
    except ValueError:
        return False
    return True
