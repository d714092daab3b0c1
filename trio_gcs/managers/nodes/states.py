"""The states of a node, and what becomes of each input in each of them.

A node's id is not its life: a raylet that was declared dead may register again under its old id, and then the dead
record stays among the dead while the new one is alive. So the state is that of the id's living record if it has one.
Who speaks of a node may be late by any amount, so an input without a line here means "not any more" and is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from trio_gcs.generated.ray.autoscaler_pb2 import DrainNodeRequest
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.machine import Machine


class State(Enum):
    """What the cluster believes of a node."""

    ALIVE = auto()
    DRAINING = auto()
    DEAD = auto()


class Input(Enum):
    """What is said of a node."""

    REGISTER = auto()  # its raylet is there
    DRAIN = auto()  # its raylet agreed to go
    UNREGISTER = auto()  # its raylet goes, and says why
    FAIL = auto()  # nobody heard from it, or another head took its place


MACHINE = Machine[State, Input](
    "node",
    {
        (None, Input.REGISTER): State.ALIVE,
        (State.DEAD, Input.REGISTER): State.ALIVE,
        # Said twice: what was stored changes, what is believed does not.
        (State.ALIVE, Input.REGISTER): State.ALIVE,
        (State.DRAINING, Input.REGISTER): State.DRAINING,
        (State.ALIVE, Input.DRAIN): State.DRAINING,
        (State.DRAINING, Input.DRAIN): State.DRAINING,  # the last request counts
        (State.ALIVE, Input.UNREGISTER): State.DEAD,
        (State.DRAINING, Input.UNREGISTER): State.DEAD,
        (State.ALIVE, Input.FAIL): State.DEAD,
        (State.DRAINING, Input.FAIL): State.DEAD,
    },
)


@dataclass(frozen=True, slots=True)
class LivingNode:
    """A node that is alive: what is known of it, and the last request to drain it that its raylet accepted.

    ``record`` is what the raylet registered first in this life, with the newest ``state_snapshot``.
    """

    record: GcsNodeInfo
    drain: DrainNodeRequest | None = None

    @property
    def state(self) -> State:
        """The state in :data:`MACHINE`."""
        return State.ALIVE if self.drain is None else State.DRAINING
