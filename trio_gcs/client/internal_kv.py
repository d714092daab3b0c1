"""The key-value store: bytes under bytes, in namespaces, durable before a write is answered."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from trio_gcs.client.accessor import Accessor
from trio_gcs.client.calls import Calls
from trio_gcs.client.errors import NotFound, ServerError
from trio_gcs.client.feeds import Feeds
from trio_gcs.client.generated.ray import rpc


class InternalKV(Accessor):
    """``client.internal_kv``."""

    def __init__(self, calls: Calls, feeds: Feeds) -> None:
        super().__init__(calls, feeds)
        self._stub = calls.stub(rpc.InternalKvGcsServiceStub)

    async def get(self, key: bytes, *, namespace: bytes = b"", timeout_s: float | None = None) -> bytes | None:
        """The value, or None if there is none."""
        request = rpc.InternalKvGetRequest(key=key, namespace=namespace)
        try:
            return (await self._calls.call(self._stub.internal_kv_get, request, timeout_s=timeout_s)).value
        except NotFound:
            return None

    async def multi_get(
        self, keys: Iterable[bytes], *, namespace: bytes = b"", timeout_s: float | None = None
    ) -> dict[bytes, bytes]:
        """The values of those keys that there are."""
        request = rpc.InternalKvMultiGetRequest(keys=list(keys), namespace=namespace)
        reply = await self._calls.call(self._stub.internal_kv_multi_get, request, timeout_s=timeout_s)
        return {entry.key: entry.value for entry in reply.results}

    async def put(
        self,
        key: bytes,
        value: bytes,
        *,
        namespace: bytes = b"",
        overwrite: bool = True,
        timeout_s: float | None = None,
    ) -> bool:
        """Store a value; returns whether the key is new. Without ``overwrite`` an existing value stays.

        Sent once without ``overwrite``, since a second try would find the key taken by the first.
        """
        request = rpc.InternalKvPutRequest(key=key, value=value, overwrite=overwrite, namespace=namespace)
        reply = await self._calls.call(self._stub.internal_kv_put, request, timeout_s=timeout_s, once=not overwrite)
        return reply.added

    async def delete(
        self, key: bytes, *, namespace: bytes = b"", by_prefix: bool = False, timeout_s: float | None = None
    ) -> int:
        """Delete a key, or all that begin with it; returns how many there were (0 if a repeated try found none)."""
        request = rpc.InternalKvDelRequest(key=key, namespace=namespace, del_by_prefix=by_prefix)
        return (await self._calls.call(self._stub.internal_kv_del, request, timeout_s=timeout_s)).deleted_num

    async def exists(self, key: bytes, *, namespace: bytes = b"", timeout_s: float | None = None) -> bool:
        """Whether there is such a key."""
        request = rpc.InternalKvExistsRequest(key=key, namespace=namespace)
        return (await self._calls.call(self._stub.internal_kv_exists, request, timeout_s=timeout_s)).exists

    async def keys(self, prefix: bytes = b"", *, namespace: bytes = b"", timeout_s: float | None = None) -> list[bytes]:
        """Keys that begin so. Without prefix and namespace: those of all namespaces, without saying of which."""
        request = rpc.InternalKvKeysRequest(prefix=prefix, namespace=namespace)
        return (await self._calls.call(self._stub.internal_kv_keys, request, timeout_s=timeout_s)).results

    async def config(self, *, timeout_s: float | None = None) -> Mapping[str, Any]:
        """Ray's configuration that the cluster was started with."""
        request = rpc.GetInternalConfigRequest()
        reply = await self._calls.call(self._stub.get_internal_config, request, timeout_s=timeout_s)
        try:
            found = json.loads(reply.config or "{}")
        except ValueError as error:
            raise ServerError(f"the configuration is no JSON: {error}") from error
        return found if isinstance(found, dict) else {}
