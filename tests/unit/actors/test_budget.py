"""The arithmetic of restarts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.generated.ray.common_pb2 import ActorDiedErrorContext
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.managers.actors.budget import is_restartable, may_restart, restarts_left


def row(allowed: int, restarts: int = 0, free: int = 0, *, preempted: bool = False) -> ActorTableData:
    return ActorTableData(
        max_restarts=allowed,
        num_restarts=restarts,
        num_restarts_due_to_node_preemption=free,
        preempted=preempted,
    )


@pytest.mark.parametrize(
    ("actor", "left", "may"),
    [
        (row(0), 0, False),
        (row(0, preempted=True), 0, False),  # preemption makes restarts free, not possible
        (row(2), 2, True),
        (row(2, 2), 0, False),
        (row(2, 5), 0, False),
        (row(2, 3, 2), 1, True),
        (row(2, 2, preempted=True), 0, True),
        (row(-1, 1000), -1, True),
    ],
)
def test_a_restart_needs_budget_or_a_preempted_node(actor: ActorTableData, left: int, may: bool) -> None:
    assert (restarts_left(actor), may_restart(actor)) == (left, may)


@given(
    st.integers(-1, 5),
    st.integers(0, 5),
    st.integers(0, 5),
    st.booleans(),
    st.sampled_from(ActorDiedErrorContext.Reason.values()),
)
def test_only_what_went_out_of_scope_can_be_called_back(
    allowed: int, restarts: int, free: int, preempted: bool, reason: int
) -> None:
    dead = row(allowed, restarts, free, preempted=preempted)
    dead.death_cause.actor_died_error_context.reason = reason
    budget = allowed == -1 or (allowed > 0 and preempted) or restarts - free < allowed
    assert is_restartable(dead) == (reason == ActorDiedErrorContext.OUT_OF_SCOPE and budget)
