"""Sends attempts, and decides what their answers mean: the conversation with raylets and workers.

The hard idea is that *cancelling a task does not cancel a message*. The duty of an attempt covers only what can still
be called off: the pause before it, and a raylet that is not ready. The message itself belongs to no duty. It is heard
to its end in a nursery of its own, and when its answer comes, it is looked at whether the attempt still stands. A
worker that was granted to nobody is sent away again, whoever gave up on it and whenever.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from trio_gcs.errors import RemoteError, RemoteGone
from trio_gcs.generated.ray.common_pb2 import TaskSpec
from trio_gcs.generated.ray.core_worker_pb2 import PushTaskReply, PushTaskRequest
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.generated.ray.node_manager_pb2 import RequestWorkerLeaseReply, RequestWorkerLeaseRequest
from trio_gcs.ids import is_nil
from trio_gcs.managers.actors.attempts import Attempts, Lease, Push
from trio_gcs.managers.actors.book import Book
from trio_gcs.managers.actors.deaths import lease_refused, waits_in_vain
from trio_gcs.managers.actors.lease_spec import lease_spec
from trio_gcs.managers.actors.lives import Lives
from trio_gcs.managers.actors.mail import NOBODY, Mail
from trio_gcs.managers.actors.peers import Nodes, Raylets, Workers
from trio_gcs.managers.actors.placing import Placing
from trio_gcs.managers.actors.releases import Releases
from trio_gcs.managers.actors.rows import moved
from trio_gcs.managers.actors.states import Input
from trio_gcs.store.ledger import Change, Ledger

_log = logging.getLogger(__name__)

Reply = RequestWorkerLeaseReply


class Creation:
    """Gets workers for actors and makes them run the constructors."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        book: Book,
        attempts: Attempts,
        lives: Lives,
        mail: Mail,
        releases: Releases,
        raylets: Raylets,
        workers: Workers,
        nodes: Nodes,
        placing: Placing,
        clock: Callable[[], int],
        is_worker_dead: Callable[[bytes], bool],
        lease_retry_s: float,
        push_retry_s: float,
    ) -> None:
        self.created_total = 0
        self._ledger = ledger
        self._book = book
        self._attempts = attempts
        self._lives = lives
        self._mail = mail
        self._releases = releases
        self._raylets = raylets
        self._workers = workers
        self._nodes = nodes
        self._placing = placing
        self._clock = clock
        self._is_worker_dead = is_worker_dead
        self._lease_retry_s = lease_retry_s
        self._push_retry_s = push_retry_s
        self._calls: trio.Nursery | None = None

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Hear calls to their end, and send what attempts owe, until cancelled."""
        async with trio.open_nursery() as self._calls:
            await self._calls.start(self._attempts.table.serve)
            task_status.started()
            await trio.sleep_forever()

    # Duties: up to the moment of sending, and no further. What the answer decides moves the attempt on.

    async def send(self, actor_id: bytes) -> None:
        """Send the attempt of this actor."""
        assert self._calls is not None, "attempts are sent while serving"
        # A task that was cancelled may still run up to its next checkpoint, and its attempt may be gone by then.
        await trio.lowlevel.checkpoint_if_cancelled()
        attempt = self._attempts.table[actor_id]
        if attempt.waits:
            await trio.sleep(self._lease_retry_s if isinstance(attempt, Lease) else self._push_retry_s)
        if isinstance(attempt, Lease):  # a worker that is granted already is in use, and its raylet knows
            await self._releases.answered(attempt.node_id)
        await trio.lowlevel.checkpoint_if_cancelled()
        if isinstance(attempt, Lease):
            self._calls.start_soon(self._lease, actor_id, attempt, self._lease_request(actor_id, attempt))
        else:
            self._calls.start_soon(
                self._push, self._book.actors[actor_id], attempt, self._push_request(actor_id, attempt)
            )
        await trio.sleep_forever()

    def _lease_request(self, actor_id: bytes, lease: Lease) -> RequestWorkerLeaseRequest:
        wanted = lease_spec(self._book.specs[actor_id], lease.lease_id)
        return RequestWorkerLeaseRequest(lease_spec=wanted, grant_or_reject=lease.grant_or_reject)

    def _push_request(self, actor_id: bytes, push: Push) -> PushTaskRequest:
        request = PushTaskRequest(
            intended_worker_id=push.worker_id,
            task_spec=self._book.specs[actor_id],
            sequence_number=-1,
            client_processed_up_to=-1,
            resource_mapping=self._book.actors[actor_id].resource_mapping,
        )
        request.task_spec.lease_grant_timestamp_ms = self._book.granted.get(actor_id) or 0
        return request

    # Calls: heard to the end, whatever becomes of the actor.

    async def _lease(self, actor_id: bytes, lease: Lease, request: RequestWorkerLeaseRequest) -> None:
        try:
            reply = await self._raylets.request_worker_lease(lease.node_id, request)
        except RemoteError as error:
            _log.info("actor %s: no lease from node %s: %s", actor_id.hex(), lease.node_id.hex(), error)
            with self._ledger.change() as change:
                if self._attempts.stands(actor_id, lease):
                    self._attempts.repeat(change, actor_id, lease)
            return
        with self._ledger.change() as change:
            if self._attempts.stands(actor_id, lease):
                self._take(change, actor_id, lease, reply)
            else:
                self._send_away(change, lease.node_id, reply.worker_address.worker_id)

    async def _push(self, row: ActorTableData, push: Push, request: PushTaskRequest) -> None:
        actor_id = row.actor_id
        try:
            reply = await self._workers.push_task(row.address, request)
        except RemoteError as error:
            _log.info("actor %s: not pushed to worker %s: %s", actor_id.hex(), push.worker_id.hex(), error)
            with self._ledger.change() as change:
                if self._attempts.stands(actor_id, push):
                    self._attempts.repeat(change, actor_id, push)
                elif not isinstance(error, RemoteGone):
                    self._send_away(change, push.node_id, push.worker_id)
            return
        if self._attempts.stands(actor_id, push):
            self._created(actor_id, reply)
        else:
            with self._ledger.change() as change:
                self._send_away(change, push.node_id, push.worker_id, actor_id)

    # Decisions.

    def _take(self, change: Change, actor_id: bytes, lease: Lease, reply: Reply) -> None:
        """A raylet answered a lease that still stands."""
        if reply.canceled:
            self._refused(change, actor_id, lease, reply)
        elif reply.rejected:
            self._place_anew(change, actor_id, rejected=True)
        elif not is_nil(reply.worker_address.node_id):
            self._granted(change, actor_id, lease, reply)
        elif not is_nil(reply.retry_at_raylet_address.node_id):
            self._sent_on(change, actor_id, reply)
        # An empty answer is that of a lease which was cancelled: whoever did that goes on from here.

    def _granted(self, change: Change, actor_id: bytes, lease: Lease, reply: Reply) -> None:
        worker = reply.worker_address
        if self._is_used(worker.node_id, worker.worker_id):
            _log.error("worker %s was granted twice; asking for another one", worker.worker_id.hex())
            self._attempts.repeat(change, actor_id, lease)
            return
        # Its death was reported before its grant got through. It will not be reported again, so nobody would end the
        # pushing to it.
        if self._is_worker_dead(worker.worker_id):
            self._attempts.repeat(change, actor_id, lease)
            return
        row = moved(self._book.actors[actor_id], Input.GRANT)
        row.address.CopyFrom(worker)
        row.pid = reply.worker_pid
        row.resource_mapping.extend(reply.resource_mapping)
        change.put(self._book.actors, actor_id, row)
        change.put(self._book.granted, actor_id, self._clock())
        self._attempts.push(change, row)

    def _sent_on(self, change: Change, actor_id: bytes, reply: Reply) -> None:
        """The raylet has no room and names one that has. That one is to grant or to refuse, not to send on again."""
        target = reply.retry_at_raylet_address
        if not self._nodes.is_alive(target.node_id):
            self._place_anew(change, actor_id)
            return
        row = moved(self._book.actors[actor_id], Input.PLACE)
        row.address.CopyFrom(target)
        change.put(self._book.actors, actor_id, row)
        self._attempts.ask(change, actor_id, target.node_id, grant_or_reject=True)

    def _refused(self, change: Change, actor_id: bytes, lease: Lease, reply: Reply) -> None:
        kind = reply.failure_type
        cause = lease_refused(kind, reply.scheduling_failure_message)
        if cause is not None:
            self._lives.destroy(change, actor_id, cause)
        elif kind == Reply.SCHEDULING_FAILED:
            row = moved(self._book.actors[actor_id], Input.PLACE)
            self._attempts.defer(change, row, self._book.specs[actor_id])
            change.put(self._book.actors, actor_id, row)
        elif kind != Reply.SCHEDULING_CANCELLED_INTENDED:
            _log.error("node %s cancelled a lease and does not say why (%s)", lease.node_id.hex(), kind)
            self._attempts.repeat(change, actor_id, lease)

    def _place_anew(self, change: Change, actor_id: bytes, *, rejected: bool = False) -> None:
        row = moved(self._book.actors[actor_id], Input.PLACE)
        self._attempts.place(change, row, self._book.specs[actor_id], rejected=rejected)
        change.put(self._book.actors, actor_id, row)

    def _created(self, actor_id: bytes, reply: PushTaskReply) -> None:
        """The constructor ran. Who waits for one that raised hears it before the actor is seen alive."""
        row = self._book.actors[actor_id]
        if reply.is_application_error:
            with self._ledger.change() as change:
                self._lives.tell_of_failure(change, row, reply)
        with self._ledger.change() as change:
            self._lives.come_alive(change, row, reply)
        self.created_total += 1

    def wake(self, change: Change, *, news: bool = True) -> None:
        """Place the actors that had no node, as far as there is one for them now, or end those that wait in vain."""
        for actor_id, node_id in self._placing.choose_waiting(change, self._pending, news=news):
            if node_id is None:
                self._lives.destroy(change, actor_id, waits_in_vain(self._book.actors[actor_id]))
                continue
            row = moved(self._book.actors[actor_id], Input.PLACE)
            self._attempts.ask_first(change, row, node_id)
            change.put(self._book.actors, actor_id, row)

    def _pending(self) -> list[tuple[bytes, TaskSpec]]:
        """Those that have no node, in the order in which they began to wait."""
        return [(actor_id, self._book.specs[actor_id]) for actor_id in self._book.actors.find("pending", True)]

    def _send_away(self, change: Change, node_id: bytes, worker_id: bytes, actor_id: bytes = NOBODY) -> None:
        """End a worker that came too late, unless an actor lives on it after all."""
        if not is_nil(worker_id) and not self._is_used(node_id, worker_id):
            self._mail.kill_stray(change, node_id, worker_id, actor_id)

    def _is_used(self, node_id: bytes, worker_id: bytes) -> bool:
        return bool(self._attempts.on_worker(node_id, worker_id)) or bool(
            self._book.actors.find("alive_on_worker", (node_id, worker_id))
        )
