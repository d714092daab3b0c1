"""The verdict on a node, one claim each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.health.verdict import Verdict

outcomes = st.lists(st.booleans())


def after(verdict: Verdict, *healthy: bool) -> Verdict:
    for one in healthy:
        verdict = verdict.after(one)
    return verdict


def test_a_node_begins_healthy() -> None:
    assert not Verdict(5).is_suspect
    assert not Verdict(5).is_dead


def test_one_failure_makes_it_suspect_and_one_success_forgives() -> None:
    assert after(Verdict(5), False).is_suspect
    assert after(Verdict(5), False, True) == Verdict(5)


def test_the_fifth_failure_in_a_row_kills() -> None:
    assert not after(Verdict(5), False, False, False, False).is_dead
    assert after(Verdict(5), False, False, False, False, False).is_dead


def test_a_success_in_between_starts_the_count_anew() -> None:
    assert not after(Verdict(5), *[False] * 4, True, *[False] * 4).is_dead


@given(outcomes, st.integers(1, 6))
def test_dead_is_who_ever_failed_so_often_in_a_row(healthy: list[bool], failures_max: int) -> None:
    runs = "".join("+" if one else "-" for one in healthy)
    assert after(Verdict(failures_max), *healthy).is_dead == ("-" * failures_max in runs)


@given(outcomes)
def test_nothing_brings_the_dead_back(healthy: list[bool]) -> None:
    dead = after(Verdict(1), False)
    assert after(dead, *healthy) == dead
