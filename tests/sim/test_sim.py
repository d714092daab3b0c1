"""A few seeds of the simulation, and proof that it would notice; `make sim SEED=n COUNT=m` runs as many as you like."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.sim.faults import Faults
from tests.sim.mutants import MUTANTS, applied
from tests.sim.run import run_seed

SEEDS = range(12)
SEEDS_FOR_A_MUTANT = range(100, 160)


def test_nothing_is_lost_and_all_ends_well_whatever_goes_wrong() -> None:
    hit: Counter[str] = Counter()
    for seed in SEEDS:
        outcome = run_seed(seed)
        assert not outcome.what, str(outcome)
        assert outcome.checks > 50, f"seed {seed} had nothing to check"
        hit.update(outcome.hit)
    assert set(hit) == set(Faults.KINDS), "every kind of fault has happened"


def test_a_seed_is_always_the_same_story() -> None:
    first, second = run_seed(3), run_seed(3)
    assert first.story == second.story
    assert (first.hit, first.commits, first.checks) == (second.hit, second.commits, second.checks)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_rule_is_noticed(name: str) -> None:
    with applied(MUTANTS[name]):
        assert any(run_seed(seed).what for seed in SEEDS_FOR_A_MUTANT), "nobody noticed"
