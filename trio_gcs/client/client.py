"""The client itself: one connection, one cluster, and an accessor for each kind of thing."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import trio

from trio_gcs.client.actors import Actors
from trio_gcs.client.address import Address, find_address, find_token
from trio_gcs.client.autoscaler import Autoscaler
from trio_gcs.client.calls import Calls, Patience
from trio_gcs.client.errors import ServerError
from trio_gcs.client.errors_of_jobs import Errors
from trio_gcs.client.feeds import Feeds
from trio_gcs.client.internal_kv import InternalKV
from trio_gcs.client.jobs import Jobs
from trio_gcs.client.node_cache import NodeCache, open_node_cache
from trio_gcs.client.node_resources import NodeResources
from trio_gcs.client.nodes import Nodes
from trio_gcs.client.observer import Observer
from trio_gcs.client.placement_groups import PlacementGroups
from trio_gcs.client.plain_nursery import open_plain_nursery
from trio_gcs.client.publisher import Publisher
from trio_gcs.client.runtime_env import RuntimeEnv
from trio_gcs.client.tasks import Tasks
from trio_gcs.client.workers import Workers
from trio_gcs.ids import ClusterID


class GcsClient:
    """A client of one cluster; `open_client` makes one.

    All calls raise subclasses of `ClientError`. A call to a server that is away is tried again until its deadline, and
    subscriptions go on after a restart of the server, without losing what happened meanwhile.
    """

    def __init__(self, calls: Calls, nursery: trio.Nursery, *, use_stream: bool | None = None) -> None:
        self._calls = calls
        self._feeds = feeds = Feeds(calls, nursery, use_stream=use_stream)
        self.actors = Actors(calls, feeds)
        self.jobs = Jobs(calls, feeds)
        self.nodes = Nodes(calls, feeds)
        self.node_resources = NodeResources(calls, feeds)
        self.errors = Errors(calls, feeds)
        self.tasks = Tasks(calls, feeds)
        self.workers = Workers(calls, feeds)
        self.placement_groups = PlacementGroups(calls, feeds)
        self.internal_kv = InternalKV(calls, feeds)
        self.runtime_env = RuntimeEnv(calls, feeds)
        self.autoscaler = Autoscaler(calls, feeds)
        self.publisher = Publisher(calls, feeds)
        self.observer = Observer(calls)

    @property
    def address(self) -> Address:
        """Where the server is."""
        return self._calls.address

    @property
    def cluster_id(self) -> ClusterID:
        """The cluster that this client belongs to. Another one at the same address refuses its calls."""
        if self._calls.cluster_id is None:
            raise ServerError("the client has not met its cluster yet")
        return self._calls.cluster_id

    async def follows_events(self) -> bool:
        """Whether rows are followed over the event stream, and not by Ray's pubsub."""
        return await self._feeds.have_stream()

    def node_cache(self) -> AbstractAsyncContextManager[NodeCache]:
        """Keep all nodes in memory and up to date: ``async with client.node_cache() as cache``."""
        return open_node_cache(self.nodes)


@asynccontextmanager
async def open_client(
    address: str | None = None,
    *,
    token: str | None = None,
    patience: Patience | None = None,
    use_stream: bool | None = None,
) -> AsyncIterator[GcsClient]:
    """Connect to a GCS for the length of the block; raises a ClientError if there is none that lets us in.

    Address and token are found as `trio_gcs.client.address` says where they are not given. Subscriptions to rows use the
    event stream where the server has it, and Ray's pubsub elsewhere, or as ``use_stream`` says.
    """
    calls = Calls(find_address(address), token=find_token(token), patience=patience)
    async with open_plain_nursery() as nursery:
        await nursery.start(calls.serve)
        await calls.greet()
        yield GcsClient(calls, nursery, use_stream=use_stream)
