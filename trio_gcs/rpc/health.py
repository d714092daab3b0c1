"""The standard health service: `""` stands for the server as a whole, and no other name is known.

The hard idea: a watcher sees every state that lasts, but not each one of a quick sequence: it looks again whenever
something has changed, and speaks when what it sees differs from what it has said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from trio_gcs.generated.grpc.health_grpc import HealthBase
from trio_gcs.generated.grpc.health_pb2 import (
    HealthCheckRequest,
    HealthCheckResponse,
    HealthListRequest,
    HealthListResponse,
)
from trio_gcs.rpc.handlers import unary

if TYPE_CHECKING:
    from grpclib.server import Stream

_UNKNOWN_NAME = GRPCError(Status.NOT_FOUND, "service name unknown")


class Health(HealthBase):
    """Serves until told otherwise."""

    def __init__(self) -> None:
        self._serving = True
        self._changed = trio.Event()

    @property
    def serving(self) -> bool:
        """Whether the server says that it serves."""
        return self._serving

    @serving.setter
    def serving(self, serving: bool) -> None:
        self._serving = serving
        self._changed.set()
        self._changed = trio.Event()

    @unary
    def Check(self, request: HealthCheckRequest) -> HealthCheckResponse:
        """Tell the present state."""
        if request.service:
            raise _UNKNOWN_NAME
        return HealthCheckResponse(status=self._status(""))

    @unary
    def List(self, _request: HealthListRequest) -> HealthListResponse:
        """Tell the present state of all there is."""
        return HealthListResponse(statuses={"": HealthCheckResponse(status=self._status(""))})

    async def Watch(self, stream: Stream[HealthCheckRequest, HealthCheckResponse]) -> None:
        """Tell the present state, and then each other one, until the caller cancels."""
        request = await stream.recv_message()
        if request is None:
            raise GRPCError(Status.UNIMPLEMENTED, "Watch has one request")
        said: HealthCheckResponse.ServingStatus | None = None
        while True:
            changed = self._changed
            status = self._status(request.service)
            if status != said:
                said = status
                await stream.send_message(HealthCheckResponse(status=status))
            await changed.wait()

    def _status(self, name: str) -> HealthCheckResponse.ServingStatus:
        if name:
            return HealthCheckResponse.SERVICE_UNKNOWN
        return HealthCheckResponse.SERVING if self._serving else HealthCheckResponse.NOT_SERVING
