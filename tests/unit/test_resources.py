"""The arithmetic of resources: Python's ``int(double * 10000)`` is the oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.generated.ray.ray_syncer_pb2 import ResourceViewSyncMessage
from trio_gcs.scheduling.resources import (
    UNITS,
    added,
    amount_of,
    covers,
    explicit_doubles,
    held_by_node,
    minus,
    plus,
    request_of,
    units,
)

IMPLICIT = "node:__internal_implicit_resource_x"
NAMES = st.sampled_from(["CPU", "GPU", "memory", "node:10.0.0.1", IMPLICIT])
DOUBLES = st.dictionaries(NAMES, st.floats(0, 1e12) | st.sampled_from([0.0, 1.0, 0.57, 0.0003, 0.00019, 1e-5]))
AMOUNTS = st.dictionaries(NAMES, st.integers(0, 5 * UNITS))


@pytest.mark.parametrize(
    ("double", "amount"),
    [(0.57, 5699), (0.0003, 2), (0.00019, 1), (1e-5, 0), (0.33339, 3333), (1.0, 10000), (-0.00019, -1), (0.1, 1000)],
)
def test_the_product_is_truncated_and_not_rounded(double: float, amount: int) -> None:
    assert units(double) == amount


@given(st.floats(-1e14, 1e14))
def test_an_amount_is_the_truncated_product_of_doubles(double: float) -> None:
    assert units(double) == int(double * 10000)


@pytest.mark.parametrize("double", [float("inf"), float("-inf"), float("nan"), 1e308])
def test_what_is_no_number_is_nothing(double: float) -> None:
    assert units(double) == 0
    assert held_by_node({"CPU": double, "GPU": 1.0}) == {"GPU": UNITS}


@pytest.mark.parametrize("double", [1e300, 1.7e304, 1e15])
def test_more_than_raylets_can_count_is_as_much_as_they_can(double: float) -> None:
    assert units(double) == 2**63 - 1
    assert units(-double) == -(2**63 - 1)
    assert held_by_node({"CPU": double, "GPU": -double}) == {"CPU": 2**63 - 1, "GPU": -(2**63 - 1)}


@given(DOUBLES)
def test_a_request_names_only_what_it_needs(doubles: dict[str, float]) -> None:
    need = request_of(doubles)
    assert need == {name: int(d * 10000) for name, d in doubles.items() if int(d * 10000) != 0}


@given(DOUBLES)
def test_a_node_set_holds_all_but_defaults(doubles: dict[str, float]) -> None:
    held = held_by_node(doubles)
    for name, double in doubles.items():
        assert amount_of(held, name) == int(double * 10000)
    assert 0 not in [amount for name, amount in held.items() if name != IMPLICIT]
    assert held.get(IMPLICIT) != UNITS


@given(DOUBLES)
def test_a_map_of_a_message_reads_as_a_dictionary_does(doubles: dict[str, float]) -> None:
    assert held_by_node(ResourceViewSyncMessage(resources_total=doubles).resources_total) == held_by_node(doubles)


def test_every_node_has_one_of_an_implicit_resource_and_never_lists_it() -> None:
    assert covers({}, request_of({IMPLICIT: 0.5}))
    assert covers({}, request_of({IMPLICIT: 1.0}))
    assert not covers({}, request_of({IMPLICIT: 1.5}))
    assert explicit_doubles({IMPLICIT: 5000, "CPU": 25000, "GPU": 0}) == {"CPU": 2.5}


def test_a_node_may_say_that_it_has_none_of_an_implicit_resource() -> None:
    held = held_by_node({IMPLICIT: 0.0})
    assert not covers(held, request_of({IMPLICIT: 0.5}))


@given(AMOUNTS, AMOUNTS)
def test_a_set_covers_what_it_has_enough_of(held: dict[str, int], need: dict[str, int]) -> None:
    assert covers(held, need) == all(amount_of(held, name) >= amount for name, amount in need.items())


@given(AMOUNTS, AMOUNTS)
def test_what_is_taken_and_given_back_is_there_again(total: dict[str, int], need: dict[str, int]) -> None:
    if not covers(total, need):
        return
    left = minus(total, need)
    for name in {*total, *need}:
        assert amount_of(left, name) == amount_of(total, name) - need.get(name, 0)
    back = plus(left, need, total)
    for name in {*total, *need}:
        assert amount_of(back, name) == amount_of(total, name)


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_giving_back_never_exceeds_the_total(
    total: dict[str, int], held: dict[str, int], given: dict[str, int]
) -> None:
    more = plus(held, given, total)
    for name, amount in given.items():
        limit = amount_of(total, name)
        expected = min(limit, amount_of(held, name) + amount) if limit else amount_of(held, name)
        assert amount_of(more, name) == expected


def test_what_would_go_below_nothing_is_gone() -> None:
    assert minus({"CPU": 10000, "GPU": 5000}, {"CPU": 20000, "GPU": 5000, "memory": 1}) == {}


@given(AMOUNTS, AMOUNTS)
def test_neither_taking_nor_giving_edits_the_set_that_it_is_given(held: dict[str, int], need: dict[str, int]) -> None:
    before, asked = dict(held), dict(need)
    minus(held, need)
    plus(held, need, held)
    added([held, need])
    assert (held, need) == (before, asked)


@given(st.lists(AMOUNTS))
def test_a_sum_of_requests_has_each_resource_summed(needs: list[dict[str, int]]) -> None:
    total = added(needs)
    for name in {name for need in needs for name in need}:
        assert total[name] == sum(need.get(name, 0) for need in needs)
