"""Load pulling: ask every raylet each second what waits there. Owns nothing; what it hears goes to its consumers.

A round does not wait for the one before: a slow raylet must not make the others' load old. The one hard idea is the
bound that keeps this from growing: a raylet that has not answered its last few calls is not asked again until it does,
and one that is declared dead is not listened to any more.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

import trio

from trio_gcs.errors import RemoteError
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo, ResourcesData
from trio_gcs.generated.ray.node_manager_pb2 import GetResourceLoadReply

log = logging.getLogger(__name__)

CALLS_PER_NODE_MAX = 3
FAILURES_PER_WARNING = 10

Consumer = Callable[[ResourcesData], None]
AskForLoad = Callable[[GcsNodeInfo], Awaitable[GetResourceLoadReply]]


class LoadPuller:
    """Calls ``ask_for_load`` for each of ``alive_nodes()`` every ``period_s``, and hands each answer to ``consumers``.

    ``ask_for_load`` needs no deadline; it raises :class:`RemoteError` when the raylet does not answer.
    """

    def __init__(
        self,
        *,
        alive_nodes: Callable[[], Iterable[GcsNodeInfo]],
        ask_for_load: AskForLoad,
        consumers: Sequence[Consumer],
        period_s: float,
    ) -> None:
        self._alive_nodes = alive_nodes
        self._ask_for_load = ask_for_load
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
        alive = {node.node_id: node for node in self._alive_nodes()}
        for node_id, calls in self._calls.items():
            if node_id not in alive:
                for call in calls:
                    call.cancel()
        for node_id, node in alive.items():
            if len(self._calls.get(node_id, ())) < CALLS_PER_NODE_MAX:
                scope = trio.CancelScope()
                self._calls.setdefault(node_id, set()).add(scope)
                nursery.start_soon(self._ask, node, scope)

    async def _ask(self, node: GcsNodeInfo, scope: trio.CancelScope) -> None:
        with scope:
            try:
                reply = await self._ask_for_load(node)
            except RemoteError as error:
                self._count_failure(node, error)
            else:
                for consume in self._consumers:
                    consume(reply.resources)
        calls = self._calls[node.node_id]
        calls.discard(scope)
        if not calls:
            del self._calls[node.node_id]

    def _count_failure(self, node: GcsNodeInfo, error: RemoteError) -> None:
        self._failures += 1
        if self._failures % FAILURES_PER_WARNING == 1:
            log.warning("node %s did not tell its load (failure %d): %s", node.node_id.hex(), self._failures, error)
