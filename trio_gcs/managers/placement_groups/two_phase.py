"""Two-phase commit with the daemon as coordinator. Owns PLACEMENT_GROUP_PLAN, stored in the form of a group's row.

The plan is durable before the first prepare leaves, and being PREPARED, on the group and on its plan, is the commit
point. The one hard idea: *cancelling a task does not cancel a message*. A duty that is over stops caring, but its calls
take turns with whatever is sent next about the same group to the same raylet, and are heard to the end. What comes back
counts only if its plan still stands, which is told by comparing rows.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum, auto
from typing import Protocol, TypeVar

import trio

from trio_gcs.errors import RemoteError
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupTableData
from trio_gcs.generated.ray.node_manager_pb2 import (
    CommitBundleResourcesRequest,
    PrepareBundleResourcesReply,
    PrepareBundleResourcesRequest,
)
from trio_gcs.managers.placement_groups.peers import Raylets, Turns
from trio_gcs.managers.placement_groups.rows import asking, by_node
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Owed, Table, message_codec

Plan = PlacementGroupTableData

_log = logging.getLogger(__name__)


class Answer(Enum):
    """What came back from one node."""

    YES = auto()
    NO = auto()  # it was heard, and holds nothing
    UNKNOWN = auto()  # it may have been heard, or not


Answers = dict[bytes, Answer]
Request = TypeVar("Request", PrepareBundleResourcesRequest, CommitBundleResourcesRequest)
Ask = Callable[[bytes, Request], Awaitable[object]]


class Decide(Protocol):
    """Decides what follows when every node of a plan has answered. The plan stands."""

    def __call__(self, change: Change, group_id: bytes, plan: Plan, answers: Answers) -> None:
        """Decide, in this change."""
        ...


class TwoPhase:
    """The plans that stand, and the calls that they owe."""

    def __init__(
        self, ledger: Ledger, raylets: Raylets, turns: Turns, *, after_prepare: Decide, after_commit: Decide
    ) -> None:
        self.plans: Table[Plan] = ledger.table("PLACEMENT_GROUP_PLAN", message_codec(Plan), owes=self._owes)
        self._ledger = ledger
        self._raylets = raylets
        self._turns = turns
        self._after_prepare = after_prepare
        self._after_commit = after_commit

    def _owes(self, group_id: bytes, plan: Plan) -> tuple[Owed]:
        # One duty for both phases. The number of the attempt tells plans of one group apart.
        return (Owed(self._carry_out, plan.stats.scheduling_attempt),)

    # Duties.

    async def _carry_out(self, group_id: bytes) -> None:
        # A task that was cancelled may still run up to its next checkpoint, and its plan may be gone by then.
        await trio.lowlevel.checkpoint_if_cancelled()
        if self.plans[group_id].state != Plan.PREPARED:
            await self._ask_all(
                group_id, PrepareBundleResourcesRequest, self._raylets.prepare_bundle_resources, self._after_prepare
            )
            await self._ledger.settled(self._ledger.revision)  # what was decided is durable before a commit leaves
            await trio.lowlevel.checkpoint_if_cancelled()
        await self._ask_all(
            group_id, CommitBundleResourcesRequest, self._raylets.commit_bundle_resources, self._after_commit
        )

    async def _ask_all(self, group_id: bytes, kind: type[Request], ask: Ask[Request], decide: Decide) -> None:
        """Ask all nodes of the plan at once, hear every answer, and decide."""
        plan = self.plans[group_id]
        requests = {node_id: asking(kind, bundles) for node_id, bundles in by_node(plan.bundles).items()}
        answers: Answers = dict.fromkeys(requests, Answer.UNKNOWN)

        def tell(heard: Mapping[bytes, object]) -> None:
            for node_id, reply in heard.items():
                answers[node_id] = _answer_of(group_id, node_id, reply)

        await self._turns.take_all(group_id, requests, begin=self._raylets.begin, ask=ask, tell=tell)
        await trio.lowlevel.checkpoint_if_cancelled()
        if self.plans.get(group_id) is plan:
            with self._ledger.change() as change:
                decide(change, group_id, plan, answers)


def _answer_of(group_id: bytes, node_id: bytes, reply: object) -> Answer:
    if isinstance(reply, RemoteError):
        _log.warning("node %s, about placement group %s: %s", node_id.hex(), group_id.hex(), reply)
        return Answer.UNKNOWN
    if isinstance(reply, PrepareBundleResourcesReply) and not reply.success:
        return Answer.NO
    return Answer.YES
