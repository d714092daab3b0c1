"""The rows of actors. Owns ACTOR, ACTOR_TASK_SPEC, and in memory the callers that wait and the cache of the dead.

One idea: an actor is *registered* as long as its task spec is kept, and not a moment longer. So its name, its owner's
claim and the duty to watch that owner hang on the spec, while where it lives hangs on its row.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from trio_gcs.generated.ray.common_pb2 import Address, TaskSpec
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.ids import is_nil
from trio_gcs.managers.actors.rows import clear_address, has_worker
from trio_gcs.store.ledger import Change, Ledger, Waiter
from trio_gcs.store.tables import Codec, Duty, Owed, Table, message_codec

IN_CREATION = frozenset({ActorTableData.PENDING_CREATION, ActorTableData.RESTARTING})


class Book:
    """All rows of actors, and what can be asked of them without deciding anything."""

    def __init__(self, ledger: Ledger, *, watch_owner: Duty, destroyed_max: int) -> None:
        self.actors: Table[ActorTableData] = ledger.table(
            "ACTOR",
            Codec(stored, message_codec(ActorTableData).decode),
            indexes={
                "pending": _pending,
                "alive_on_node": lambda row: _alive(row, row.address.node_id),
                "alive_on_worker": lambda row: _alive(row, (row.address.node_id, row.address.worker_id)),
                "unready_of_node": lambda row: _unready(row, row.owner_address.node_id),
                "unready_of_worker": lambda row: _unready(row, _owner(row.owner_address)),
            },
        )
        self.specs: Table[TaskSpec] = ledger.table(
            "ACTOR_TASK_SPEC",
            message_codec(TaskSpec),
            indexes={
                "by_name": _name,
                "owned_by_node": lambda spec: _owned(spec, spec.caller_address.node_id),
                "owned_by_worker": lambda spec: _owned(spec, _owner(spec.caller_address)),
            },
            owes=lambda actor_id, spec: [
                Owed(watch_owner, owner) for owner in _owned(spec, _owner(spec.caller_address))
            ],
        )
        self.destroyed: Table[ActorTableData] = ledger.table("DESTROYED_ACTOR", None)
        self.waiters: Table[tuple[Waiter, ...]] = ledger.table("ACTOR_WAITER", None)
        self.granted: Table[int] = ledger.table("ACTOR_GRANT", None)  # when the last lease was granted, in ms
        self._destroyed_max = destroyed_max

    def registered(self, actor_id: bytes) -> ActorTableData | None:
        """The row of an actor that is not finally dead."""
        return self.actors.get(actor_id) if actor_id in self.specs else None

    def named(self, namespace: str, name: str) -> bytes | None:
        """The registered actor that has this name, dead or alive."""
        holders = self.specs.find("by_name", (namespace, name))
        return holders[0] if holders else None

    def wait(self, change: Change, actor_id: bytes, waiter: Waiter) -> None:
        """Promise ``waiter`` to hear how the actor's creation ends. Those who went away are forgotten."""
        others = [other for other in self.waiters.get(actor_id) or () if not other.gone]
        change.put(self.waiters, actor_id, (*others, waiter))

    def tell(self, change: Change, actor_id: bytes, reply: object) -> None:
        """Answer everybody who waits for the actor."""
        waiting = self.waiters.get(actor_id)
        if waiting is None:
            return
        for waiter in waiting:
            change.answer(waiter, reply)
        change.delete(self.waiters, actor_id)

    def bury(self, change: Change, row: ActorTableData) -> None:
        """The actor is finally dead: no longer registered, but remembered for a while."""
        change.delete(self.specs, row.actor_id)
        change.delete(self.granted, row.actor_id)
        if row.actor_id not in self.destroyed and len(self.destroyed) >= self._destroyed_max:
            self._forget_oldest(change)
        change.put(self.destroyed, row.actor_id, row)

    def _forget_oldest(self, change: Change) -> None:
        for actor_id in self.destroyed:
            change.delete(self.destroyed, actor_id)
            # Its id may have been registered again; then the row is another life's.
            if actor_id not in self.specs:
                change.delete(self.actors, actor_id)
            return


def stored(row: ActorTableData) -> bytes:
    """The row as a server may find it at its start: an actor without a worker is nowhere yet.

    Which node is asked for a worker does not outlive the daemon. Stock Ray's server does not start on a row that says so.
    """
    if row.state in IN_CREATION and not has_worker(row) and not is_nil(row.address.node_id):
        nowhere = ActorTableData()
        nowhere.CopyFrom(row)
        clear_address(nowhere)
        row = nowhere
    return row.SerializeToString()


def _pending(row: ActorTableData) -> Iterable[bool]:
    return (True,) if row.state in IN_CREATION and is_nil(row.address.node_id) else ()


def _alive(row: ActorTableData, value: Hashable) -> Iterable[Hashable]:
    return (value,) if row.state == ActorTableData.ALIVE else ()


def _unready(row: ActorTableData, value: Hashable) -> Iterable[Hashable]:
    return (value,) if row.state == ActorTableData.DEPENDENCIES_UNREADY else ()


def _owned(spec: TaskSpec, value: Hashable) -> Iterable[Hashable]:
    return () if spec.actor_creation_task_spec.is_detached else (value,)


def _name(spec: TaskSpec) -> Iterable[tuple[str, str]]:
    creation = spec.actor_creation_task_spec
    return ((creation.ray_namespace, creation.name),) if creation.name else ()


def _owner(address: Address) -> tuple[bytes, bytes]:
    return address.node_id, address.worker_id
