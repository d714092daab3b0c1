"""A cache of all nodes that follows the server by itself, as raylets and workers of Ray have one."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio

from trio_gcs.client.accessor import AnyId, id_of
from trio_gcs.client.errors import ClientError
from trio_gcs.client.following import Following
from trio_gcs.client.messages import Node, NodeState
from trio_gcs.client.nodes import Nodes
from trio_gcs.client.plain_nursery import open_plain_nursery
from trio_gcs.ids import NodeID


class NodeCache:
    """Nodes as of the last news, without a call. One that is DEAD never turns ALIVE.

    While the server is away, what was known stays; ``error`` says why if the cache is no longer followed at all.
    """

    def __init__(self, following: Following[Node]) -> None:
        self._following = following
        self._changed = trio.Event()
        self.error: ClientError | None = None

    @property
    def nodes(self) -> Mapping[bytes, Node]:
        """All nodes by id, the dead ones too."""
        return self._following.rows

    def get(self, node_id: AnyId) -> Node | None:
        """One node, if it is known."""
        return self.nodes.get(id_of(NodeID, node_id))

    def is_alive(self, node_id: AnyId) -> bool:
        """Whether a node is known, and not to be dead."""
        node = self.get(node_id)
        return node is not None and node.state == NodeState.ALIVE

    @property
    def alive(self) -> list[Node]:
        """The nodes that are alive."""
        return [node for node in self.nodes.values() if node.state == NodeState.ALIVE]

    async def changed(self) -> None:
        """Wait for the next change; raises `error` if there will be none."""
        if self.error is not None:
            raise self.error
        await self._changed.wait()

    async def follow(self) -> None:
        """Read the news until cancelled, or until there are none to come."""
        try:
            async for _node in self._following:
                self._tell()
        except ClientError as error:
            self.error = error
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


@asynccontextmanager
async def open_node_cache(nodes: Nodes) -> AsyncIterator[NodeCache]:
    """Keep a cache for the length of the block; filled when the block begins."""
    async with nodes.subscribe() as following:
        await following.ready()
        cache = NodeCache(following)
        async with open_plain_nursery() as nursery:
            nursery.start_soon(cache.follow)
            yield cache
