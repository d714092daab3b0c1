"""Packages of runtime environments, which the server deletes when nobody needs them any more."""

from trio_gcs.client.accessor import Accessor
from trio_gcs.client.calls import Calls
from trio_gcs.client.feeds import Feeds
from trio_gcs.client.generated.ray import rpc


class RuntimeEnv(Accessor):
    """``client.runtime_env``."""

    def __init__(self, calls: Calls, feeds: Feeds) -> None:
        super().__init__(calls, feeds)
        self._stub = calls.stub(rpc.RuntimeEnvGcsServiceStub)

    async def pin(self, uri: str, expiration_s: int, *, timeout_s: float | None = None) -> None:
        """Keep a package (``gcs://...``) for so many seconds, whoever uses it."""
        request = rpc.PinRuntimeEnvUriRequest(uri=uri, expiration_s=expiration_s)
        await self._calls.call(self._stub.pin_runtime_env_uri, request, timeout_s=timeout_s)
