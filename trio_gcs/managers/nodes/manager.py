"""Nodes: who is in the cluster, who was, and when one is dead. Owns table NODE.

The one hard thing is that memory and store differ on purpose. The store has one row per id, the last thing said of it.
Memory has what Ray's clients see: the *first* record of each life among the living, with what its resource views say,
and the last records of the dead, of which an id may have one while it lives again.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from random import Random
from typing import Protocol

import trio

from trio_gcs.config import GcsConfig
from trio_gcs.errors import RemoteError
from trio_gcs.events.domain import ErrorRaised, NodeAdded, NodeDied, NodeDraining, NodeRegistered
from trio_gcs.generated.ray.autoscaler_pb2 import DrainNodeRequest
from trio_gcs.generated.ray.common_pb2 import NodeDeathInfo
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.generated.ray.ray_syncer_pb2 import ResourceViewSyncMessage
from trio_gcs.health.checker import HealthChecker
from trio_gcs.health.probe import Prober
from trio_gcs.ids import NodeID, is_nil
from trio_gcs.managers.nodes.queries import NodeQueries
from trio_gcs.managers.nodes.records import dead_record, reason_of_failure, removal_error, with_snapshot
from trio_gcs.managers.nodes.states import MACHINE, Input, LivingNode, State
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Owed, Table, message_codec

log = logging.getLogger(__name__)


class Raylets(Prober, Protocol):
    """What nodes ask of raylets. Calls are retried until the node is dead; both may raise :class:`RemoteError`."""

    async def notify_restart(self, node_id: bytes) -> None:
        """Tell the raylet that we have started anew."""
        ...

    async def shut_down(self, node_id: bytes) -> None:
        """Ask the raylet to end in good order."""
        ...


class NodeManager:
    """Decides who is alive. ``queries`` answers what clients ask about nodes."""

    def __init__(self, ledger: Ledger, raylets: Raylets, config: GcsConfig, clock: Callable[[], int]) -> None:
        self.health = HealthChecker(raylets, config, self.fail)
        self.added = trio.Event()  # set, and then replaced by a new one, whenever a node was added
        self._ledger = ledger
        self._raylets = raylets
        self._clock = clock
        self._dead_max = config.dead_nodes_max
        self._stored = ledger.table("NODE", message_codec(GcsNodeInfo))
        watched = (Owed(self.health.watch),)
        self._alive: Table[LivingNode] = ledger.table(
            "nodes alive", None, indexes={"heads": _heads}, owes=lambda key, node: watched
        )
        self._dead: Table[GcsNodeInfo] = ledger.table("nodes dead", None)  # oldest death first
        self.queries = NodeQueries(self._alive, self._dead)
        self.serve = self._alive.serve

    def recover(self) -> None:
        """Sort the stored rows into the living and the dead, and tell each living raylet that we are back."""
        with self._ledger.change() as change:
            rows = list(self._stored.items())
            for key, record in sorted(rows, key=lambda row: row[1].end_time_ms):
                if record.state == GcsNodeInfo.DEAD:
                    change.put(self._dead, key, record)
                else:
                    change.put(self._alive, key, LivingNode(record))
                    change.errand(self._call, self._raylets.notify_restart, key)

    # Decisions.

    def register(self, record: GcsNodeInfo) -> None:
        """A raylet says that it is there; nothing that it says is checked, but a new head ends the old one's life.

        Said again by a node that is alive, it is stored and published again, while memory keeps what was said first.
        """
        node_id = NodeID.parse(record.node_id)
        with self._ledger.change() as change:
            if record.is_head_node:
                for old_head in self._alive.find("heads", value=True):
                    if old_head != node_id:
                        self._fail(change, old_head)
            state = self._state(node_id)
            living = MACHINE.after(state, Input.REGISTER)
            change.put(self._stored, node_id, record)
            change.emit(NodeRegistered(record))
            if living is not state:
                change.put(self._alive, node_id, LivingNode(record))
                change.react(NodeAdded(record))
                change.errand(self._ring)

    def unregister(self, node_id: bytes, death: NodeDeathInfo) -> None:
        """A raylet says that it goes, and why; nothing happens if the node is not alive."""
        with self._ledger.change() as change:
            if MACHINE.accepts(self._state(node_id), Input.UNREGISTER):
                self._die(change, node_id, Input.UNREGISTER, death)

    def fail(self, node_id: bytes) -> None:
        """Nobody hears from the node any more; nothing happens if it is not alive."""
        with self._ledger.change() as change:
            self._fail(change, node_id)

    def set_draining(self, node_id: bytes, request: DrainNodeRequest) -> None:
        """The node's raylet accepted to go; nothing happens if it is not alive. Memory only: a raylet says it again."""
        with self._ledger.change() as change:
            node = self._alive.get(node_id)
            if node is None or not MACHINE.accepts(node.state, Input.DRAIN):
                return
            change.put(self._alive, node_id, LivingNode(node.record, drain=request))
            change.react(NodeDraining(node_id, request.deadline_timestamp_ms))

    def update_snapshot(self, node_id: bytes, view: ResourceViewSyncMessage) -> None:
        """Show in ``state_snapshot`` what the node's resource view says; memory only, and nobody is told."""
        with self._ledger.change() as change:
            node = self._alive.get(node_id)
            if node is not None:
                change.put(self._alive, node_id, LivingNode(with_snapshot(node.record, view), node.drain))

    def shut_down(self, node_ids: Iterable[bytes]) -> None:
        """Ask the raylets of those that are alive to end; their nodes die by unregistering, or by silence."""
        with self._ledger.change() as change:
            for node_id in dict.fromkeys(node_ids):
                if node_id in self._alive:
                    change.errand(self._call, self._raylets.shut_down, node_id)
                else:
                    log.info("node %s is to be shut down, but is not alive", node_id.hex())

    # Steps of decisions.

    def _state(self, node_id: bytes) -> State | None:
        node = self._alive.get(node_id)
        if node is not None:
            return node.state
        return State.DEAD if node_id in self._dead else None

    def _fail(self, change: Change, node_id: bytes) -> None:
        node = self._alive.get(node_id)
        if node is not None and MACHINE.accepts(node.state, Input.FAIL):
            self._die(change, node_id, Input.FAIL, reason_of_failure(node, self._clock()))

    def _die(self, change: Change, node_id: bytes, stimulus: Input, death: NodeDeathInfo) -> None:
        node = self._alive[node_id]
        state = MACHINE.after(node.state, stimulus)
        assert state is State.DEAD, f"{stimulus} does not end a life"
        last = dead_record(node.record, death, self._clock())
        change.delete(self._alive, node_id)
        self._bury(change, node_id, last)
        change.put(self._stored, node_id, last)
        if death.reason == NodeDeathInfo.UNEXPECTED_TERMINATION:
            change.emit(ErrorRaised(node_id.hex().encode(), removal_error(NodeID(node_id), last)))
        change.react(NodeDied(last))

    def _bury(self, change: Change, node_id: bytes, last: GcsNodeInfo) -> None:
        """Remember the newest of the dead, and forget the oldest where they are too many."""
        if len(self._dead) >= self._dead_max:
            for oldest in list(islice(self._dead, 1)):
                change.delete(self._dead, oldest)
                if oldest not in self._alive:  # or else the row is that of its present life
                    change.delete(self._stored, oldest)
        change.delete(self._dead, node_id)  # so that a second death makes it the newest
        change.put(self._dead, node_id, last)

    # Errands.

    async def _call(self, call: Callable[[bytes], Awaitable[None]], node_id: bytes) -> None:
        try:
            await call(node_id)
        except RemoteError as error:
            log.warning("raylet of node %s: %s", node_id.hex(), error)

    async def _ring(self) -> None:
        self.added.set()
        self.added = trio.Event()
        await trio.lowlevel.checkpoint()

    # What other managers ask.

    def is_alive(self, node_id: bytes) -> bool:
        """Whether the node is alive; one that drains is."""
        return node_id in self._alive

    def alive_ids(self) -> list[bytes]:
        """The ids of all nodes that are alive, in the order in which they came."""
        return list(self._alive)

    def alive_nodes(self) -> list[GcsNodeInfo]:
        """The records of all nodes that are alive, in the order in which they came."""
        return [node.record for node in self._alive.values()]

    def dead_nodes(self) -> list[GcsNodeInfo]:
        """The last records of those that died and are remembered, the oldest death first."""
        return list(self._dead.values())

    def alive_node(self, node_id: bytes) -> GcsNodeInfo | None:
        """The record of a node that is alive, or None."""
        node = self._alive.get(node_id)
        return node.record if node is not None else None

    def dead_node(self, node_id: bytes) -> GcsNodeInfo | None:
        """The last record of a life that ended under this id, or None if nobody remembers one."""
        return self._dead.get(node_id)

    def random_alive(self, rng: Random) -> bytes | None:
        """Any node that is alive, each as likely as the other, or None; those that drain are not left out.

        One that registered without an id is: who was placed there would be taken for placed nowhere.
        """
        alive = [node_id for node_id in self._alive if not is_nil(node_id)]
        return rng.choice(alive) if alive else None

    def address_of(self, node_id: bytes) -> tuple[str, int] | None:
        """Where the raylet of a node listens, or None if the node is not alive."""
        node = self._alive.get(node_id)
        return (node.record.node_manager_address, node.record.node_manager_port) if node is not None else None


def _heads(node: LivingNode) -> tuple[bool, ...]:
    return (True,) if node.record.is_head_node else ()
