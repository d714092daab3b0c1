"""The table of states: total, closed, and what it shows on the wire."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupTableData as Wire
from trio_gcs.machine import IllegalTransition
from trio_gcs.managers.placement_groups.states import MACHINE, WIRE, Input, State, state_of

# Every (state, input) that the table has no line for, so that a new state or input is thought about.
REFUSED = {
    State.PENDING: {Input.CREATE, Input.PREPARE, Input.FAIL_TO_PREPARE, Input.COMMIT, Input.FAIL_TO_COMMIT}
    | {Input.LOSE_BUNDLES},
    State.PREPARING: {Input.CREATE, Input.PLACE, Input.COMMIT, Input.FAIL_TO_COMMIT, Input.LOSE_BUNDLES},
    State.PREPARED: {Input.CREATE, Input.PLACE, Input.PREPARE, Input.FAIL_TO_PREPARE, Input.LOSE_BUNDLES},
    State.CREATED: set(Input) - {Input.LOSE_BUNDLES, Input.REMOVE},
    State.RESCHEDULING: set(Input) - {Input.PLACE, Input.LOSE_BUNDLES, Input.REMOVE},
    State.REPREPARING: set(Input) - {Input.PREPARE, Input.FAIL_TO_PREPARE, Input.LOSE_BUNDLES, Input.REMOVE},
    State.REMOVED: set(Input) - {Input.CREATE, Input.REMOVE},
    None: set(Input) - {Input.CREATE},
}


@given(st.sampled_from([None, *State]), st.sampled_from(Input))
def test_every_input_moves_as_the_table_says_or_is_refused(state: State | None, stimulus: Input) -> None:
    assert MACHINE.accepts(state, stimulus) is not (stimulus in REFUSED[state])
    if MACHINE.accepts(state, stimulus):
        assert MACHINE.after(state, stimulus) in State
    else:
        with pytest.raises(IllegalTransition):
            MACHINE.after(state, stimulus)


@given(st.lists(st.sampled_from(Input)))
def test_a_group_is_there_only_after_both_phases_and_removal_always_ends_it(inputs: list[Input]) -> None:
    state = MACHINE.after(None, Input.CREATE)
    passed: list[State] = [state]
    for stimulus in inputs:
        if MACHINE.accepts(state, stimulus):
            state = MACHINE.after(state, stimulus)
            passed.append(state)
    for before, after in itertools.pairwise(passed):
        assert after is not State.CREATED or before is State.PREPARED
        assert after is not State.PREPARED or before in {State.PREPARING, State.REPREPARING}
    assert MACHINE.after(state, Input.REMOVE) is State.REMOVED


@given(st.lists(st.sampled_from(Input)))
def test_the_wire_sees_the_moves_that_ray_knows_and_no_others(inputs: list[Input]) -> None:
    state = MACHINE.after(None, Input.CREATE)
    shown = [WIRE[state]]
    for stimulus in inputs:
        if MACHINE.accepts(state, stimulus):
            state = MACHINE.after(state, stimulus)
            if WIRE[state] != shown[-1]:
                shown.append(WIRE[state])
    allowed = {
        (Wire.PENDING, Wire.PREPARED),
        (Wire.RESCHEDULING, Wire.PREPARED),
        (Wire.PREPARED, Wire.CREATED),
        (Wire.PREPARED, Wire.RESCHEDULING),
        (Wire.CREATED, Wire.RESCHEDULING),
        (Wire.REMOVED, Wire.PENDING),
        *((state, Wire.REMOVED) for state in Wire.PlacementGroupState.values()),
    }
    assert set(itertools.pairwise(shown)) <= allowed


def test_what_is_shown_and_a_plan_tell_the_state() -> None:
    planned = {State.PREPARING, State.REPREPARING}
    for state in State:
        assert state_of(Wire(state=WIRE[state]), planned=state in planned) is state
    assert state_of(Wire(state=Wire.PREPARED), planned=True) is State.PREPARED
