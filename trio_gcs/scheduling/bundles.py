"""Where the bundles of a placement group go. Pure: views in, a placement out, nothing is taken anywhere.

Every strategy is greedy: the scarcest bundle first, each to the node with the best score, which is the one that has the
largest share left. The one hard idea is how this is done for a thousand nodes: bundles tell nodes apart only by the few
amounts and labels that they name, so nodes that look the same to all of them share a group, and groups are ranked once
per kind of bundle. A uniform cluster is then a handful of groups, however large.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from heapq import heapify, heappop, heappush
from itertools import repeat
from typing import NamedTuple

from trio_gcs.generated.ray.common_pb2 import PACK, SPREAD, STRICT_PACK, STRICT_SPREAD, PlacementStrategy
from trio_gcs.scheduling.labels import Selector, satisfies
from trio_gcs.scheduling.resources import Amounts, added, amount_of, covers, implicit
from trio_gcs.scheduling.view import NodeView, Request

Candidates = dict[bytes, NodeView]


class Outcome(Enum):
    """How placing ended."""

    PLACED = "every bundle has a node"
    NOT_NOW = "it would fit if more were free"
    INFEASIBLE = "it would not fit if all were free"


class Placement(NamedTuple):
    """The answer: a node per bundle, in the order of the bundles; and the label value that a topology chose."""

    outcome: Outcome
    nodes: tuple[bytes, ...] = ()
    topology_value: str = ""


NOT_NOW = Placement(Outcome.NOT_NOW)
INFEASIBLE = Placement(Outcome.INFEASIBLE)


class Wish(NamedTuple):
    """What is to be placed.

    ``occupied`` are nodes that hold other bundles of the group already: a strict spread avoids them. A strict pack goes
    to ``preferred`` if it fits there. With a ``topology_key``, all nodes must have the same value of that label, and it
    must be ``topology_value`` where one was chosen before.
    """

    strategy: PlacementStrategy
    bundles: Sequence[Request]
    occupied: Collection[bytes] = frozenset()
    preferred: bytes = b""
    topology_key: str = ""
    topology_value: str = ""


def place(wish: Wish, views: Iterable[tuple[bytes, NodeView]]) -> Placement:
    """Find a node for each bundle, among nodes that are not being drained."""
    candidates = {node_id: view for node_id, view in views if not view.is_draining}
    if not wish.topology_key:
        return _place(wish, candidates)
    best = INFEASIBLE
    for value, nodes in _by_label(candidates, wish.topology_key).items():
        if wish.topology_value and wish.topology_value != value:
            continue
        placement = _place(wish, nodes) if _holds_together(nodes.values(), wish.bundles) else INFEASIBLE
        if placement.outcome is Outcome.PLACED:
            return placement._replace(topology_value=value)
        if placement.outcome is Outcome.NOT_NOW:
            best = NOT_NOW
    return best


def score(available: Mapping[str, int], need: Mapping[str, int]) -> float:
    """How much would be left, as a sum of shares; more is better, and what does not fit is -1."""
    left = 0.0
    for name, amount in need.items():
        have = amount_of(available, name)
        if have < amount:
            return -1.0
        if have:
            left += (have - amount) / have
    return left


def scarcest_first(bundles: Sequence[Request]) -> list[int]:
    """The indexes of the bundles in the order of placing: most GPUs, most of each custom resource, and so on."""
    different = _different(bundles)
    if len(different) == 1:
        return list(range(len(bundles)))
    plain = ("object_store_memory", "memory", "CPU")
    custom = {name for bundle in different for name in bundle.need} - {"GPU", *plain}
    names = ("GPU", *sorted(custom), *plain)
    ranks = {id(bundle): tuple(-bundle.need.get(name, 0) for name in names) for bundle in different}
    return sorted(range(len(bundles)), key=lambda index: ranks[id(bundles[index])])


def _place(wish: Wish, candidates: Candidates) -> Placement:
    if wish.strategy == STRICT_PACK:
        return _on_one_node(wish, candidates)
    if wish.strategy == STRICT_SPREAD:
        if wish.occupied:
            candidates = {node_id: view for node_id, view in candidates.items() if node_id not in wish.occupied}
        if len(candidates) < len(wish.bundles):
            return INFEASIBLE
    if not candidates:
        return INFEASIBLE
    kinds = _kinds_of(wish.bundles)
    for kind in set(kinds):
        if not any(view.feasible(kind.request) for view in candidates.values()):
            return INFEASIBLE
    pool = _Pool(kinds, candidates)
    order = scarcest_first(wish.bundles)
    chosen = _packed(kinds, order, pool) if wish.strategy == PACK else _spread(wish, kinds, order, pool)
    if len(chosen) < len(order):
        return NOT_NOW
    return Placement(Outcome.PLACED, tuple(chosen[index] for index in range(len(order))))


def _on_one_node(wish: Wish, candidates: Candidates) -> Placement:
    selector: Selector = tuple({part: None for bundle in wish.bundles for part in bundle.selector})
    whole = Request(added(bundle.need for bundle in wish.bundles), selector)
    feasible = {node_id: view for node_id, view in candidates.items() if view.feasible(whole)}
    if not feasible:
        return INFEASIBLE
    preferred = feasible.get(wish.preferred)
    if preferred is not None and preferred.fits(whole):
        return Placement(Outcome.PLACED, (wish.preferred,) * len(wish.bundles))
    best = max(feasible, key=lambda node_id: score(feasible[node_id].available, whole.need))
    if not feasible[best].fits(whole):
        return NOT_NOW
    return Placement(Outcome.PLACED, (best,) * len(wish.bundles))


def _packed(kinds: Sequence[_Kind], order: Sequence[int], pool: _Pool) -> dict[int, bytes]:
    chosen: dict[int, bytes] = {}
    waiting = list(order)
    while waiting:
        taken = pool.take(kinds[waiting[0]])
        if taken is None:
            break
        node_id, looks = taken
        left, full = [], set()
        for index in waiting:
            kind = kinds[index]
            if kind in full or kind.score(looks) < 0:
                # What does not fit now will not fit later: the node only gets fuller.
                full.add(kind)
                left.append(index)
            else:
                looks = kind.taken_from(looks)
                chosen[index] = node_id
        waiting = left
    return chosen


def _spread(wish: Wish, kinds: Sequence[_Kind], order: Sequence[int], pool: _Pool) -> dict[int, bytes]:
    chosen: dict[int, bytes] = {}
    used = _Pool(kinds, {}) if wish.strategy == SPREAD else None
    for index in order:
        kind = kinds[index]
        taken = pool.take(kind)
        if taken is None and used is not None:
            taken = used.take(kind)
        if taken is None:
            break
        node_id, looks = taken
        chosen[index] = node_id
        if used is not None:
            used.add(node_id, kind.taken_from(looks))
    return chosen


def _by_label(candidates: Candidates, key: str) -> dict[str, Candidates]:
    groups: dict[str, Candidates] = {}
    for node_id, view in candidates.items():
        value = view.labels.get(key)
        if value:
            groups.setdefault(value, {})[node_id] = view
    return groups


def _holds_together(views: Iterable[NodeView], bundles: Sequence[Request]) -> bool:
    """Whether nodes have in sum what the bundles need in sum; each alone is looked at later."""
    views = list(views)
    need = added(bundle.need for bundle in bundles)
    total: Amounts = {name: sum(amount_of(view.total, name) for view in views) for name in need}
    return covers(total, need)


class _Looks(NamedTuple):
    """All that bundles can see of a node: what is available of the resources they name, and the labels they name."""

    amounts: tuple[int, ...]
    labels: tuple[tuple[str, str], ...]


class _Kind:
    """Bundles that ask for the same. ``terms``: where in the amounts of :class:`_Looks` each need is found."""

    __slots__ = ("request", "terms")

    def __init__(self, request: Request, places: Mapping[str, int]) -> None:
        self.request = request
        self.terms = tuple((places[name], amount) for name, amount in request.need.items())

    @property
    def is_plain(self) -> bool:
        """Whether it asks for something, and for less than nothing of nothing."""
        return bool(self.terms) and all(amount > 0 for _, amount in self.terms)

    def score(self, looks: _Looks) -> float:
        """As :func:`score`, and -1 where the labels are wrong."""
        left = self.left_of(looks.amounts)
        if left >= 0 and self.request.selector and not satisfies(dict(looks.labels), self.request.selector):
            return -1.0
        return left

    def left_of(self, amounts: Sequence[int]) -> float:
        """As :func:`score`: the sum of the shares that are left of these amounts, and -1 where they are too little."""
        left = 0.0
        for at, amount in self.terms:
            have = amounts[at]
            if have < amount:
                return -1.0
            if have:
                left += (have - amount) / have
        return left

    def taken_from(self, looks: _Looks) -> _Looks:
        """How a node looks once it holds such a bundle."""
        amounts = list(looks.amounts)
        for at, amount in self.terms:
            amounts[at] -= amount
        return _Looks(tuple(amounts), looks.labels)


class _Pool:
    """Nodes by their looks, and for each kind of bundle that comes more than once a heap of looks, best first.

    A heap may hold looks that no node has any more; they are dropped when they come up. A kind that comes once is not
    worth a heap: its best looks are searched for among those that have most of one of its resources.
    """

    def __init__(self, kinds: Sequence[_Kind], candidates: Candidates) -> None:
        names = list(dict.fromkeys(name for kind in kinds for name in kind.request.need))
        label_keys = sorted({part.key for kind in kinds for part in kind.request.selector})
        self._heaps: dict[_Kind, list[tuple[float, int, _Looks]]] = {}
        self._rare = {kind for kind, times in Counter(kinds).items() if times == 1 and kind.is_plain}
        self._by_amount: dict[int, list[_Looks]] = {}  # for a resource's place, all looks, those with most of it last
        self._ages: dict[_Looks, int] = {}  # which of the looks in there come first
        self._count = 0
        alike: dict[tuple[tuple[int, ...], tuple[tuple[str, str], ...]], list[bytes]] = {}
        for node_id, looks in zip(candidates, _looks_of(candidates.values(), names, label_keys), strict=True):
            nodes = alike.get(looks)
            if nodes is None:
                alike[looks] = [node_id]
            else:
                nodes.append(node_id)
        self._nodes: dict[_Looks, list[bytes]] = {_Looks(*looks): node_ids for looks, node_ids in alike.items()}

    def add(self, node_id: bytes, looks: _Looks) -> None:
        """Put a node in."""
        nodes = self._nodes.get(looks)
        if nodes is not None:
            nodes.append(node_id)
            return
        self._nodes[looks] = [node_id]
        self._by_amount.clear()
        for kind, heap in self._heaps.items():
            entry = self._entry(kind, looks)
            if entry is not None:
                heappush(heap, entry)

    def take(self, kind: _Kind) -> tuple[bytes, _Looks] | None:
        """Take out the best node for a bundle; None if it fits nowhere."""
        if kind in self._rare:
            best = self._best(kind)
            return None if best is None else self._take(best)
        heap = self._heaps.get(kind)
        if heap is None:
            entries = [self._entry(kind, looks) for looks in self._nodes]
            heap = self._heaps[kind] = [entry for entry in entries if entry is not None]
            heapify(heap)
        while heap:
            looks = heap[0][2]
            if looks in self._nodes:
                return self._take(looks)
            heappop(heap)
        return None

    def _take(self, looks: _Looks) -> tuple[bytes, _Looks]:
        nodes = self._nodes[looks]
        node_id = nodes.pop()
        if not nodes:
            del self._nodes[looks]
        return node_id, looks

    def _best(self, kind: _Kind) -> _Looks | None:
        """The looks with the highest score, the first of them if there are more; None if the bundle fits nowhere.

        The score of a plain kind grows with each amount. So once the looks that have most of one resource or another have
        been seen, the others are no better than what would have as much of each as the last ones seen.
        """
        columns = [self._column(at) for at, _ in kind.terms]
        best: _Looks | None = None
        best_score = 0.0
        seen: set[int] = set()
        edge = list(next(iter(self._nodes)).amounts) if self._nodes else []
        for row in zip(*map(reversed, columns), strict=False):  # the shortest column has all that are left, too
            for (at, _), looks in zip(kind.terms, row, strict=True):
                edge[at] = looks.amounts[at]
                if id(looks) in seen:
                    continue
                seen.add(id(looks))
                points = kind.score(looks)
                if points < best_score or looks not in self._nodes:
                    continue
                is_first = best is None or self._ages[looks] < self._ages[best]
                if best is None or points > best_score or (points == best_score and is_first):
                    best, best_score = looks, points
            if kind.left_of(edge) < best_score:
                break
        return best

    def _column(self, at: int) -> list[_Looks]:
        if not self._by_amount:
            self._ages = {looks: age for age, looks in enumerate(self._nodes)}
        column = self._by_amount.get(at)
        if column is None:
            column = self._by_amount[at] = sorted(self._nodes, key=lambda looks: looks.amounts[at])
        while column and column[-1] not in self._nodes:
            column.pop()
        return column

    def _entry(self, kind: _Kind, looks: _Looks) -> tuple[float, int, _Looks] | None:
        points = kind.score(looks)
        self._count += 1
        return (-points, self._count, looks) if points >= 0 else None


def _looks_of(
    views: Collection[NodeView], names: Sequence[str], label_keys: Sequence[str]
) -> Iterable[tuple[tuple[int, ...], tuple[tuple[str, str], ...]]]:
    """The fields of :class:`_Looks` of many nodes; most groups ask for one resource and no label."""
    # As `amount_of`, a resource at a time.
    defaults = [(name, implicit(name)) for name in names]
    columns = [[view.available.get(name, default) for view in views] for name, default in defaults]
    amounts: Iterable[tuple[int, ...]] = zip(*columns, strict=True) if columns else repeat((), len(views))
    labels: Iterable[tuple[tuple[str, str], ...]] = repeat((), len(views))
    if label_keys:
        labels = [tuple([(key, view.labels[key]) for key in label_keys if key in view.labels]) for view in views]
    return zip(amounts, labels, strict=True)


def _kinds_of(bundles: Sequence[Request]) -> list[_Kind]:
    different = _different(bundles)
    names = dict.fromkeys(name for bundle in different for name in bundle.need)
    places = {name: place for place, name in enumerate(names)}
    if len(different) == 1:
        return [_Kind(bundles[0], places)] * len(bundles)
    kinds: dict[tuple[frozenset[tuple[str, int]], Selector], _Kind] = {}
    kind_of: dict[int, _Kind] = {}
    for bundle in different:
        key = frozenset(bundle.need.items()), bundle.selector
        if key not in kinds:
            kinds[key] = _Kind(bundle, places)
        kind_of[id(bundle)] = kinds[key]
    return [kind_of[id(bundle)] for bundle in bundles]


def _different(bundles: Iterable[Request]) -> Collection[Request]:
    """Each of the objects once: whoever asks for many of a kind shares one request among them."""
    return {id(bundle): bundle for bundle in bundles}.values()
