"""The table of an actor's life is total: each pair of state and input is listed here, as legal or not."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.machine import IllegalTransition
from trio_gcs.managers.actors.states import MACHINE, Input, State

UNBORN, UNREADY, PENDING, ALIVE, RESTARTING, DEAD = None, *State
LEGAL = {
    Input.REGISTER: {UNBORN: UNREADY, DEAD: UNREADY},
    Input.CREATE: {UNREADY: PENDING},
    Input.PLACE: {PENDING: PENDING, RESTARTING: RESTARTING},
    Input.GRANT: {PENDING: PENDING, RESTARTING: RESTARTING},
    Input.SUCCEED: {PENDING: ALIVE, RESTARTING: ALIVE},
    Input.PREEMPT: {ALIVE: ALIVE},
    Input.RESTART: {PENDING: RESTARTING, ALIVE: RESTARTING, RESTARTING: RESTARTING, DEAD: RESTARTING},
    Input.EXHAUST: {PENDING: DEAD, ALIVE: DEAD, RESTARTING: DEAD},
    Input.DESTROY: {UNREADY: DEAD, PENDING: DEAD, ALIVE: DEAD, RESTARTING: DEAD, DEAD: DEAD},
}


def test_every_input_is_listed() -> None:
    assert set(LEGAL) == set(Input)


def test_states_are_numbered_as_on_the_wire() -> None:
    assert {state.name: state.value for state in State} == dict(ActorTableData.ActorState.items())


@given(st.sampled_from(list(product([None, *State], Input))))
def test_a_state_takes_an_input_as_listed_or_refuses_it(pair: tuple[State | None, Input]) -> None:
    state, stimulus = pair
    target = LEGAL[stimulus].get(state)
    assert MACHINE.accepts(state, stimulus) == (target is not None)
    if target is not None:
        assert MACHINE.after(state, stimulus) is target
    else:
        with pytest.raises(IllegalTransition):
            MACHINE.after(state, stimulus)
