"""Node policies: each by claims, and against a slow reading of its rule on small clusters."""

from __future__ import annotations

from random import Random
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.config import GcsConfig
from trio_gcs.scheduling.bundles import Outcome
from trio_gcs.scheduling.labels import parse_selector
from trio_gcs.scheduling.policies import (
    BUILT_IN,
    Ask,
    Choice,
    Policy,
    Tuning,
    hybrid,
    node_affinity,
    node_label,
    random,
    spread,
    tuning_of,
)
from trio_gcs.scheduling.resources import UNITS
from trio_gcs.scheduling.view import NodeView, Request

PLACED, NOT_NOW, INFEASIBLE = Outcome
A, B, C, D = (bytes([letter]) * 28 for letter in b"abcd")
IDS = [A, B, C, D]
Cluster = dict[bytes, NodeView]


def node(cpu: float = 0, free: float | None = None, *, gpu: float = 0, drains: bool = False, **labels: str) -> NodeView:
    total = {"CPU": round(cpu * UNITS), "GPU": round(gpu * UNITS)}
    available = {**total, "CPU": round((cpu if free is None else free) * UNITS)}
    return NodeView(total, available, labels, is_draining=drains)


def ask(cpu: float = 1, gpu: float = 0, **fields: object) -> Ask:
    need = {name: round(amount * UNITS) for name, amount in {"CPU": cpu, "GPU": gpu}.items() if amount}
    return Ask(Request(need), **fields)  # type: ignore[arg-type]  # each test names fields that Ask has


def choices(policy: Policy, wanted: Ask, cluster: Cluster) -> set[Choice]:
    """All that the policy may choose, as far as forty throws of the dice show."""
    return {policy(wanted, cluster.items(), Random(seed)) for seed in range(40)}


# What holds for all of them.

amounts = st.integers(0, 4)
views = st.builds(
    lambda cpu, used, gpu, drains, zone: node(cpu, max(0, cpu - used), gpu=gpu, drains=drains, **zone),
    amounts,
    amounts,
    st.integers(0, 1),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([{}, {"zone": "a"}, {"zone": "b"}]),
)
clusters = st.dictionaries(st.sampled_from(IDS), views)
selectors = st.sampled_from([{}, {"zone": "a"}, {"zone": "!a"}]).map(parse_selector)
asks = st.builds(
    ask,
    amounts,
    st.integers(0, 1),
    tuning=st.builds(
        Tuning, st.sampled_from([0.0, 0.5]), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 2), st.booleans()
    ),
    preferred=st.sampled_from([b"", *IDS]),
    after=st.sampled_from([b"", *IDS]),
    target=st.sampled_from(IDS),
    soft=st.booleans(),
    now_or_never=st.booleans(),
    required=selectors,
    wished=selectors,
)


@given(asks, clusters, st.integers(), st.sampled_from(sorted(BUILT_IN)))
def test_a_choice_is_what_it_says(wanted: Ask, cluster: Cluster, seed: int, name: str) -> None:
    outcome, chosen = BUILT_IN[name](wanted, cluster.items(), Random(seed))
    if outcome is INFEASIBLE:
        assert chosen == b""
    else:
        assert not cluster[chosen].is_draining
        assert cluster[chosen].feasible(wanted.request)
        assert cluster[chosen].fits(wanted.request) is (outcome is PLACED)


@given(asks, clusters, st.sampled_from(["hybrid", "spread", "random"]))
def test_a_node_is_found_wherever_there_is_one(wanted: Ask, cluster: Cluster, name: str) -> None:
    usable = [view for view in cluster.values() if not view.is_draining]
    outcome, _ = BUILT_IN[name](wanted, cluster.items(), Random(0))
    if any(view.fits(wanted.request) for view in usable):
        assert outcome is PLACED
    else:
        assert outcome is (NOT_NOW if any(view.feasible(wanted.request) for view in usable) else INFEASIBLE)


@given(asks, clusters, st.integers(), st.sampled_from(sorted(BUILT_IN)))
def test_the_same_dice_give_the_same_choice(wanted: Ask, cluster: Cluster, seed: int, name: str) -> None:
    policy = BUILT_IN[name]
    assert policy(wanted, cluster.items(), Random(seed)) == policy(wanted, iter(cluster.items()), Random(seed))


# Hybrid.


def slow_hybrid(wanted: Ask, cluster: Cluster) -> set[Choice]:
    """All that hybrid may choose, by the letter of its rule."""
    usable = {key: view for key, view in cluster.items() if not view.is_draining and view.feasible(wanted.request)}
    fitting = {key for key, view in usable.items() if view.fits(wanted.request)}
    plain = {key for key in fitting if not cluster[key].total.get("GPU")}
    if wanted.tuning.avoids_gpu_nodes and not wanted.request.need.get("GPU") and plain:
        fitting = plain
    outcome, candidates = (PLACED, fitting) if fitting else (NOT_NOW, set(usable))
    if not candidates:
        return {Choice(INFEASIBLE)}

    def score(key: bytes) -> float:
        view = cluster[key]
        use = 1 - view.available["CPU"] / view.total["CPU"] if view.total["CPU"] else 0
        return 0 if use < wanted.tuning.spread_threshold else use

    best = sorted(candidates, key=lambda key: (score(key), key))
    if wanted.preferred in candidates and score(wanted.preferred) <= score(best[0]):
        return {Choice(outcome, wanted.preferred)}
    equal = max(1, wanted.tuning.top_k_min, int(len(cluster) * wanted.tuning.top_k_fraction))
    return {Choice(outcome, key) for key in best[:equal]}


@given(asks, clusters)
def test_hybrid_is_its_rule(wanted: Ask, cluster: Cluster) -> None:
    assert choices(hybrid, wanted, cluster) == slow_hybrid(wanted, cluster)


def test_nodes_are_filled_to_the_threshold_and_balanced_above() -> None:
    assert choices(hybrid, ask(), {A: node(4, 3), B: node(4)}) == {Choice(PLACED, A)}
    assert choices(hybrid, ask(), {A: node(4, 2), B: node(4)}) == {Choice(PLACED, B)}
    assert choices(hybrid, ask(), {A: node(4, 1), B: node(4, 2)}) == {Choice(PLACED, B)}


def test_the_preferred_node_wins_where_it_is_as_good_as_the_best() -> None:
    assert choices(hybrid, ask(preferred=B), {A: node(4), B: node(4, 3)}) == {Choice(PLACED, B)}
    assert choices(hybrid, ask(preferred=B), {A: node(4), B: node(4, 2)}) == {Choice(PLACED, A)}


def test_a_node_with_a_gpu_is_the_last_resort_of_those_who_need_none() -> None:
    cluster = {A: node(4, gpu=1), B: node(4, 1)}
    assert choices(hybrid, ask(), cluster) == {Choice(PLACED, B)}
    assert choices(hybrid, ask(2), cluster) == {Choice(PLACED, A)}
    assert choices(hybrid, ask(tuning=Tuning(avoids_gpu_nodes=False)), cluster) == {Choice(PLACED, A)}
    assert choices(hybrid, ask(gpu=1), cluster) == {Choice(PLACED, A)}


def test_only_the_preferred_node_may_have_objects_that_wait_for_memory() -> None:
    wanted = Ask(Request({"CPU": UNITS}, stores_objects=True), preferred=A)
    full = node(4)._replace(object_pulls_queued=True)
    assert choices(hybrid, wanted, {A: full, B: full}) == {Choice(PLACED, A)}
    assert choices(hybrid, wanted._replace(preferred=C), {A: full}) == {Choice(NOT_NOW, A)}


# Spread and random.


def test_spread_goes_round_and_round() -> None:
    cluster = {C: node(1), A: node(1), B: node(1)}
    chosen, after = [], b""
    for _ in range(7):
        after = spread(ask(after=after), cluster.items(), Random(0)).node_id
        chosen.append(after)
    assert chosen == [A, B, C, A, B, C, A]


@given(asks, clusters)
def test_spread_takes_the_next_that_fits_or_else_the_next_that_would(wanted: Ask, cluster: Cluster) -> None:
    ring = [key for key in IDS if key > wanted.after] + [key for key in IDS if key <= wanted.after]
    usable = [key for key in ring if key in cluster and not cluster[key].is_draining]
    fitting = [Choice(PLACED, key) for key in usable if cluster[key].fits(wanted.request)]
    waiting = [Choice(NOT_NOW, key) for key in usable if cluster[key].feasible(wanted.request)]
    expected = [*fitting, *waiting, Choice(INFEASIBLE)][0]
    assert choices(spread, wanted, cluster) == {expected}


def test_random_leaves_nobody_out() -> None:
    cluster = {A: node(1), B: node(1), C: node(1), D: node(1, 0)}
    assert choices(random, ask(), cluster) == {Choice(PLACED, key) for key in (A, B, C)}


# Node affinity.


@pytest.mark.parametrize("soft", [False, True])
def test_a_target_that_does_is_taken_however_full_it_is(*, soft: bool) -> None:
    assert choices(node_affinity, ask(target=B, soft=soft), {A: node(4), B: node(4, 1)}) == {Choice(PLACED, B)}


@pytest.mark.parametrize("target", [node(4, 0), node(0), node(4, drains=True), None])
@pytest.mark.parametrize("now_or_never", [False, True])
def test_a_hard_affinity_waits_for_its_target_or_is_infeasible(target: NodeView | None, *, now_or_never: bool) -> None:
    cluster = {A: node(4)} | ({B: target} if target is not None else {})
    waits = target == node(4, 0) and not now_or_never
    expected = Choice(NOT_NOW, B) if waits else Choice(INFEASIBLE)
    assert choices(node_affinity, ask(target=B, now_or_never=now_or_never), cluster) == {expected}


@given(asks, clusters)
def test_a_soft_affinity_without_its_target_is_hybrid(wanted: Ask, cluster: Cluster) -> None:
    wanted = wanted._replace(soft=True, target=b"z" * 28)
    assert choices(node_affinity, wanted, cluster) == choices(hybrid, wanted, cluster)


# Node label.


@given(asks, clusters)
def test_a_node_label_prefers_room_to_wishes_and_wishes_to_nothing(wanted: Ask, cluster: Cluster) -> None:
    wishing = wanted.request._replace(selector=wanted.wished)
    usable = [
        (key, view)
        for key, view in cluster.items()
        if not view.is_draining and view.feasible(wanted.request._replace(selector=wanted.required))
    ]
    expected = (
        {Choice(PLACED, key) for key, view in usable if view.fits(wishing)}
        or {Choice(PLACED, key) for key, view in usable if view.fits(wanted.request)}
        or {Choice(NOT_NOW, key) for key, view in usable if view.feasible(wishing)}
        or {Choice(NOT_NOW, key) for key, view in usable}
        or {Choice(INFEASIBLE)}
    )
    assert choices(node_label, wanted, cluster) == expected


# The rest.


def test_the_knobs_are_those_of_the_daemon() -> None:
    assert tuning_of(GcsConfig()) == Tuning()


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_thousand_nodes_are_looked_at_in_ten_milliseconds(name: str) -> None:
    cluster = {number.to_bytes(28, "big"): node(16, number % 17, gpu=number % 2) for number in range(1000)}
    wanted = ask(2, target=(7).to_bytes(28, "big"))

    def seconds() -> float:
        begun = perf_counter()
        BUILT_IN[name](wanted, cluster.items(), Random(0))
        return perf_counter() - begun

    assert min(seconds() for _ in range(5)) < 0.010
