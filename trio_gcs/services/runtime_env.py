"""RuntimeEnvGcsService: pins of packages on the wire."""

from __future__ import annotations

from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.gcs_service_grpc import RuntimeEnvGcsServiceBase
from trio_gcs.managers.runtime_env import RuntimeEnvManager
from trio_gcs.rpc.handlers import unary


class RuntimeEnvService(RuntimeEnvGcsServiceBase):
    """Speaks for :class:`RuntimeEnvManager`."""

    def __init__(self, runtime_env: RuntimeEnvManager) -> None:
        self._runtime_env = runtime_env

    @unary
    def PinRuntimeEnvURI(self, request: pb.PinRuntimeEnvURIRequest) -> pb.PinRuntimeEnvURIReply:
        """Keep a package for a time."""
        self._runtime_env.pin(request.uri, request.expiration_s)
        return pb.PinRuntimeEnvURIReply()
