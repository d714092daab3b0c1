"""A node manager with nothing around it: a clock that a test turns, raylets that note what they are told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from trio_gcs.config import GcsConfig
from trio_gcs.errors import RemoteError
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.managers.nodes import NodeManager
from trio_gcs.store.base import Page
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore


def node_id(number: int) -> bytes:
    return number.to_bytes(28, "big")


def node_record(number: int, name: str = "", *, head: bool = False, address: str = "") -> GcsNodeInfo:
    return GcsNodeInfo(
        node_id=node_id(number),
        node_name=name or f"node-{number}",
        node_manager_address=address or f"10.0.0.{number}",
        node_manager_port=1000 + number,
        object_manager_port=2000 + number,
        is_head_node=head,
        resources_total={"CPU": number},
    )


class StoredRows(MemoryStore):
    """A store that had rows before this daemon began."""

    def __init__(self, rows: Mapping[bytes, bytes]) -> None:
        self._rows = rows

    async def load(self, table: str) -> AsyncIterator[Page]:
        yield list(self._rows.items()) if table == "NODE" else []


class NotedRaylets:
    def __init__(self) -> None:
        self.told: list[tuple[str, bytes]] = []
        self.unreachable: set[bytes] = set()

    async def check_health(self, node: bytes) -> bool:
        return True

    async def notify_restart(self, node: bytes) -> None:
        self._tell("restarted", node)

    async def shut_down(self, node: bytes) -> None:
        self._tell("shut down", node)

    def _tell(self, what: str, node: bytes) -> None:
        if node in self.unreachable:
            raise RemoteError(14, "nobody listens")
        self.told.append((what, node))


class NodesWorld:
    def __init__(self, *, dead_max: int = 1000, rows: Mapping[bytes, bytes] | None = None) -> None:
        self.now_ms = 1_000_000
        self.events: list[object] = []
        self.raylets = NotedRaylets()
        self.ledger = Ledger(StoredRows(rows or {}), publish=self._hear)
        config = GcsConfig(dead_nodes_max=dead_max)
        self.nodes = NodeManager(self.ledger, self.raylets, config, clock=lambda: self.now_ms)
        self.dead_max = dead_max

    def _hear(self, revision: int, events: Sequence[object]) -> None:
        self.events += events

    @property
    def stored(self) -> dict[bytes, GcsNodeInfo]:
        return dict(self.nodes._stored.items())

    @property
    def alive(self) -> dict[bytes, GcsNodeInfo]:
        return {key: node.record for key, node in self.nodes._alive.items()}

    @property
    def dead(self) -> dict[bytes, GcsNodeInfo]:
        return dict(self.nodes._dead.items())

    def take_events(self) -> list[object]:
        taken, self.events = self.events, []
        return taken

    async def restarted(self) -> NodesWorld:
        """The daemon that starts on what this one stored."""
        rows = {key: record.SerializeToString() for key, record in self.stored.items()}
        world = NodesWorld(dead_max=self.dead_max, rows=rows)
        world.now_ms = self.now_ms
        await world.ledger.load()
        world.nodes.recover()
        return world
