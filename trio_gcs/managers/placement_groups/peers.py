"""What placement groups need from outside, as narrow as it can be said."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from trio_gcs.generated.ray import node_manager_pb2 as pb
from trio_gcs.scheduling.view import NodeView
from trio_gcs.store.ledger import Change

Result = TypeVar("Result")
Request = TypeVar("Request")
Answers = Mapping[bytes, Any]  # a reply or a ``RemoteError``, by node
BundleRequest = (
    pb.PrepareBundleResourcesRequest | pb.CommitBundleResourcesRequest | pb.RemovePlacementGroupBundlesRequest
)


class UnderWay(Protocol):
    """A call that was begun."""

    def give_up(self) -> None:
        """End it, since it took too long."""
        ...


class Raylets(Protocol):
    """Calls to raylets, by node. Each raises ``RemoteError``, or ``RemoteGone`` once the node is dead."""

    def begin(
        self,
        kind: type[BundleRequest],
        requests: Mapping[bytes, bytes],
        hear: Callable[[bytes, Any], None],
        *,
        at_once: bool = False,
    ) -> Mapping[bytes, UnderWay]:
        """Ask once what these octets of requests say, by node, and tell ``hear`` later what came of each.

        Returns the calls; a node that is not among them cannot be asked without waiting. The requests leave ``at_once``,
        or with what others say to these raylets in the same moment.
        """
        ...

    def read_now(self) -> None:
        """Take in what raylets have answered by now."""
        ...

    async def prepare_bundle_resources(
        self, node_id: bytes, request: pb.PrepareBundleResourcesRequest
    ) -> pb.PrepareBundleResourcesReply:
        """Reserve all bundles of the request, or none. Asked once."""
        ...

    async def commit_bundle_resources(
        self, node_id: bytes, request: pb.CommitBundleResourcesRequest
    ) -> pb.CommitBundleResourcesReply:
        """Turn reserved bundles into resources that can be asked for. Asked once."""
        ...

    async def remove_placement_group_bundles(
        self, node_id: bytes, request: pb.RemovePlacementGroupBundlesRequest
    ) -> pb.RemovePlacementGroupBundlesReply:
        """Free bundles, reserved or committed, and end the workers in them. Asked once."""
        ...

    async def release_unused_bundles(
        self, node_id: bytes, request: pb.ReleaseUnusedBundlesRequest
    ) -> pb.ReleaseUnusedBundlesReply:
        """Tell which bundles are in use; the raylet frees all others. Repeated until answered."""
        ...


class Turns(Protocol):
    """Lets one call at a time be under way about a subject at a peer, and hears each to its end."""

    async def take(self, peer: bytes, subject: bytes, call: Callable[[], Awaitable[Result]]) -> Result:
        """Make the call in turn. Raises what it raises, and ``RemoteError`` when it takes too long."""
        ...

    async def take_all(
        self,
        subject: bytes,
        requests: Mapping[bytes, Request],
        *,
        begin: Callable[[Mapping[bytes, Request], Callable[[bytes, Any], None]], Mapping[bytes, UnderWay]],
        ask: Callable[[bytes, Request], Awaitable[Any]],
        tell: Callable[[Answers], None],
        look: Callable[[], None] | None = None,
    ) -> None:
        """Send each peer its request in turn, and hear every answer: ``tell`` is called as they come.

        ``look`` takes in what has arrived when all was sent.
        """
        ...

    def settle(self, peer: bytes, subject: bytes) -> bool:
        """Say that this peer has answered since; returns whether a call to it had ended without an answer before."""
        ...

    def stop(self) -> None:
        """Stop hearing: the daemon is ending."""
        ...


class Nodes(Protocol):
    """Which nodes are alive now."""

    def is_alive(self, node_id: bytes) -> bool:
        """Whether the node is alive; one that drains is."""
        ...

    def alive_ids(self) -> Sequence[bytes]:
        """All nodes that are alive."""
        ...


class Resources(Protocol):
    """The view of the cluster, which a plan leads."""

    def views(self) -> Iterable[tuple[bytes, NodeView]]:
        """All nodes that are alive, as placement sees them."""
        ...

    def take(self, change: Change, needs: Mapping[bytes, Mapping[str, int]]) -> None:
        """Deduct what a plan needs, by node."""
        ...

    def give_back(self, change: Change, node_id: bytes, need: Mapping[str, int]) -> None:
        """Undo :meth:`take`."""
        ...
