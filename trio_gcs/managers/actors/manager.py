"""Actors: registered by owners, created by raylets and workers, restarted, ended. Owns ACTOR and ACTOR_TASK_SPEC.

The one hard thing is that the world answers late. So a decision never waits: it moves rows (``lives``), rows owe
attempts (``attempts``), and what comes back is believed only if its attempt still stands (``creation``).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable

import trio

from trio_gcs.config import GcsConfig
from trio_gcs.errors import AlreadyExists, Invalid, NotFound, RemoteError
from trio_gcs.events.domain import ActorMoved, ActorRegistered, ErrorRaised, NodeAdded, NodeDied, WorkerDied
from trio_gcs.generated.ray.common_pb2 import TaskSpec, WorkerExitType
from trio_gcs.generated.ray.core_worker_pb2 import WaitForActorRefDeletedRequest
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, ErrorTableData
from trio_gcs.generated.ray.gcs_service_pb2 import CreateActorReply
from trio_gcs.managers.actors import deaths, recovery
from trio_gcs.managers.actors.attempts import Attempts
from trio_gcs.managers.actors.book import Book
from trio_gcs.managers.actors.budget import is_restartable
from trio_gcs.managers.actors.creation import Creation
from trio_gcs.managers.actors.delta import delta_of
from trio_gcs.managers.actors.lives import Lives
from trio_gcs.managers.actors.mail import Mail
from trio_gcs.managers.actors.partings import Partings
from trio_gcs.managers.actors.peers import Nodes, Raylets, Workers
from trio_gcs.managers.actors.placing import Placing
from trio_gcs.managers.actors.queries import Queries
from trio_gcs.managers.actors.releases import Releases
from trio_gcs.managers.actors.rows import accepts, actor_of, born, moved
from trio_gcs.managers.actors.states import Input
from trio_gcs.store.ledger import Change, Ledger, Waiter

_log = logging.getLogger(__name__)

# A worker that ended in one of these ways was meant to end, so its actor is not restarted.
MEANT_TO_END = frozenset({WorkerExitType.INTENDED_USER_EXIT, WorkerExitType.USER_ERROR})
# The namespace that a driver gets when it names none: a detached actor in there will not be found by the next driver.
ANONYMOUS = re.compile(r"[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[89aAbB][a-f0-9]{3}-[a-f0-9]{12}")


class ActorManager:
    """Decides what becomes of actors. ``queries`` answers what clients ask about them."""

    def __init__(
        self,
        ledger: Ledger,
        raylets: Raylets,
        workers: Workers,
        nodes: Nodes,
        *,
        config: GcsConfig,
        clock: Callable[[], int],
        placing: Placing,
        random_bytes: Callable[[int], bytes],
        is_worker_dead: Callable[[bytes], bool],
    ) -> None:
        self._ledger = ledger
        self._workers = workers
        self._nodes = nodes
        self._clock = clock
        self._book = Book(ledger, watch_owner=self._watch_owner, destroyed_max=config.destroyed_actors_max)
        self._mail = Mail(raylets, nodes)
        self._releases = Releases(ledger, raylets)
        self._partings = Partings(ledger, self._mail, config.actor_graceful_shutdown_timeout_s)
        self._attempts = Attempts(ledger, send=self._send, mail=self._mail, placing=placing, random_bytes=random_bytes)
        self._lives = Lives(
            book=self._book,
            attempts=self._attempts,
            mail=self._mail,
            partings=self._partings,
            clock=clock,
            incarnations_max=config.actor_incarnations_max,
        )
        self._creation = Creation(
            ledger,
            book=self._book,
            attempts=self._attempts,
            lives=self._lives,
            mail=self._mail,
            releases=self._releases,
            raylets=raylets,
            workers=workers,
            nodes=nodes,
            placing=placing,
            clock=clock,
            is_worker_dead=is_worker_dead,
            lease_retry_s=config.lease_retry_s,
            push_retry_s=config.actor_push_retry_s,
        )
        self.queries = Queries(self._book)

    @property
    def created_total(self) -> int:
        """How many creations this daemon has seen succeed."""
        return self._creation.created_total

    def recover(self, is_job_alive: Callable[[bytes], bool]) -> None:
        """Go on with what the store knows, and have raylets end the workers that nobody uses."""
        with self._ledger.change() as change:
            recovery.recover(
                change,
                self._book,
                self._attempts,
                self._releases,
                self._nodes,
                now_ms=self._clock(),
                is_job_alive=is_job_alive,
            )

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Do what rows owe, until cancelled."""
        async with trio.open_nursery() as nursery:
            await nursery.start(self._releases.table.serve)
            await nursery.start(self._creation.serve)
            await nursery.start(self._partings.table.serve)
            await nursery.start(self._book.specs.serve)
            task_status.started()
            await trio.sleep_forever()

    # Decisions.

    def register(self, spec: TaskSpec) -> None:
        """Reserve an actor's id and name before the arguments of its constructor are there. Said again, it is no news.

        An id that is finally dead is taken anew, as in Ray: who repeats a call so late gets a second life.
        """
        actor_id = actor_of(spec)
        if actor_id in self._book.specs:
            return
        row = born(spec)
        if not row.ray_namespace:
            raise Invalid("The actor has no namespace.")
        with self._ledger.change() as change:
            if row.name:
                if self._book.named(row.ray_namespace, row.name) is not None:
                    raise AlreadyExists(
                        f"Actor with name '{row.name}' already exists in the namespace {row.ray_namespace}"
                    )
                self._warn_of_anonymous_namespace(change, row)
            change.put(self._book.specs, actor_id, spec)
            change.put(self._book.actors, actor_id, row)
            change.react(ActorRegistered(row, spec))

    def create(self, spec: TaskSpec, waiter: Waiter) -> CreateActorReply | None:
        """Create the actor, now that its arguments are there. None means that ``waiter`` will be answered.

        It is answered when the actor is alive, or destroyed, however long that takes. An actor that is on its way
        already, or dead and not let go of, makes its callers wait for what comes next.
        """
        actor_id = actor_of(spec)
        row = self._book.registered(actor_id)
        if row is None:
            raise Invalid("Actor may be already destroyed.")
        if accepts(row, Input.PREEMPT):  # alive
            return CreateActorReply(actor_address=row.address)
        with self._ledger.change() as change:
            self._book.wait(change, actor_id, waiter)
            if accepts(row, Input.CREATE):
                spec.dependency_resolution_timestamp_ms = self._clock()
                self._lives.begin_creation(change, spec)
        return None

    def restart_for_lineage(self, actor_id: bytes, number: int) -> None:
        """Call an actor back that went out of scope, since what it made is needed again; for the ``number``-th time."""
        row = self._book.registered(actor_id)
        if row is None:
            raise Invalid("Actor is permanently dead.")
        done = row.num_restarts_due_to_lineage_reconstruction
        if number <= done:
            return
        if number != done + 1:
            raise Invalid(f"The actor was restarted {done} times for its lineage; the next cannot be number {number}.")
        if not is_restartable(row) or row.state != ActorTableData.DEAD:
            raise Invalid(
                "The actor cannot be restarted for its lineage, since it is not out of scope with budget left."
            )
        with self._ledger.change() as change:
            self._lives.restart(change, actor_id, deaths.out_of_scope, lineage_restarts=number)

    def kill(self, actor_id: bytes, *, force: bool, no_restart: bool) -> None:
        """Do what ``ray.kill`` asks for. With ``no_restart`` the actor is forced to end, whatever ``force`` says.

        Else an actor that lives loses its worker, and starts again when that is reported; one in creation starts again
        at once; and nothing happens to one that has not begun, or is dead.
        """
        row = self._book.registered(actor_id)
        if row is None:
            raise NotFound(f"Could not find actor with ID {actor_id.hex()}.")
        with self._ledger.change() as change:
            if no_restart:
                self._lives.destroy(change, actor_id, deaths.killed)
            elif accepts(row, Input.EXHAUST):
                self._mail.kill(change, row, deaths.killed(row), force=force)
                if accepts(row, Input.PLACE):  # in creation
                    self._attempts.give_up(change, actor_id)
                    self._lives.restart(change, actor_id, deaths.killed)

    def report_out_of_scope(self, actor_id: bytes, restarts: int) -> None:
        """The owner has no handle any more. ``restarts`` for lineage were known to it: an old report says nothing."""
        row = self._book.registered(actor_id)
        if row is None or row.num_restarts_due_to_lineage_reconstruction > restarts:
            return
        with self._ledger.change() as change:
            self._lives.destroy(change, actor_id, deaths.out_of_scope, force=False)

    def set_preempted(self, node_id: bytes) -> None:
        """The node is about to be taken away: the next restart of those who live on it is free."""
        with self._ledger.change() as change:
            for actor_id in self._book.actors.find("alive_on_node", node_id):
                row = moved(self._book.actors[actor_id], Input.PREEMPT)
                row.preempted = True
                change.put(self._book.actors, actor_id, row)
                change.react(ActorMoved(row, delta_of(row)))

    def place_waiting(self, *, news: bool = True) -> None:
        """Place actors that wait for a node, if there is one now; ``news``: nodes came, or something was freed."""
        with self._ledger.change() as change:
            self._creation.wake(change, news=news)

    def _warn_of_anonymous_namespace(self, change: Change, row: ActorTableData) -> None:
        if not row.is_detached or not ANONYMOUS.fullmatch(row.ray_namespace):
            return
        job_id = row.actor_id[-4:]
        text = (
            f"The detached actor '{row.name}' lives in the anonymous namespace {row.ray_namespace}, where a later driver "
            f"will not look for it. To reach it, connect with ray.init(namespace='{row.ray_namespace}'), or give the "
            "first driver a namespace of your choice in the same way."
        )
        error = ErrorTableData(
            job_id=job_id,
            type="detached_actor_anonymous_namespace",
            error_message=text,
            timestamp=self._clock(),
        )
        change.emit(ErrorRaised(job_id.hex().encode(), error))

    # Duties.

    async def _watch_owner(self, actor_id: bytes) -> None:
        """Ask the owner to say when nobody needs the actor any more. An owner that cannot be asked needs it no more."""
        await trio.lowlevel.checkpoint_if_cancelled()
        owner = self._book.actors[actor_id].owner_address
        request = WaitForActorRefDeletedRequest(intended_worker_id=owner.worker_id, actor_id=actor_id)
        try:
            await self._workers.wait_for_actor_ref_deleted(owner, request)
        except RemoteError as error:
            _log.info("actor %s: its owner does not say whether it is needed: %s", actor_id.hex(), error)
        await trio.lowlevel.checkpoint_if_cancelled()
        with self._ledger.change() as change:
            self._lives.destroy(change, actor_id, deaths.reference_deleted, force=False)

    async def _send(self, actor_id: bytes) -> None:
        await self._creation.send(actor_id)

    # Reactions.

    def lose_worker(self, change: Change, event: WorkerDied) -> None:
        """Actors that the worker owned end with it, those that had not begun even if detached; its own may restart."""
        worker = event.worker
        at = (worker.worker_address.node_id, worker.worker_address.worker_id)
        owner_died = deaths.owner_worker_died(worker.exit_type)
        orphans = self._book.specs.find("owned_by_worker", at) + self._book.actors.find("unready_of_worker", at)
        for actor_id in orphans:
            self._lives.destroy(change, actor_id, owner_died)
        died = deaths.worker_died(worker)
        for actor_id in self._attempts.on_worker(*at) + self._book.actors.find("alive_on_worker", at):
            self._lives.restart(change, actor_id, died, allowed=worker.exit_type not in MEANT_TO_END)

    def lose_node(self, change: Change, event: NodeDied) -> None:
        """Like the loss of every worker of the node, in the order in which clients of Ray know it."""
        node_id = event.node.node_id
        self._releases.end(change, node_id)
        for actor_id in self._book.specs.find("owned_by_node", node_id):
            self._lives.destroy(change, actor_id, deaths.owner_node_died)
        died = deaths.node_died(event.node)
        for actor_id in self._attempts.on_node(node_id) + self._book.actors.find("alive_on_node", node_id):
            self._lives.restart(change, actor_id, died)
        for actor_id in self._book.actors.find("unready_of_node", node_id):
            self._lives.destroy(change, actor_id, deaths.owner_node_died)

    def wake(self, change: Change, event: NodeAdded) -> None:
        """Actors that found no node are placed, in the order in which they began to wait."""
        self._creation.wake(change)
