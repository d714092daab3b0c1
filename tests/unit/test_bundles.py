"""Placing bundles: each strategy by claims, and against a slow reading of the rules on small clusters."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trio_gcs.generated.ray.common_pb2 import PACK, SPREAD, STRICT_PACK, STRICT_SPREAD
from trio_gcs.scheduling.bundles import Candidates, Outcome, Wish, place, scarcest_first, score
from trio_gcs.scheduling.labels import parse_selector
from trio_gcs.scheduling.resources import UNITS, added, amount_of, covers
from trio_gcs.scheduling.view import NodeView, Request

ALL = [PACK, SPREAD, STRICT_PACK, STRICT_SPREAD]
A, B, C, D = (bytes([letter]) * 28 for letter in b"abcd")


def node(total: dict[str, int], available: dict[str, int] | None = None, **labels: str) -> NodeView:
    return NodeView(total, total if available is None else available, labels)


def cpus(total: float, free: float | None = None, **labels: str) -> NodeView:
    return node({"CPU": round(total * UNITS)}, {"CPU": round((total if free is None else free) * UNITS)}, **labels)


def bundle(cpu: float = 0, selector: dict[str, str] | None = None, **need: float) -> Request:
    amounts = {name: round(amount * UNITS) for name, amount in {"CPU": cpu, **need}.items() if amount}
    return Request(amounts, parse_selector(selector or {}))


def test_packing_uses_as_few_nodes_as_it_meets() -> None:
    views = {A: cpus(4), B: cpus(4), C: cpus(4)}
    placement = place(Wish(PACK, [bundle(1)] * 5), views.items())
    assert placement.outcome is Outcome.PLACED
    assert sorted(placement.nodes.count(node_id) for node_id in set(placement.nodes)) == [1, 4]


def test_spreading_uses_every_node_before_one_twice() -> None:
    views = {A: cpus(4), B: cpus(4), C: cpus(4)}
    placement = place(Wish(SPREAD, [bundle(1)] * 5), views.items())
    assert sorted(placement.nodes.count(node_id) for node_id in views) == [1, 2, 2]


def test_spreading_fills_a_node_that_is_alone() -> None:
    assert place(Wish(SPREAD, [bundle(1)] * 4), [(A, cpus(4))]).nodes == (A, A, A, A)
    assert place(Wish(SPREAD, [bundle(1)] * 5), [(A, cpus(4))]).outcome is Outcome.NOT_NOW


def test_a_strict_spread_needs_a_node_per_bundle() -> None:
    views = {A: cpus(4), B: cpus(4)}
    assert set(place(Wish(STRICT_SPREAD, [bundle(1)] * 2), views.items()).nodes) == {A, B}
    assert place(Wish(STRICT_SPREAD, [bundle(1)] * 3), views.items()).outcome is Outcome.INFEASIBLE


def test_a_strict_spread_avoids_nodes_that_hold_bundles_of_the_group() -> None:
    views = {A: cpus(8), B: cpus(4)}
    assert place(Wish(STRICT_SPREAD, [bundle(1)], occupied={A}), views.items()).nodes == (B,)
    assert place(Wish(STRICT_SPREAD, [bundle(1)], occupied={A, B}), views.items()).outcome is Outcome.INFEASIBLE


def test_a_strict_pack_goes_to_the_preferred_node_if_it_fits_there() -> None:
    views = {A: cpus(8), B: cpus(4), C: cpus(4, free=1)}
    bundles = [bundle(1), bundle(2)]
    assert place(Wish(STRICT_PACK, bundles), views.items()).nodes == (A, A)
    assert place(Wish(STRICT_PACK, bundles, preferred=B), views.items()).nodes == (B, B)
    assert place(Wish(STRICT_PACK, bundles, preferred=C), views.items()).nodes == (A, A)
    assert place(Wish(STRICT_PACK, bundles, preferred=D), views.items()).nodes == (A, A)


def test_a_strict_pack_has_to_satisfy_the_labels_of_all_bundles() -> None:
    views = {A: cpus(8, zone="a"), B: cpus(8, zone="a", disk="ssd")}
    bundles = [bundle(1, {"zone": "a"}), bundle(1, {"disk": "ssd"})]
    assert place(Wish(STRICT_PACK, bundles), views.items()).nodes == (B, B)


@pytest.mark.parametrize("strategy", ALL)
def test_what_fits_only_when_more_is_free_is_not_infeasible(strategy: int) -> None:
    assert place(Wish(strategy, [bundle(2)]), [(A, cpus(4, free=1))]).outcome is Outcome.NOT_NOW
    assert place(Wish(strategy, [bundle(5)]), [(A, cpus(4))]).outcome is Outcome.INFEASIBLE


@pytest.mark.parametrize("strategy", ALL)
def test_a_node_that_drains_is_no_candidate(strategy: int) -> None:
    draining = cpus(4)._replace(is_draining=True)
    assert place(Wish(strategy, [bundle(1)]), [(A, draining)]).outcome is Outcome.INFEASIBLE
    assert place(Wish(strategy, [bundle(1)]), [(A, draining), (B, cpus(1))]).nodes == (B,)


@pytest.mark.parametrize("strategy", ALL)
def test_nothing_fits_where_there_is_no_node(strategy: int) -> None:
    assert place(Wish(strategy, [bundle(1)]), []).outcome is Outcome.INFEASIBLE


@pytest.mark.parametrize("strategy", ALL)
def test_nodes_come_back_in_the_order_of_the_bundles(strategy: int) -> None:
    views = {A: cpus(4, zone="a"), B: node({"GPU": UNITS, "CPU": UNITS}, zone="b")}
    bundles = [bundle(1, {"zone": "a"}), bundle(0, {"zone": "b"}, GPU=1)]
    placement = place(Wish(strategy, bundles), views.items())
    assert placement.nodes == ((A, B) if strategy != STRICT_PACK else ())


def test_the_scarcest_bundle_is_first() -> None:
    bundles = [bundle(8), bundle(1, memory=4), bundle(1, TPU=1), bundle(GPU=1), bundle(GPU=2), bundle(2, memory=4)]
    assert scarcest_first(bundles) == [4, 3, 2, 5, 1, 0]


def test_what_would_be_left_is_summed_up_as_shares() -> None:
    assert score({"CPU": 4 * UNITS, "GPU": 2 * UNITS}, {"CPU": UNITS, "GPU": UNITS}) == 0.75 + 0.5
    assert score({"CPU": UNITS}, {"CPU": UNITS}) == 0
    assert score({}, {}) == 0
    assert score({"CPU": UNITS - 1}, {"CPU": UNITS}) == -1


def test_a_topology_keeps_a_group_within_one_value_of_its_label() -> None:
    views = {A: cpus(1, rack="x"), B: cpus(2, rack="y"), C: cpus(2, rack="y"), D: cpus(9)}
    wish = Wish(PACK, [bundle(2)] * 2, topology_key="rack")
    placement = place(wish, views.items())
    assert (set(placement.nodes), placement.topology_value) == ({B, C}, "y")
    assert place(wish._replace(topology_value="x"), views.items()).outcome is Outcome.INFEASIBLE
    assert place(wish._replace(topology_value="gone"), views.items()).outcome is Outcome.INFEASIBLE
    assert place(wish._replace(topology_key="row"), views.items()).outcome is Outcome.INFEASIBLE


def test_a_topology_waits_if_any_of_its_values_could_do_later() -> None:
    views = {A: cpus(1, rack="x"), B: cpus(4, free=1, rack="y"), C: cpus(4, rack="")}
    assert place(Wish(PACK, [bundle(2)] * 2, topology_key="rack"), views.items()).outcome is Outcome.NOT_NOW


def test_a_topology_needs_the_sum_even_if_each_bundle_alone_would_fit() -> None:
    views = {A: cpus(3, rack="x")}
    assert place(Wish(PACK, [bundle(2)] * 2, topology_key="rack"), views.items()).outcome is Outcome.INFEASIBLE
    assert place(Wish(PACK, [bundle(2)] * 2), views.items()).outcome is Outcome.NOT_NOW


# The rules read slowly. Where scores are equal, any of the nodes may be taken: so they give a set of answers.

Answers = Iterator[dict[int, bytes] | None]


def best_of(nodes: Candidates, request: Request) -> list[bytes]:
    scores = {node_id: score(view.available, request.need) for node_id, view in nodes.items() if view.fits(request)}
    return [node_id for node_id, points in scores.items() if points == max(scores.values())]


def without(nodes: Candidates, node_id: bytes) -> Candidates:
    return {other: view for other, view in nodes.items() if other != node_id}


def packings(bundles: list[Request], waiting: list[int], nodes: Candidates, chosen: dict[int, bytes]) -> Answers:
    if not waiting:
        yield chosen
        return
    best = best_of(nodes, bundles[waiting[0]])
    if not best:
        yield None
    for node_id in best:
        view, taken, left = nodes[node_id], {}, []
        for index in waiting:
            if view.fits(bundles[index]):
                view = view.without(bundles[index].need)
                taken[index] = node_id
            else:
                left.append(index)
        yield from packings(bundles, left, without(nodes, node_id), chosen | taken)


def spreads(
    bundles: list[Request],
    waiting: list[int],
    nodes: Candidates,
    used: Candidates,
    chosen: dict[int, bytes],
    *,
    strict: bool,
) -> Answers:
    if not waiting:
        yield chosen
        return
    index, *later = waiting
    best = best_of(nodes, bundles[index])
    again = [] if best or strict else best_of(used, bundles[index])
    if not best and not again:
        yield None
    for node_id in [*best, *again]:
        view = (nodes if best else used)[node_id].without(bundles[index].need)
        yield from spreads(
            bundles, later, without(nodes, node_id), used | {node_id: view}, chosen | {index: node_id}, strict=strict
        )


def answers(wish: Wish, nodes: Candidates) -> set[tuple[Outcome, tuple[bytes, ...]]]:
    bundles = list(wish.bundles)
    if wish.strategy == STRICT_PACK:
        whole = Request(added(b.need for b in bundles), tuple(part for b in bundles for part in b.selector))
        nodes = {node_id: view for node_id, view in nodes.items() if view.feasible(whole)}
        if not nodes:
            return {(Outcome.INFEASIBLE, ())}
        best = [wish.preferred] if wish.preferred in best_or_not(nodes, whole) else best_of(nodes, whole)
        return {(Outcome.PLACED, (node_id,) * len(bundles)) for node_id in best} or {(Outcome.NOT_NOW, ())}
    if wish.strategy == STRICT_SPREAD:
        nodes = {node_id: view for node_id, view in nodes.items() if node_id not in wish.occupied}
    too_few = wish.strategy == STRICT_SPREAD and len(nodes) < len(bundles)
    if too_few or not all(any(view.feasible(b) for view in nodes.values()) for b in bundles):
        return {(Outcome.INFEASIBLE, ())}
    order = scarcest_first(bundles)
    found = (
        packings(bundles, order, nodes, {})
        if wish.strategy == PACK
        else spreads(bundles, order, nodes, {}, {}, strict=wish.strategy == STRICT_SPREAD)
    )
    return {
        (Outcome.NOT_NOW, ()) if chosen is None else (Outcome.PLACED, tuple(chosen[i] for i in range(len(bundles))))
        for chosen in found
    }


def best_or_not(nodes: Candidates, request: Request) -> list[bytes]:
    return [node_id for node_id, view in nodes.items() if view.fits(request)]


AMOUNTS = st.dictionaries(st.sampled_from(["CPU", "GPU", "x"]), st.integers(1, 3).map(lambda n: n * UNITS))


@st.composite
def nodes_of(draw: st.DrawFn) -> NodeView:
    total = draw(AMOUNTS)
    available = {name: draw(st.integers(0, amount // UNITS)) * UNITS for name, amount in total.items()}
    labels = draw(st.dictionaries(st.just("zone"), st.sampled_from(["a", "b"])))
    return NodeView(total, available if draw(st.booleans()) else total, labels)


REQUESTS = st.builds(
    Request,
    AMOUNTS,
    st.sampled_from(["a", "!a", "in(a,b)", None, None, None]).map(lambda v: parse_selector({"zone": v} if v else {})),
)
CLUSTERS = st.lists(nodes_of(), max_size=4).map(lambda views: dict(zip((A, B, C, D), views, strict=False)))


@settings(max_examples=400, deadline=None)
@given(
    CLUSTERS,
    st.lists(REQUESTS, min_size=1, max_size=4),
    st.sampled_from(ALL),
    st.sets(st.sampled_from([A, B]), max_size=1),
    st.sampled_from([b"", A, B]),
)
def test_a_placement_is_one_that_the_rules_allow(
    nodes: Candidates, bundles: list[Request], strategy: int, occupied: set[bytes], preferred: bytes
) -> None:
    wish = Wish(strategy, bundles, occupied, preferred)
    placement = place(wish, nodes.items())
    assert (placement.outcome, placement.nodes) in answers(wish, nodes)


@settings(max_examples=200, deadline=None)
@given(CLUSTERS, st.lists(REQUESTS, min_size=1, max_size=6), st.sampled_from(ALL), st.sampled_from(["", "zone"]))
def test_what_is_placed_fits_together(nodes: Candidates, bundles: list[Request], strategy: int, key: str) -> None:
    placement = place(Wish(strategy, bundles, topology_key=key), nodes.items())
    for node_id in set(placement.nodes):
        held = [b for b, at in zip(bundles, placement.nodes, strict=True) if at == node_id]
        assert covers(nodes[node_id].available, added(b.need for b in held))
        assert all(nodes[node_id].fits(b) for b in held)
        if key:
            assert nodes[node_id].labels[key] == placement.topology_value


def quickest_s(wish: Wish, views: Candidates) -> float:
    took_s = []
    for _ in range(5):
        begun = perf_counter()
        assert place(wish, views.items()).outcome is Outcome.PLACED
        took_s.append(perf_counter() - begun)
    return min(took_s)


@pytest.mark.parametrize("strategy", ALL)
def test_a_hundred_bundles_on_a_thousand_nodes_take_milliseconds(strategy: int) -> None:
    total = {"CPU": 64 * UNITS, "memory": 1 << 50, "GPU": 8 * UNITS}
    views = {
        number.to_bytes(28): NodeView(
            {**total, f"node:{number}": UNITS}, {**total, "CPU": (60 + number % 4) * UNITS}, {}
        )
        for number in range(1000)
    }
    wish = Wish(strategy, [bundle(0.5, memory=1), bundle(0.25, GPU=0.01)] * 50)
    assert quickest_s(wish, views) < 0.010


@pytest.mark.parametrize("strategy", ALL)
def test_nor_do_a_hundred_different_ones_on_a_thousand_nodes_of_which_no_two_are_alike(strategy: int) -> None:
    rng = Random(7)
    total = {"CPU": 64 * UNITS, "memory": 1 << 50, "GPU": 8 * UNITS}
    views = {
        number.to_bytes(28): NodeView(
            total,
            {**total, "CPU": rng.randrange(40 * UNITS, 64 * UNITS), "memory": rng.randrange(1 << 49, 1 << 50)},
            {},
        )
        for number in range(1000)
    }
    wish = Wish(strategy, [bundle(0.1 + number / 1000, memory=1 + number) for number in range(100)])
    assert quickest_s(wish, views) < 0.010


def test_an_implicit_resource_is_there_without_being_named() -> None:
    name = "node:__internal_implicit_resource_x"
    wish = Wish(STRICT_PACK, [bundle(**{name: 0.5}), bundle(**{name: 0.5})])
    assert place(wish, [(A, node({}))]).outcome is Outcome.PLACED
    assert amount_of({}, name) == UNITS
    assert place(wish._replace(bundles=[*wish.bundles, bundle(**{name: 0.1})]), [(A, node({}))]).nodes == ()


def test_bundles_of_which_each_names_a_resource_of_its_own_are_refused_at_once() -> None:
    bundles = [bundle(**{f"x{number}": 1}) for number in range(20_000)]
    began_at = perf_counter()
    assert place(Wish(PACK, bundles), [(A, cpus(4))]).outcome is Outcome.INFEASIBLE
    assert perf_counter() - began_at < 2  # seconds; comparing each with each takes half a minute
