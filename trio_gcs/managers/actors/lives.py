"""Steps that actors take: to be created, to come alive, to start again, to die. Each is a part of somebody's change.

The hard part is what happens together: the row moves, its attempt is dropped, its worker is told, its callers hear,
its name becomes free. Everything that can end an actor goes through :meth:`Lives.destroy` or :meth:`Lives.restart`,
and both do nothing to an actor that is not registered, so causes may come twice and in any order.
"""

from __future__ import annotations

from collections.abc import Callable

from trio_gcs.errors import Code
from trio_gcs.events.domain import ActorForgotten, ActorMoved, ActorPending
from trio_gcs.generated.ray.common_pb2 import ActorDeathCause, TaskSpec
from trio_gcs.generated.ray.common_pb2 import ActorDiedErrorContext as Died
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.generated.ray.gcs_service_pb2 import CreateActorReply, GcsStatus
from trio_gcs.managers.actors.attempts import Attempts
from trio_gcs.managers.actors.book import Book
from trio_gcs.managers.actors.budget import is_restartable, may_restart
from trio_gcs.managers.actors.deaths import Cause
from trio_gcs.managers.actors.delta import delta_of
from trio_gcs.managers.actors.mail import Mail
from trio_gcs.managers.actors.partings import Partings
from trio_gcs.managers.actors.rows import accepts, born, clear_address, moved, remember_incarnation
from trio_gcs.managers.actors.states import Input
from trio_gcs.store.ledger import Change


class Lives:
    """What can become of an actor."""

    def __init__(
        self,
        *,
        book: Book,
        attempts: Attempts,
        mail: Mail,
        partings: Partings,
        clock: Callable[[], int],
        incarnations_max: int,
    ) -> None:
        self._book = book
        self._attempts = attempts
        self._mail = mail
        self._partings = partings
        self._clock = clock
        self._incarnations_max = incarnations_max

    def begin_creation(self, change: Change, spec: TaskSpec) -> None:
        """The arguments are there: take the resolved spec for good, and look for a worker.

        What is stored makes the creation go on after a crash without the owner's doing.
        """
        row = moved(born(spec), Input.CREATE)
        placed = moved(row, Input.PLACE)
        change.emit(ActorPending(row))
        change.put(self._book.specs, row.actor_id, spec)
        self._attempts.place(change, placed, spec)
        change.put(self._book.actors, row.actor_id, placed)

    def come_alive(self, change: Change, row: ActorTableData, reply: PushTaskReply) -> None:
        """The constructor ran, or raised: a worker whose constructor raised ends by itself in a moment."""
        alive = moved(row, Input.SUCCEED)
        now_ms = self._clock()
        alive.timestamp = now_ms
        # An actor that was restarted before it ever lived has no start, as in Ray.
        if row.state == ActorTableData.PENDING_CREATION:
            alive.start_time = now_ms
        alive.node_id = row.address.node_id
        alive.repr_name = reply.actor_repr_name
        alive.preempted = False
        change.delete(self._attempts.table, row.actor_id)
        change.put(self._book.actors, row.actor_id, alive)
        change.react(ActorMoved(alive, delta_of(alive)))
        self._book.tell(change, row.actor_id, _created(alive, reply))

    def tell_of_failure(self, change: Change, row: ActorTableData, reply: PushTaskReply) -> None:
        """The constructor raised: who waits hears it, with all that a success would have told."""
        answer = _created(row, reply)
        answer.status.CopyFrom(GcsStatus(code=Code.CREATION_TASK_ERROR, message=reply.task_execution_error))
        self._book.tell(change, row.actor_id, answer)

    def restart(
        self,
        change: Change,
        actor_id: bytes,
        cause: Cause,
        *,
        allowed: bool = True,
        lineage_restarts: int | None = None,
    ) -> None:
        """The actor lost its worker, or its hope of one: it gets another, or dies of ``cause``.

        ``allowed`` is False where the worker ended because it was meant to. ``lineage_restarts`` is the new number of
        restarts that lineage reconstruction has asked for, if it is the one that asks.
        """
        row = self._book.registered(actor_id)
        if row is None:
            return
        self._partings.end(change, actor_id)
        self._attempts.lose(change, actor_id)
        if not allowed or not may_restart(row):
            self._exhaust(change, row, cause)
            return
        again = moved(row, Input.RESTART)
        if lineage_restarts is not None:
            again.num_restarts_due_to_lineage_reconstruction = lineage_restarts
        if row.preempted:
            again.num_restarts_due_to_node_preemption += 1
        again.num_restarts += 1
        remember_incarnation(again, self._incarnations_max)
        spec = TaskSpec()
        spec.CopyFrom(self._book.specs[actor_id])
        spec.attempt_number = again.num_restarts
        clear_address(again)
        self._attempts.place(change, again, spec)
        change.put(self._book.actors, actor_id, again)
        change.put(self._book.specs, actor_id, spec)
        change.react(ActorMoved(again, delta_of(again)))

    def _exhaust(self, change: Change, row: ActorTableData, cause: Cause) -> None:
        """No restart is left. An owner keeps the name until it lets go; what nobody owns is forgotten at once."""
        why = cause(row)
        dead = moved(row, Input.EXHAUST)
        dead.timestamp = dead.end_time = self._clock()
        dead.death_cause.CopyFrom(why)
        change.put(self._book.actors, row.actor_id, dead)
        change.react(ActorMoved(dead, delta_of(dead)))
        if row.is_detached:
            self.destroy(change, row.actor_id, lambda _: why)

    def destroy(self, change: Change, actor_id: bytes, cause: Cause, *, force: bool = True) -> None:
        """End the actor's life. It stays registered only if it may be called back.

        Without ``force`` its worker is asked to end, and made to after a while.
        """
        row = self._book.registered(actor_id)
        if row is None:
            return
        why = cause(row)
        if force:
            self._partings.end(change, actor_id)
        self._take_from_worker(change, row, why, force=force)
        dead = moved(row, Input.DESTROY)
        dead.timestamp = self._clock()
        if row.state != dead.state:
            dead.end_time = int(dead.timestamp)
            dead.death_cause.CopyFrom(why)
        elif _died_for(row.death_cause, Died.OUT_OF_SCOPE) and _died_for(why, Died.REF_DELETED):
            dead.death_cause.CopyFrom(why)
        change.put(self._book.actors, actor_id, dead)
        final = not is_restartable(dead)
        if final:
            self._partings.end(change, actor_id)
            self._book.bury(change, dead)
        change.react(ActorMoved(dead, delta_of(dead)))
        if final:
            change.react(ActorForgotten(dead))
        cancelled = GcsStatus(code=Code.SCHEDULING_CANCELLED, message="Actor creation cancelled.")
        self._book.tell(change, actor_id, CreateActorReply(status=cancelled, death_cause=dead.death_cause))

    def _take_from_worker(self, change: Change, row: ActorTableData, why: ActorDeathCause, *, force: bool) -> None:
        """Tell the worker of an actor that lives, or may be about to. A dead actor's worker heard it already."""
        if accepts(row, Input.EXHAUST):
            self._mail.kill(change, row, why, force=force)
            self._attempts.give_up(change, row.actor_id)
        if accepts(row, Input.PREEMPT) and not force:
            self._partings.begin(change, row, why)


def _died_for(cause: ActorDeathCause, reason: Died.Reason) -> bool:
    return cause.actor_died_error_context.reason == reason


def _created(row: ActorTableData, reply: PushTaskReply) -> CreateActorReply:
    return CreateActorReply(status=GcsStatus(), actor_address=row.address, borrowed_refs=reply.borrowed_refs)
