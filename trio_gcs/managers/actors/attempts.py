"""Attempts to give actors a worker. Owns ACTOR_ATTEMPT, in memory: a restart of the daemon attempts anew.

An actor in creation has at most one attempt: a lease asked of a raylet, or a creation task pushed to a worker. One
attempt is one message, and the row owes the duty to send it. What comes back counts only if its attempt still stands;
so whatever is late, and whoever gave up meanwhile, is told by comparing rows. An actor in creation without an attempt
is *pending*: it waits, in order, for a node.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from itertools import count

from trio_gcs.generated.ray.common_pb2 import Address, TaskSpec
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.ids import WorkerID, is_nil
from trio_gcs.managers.actors.mail import Mail
from trio_gcs.managers.actors.placing import Placing
from trio_gcs.managers.actors.rows import clear_address
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Duty, Owed, Table

MOVES_AT_ONCE_MAX = 8


@dataclass(frozen=True, slots=True)
class Lease:
    """A worker is asked of a raylet. ``again``: the last answer was an error, so this one waits a little.

    ``moves`` counts the raylets that sent the actor elsewhere, without a grant or an error in between.
    """

    lease_id: bytes
    node_id: bytes
    grant_or_reject: bool = False
    again: bool = False
    moves: int = 0

    @property
    def waits(self) -> bool:
        """Whether it waits a little, so that raylets which send actors round in circles do not keep us busy."""
        return self.again or self.moves > MOVES_AT_ONCE_MAX


@dataclass(frozen=True, slots=True)
class Push:
    """The creation task is pushed to a worker; ``number`` tells attempts of one worker apart."""

    number: int
    node_id: bytes
    worker_id: bytes
    again: bool = False

    @property
    def waits(self) -> bool:
        """Whether it waits a little."""
        return self.again


Attempt = Lease | Push


class Attempts:
    """The attempts that stand now, and how one is made, repeated and given up."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        send: Duty,
        mail: Mail,
        placing: Placing,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.table: Table[Attempt] = ledger.table(
            "ACTOR_ATTEMPT",
            None,
            indexes={"by_node": lambda attempt: (attempt.node_id,), "by_worker": _worker},
            owes=lambda actor_id, attempt: (Owed(send, attempt),),
        )
        self._mail = mail
        self._placing = placing
        self._random_bytes = random_bytes
        self._leases = count()
        self._pushes = count()

    def place(self, change: Change, row: ActorTableData, spec: TaskSpec, *, rejected: bool = False) -> None:
        """Choose a node for the actor and ask it for a worker, or leave the actor pending if there is none yet.

        ``row`` is being edited: its address becomes the node. The caller puts it.
        """
        if not is_nil(row.address.node_id):
            clear_address(row)
        node_id = self._placing.choose(change, row.actor_id, spec, rejected=rejected)
        if node_id is None:
            change.delete(self.table, row.actor_id)
        else:
            self.ask_first(change, row, node_id)

    def ask_first(self, change: Change, row: ActorTableData, node_id: bytes) -> None:
        """Ask the node that was chosen; ``row`` is being edited, as above."""
        row.address.CopyFrom(Address(node_id=node_id))
        self.ask(change, row.actor_id, node_id, grant_or_reject=self._placing.grants_or_rejects)

    def defer(self, change: Change, row: ActorTableData, spec: TaskSpec) -> None:
        """Leave the actor pending until there is news of the cluster; ``row`` is being edited, as above."""
        clear_address(row)
        change.delete(self.table, row.actor_id)
        self._placing.defer(change, row.actor_id, spec)

    def ask(self, change: Change, actor_id: bytes, node_id: bytes, *, grant_or_reject: bool = False) -> None:
        """Ask this raylet for a worker."""
        last = self.table.get(actor_id)
        moves = last.moves + 1 if isinstance(last, Lease) else 0
        change.put(self.table, actor_id, Lease(self._lease_id(), node_id, grant_or_reject, moves=moves))

    def push(self, change: Change, row: ActorTableData) -> None:
        """Push the creation task to the worker that ``row`` names."""
        self._placing.settle(change, row.actor_id)
        push = Push(next(self._pushes), row.address.node_id, row.address.worker_id)
        change.put(self.table, row.actor_id, push)

    def repeat(self, change: Change, actor_id: bytes, attempt: Attempt) -> None:
        """Make the attempt that failed once more, after a while. A lease gets a new id."""
        if isinstance(attempt, Lease):
            change.put(self.table, actor_id, replace(attempt, lease_id=self._lease_id(), again=True))
        else:
            change.put(self.table, actor_id, replace(attempt, number=next(self._pushes), again=True))

    def give_up(self, change: Change, actor_id: bytes) -> None:
        """Let go of the actor's attempt, if there is one, and take a lease back from its raylet."""
        attempt = self.table.get(actor_id)
        if isinstance(attempt, Lease):
            self._mail.cancel_lease(change, attempt.node_id, attempt.lease_id)
        self.lose(change, actor_id)

    def lose(self, change: Change, actor_id: bytes) -> None:
        """Forget the actor's attempt, if there is one: its worker or its node is gone."""
        self._placing.call_off(change, actor_id)
        change.delete(self.table, actor_id)

    def stands(self, actor_id: bytes, attempt: Attempt) -> bool:
        """Whether an answer to ``attempt`` still counts."""
        return self.table.get(actor_id) is attempt

    def on_worker(self, node_id: bytes, worker_id: bytes) -> list[bytes]:
        """The actors that are being created on this worker."""
        return self.table.find("by_worker", (node_id, worker_id))

    def on_node(self, node_id: bytes) -> list[bytes]:
        """The actors that are being created on this node, or wait for a worker of it."""
        return self.table.find("by_node", node_id)

    def _lease_id(self) -> bytes:
        return (next(self._leases) & 0xFFFF_FFFF).to_bytes(4, "little") + self._random_bytes(WorkerID.SIZE)


def _worker(attempt: Attempt) -> Iterable[Hashable]:
    return ((attempt.node_id, attempt.worker_id),) if isinstance(attempt, Push) else ()
