"""The life of a placement group as a table, and what of it the wire shows.

The hard thing is that a group may be waiting and reserving at once for all that clients can see. So there are more
states in here than in Ray: a group that is being prepared is PENDING on the wire, or RESCHEDULING where it was complete
before. Nothing is released *in* a state: what a raylet has to give back is a row of its own (see ``releases``), and the
group goes on meanwhile.
"""

from __future__ import annotations

from enum import Enum, auto

from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupTableData
from trio_gcs.machine import Machine

Wire = PlacementGroupTableData


class State(Enum):
    """Where a group stands."""

    PENDING = auto()  # waits to be placed, and holds nothing
    PREPARING = auto()  # has a plan, and raylets are asked to reserve it
    PREPARED = auto()  # all of the plan is reserved: it is bound to be committed, this is the commit point
    CREATED = auto()  # every bundle is there
    RESCHEDULING = auto()  # lost bundles, keeps the others, and waits for the lost ones to be placed
    REPREPARING = auto()  # the same, with a plan for the lost ones
    REMOVED = auto()  # over; its id may be used again


class Input(Enum):
    """What can happen to a group."""

    CREATE = auto()
    PLACE = auto()  # nodes were chosen for all bundles that have none
    FAIL_TO_PREPARE = auto()  # a raylet refused, did not answer, or died
    PREPARE = auto()  # every raylet of the plan reserved its part
    FAIL_TO_COMMIT = auto()  # a bundle is not there after all
    COMMIT = auto()  # every raylet committed
    LOSE_BUNDLES = auto()  # the node of a bundle died
    REMOVE = auto()  # somebody wants it gone, or nobody is left who could want it


S, In = State, Input

MACHINE = Machine[State, Input](
    "placement group",
    {
        (None, In.CREATE): S.PENDING,
        (S.REMOVED, In.CREATE): S.PENDING,
        (S.PENDING, In.PLACE): S.PREPARING,
        (S.PREPARING, In.FAIL_TO_PREPARE): S.PENDING,
        (S.PREPARING, In.PREPARE): S.PREPARED,
        (S.PREPARED, In.FAIL_TO_COMMIT): S.RESCHEDULING,
        (S.PREPARED, In.COMMIT): S.CREATED,
        (S.CREATED, In.LOSE_BUNDLES): S.RESCHEDULING,
        (S.RESCHEDULING, In.LOSE_BUNDLES): S.RESCHEDULING,
        (S.REPREPARING, In.LOSE_BUNDLES): S.REPREPARING,
        (S.RESCHEDULING, In.PLACE): S.REPREPARING,
        (S.REPREPARING, In.FAIL_TO_PREPARE): S.RESCHEDULING,
        (S.REPREPARING, In.PREPARE): S.PREPARED,
        **{(state, In.REMOVE): S.REMOVED for state in State},
    },
)

WIRE: dict[State, Wire.PlacementGroupState] = {
    S.PENDING: Wire.PENDING,
    S.PREPARING: Wire.PENDING,
    S.PREPARED: Wire.PREPARED,
    S.CREATED: Wire.CREATED,
    S.RESCHEDULING: Wire.RESCHEDULING,
    S.REPREPARING: Wire.RESCHEDULING,
    S.REMOVED: Wire.REMOVED,
}

_IDLE = {
    Wire.PENDING: S.PENDING,
    Wire.PREPARED: S.PREPARED,
    Wire.CREATED: S.CREATED,
    Wire.RESCHEDULING: S.RESCHEDULING,
    Wire.REMOVED: S.REMOVED,
}
_PLANNED = {**_IDLE, Wire.PENDING: S.PREPARING, Wire.RESCHEDULING: S.REPREPARING}


def state_of(row: PlacementGroupTableData, *, planned: bool) -> State:
    """The state that is written down as a row, and a plan beside it or none."""
    return (_PLANNED if planned else _IDLE)[row.state]
