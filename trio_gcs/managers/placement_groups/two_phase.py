"""Two-phase commit with the daemon as coordinator. Owns PLACEMENT_GROUP_PLAN.

The plan is durable before the first prepare leaves, and being PREPARED, on the group and on its plan, is the commit
point. The one hard idea: *cancelling a task does not cancel a message*. A duty that is over stops caring, but its calls
take turns with whatever is sent next about the same group to the same raylet, and are heard to the end. What comes back
counts only if its plan still stands, which is told by comparing rows.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

import trio

from trio_gcs.errors import RemoteError
from trio_gcs.generated.ray.node_manager_pb2 import (
    CommitBundleResourcesRequest,
    PrepareBundleResourcesReply,
    PrepareBundleResourcesRequest,
)
from trio_gcs.managers.placement_groups.book import Book
from trio_gcs.managers.placement_groups.peers import Raylets, Turns
from trio_gcs.managers.placement_groups.plans import CODEC, Plan
from trio_gcs.octets import embedder
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Owed, Table

Kind = type[PrepareBundleResourcesRequest] | type[CommitBundleResourcesRequest]
Ask = Callable[[bytes, bytes], Awaitable[object]]

# The same field of the requests of both phases.
_as_spec = embedder(PrepareBundleResourcesRequest, "bundle_specs")

_log = logging.getLogger(__name__)


class Answers:
    """What came back of the nodes of a plan: those that are in neither set have agreed."""

    def __init__(self, nodes: Iterable[bytes]) -> None:
        self.refused: set[bytes] = set()  # were heard, and hold nothing
        self.unknown = set(nodes)  # may have heard us, or not

    @property
    def all_agree(self) -> bool:
        """Whether every node said yes."""
        return not self.refused and not self.unknown


class Decide(Protocol):
    """Decides what follows when every node of a plan has answered. The plan stands."""

    def __call__(self, change: Change, group_id: bytes, plan: Plan, answers: Answers) -> None:
        """Decide, in this change."""
        ...


class TwoPhase:
    """The plans that stand, and the calls that they owe."""

    def __init__(
        self,
        ledger: Ledger,
        book: Book,
        raylets: Raylets,
        turns: Turns,
        *,
        after_prepare: Decide,
        after_commit: Decide,
    ) -> None:
        self.plans: Table[Plan] = ledger.table("PLACEMENT_GROUP_PLAN", CODEC, owes=self._owes)
        self._ledger = ledger
        self._book = book
        self._raylets = raylets
        self._turns = turns
        self._after_prepare = after_prepare
        self._after_commit = after_commit

    def _owes(self, group_id: bytes, plan: Plan) -> tuple[Owed]:
        # One duty for both phases. The number of the attempt tells plans of one group apart.
        return (Owed(self._carry_out, plan.attempt),)

    # Duties.

    async def _carry_out(self, group_id: bytes) -> None:
        # A task that was cancelled may still run up to its next checkpoint, and its plan may be gone by then.
        await trio.lowlevel.checkpoint_if_cancelled()
        plan = self.plans[group_id]
        requests = self._requests_of(plan)
        if not plan.is_prepared:
            await self._ask_all(plan, requests, PrepareBundleResourcesRequest, self._prepare, self._after_prepare)
            await self._ledger.settled(self._ledger.revision)  # what was decided is durable before a commit leaves
            await trio.lowlevel.checkpoint_if_cancelled()
        await self._ask_all(
            self.plans[group_id], requests, CommitBundleResourcesRequest, self._commit, self._after_commit
        )

    def _requests_of(self, plan: Plan) -> dict[bytes, bytes]:
        """What each node is asked, in octets, which are the same in both phases."""
        bundles = self._book.groups[plan.group_id].bundles
        return {
            node_id: b"".join([_as_spec(bundles[index]) for index in indexes])
            for node_id, indexes in plan.by_node().items()
        }

    async def _prepare(self, node_id: bytes, octets: bytes) -> object:
        return await self._raylets.prepare_bundle_resources(node_id, PrepareBundleResourcesRequest.FromString(octets))

    async def _commit(self, node_id: bytes, octets: bytes) -> object:
        return await self._raylets.commit_bundle_resources(node_id, CommitBundleResourcesRequest.FromString(octets))

    async def _ask_all(self, plan: Plan, requests: Mapping[bytes, bytes], kind: Kind, ask: Ask, decide: Decide) -> None:
        """Ask all nodes of the plan at once, hear every answer, and decide."""
        group_id = plan.group_id
        answers = Answers(requests)

        def tell(heard: Mapping[bytes, object]) -> None:
            for node_id, reply in heard.items():
                if isinstance(reply, RemoteError):
                    _log.warning("node %s, about placement group %s: %s", node_id.hex(), group_id.hex(), reply)
                    continue
                answers.unknown.discard(node_id)
                if isinstance(reply, PrepareBundleResourcesReply) and not reply.success:
                    answers.refused.add(node_id)

        await self._turns.take_all(
            group_id,
            requests,
            begin=partial(self._raylets.begin, kind, at_once=True),
            ask=ask,
            tell=tell,
            look=self._raylets.read_now,
        )
        await trio.lowlevel.checkpoint_if_cancelled()
        if self.plans.get(group_id) is plan:
            with self._ledger.change() as change:
                decide(change, group_id, plan, answers)
