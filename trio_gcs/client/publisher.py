"""What clients publish to each other through the GCS: errors, logs, use of nodes. Nothing of it is stored."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trio_gcs.client.accessor import Accessor, AnyId, id_of
from trio_gcs.client.calls import Calls
from trio_gcs.client.feeds import Feeds
from trio_gcs.client.following import Hearing
from trio_gcs.client.generated.ray import rpc
from trio_gcs.client.messages import ChannelType, ErrorTableData, LogBatch
from trio_gcs.ids import NodeID


class Publisher(Accessor):
    """``client.publisher``. Each message is sent once: a second time would be told twice."""

    def __init__(self, calls: Calls, feeds: Feeds) -> None:
        super().__init__(calls, feeds)
        self._stub = calls.stub(rpc.ObservabilityPubSubServiceStub)

    async def error(self, key: bytes, error: ErrorTableData, *, timeout_s: float | None = None) -> None:
        """Publish an error under a key: the hex text of a job's id, or of a node's."""
        message = rpc.PubMessage(channel_type=ChannelType.RAY_ERROR_INFO_CHANNEL, key_id=key, error_info_message=error)
        await self._publish(message, timeout_s)

    async def logs(self, key: bytes, batch: LogBatch, *, timeout_s: float | None = None) -> None:
        """Publish lines of a log."""
        message = rpc.PubMessage(channel_type=ChannelType.RAY_LOG_CHANNEL, key_id=key, log_batch_message=batch)
        await self._publish(message, timeout_s)

    async def node_resource_usage(self, node_id: AnyId, json_text: str, *, timeout_s: float | None = None) -> None:
        """Publish what an agent has measured on its node; the key is the hex text of the node's id."""
        message = rpc.PubMessage(
            channel_type=ChannelType.RAY_NODE_RESOURCE_USAGE_CHANNEL,
            key_id=id_of(NodeID, node_id).hex().encode(),
            node_resource_usage_message=rpc.NodeResourceUsage(json=json_text),
        )
        await self._publish(message, timeout_s)

    @asynccontextmanager
    async def subscribe_logs(self, key: bytes = b"") -> AsyncIterator[Hearing[LogBatch]]:
        """Hear logs from now on, of one key or of all."""
        async with self._feeds.hearing(
            ChannelType.RAY_LOG_CHANNEL, key, lambda message: message.log_batch_message
        ) as hearing:
            yield hearing

    @asynccontextmanager
    async def subscribe_node_resource_usage(self) -> AsyncIterator[Hearing[tuple[bytes, str]]]:
        """Hear what agents measure from now on, each as key and JSON text."""

        def unwrap(message: rpc.PubMessage) -> tuple[bytes, str] | None:
            usage = message.node_resource_usage_message
            return None if usage is None else (message.key_id, usage.json)

        async with self._feeds.hearing(ChannelType.RAY_NODE_RESOURCE_USAGE_CHANNEL, b"", unwrap) as hearing:
            yield hearing

    async def _publish(self, message: rpc.PubMessage, timeout_s: float | None) -> None:
        request = rpc.GcsPublishRequest(pub_messages=[message])
        await self._calls.call(self._stub.gcs_publish, request, timeout_s=timeout_s, once=True)
