"""Simulated raylets for the bench: one process that agrees to everything at once, on one port for all nodes.

Both servers call the same process, so what it costs is the same for both, and their own CPU is counted apart from it.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import trio
from grpclib.const import Cardinality, Handler

from trio_gcs.generated.ray import node_manager_pb2 as pb
from trio_gcs.rpc.dispatch import Dispatch
from trio_gcs.rpc.handlers import unary
from trio_gcs.rpc.health import Health
from trio_gcs.rpc.server import Server

SERVICE = "/ray.rpc.NodeManagerService/"


class Raylets:
    """The calls of placement groups, each answered with its yes."""

    @unary
    def prepare(self, request: pb.PrepareBundleResourcesRequest) -> pb.PrepareBundleResourcesReply:
        """Reserve the bundles."""
        return pb.PrepareBundleResourcesReply(success=True)

    @unary
    def commit(self, request: pb.CommitBundleResourcesRequest) -> pb.CommitBundleResourcesReply:
        """Hand the bundles out."""
        return pb.CommitBundleResourcesReply()

    @unary
    def remove(self, request: pb.RemovePlacementGroupBundlesRequest) -> pb.RemovePlacementGroupBundlesReply:
        """Take the bundles back."""
        return pb.RemovePlacementGroupBundlesReply()

    def __mapping__(self) -> dict[str, Handler]:
        """What a generated service class would say of these three."""
        methods = {
            "PrepareBundleResources": (self.prepare, pb.PrepareBundleResourcesRequest, pb.PrepareBundleResourcesReply),
            "CommitBundleResources": (self.commit, pb.CommitBundleResourcesRequest, pb.CommitBundleResourcesReply),
            "RemovePlacementGroupBundles": (
                self.remove,
                pb.RemovePlacementGroupBundlesRequest,
                pb.RemovePlacementGroupBundlesReply,
            ),
        }
        return {
            SERVICE + name: Handler(function, Cardinality.UNARY_UNARY, request, reply)
            for name, (function, request, reply) in methods.items()
        }


async def _serve() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with trio.open_nursery() as nursery:
        await nursery.start(Server([Raylets(), Health()], Dispatch()).serve, [listener])
        print(listener.socket.getsockname()[1], flush=True)


@contextmanager
def running() -> Iterator[int]:
    """Run the raylets in a process of their own; yields their port."""
    with subprocess.Popen([sys.executable, "-m", "bench.raylets"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "a pipe was asked for"
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


if __name__ == "__main__":
    trio.run(_serve)
