"""One connection to a GCS, and every call on it: metadata, deadline, errors, and patience while the server is away.

The hard idea: a call that fails with UNAVAILABLE may or may not have been carried out. Nearly all calls of a GCS may be
repeated without harm, and are, with growing pauses, until their deadline. The few that count what they are told are sent
once: before, the client waits until there is a connection at all.
"""

import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

import grpclib.client
import trio
from grpclib.exceptions import GRPCError

from trio_gcs.client.address import Address
from trio_gcs.client.errors import DeadlineExceeded, Unavailable, error_of_code, error_of_grpc
from trio_gcs.client.generated.ray import rpc
from trio_gcs.client.generated.ray.rpc import NodeInfoGcsServiceStub
from trio_gcs.client.generated.ray.rpc.events import AddEventsStatus
from trio_gcs.ids import ClusterID
from trio_gcs.rpc.channel import Channel

Request_contra = TypeVar("Request_contra", contravariant=True)
Reply_co = TypeVar("Reply_co", covariant=True)
Request = TypeVar("Request")
Reply = TypeVar("Reply")
Stub = TypeVar("Stub")
Done = TypeVar("Done")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a client waits, and for what."""

    call_timeout_s: float = 30.0  # for a call that says nothing else
    unavailable_s: float = 60.0  # a server that is away for longer is given up; no longer than the call's own deadline
    pause_min_s: float = 0.05  # between two attempts, doubled from one to the next
    pause_max_s: float = 2.0
    poll_s: float = 60.0  # a poll is repeated after this time, so that a dead connection is found out

    def pauses(self) -> Iterator[float]:
        """Pauses between attempts, without end; of random length, so that clients do not come back all at once."""
        pause_s = self.pause_min_s
        while True:
            yield pause_s * random.uniform(0.75, 1.25)  # noqa: S311 - nobody has to be unable to guess it
            pause_s = min(pause_s * 2, self.pause_max_s)


class UnaryMethod(Protocol[Request_contra, Reply_co]):
    """A method of a generated stub."""

    async def __call__(
        self,
        message: Request_contra,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - as grpclib's stubs have it
        metadata: "dict[str, str] | None" = None,
    ) -> Reply_co:
        """Call it."""


class Calls:
    """Calls to one server, as one client. `serve` must be running."""

    def __init__(self, address: Address, *, token: str | None = None, patience: Patience | None = None) -> None:
        self.address = address
        self.patience = patience or Patience()
        self.cluster_id: ClusterID | None = None
        self.channel = Channel(
            address.host, address.port, metadata={"authorization": f"Bearer {token}"} if token else None
        )

    async def serve(self, *, task_status: trio.TaskStatus[object] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep the connection, until cancelled."""
        await self.channel.run(task_status=task_status)

    def stub(self, make: Callable[[grpclib.client.Channel], Stub]) -> Stub:
        """A stub of this class on our connection."""
        return self.channel.stub(make)

    async def greet(self, *, timeout_s: float | None = None) -> ClusterID:
        """Learn the id of the cluster, which every later call names: so that none is taken by another cluster."""
        stub = self.stub(NodeInfoGcsServiceStub)
        reply = await self.call(stub.get_cluster_id, rpc.GetClusterIdRequest(), timeout_s=timeout_s)
        self.cluster_id = ClusterID(reply.cluster_id)
        return self.cluster_id

    async def call(
        self,
        method: UnaryMethod[Request, Reply],
        request: Request,
        *,
        timeout_s: float | None = None,
        once: bool = False,
    ) -> Reply:
        """Call, and raise a ClientError for whatever is not a good reply.

        ``once``: the request is sent at most once, because it would count twice.
        """
        deadline_s = trio.current_time() + (self.patience.call_timeout_s if timeout_s is None else timeout_s)

        async def one_try() -> Reply:
            return await self.attempt(method, request, deadline_s)

        async def connect() -> None:
            await self.link(deadline_s)

        if not once:
            return await self._patiently(one_try, deadline_s)
        await self._patiently(connect, deadline_s)
        return await one_try()

    async def _patiently(self, attempt: Callable[[], Awaitable[Done]], deadline_s: float) -> Done:
        """Attempt it until the server is there, or was away for too long."""
        give_up_s = min(deadline_s, trio.current_time() + self.patience.unavailable_s)
        for pause_s in self.patience.pauses():
            try:
                return await attempt()
            except Unavailable:
                if trio.current_time() + pause_s >= give_up_s:
                    raise
            await trio.sleep(pause_s)
        raise AssertionError("pauses have no end")

    def metadata(self) -> dict[str, str] | None:
        """What goes with each call: whose cluster it is meant for."""
        return {"ray_cluster_id": self.cluster_id.hex()} if self.cluster_id is not None else None

    async def link(self, deadline_s: float) -> object:
        """Wait for a connection, and return what stands for it: another object if it is another connection."""
        try:
            return await self.channel.link(deadline_s)
        except GRPCError as error:
            raise error_of_grpc(error) from error

    async def attempt(self, method: UnaryMethod[Request, Reply], request: Request, deadline_s: float) -> Reply:
        """Call a single time, whatever comes of it."""
        left_s = deadline_s - trio.current_time()
        if left_s <= 0:
            raise DeadlineExceeded(f"{self.address}: no answer in time")
        try:
            reply = await method(request, timeout=left_s, metadata=self.metadata())
        except GRPCError as error:
            raise error_of_grpc(error) from error
        status = getattr(reply, "status", None)
        if isinstance(status, rpc.GcsStatus | AddEventsStatus) and status.code:
            raise error_of_code(status.code, status.message)
        return reply
