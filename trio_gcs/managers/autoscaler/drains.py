"""Drains: take a node out of service, and resize one. Owns nothing; the nodes keep what their raylets accepted.

The one hard thing is that the raylet decides, while others must act before and after it. Its actors are marked first,
durably, since from the moment that the raylet knows they may die, and then their restart must be free. What it accepted
is recorded even when whoever asked has gone away, so asking is an errand and not part of the call; and errands to one
node wait for each other, so that the request that is recorded last is the one that the raylet got last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol
from weakref import WeakValueDictionary

import trio

from trio_gcs.errors import (
    AlreadyExists,
    Code,
    Disconnected,
    GcsError,
    Invalid,
    InvalidArgument,
    NotFound,
    RemoteError,
    RemoteGone,
    TimedOut,
)
from trio_gcs.generated.ray.autoscaler_pb2 import DrainNodeReply, DrainNodeRequest
from trio_gcs.generated.ray.node_manager_pb2 import (
    DrainRayletReply,
    DrainRayletRequest,
    ResizeLocalResourceInstancesReply,
    ResizeLocalResourceInstancesRequest,
)
from trio_gcs.ids import NodeID
from trio_gcs.store.ledger import Ledger, Waiter

log = logging.getLogger(__name__)

_ABORTED = 10  # the gRPC status under which Ray's processes tell each other their own codes
_TOLD = {error.code.wire_name: error for error in (AlreadyExists, Invalid, InvalidArgument, NotFound, TimedOut)}


class Nodes(Protocol):
    """The nodes, as far as they are drained."""

    def is_alive(self, node_id: bytes) -> bool:
        """Whether the node is alive."""
        ...

    def set_draining(self, node_id: bytes, request: DrainNodeRequest) -> None:
        """Record that the node's raylet accepted to go."""
        ...


class Raylets(Protocol):
    """The raylets. Both calls are repeated until answered or the node is dead, and raise :class:`RemoteError`."""

    async def drain_raylet(self, node_id: bytes, request: DrainRayletRequest) -> DrainRayletReply:
        """Ask the raylet to take no more work."""
        ...

    async def resize_local_resource_instances(
        self, node_id: bytes, request: ResizeLocalResourceInstancesRequest
    ) -> ResizeLocalResourceInstancesReply:
        """Change what the node has to offer."""
        ...


class RayletFailed(GcsError):
    """The raylet that had to be asked answered with an error of the transport."""

    code = Code.RPC_ERROR


class Drains:
    """Drains and resizes nodes. ``set_preempted`` marks the actors of a node, in a change of its own."""

    def __init__(
        self, ledger: Ledger, *, nodes: Nodes, raylets: Raylets, set_preempted: Callable[[bytes], None]
    ) -> None:
        self._ledger = ledger
        self._nodes = nodes
        self._raylets = raylets
        self._set_preempted = set_preempted
        self._turns: WeakValueDictionary[bytes, trio.Lock] = WeakValueDictionary()

    def drain(self, request: DrainNodeRequest, waiter: Waiter) -> None:
        """Ask the raylet of a node to take no more work, and give ``waiter`` its decision.

        A node that is not alive needs no asking. Raises :class:`Invalid` for a deadline below 0 or an id that is none.
        """
        if request.deadline_timestamp_ms < 0:
            raise Invalid(f"Draining deadline must be non-negative, received {request.deadline_timestamp_ms}")
        node_id = NodeID.parse(request.node_id)
        alive = self._nodes.is_alive(node_id)
        if alive:
            # Whatever the reason, and even though the raylet may refuse: Ray has it so.
            self._set_preempted(node_id)
        with self._ledger.change() as change:
            if alive:
                change.errand(self._ask, node_id, request, waiter)
            else:
                log.info("node %s is to be drained, but is not alive", node_id.hex())
                change.answer(waiter, DrainNodeReply(is_accepted=True))

    async def resize(self, raw_node_id: bytes, resources: Mapping[str, float]) -> Mapping[str, float]:
        """Have a raylet change what its node offers, and return all that it offers then; the view follows its reports.

        Raises :class:`InvalidArgument` for an id that is none, :class:`NotFound` for a node that is not alive, and what
        the raylet says. Whoever stops waiting takes the request back, unless it has reached the raylet.
        """
        if len(raw_node_id) != NodeID.SIZE:
            raise InvalidArgument(f"Expected node_id to be {NodeID.SIZE} bytes, but got {len(raw_node_id)} bytes.")
        node_id = NodeID(raw_node_id)
        if not self._nodes.is_alive(node_id):
            raise NotFound(f"Raylet {node_id.hex()} is not alive.")
        request = ResizeLocalResourceInstancesRequest(resources=resources)
        try:
            reply = await self._raylets.resize_local_resource_instances(node_id, request)
        except RemoteError as error:
            raise _as_told(error) from error
        return dict(reply.total_resources)

    async def _ask(self, node_id: NodeID, request: DrainNodeRequest, waiter: Waiter) -> None:
        asked = DrainRayletRequest(
            reason=request.reason,
            reason_message=request.reason_message,
            deadline_timestamp_ms=request.deadline_timestamp_ms,
        )
        turn = self._turns.setdefault(node_id, trio.Lock())
        async with turn:
            try:
                decision = await self._raylets.drain_raylet(node_id, asked)
            except RemoteError as error:
                log.warning("raylet of node %s did not say whether it drains: %s", node_id.hex(), error)
                with self._ledger.change() as change:
                    change.refuse(waiter, _as_told(error))
            else:
                self._conclude(node_id, request, decision, waiter)

    def _conclude(self, node_id: NodeID, request: DrainNodeRequest, decision: DrainRayletReply, waiter: Waiter) -> None:
        reply = DrainNodeReply(is_accepted=decision.is_accepted)
        if decision.is_accepted:
            self._nodes.set_draining(node_id, request)
        else:
            log.warning("raylet of node %s refuses to drain: %s", node_id.hex(), decision.rejection_reason_message)
            reply.rejection_reason_message = decision.rejection_reason_message
        with self._ledger.change() as change:
            change.answer(waiter, reply)


def _as_told(error: RemoteError) -> GcsError:
    """What the caller hears of an error that a raylet answered with."""
    if isinstance(error, RemoteGone):
        return Disconnected("GRPC client is shut down.")
    told = _TOLD.get(error.message) if error.status == _ABORTED else None
    return told(error.details) if told is not None else RayletFailed(str(error))
