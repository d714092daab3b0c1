"""One-shot messages to raylets about workers that must go.

A crash may lose them: a raylet that hears from the next daemon which workers are in use ends the others by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from trio_gcs.errors import RemoteError
from trio_gcs.generated.ray.common_pb2 import ActorDeathCause
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.generated.ray.node_manager_pb2 import CancelWorkerLeaseRequest, KillLocalActorRequest
from trio_gcs.ids import ActorID
from trio_gcs.managers.actors.peers import Nodes, Raylets
from trio_gcs.managers.actors.rows import has_worker
from trio_gcs.store.ledger import Change

_log = logging.getLogger(__name__)

NOBODY = ActorID.nil()


class Mail:
    """Posts messages that nobody waits for, once the change that they belong to is durable."""

    def __init__(self, raylets: Raylets, nodes: Nodes) -> None:
        self._raylets = raylets
        self._nodes = nodes

    def kill(self, change: Change, row: ActorTableData, cause: ActorDeathCause, *, force: bool) -> None:
        """End the actor's worker, if it has one. Without ``force`` the worker may finish what it does."""
        if has_worker(row):
            request = KillLocalActorRequest(
                intended_actor_id=row.actor_id,
                worker_id=row.address.worker_id,
                force_kill=force,
                death_cause=cause,
            )
            change.errand(_deliver, self._raylets.kill_local_actor, row.address.node_id, request)

    def kill_stray(self, change: Change, node_id: bytes, worker_id: bytes, actor_id: bytes = NOBODY) -> None:
        """End a worker that was given to an actor that wants it no more; ``actor_id`` if it runs that actor already."""
        request = KillLocalActorRequest(intended_actor_id=actor_id, worker_id=worker_id, force_kill=True)
        change.errand(_deliver, self._raylets.kill_local_actor, node_id, request)

    def cancel_lease(self, change: Change, node_id: bytes, lease_id: bytes) -> None:
        """Take back what was asked of a raylet; it may have been granted already."""
        if self._nodes.is_alive(node_id):
            request = CancelWorkerLeaseRequest(lease_id=lease_id)
            change.errand(_deliver, self._raylets.cancel_worker_lease, node_id, request)


async def _deliver(call: Callable[[bytes, Any], Awaitable[object]], node_id: bytes, request: object) -> None:
    try:
        await call(node_id, request)
    except RemoteError as error:
        # A raylet refuses to kill a worker that is gone already, and a dead node has none: both is as well.
        _log.debug("node %s: %s not done: %s", node_id.hex(), type(request).__name__, error)
