"""How often an actor may be restarted: the arithmetic of restarts, and nothing else.

A restart because a preempted node went away costs nothing, but only for an actor that may restart at all.
"""

from __future__ import annotations

from trio_gcs.generated.ray.common_pb2 import ActorDiedErrorContext
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData

INFINITE = -1


def restarts_left(row: ActorTableData) -> int:
    """How many restarts the actor has left; :data:`INFINITE` for no end of them."""
    if row.max_restarts == INFINITE:
        return INFINITE
    spent = row.num_restarts - row.num_restarts_due_to_node_preemption
    return max(0, row.max_restarts - spent)


def may_restart(row: ActorTableData) -> bool:
    """Whether an actor that lost its worker gets another one."""
    return restarts_left(row) != 0 or (row.max_restarts > 0 and row.preempted)


def is_restartable(row: ActorTableData) -> bool:
    """Whether a row may still come back to life: dead for want of references, with budget left.

    It does not matter whether the actor ever ran.
    """
    cause = row.death_cause.actor_died_error_context
    return cause.reason == ActorDiedErrorContext.OUT_OF_SCOPE and may_restart(row)
