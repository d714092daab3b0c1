"""Load pulling: ask every raylet each second what waits there. Owns nothing; what it hears goes to its consumers.

A round does not wait for the one before: a slow raylet must not make the others' load old. The one hard idea is the
bound that keeps this from growing: a raylet that has not answered its last few calls is not asked again until it does,
and one that is declared dead is not listened to any more.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import trio

from trio_gcs.errors import RemoteError
from trio_gcs.generated.ray.gcs_pb2 import ResourcesData
from trio_gcs.generated.ray.node_manager_pb2 import GetResourceLoadReply, GetResourceLoadRequest

log = logging.getLogger(__name__)

CALLS_PER_NODE_MAX = 3
FAILURES_PER_WARNING = 10

Consumer = Callable[[ResourcesData], None]


class Raylets(Protocol):
    """The raylets, as far as they are asked for their load."""

    async def get_resource_load(self, node_id: bytes, request: GetResourceLoadRequest) -> GetResourceLoadReply:
        """Ask once, however long it takes; raises :class:`RemoteError` when there will be no answer."""
        ...


class LoadPuller:
    """Asks each of ``alive_ids()`` every ``period_s``, and hands each answer to all of ``consumers``, in their order."""

    def __init__(
        self,
        *,
        alive_ids: Callable[[], Iterable[bytes]],
        raylets: Raylets,
        consumers: Sequence[Consumer],
        period_s: float,
    ) -> None:
        self._alive_ids = alive_ids
        self._raylets = raylets
        self._consumers = tuple(consumers)
        self._period_s = period_s
        self._calls: dict[bytes, set[trio.CancelScope]] = {}
        self._failures = 0

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Pull until cancelled, the first time at once."""
        async with trio.open_nursery() as nursery:
            task_status.started()
            round_at = trio.current_time()
            while True:
                self._pull(nursery)
                # Rounds that were missed, because the loop was busy, are not made up for.
                round_at = max(round_at + self._period_s, trio.current_time())
                await trio.sleep_until(round_at)

    def _pull(self, nursery: trio.Nursery) -> None:
        alive = dict.fromkeys(self._alive_ids())
        for node_id, calls in self._calls.items():
            if node_id not in alive:
                for call in calls:
                    call.cancel()
        for node_id in alive:
            calls = self._calls.setdefault(node_id, set())
            if len(calls) < CALLS_PER_NODE_MAX:
                scope = trio.CancelScope()
                calls.add(scope)
                nursery.start_soon(self._ask, node_id, scope)

    async def _ask(self, node_id: bytes, scope: trio.CancelScope) -> None:
        with scope:
            try:
                reply = await self._raylets.get_resource_load(node_id, GetResourceLoadRequest())
            except RemoteError as error:
                self._count_failure(node_id, error)
            else:
                for consume in self._consumers:
                    consume(reply.resources)
        calls = self._calls[node_id]
        calls.discard(scope)
        if not calls:
            del self._calls[node_id]

    def _count_failure(self, node_id: bytes, error: RemoteError) -> None:
        self._failures += 1
        if self._failures % FAILURES_PER_WARNING == 1:
            log.warning("node %s did not tell its load (failure %d): %s", node_id.hex(), self._failures, error)
