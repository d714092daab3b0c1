"""An autoscaler manager and its drains, between a real node manager, a real key-value store and played raylets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.fakes.nodes_world import node_id, node_record
from tests.fakes.peers import FakeRaylets
from trio_gcs.config import GcsConfig
from trio_gcs.errors import GcsError
from trio_gcs.events.domain import ErrorRaised, NodeAdded, NodeDied
from trio_gcs.generated.ray import autoscaler_pb2 as pb
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupLoad, ResourcesData
from trio_gcs.managers.autoscaler import AutoscalerManager, Drains
from trio_gcs.managers.kv import KVManager
from trio_gcs.managers.nodes import NodeManager
from trio_gcs.services.autoscaler import AutoscalerStateService
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore

SESSION = "session_of_the_test"


class FakeGroups:
    def __init__(self) -> None:
        self.waiting: PlacementGroupLoad | None = None
        self.placed: dict[bytes, list[bytes]] = {}

    def load(self) -> PlacementGroupLoad | None:
        return self.waiting

    def on_node(self, node: bytes) -> list[bytes]:
        return self.placed.get(node, [])


class NotedWaiter:
    def __init__(self) -> None:
        self.gone = False
        self.reply: Any = None
        self.error: GcsError | None = None

    @property
    def is_waiting(self) -> bool:
        return self.reply is None and self.error is None

    def answer(self, reply: Any) -> None:
        assert self.is_waiting, "answered once"
        self.reply = reply

    def refuse(self, error: GcsError) -> None:
        assert self.is_waiting, "answered once"
        self.error = error


class AutoscalerWorld:
    def __init__(self, store: Any = None, **knobs: Any) -> None:
        self.now_ms = 1_000_000
        self.events: list[object] = []
        self.notes: list[str] = []
        self.preempted: list[bytes] = []
        self.raylets = FakeRaylets()
        self.groups = FakeGroups()
        config = GcsConfig(**knobs)
        reactions: dict[type, Sequence[Any]] = {}
        self.ledger = Ledger(store or MemoryStore(), publish=self._hear, reactions=reactions)
        self.kv = KVManager(Ledger(MemoryStore()))
        self.nodes = NodeManager(self.ledger, self.raylets, config, clock=self._clock)
        self.autoscaler = AutoscalerManager(
            self.ledger,
            nodes=self.nodes,
            placement_groups=self.groups,
            raylets=self.raylets,
            values=self.kv,
            config=config,
            session_name=SESSION,
            clock=self._clock,
        )
        self.drains = Drains(self.ledger, nodes=self.nodes, raylets=self.raylets, set_preempted=self.preempted.append)
        self.service = AutoscalerStateService(self.autoscaler, self.drains)
        reactions[NodeAdded] = (self.autoscaler.add_node,)
        reactions[NodeDied] = (self._drop_raylet, self.autoscaler.lose_node)

    def _clock(self) -> int:
        return self.now_ms

    def _drop_raylet(self, change: Any, event: NodeDied) -> None:
        self.raylets.drop_raylet(event.node.node_id)

    def _hear(self, revision: int, events: Sequence[object]) -> None:
        self.events += events

    def join(self, *numbers: int) -> None:
        for number in numbers:
            self.nodes.register(node_record(number))

    def pull(self, number: int, **load: Any) -> None:
        self.autoscaler.update_loads(ResourcesData(node_id=node_id(number), **load))

    def state_of(self, number: int) -> pb.NodeState:
        """The only entry of the node."""
        states = self.autoscaler.cluster_state().node_states
        (state,) = [state for state in states if state.node_id == node_id(number)]
        return state

    def errors(self) -> list[ErrorRaised]:
        return [event for event in self.events if isinstance(event, ErrorRaised)]
