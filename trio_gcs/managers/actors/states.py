"""The life of an actor as a table. Its numbers are the wire's.

DEAD is not always the end: an actor that went out of scope with budget left can be called back by lineage
reconstruction, and one whose owner still holds it keeps its name until the owner lets go. What makes the difference is
whether the actor is still *registered*, which is a row of its own (see ``book``).
"""

from __future__ import annotations

from enum import Enum, IntEnum, auto

from trio_gcs.machine import Machine


class State(IntEnum):
    """States of an actor, as in ``ActorTableData.state``."""

    DEPENDENCIES_UNREADY = 0
    PENDING_CREATION = 1
    ALIVE = 2
    RESTARTING = 3
    DEAD = 4


class Input(Enum):
    """What can happen to an actor."""

    REGISTER = auto()  # its owner made its id, and its name if it has one
    CREATE = auto()  # the arguments of its constructor are there
    PLACE = auto()  # a node was chosen to ask for a worker, or none could be
    GRANT = auto()  # a raylet gave it a worker
    SUCCEED = auto()  # its constructor ran
    PREEMPT = auto()  # its node is about to be taken away
    RESTART = auto()  # it lost its worker, and may have another one
    EXHAUST = auto()  # it lost its worker, and may not
    DESTROY = auto()  # somebody wants it dead, or nobody needs it


S, In = State, Input

# Placing and granting stay within the state: where an attempt stands is a row of its own (see ``attempts``).
MACHINE = Machine[State, Input](
    "actor",
    {
        (None, In.REGISTER): S.DEPENDENCIES_UNREADY,
        (S.DEPENDENCIES_UNREADY, In.CREATE): S.PENDING_CREATION,
        (S.PENDING_CREATION, In.PLACE): S.PENDING_CREATION,
        (S.PENDING_CREATION, In.GRANT): S.PENDING_CREATION,
        (S.PENDING_CREATION, In.SUCCEED): S.ALIVE,
        (S.PENDING_CREATION, In.RESTART): S.RESTARTING,
        (S.PENDING_CREATION, In.EXHAUST): S.DEAD,
        (S.ALIVE, In.PREEMPT): S.ALIVE,
        (S.ALIVE, In.RESTART): S.RESTARTING,
        (S.ALIVE, In.EXHAUST): S.DEAD,
        (S.RESTARTING, In.PLACE): S.RESTARTING,
        (S.RESTARTING, In.GRANT): S.RESTARTING,
        (S.RESTARTING, In.SUCCEED): S.ALIVE,
        (S.RESTARTING, In.RESTART): S.RESTARTING,
        (S.RESTARTING, In.EXHAUST): S.DEAD,
        (S.DEAD, In.RESTART): S.RESTARTING,  # lineage reconstruction calls back what went out of scope
        (S.DEAD, In.REGISTER): S.DEPENDENCIES_UNREADY,  # an id that is finally dead may be used again
        **{(state, In.DESTROY): S.DEAD for state in State},
    },
)
