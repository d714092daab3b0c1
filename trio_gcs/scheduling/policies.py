"""Which node a request goes to. Pure: views and dice in, a choice out, nothing is taken anywhere.

Every policy has one signature, :data:`Policy`, so that one can take the place of another; ``registry.py`` finds those of
users. The one hard idea is what a choice is when nothing fits now: still a node, the one at which it is best to wait,
since it would fit there once everything is free. Only a request that fits nowhere even then has no node.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import NamedTuple

from trio_gcs.config import GcsConfig
from trio_gcs.scheduling.bundles import Outcome
from trio_gcs.scheduling.labels import ANY_NODE, Selector, satisfies
from trio_gcs.scheduling.resources import amount_of
from trio_gcs.scheduling.view import NodeView, Request

Views = Iterable[tuple[bytes, NodeView]]

# A node is as full as the fullest of these; what else it has is seldom what it runs out of.
COUNTED = ("CPU", "memory", "object_store_memory")


class Tuning(NamedTuple):
    """The knobs of the cluster.

    A node used less than ``spread_threshold`` counts as not used at all, so it is filled before the next one. Of all
    nodes a fraction, but at least ``top_k_min``, count as equally good.
    """

    spread_threshold: float = 0.5
    top_k_fraction: float = 0.2
    top_k_min: int = 1
    avoids_gpu_nodes: bool = True


class Ask(NamedTuple):
    """What is to be placed, and what its owner said about where. Each policy reads what it knows."""

    request: Request
    tuning: Tuning = Tuning()
    preferred: bytes = b""  # hybrid: the node that wins where it is as good as the best
    after: bytes = b""  # spread: the node that was chosen the last time
    target: bytes = b""  # node affinity
    soft: bool = False  # node affinity: any other node will do, too
    now_or_never: bool = False  # node affinity: the target counts only if it fits there now
    required: Selector = ANY_NODE  # node label
    wished: Selector = ANY_NODE  # node label: better, among those that have what is required


class Choice(NamedTuple):
    """Where the request goes; NOT_NOW has the node where it is best to wait, INFEASIBLE has none."""

    outcome: Outcome
    node_id: bytes = b""


Policy = Callable[[Ask, Views, Random], Choice]

INFEASIBLE = Choice(Outcome.INFEASIBLE)


def hybrid(ask: Ask, views: Views, rng: Random) -> Choice:
    """Fill nodes up to the threshold one after the other, then balance. Keep GPUs for those who need them."""
    everyone = list(views)
    best = _best_count(ask.tuning, len(everyone))
    nodes = _usable(everyone)
    if ask.tuning.avoids_gpu_nodes and not ask.request.need.get("GPU"):
        choice = _least_used(ask, [node for node in nodes if not amount_of(node[1].total, "GPU")], best, rng)
        if choice.outcome is Outcome.PLACED:
            return choice
    return _least_used(ask, nodes, best, rng)


def spread(ask: Ask, views: Views, rng: Random) -> Choice:
    """Go round all nodes in the order of their ids, beginning behind the one that was chosen the last time."""
    nodes = sorted(_usable(views))
    at = sum(node_id <= ask.after for node_id, _ in nodes)
    return _first(nodes[at:] + nodes[:at], ask.request)


def random(ask: Ask, views: Views, rng: Random) -> Choice:
    """Any node, each as likely as the other."""
    nodes = _usable(views)
    rng.shuffle(nodes)
    return _first(nodes, ask.request)


def node_affinity(ask: Ask, views: Views, rng: Random) -> Choice:
    """The target; where it is not there or not good enough, and the affinity is soft, whatever hybrid says.

    A hard affinity to a node that does not do is infeasible, even where only its resources are in use.
    """
    everyone = list(views)
    for node_id, view in _usable(everyone):
        if node_id == ask.target and view.feasible(ask.request):
            if view.fits(ask.request):
                return Choice(Outcome.PLACED, node_id)
            if not ask.now_or_never:
                return Choice(Outcome.NOT_NOW, node_id)
    return hybrid(ask, everyone, rng) if ask.soft else INFEASIBLE


def node_label(ask: Ask, views: Views, rng: Random) -> Choice:
    """Any node with the labels that are required; better one that fits now, and better yet with those wished for."""
    nodes = [(node_id, view) for node_id, view in _usable(views) if satisfies(view.labels, ask.required)]
    rng.shuffle(nodes)
    nodes.sort(key=lambda node: not satisfies(node[1].labels, ask.wished))
    return _first(nodes, ask.request)


BUILT_IN: dict[str, Policy] = {
    "hybrid": hybrid,
    "spread": spread,
    "random": random,
    "node_affinity": node_affinity,
    "node_label": node_label,
}


def tuning_of(config: GcsConfig) -> Tuning:
    """The knobs as the daemon is configured."""
    return Tuning(
        spread_threshold=config.scheduler_spread_threshold,
        top_k_fraction=config.scheduler_top_k_fraction,
        top_k_min=config.scheduler_top_k_min,
        avoids_gpu_nodes=config.scheduler_avoids_gpu_nodes,
    )


def use_of(view: NodeView, threshold: float) -> float:
    """How full a node is, 0 to 1; 0 below the threshold."""
    use = 0.0
    for name in COUNTED:
        total = amount_of(view.total, name)
        if total:
            use = max(use, 1 - amount_of(view.available, name) / total)
    return use if use >= threshold else 0.0


def _usable(views: Views) -> list[tuple[bytes, NodeView]]:
    return [(node_id, view) for node_id, view in views if not view.is_draining]


def _best_count(tuning: Tuning, nodes: int) -> int:
    return max(1, tuning.top_k_min, int(nodes * tuning.top_k_fraction))


def _first(nodes: Sequence[tuple[bytes, NodeView]], request: Request) -> Choice:
    """The first node on which the request fits now, or else the first on which it would fit."""
    waiting = INFEASIBLE
    for node_id, view in nodes:
        if not view.feasible(request):
            continue
        if view.fits(request):
            return Choice(Outcome.PLACED, node_id)
        if waiting is INFEASIBLE:
            waiting = Choice(Outcome.NOT_NOW, node_id)
    return waiting


def _least_used(ask: Ask, nodes: Iterable[tuple[bytes, NodeView]], best: int, rng: Random) -> Choice:
    fitting: list[tuple[float, bytes]] = []
    waiting: list[tuple[float, bytes]] = []
    # What waits for objects on the preferred node is told by it where else to go, so a full store there is no reason.
    lenient = ask.request._replace(stores_objects=False)
    for node_id, view in nodes:
        if view.feasible(ask.request):
            fits = view.fits(lenient if node_id == ask.preferred else ask.request)
            (fitting if fits else waiting).append((use_of(view, ask.tuning.spread_threshold), node_id))
    if fitting:
        return Choice(Outcome.PLACED, _one_of_best(fitting, ask.preferred, best, rng))
    if waiting:
        return Choice(Outcome.NOT_NOW, _one_of_best(waiting, ask.preferred, best, rng))
    return INFEASIBLE


def _one_of_best(scored: list[tuple[float, bytes]], preferred: bytes, best: int, rng: Random) -> bytes:
    scored.sort()
    least = scored[0][0]
    for use, node_id in scored:
        if use > least:
            break
        if node_id == preferred:
            return node_id
    return scored[rng.randrange(min(best, len(scored)))][1]
