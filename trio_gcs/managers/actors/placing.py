"""Which raylet to ask first for an actor's worker. It does the real placing, and sends us on where it cannot.

Pure: what is alive and the dice come from outside, so a placement can be replayed.
"""

from __future__ import annotations

from random import Random

from trio_gcs.generated.ray.common_pb2 import LabelSelectorOperator, TaskSpec
from trio_gcs.managers.actors.peers import Nodes
from trio_gcs.managers.actors.rows import needed

NODE_ID_LABEL = "ray.io/node-id"


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
