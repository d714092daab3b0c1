"""What actors need from outside, as narrow as it can be said: raylets, workers, and which nodes are alive."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Protocol

from trio_gcs.generated.ray.common_pb2 import Address
from trio_gcs.generated.ray.core_worker_pb2 import (
    PushTaskReply,
    PushTaskRequest,
    WaitForActorRefDeletedReply,
    WaitForActorRefDeletedRequest,
)
from trio_gcs.generated.ray.node_manager_pb2 import (
    CancelWorkerLeaseReply,
    CancelWorkerLeaseRequest,
    KillLocalActorReply,
    KillLocalActorRequest,
    ReleaseUnusedActorWorkersReply,
    ReleaseUnusedActorWorkersRequest,
    RequestWorkerLeaseReply,
    RequestWorkerLeaseRequest,
)


class Raylets(Protocol):
    """Calls to raylets, by node. Each raises ``RemoteError``, or ``RemoteGone`` once the node is dead.

    Whoever stands behind it repeats a call that did not get through; a lease may wait inside of the raylet for ever.
    """

    async def request_worker_lease(self, node_id: bytes, request: RequestWorkerLeaseRequest) -> RequestWorkerLeaseReply:
        """Ask for a worker of this node, for as long as it takes."""
        ...

    async def cancel_worker_lease(self, node_id: bytes, request: CancelWorkerLeaseRequest) -> CancelWorkerLeaseReply:
        """Take back what was asked for."""
        ...

    async def kill_local_actor(self, node_id: bytes, request: KillLocalActorRequest) -> KillLocalActorReply:
        """End a worker."""
        ...

    async def release_unused_actor_workers(
        self, node_id: bytes, request: ReleaseUnusedActorWorkersRequest
    ) -> ReleaseUnusedActorWorkersReply:
        """Tell which workers are in use; the raylet ends the rest."""
        ...


class Workers(Protocol):
    """Calls to workers, by address. Each raises ``RemoteError``, or ``RemoteGone`` once the worker is dead.

    Pushing is not repeated by whoever stands behind it; waiting for a reference is.
    """

    async def push_task(self, address: Address, request: PushTaskRequest) -> PushTaskReply:
        """Have a worker run a task."""
        ...

    async def wait_for_actor_ref_deleted(
        self, address: Address, request: WaitForActorRefDeletedRequest
    ) -> WaitForActorRefDeletedReply:
        """Wait until the owner refers to its actor no more."""
        ...


class Nodes(Protocol):
    """Which nodes are alive now."""

    def is_alive(self, node_id: bytes) -> bool:
        """Whether the node is alive; one that drains is."""
        ...

    def alive_ids(self) -> Sequence[bytes]:
        """All nodes that are alive."""
        ...

    def random_alive(self, rng: Random) -> bytes | None:
        """Any node that is alive, or None."""
        ...
