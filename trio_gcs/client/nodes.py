"""Nodes: who is there, since when, and why not any more.

A node that is dead stays dead: its id never comes back, whatever an older message says.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import NamedTuple

from trio_gcs.client.accessor import Accessor, AnyId, id_of
from trio_gcs.client.calls import Calls
from trio_gcs.client.errors import Gone, NotFound
from trio_gcs.client.feeds import Feeds, Topics
from trio_gcs.client.following import Following, Source
from trio_gcs.client.generated.ray import rpc
from trio_gcs.client.messages import ChannelType, GcsNodeAddressAndLiveness, Node, NodeDeathInfo, NodeState
from trio_gcs.ids import NodeID

# What a publication of a death holds.
PUBLISHED_OF_DEAD = ("state", "end_time_ms", "death_info")


class Liveness(NamedTuple):
    """What a server says of itself, and of the nodes that it was asked about, in their order."""

    ray_version: str
    is_leader: bool
    alive: Sequence[bool]


class Nodes(Accessor):
    """``client.nodes``."""

    def __init__(self, calls: Calls, feeds: Feeds) -> None:
        super().__init__(calls, feeds)
        self._stub = calls.stub(rpc.NodeInfoGcsServiceStub)

    async def register(self, node: Node, *, timeout_s: float | None = None) -> None:
        """Let a node join, as its raylet does."""
        await self._calls.call(self._stub.register_node, rpc.RegisterNodeRequest(node_info=node), timeout_s=timeout_s)

    async def unregister(
        self, node_id: AnyId, why: NodeDeathInfo | None = None, *, timeout_s: float | None = None
    ) -> None:
        """Let a node leave, as its raylet does. Stock Ray never answers for one that it does not know."""
        request = rpc.UnregisterNodeRequest(node_id=id_of(NodeID, node_id), node_death_info=why or NodeDeathInfo())
        await self._calls.call(self._stub.unregister_node, request, timeout_s=timeout_s)

    async def shut_down(self, node_ids: Iterable[AnyId], *, timeout_s: float | None = None) -> None:
        """Ask raylets to end at once. For a drain that may be refused, see ``client.autoscaler.drain_node``."""
        entries = [rpc.DrainNodeData(node_id=id_of(NodeID, node_id)) for node_id in node_ids]
        request = rpc.DrainNodeRequest(drain_node_data=entries)
        await self._calls.call(self._stub.drain_node, request, timeout_s=timeout_s)

    async def check_alive(self, node_ids: Iterable[AnyId] = (), *, timeout_s: float | None = None) -> Liveness:
        """Ask which of these nodes are alive; without any, only whether the server is."""
        request = rpc.CheckAliveRequest(node_ids=[id_of(NodeID, node_id) for node_id in node_ids])
        reply = await self._calls.call(self._stub.check_alive, request, timeout_s=timeout_s)
        return Liveness(reply.ray_version, reply.is_leader is not False, tuple(reply.raylet_alive))

    async def get(self, node_id: AnyId, *, timeout_s: float | None = None) -> Node:
        """One node, alive or dead; raises NotFound."""
        found = await self.list(ids=[node_id], timeout_s=timeout_s)
        if not found:
            raise NotFound(f"node {id_of(NodeID, node_id).hex()} is not known")
        return found[0]

    async def addresses(
        self,
        *,
        ids: Iterable[AnyId] = (),
        state: NodeState | None = None,
        limit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[GcsNodeAddressAndLiveness]:
        """Only where nodes are, and whether they are alive: a smaller reply where there are many."""
        request = rpc.GetAllNodeAddressAndLivenessRequest(
            node_ids=[id_of(NodeID, node_id) for node_id in ids], limit=limit, state_filter=state
        )
        reply = await self._calls.call(self._stub.get_all_node_address_and_liveness, request, timeout_s=timeout_s)
        return reply.node_info_list

    async def list(
        self,
        *,
        ids: Iterable[AnyId] = (),
        names: Iterable[str] = (),
        ip_addresses: Iterable[str] = (),
        head: bool | None = None,
        state: NodeState | None = None,
        limit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[Node]:
        """Nodes that are in this state, and meet any of the other conditions if there are some."""
        selector = rpc.GetAllNodeInfoRequestNodeSelector
        selectors = [
            *(selector(node_id=id_of(NodeID, node_id)) for node_id in ids),
            *(selector(node_name=name) for name in names),
            *(selector(node_ip_address=ip_address) for ip_address in ip_addresses),
        ]
        if head is not None:
            selectors.append(selector(is_head_node=head))
        request = rpc.GetAllNodeInfoRequest(limit=limit, node_selectors=selectors, state_filter=state)
        return (await self._calls.call(self._stub.get_all_node_info, request, timeout_s=timeout_s)).node_info_list

    @asynccontextmanager
    async def subscribe(self, node_id: AnyId | None = None) -> AsyncIterator[Following[Node]]:
        """Follow one node, or all: first what there is, then each change, as whole rows."""
        key = id_of(NodeID, node_id) if node_id is not None else b""

        async def fetch() -> Iterable[Node]:
            rows = await self.list(ids=[key] if key else ())
            return [replace(row, state_snapshot=None) for row in rows]  # that one differs with each reply

        source = Source(
            key=lambda row: row.node_id,
            is_final=lambda row: row.state == NodeState.DEAD,
            fetch=fetch,
            merge=_merged,
            supersedes=lambda _old, _new: True,
            parse=Node.parse,
        )
        topics = Topics(kind="node", channel=ChannelType.GCS_NODE_INFO_CHANNEL, key=key)
        async with self._following(topics, source) as following:
            yield following

    async def wait(self, node_id: AnyId, state: NodeState = NodeState.ALIVE, *, timeout_s: float | None = None) -> Node:
        """Wait until a node is in this state; also one that is not known yet. Raises Gone and DeadlineExceeded."""
        timeout_s = self._calls.patience.call_timeout_s if timeout_s is None else timeout_s
        async with self.subscribe(node_id) as following:
            row = await following.until(lambda node: node.state in (state, NodeState.DEAD), timeout_s=timeout_s)
        if row.state != state:
            raise Gone(f"node {row.node_id.hex()} is dead")
        return row


def _merged(message: rpc.PubMessage, known: Node | None) -> Node | None:
    news = message.node_info_message
    if news is None or known is None or news.state != NodeState.DEAD:
        return news
    return replace(known, **{name: getattr(news, name) for name in PUBLISHED_OF_DEAD})
