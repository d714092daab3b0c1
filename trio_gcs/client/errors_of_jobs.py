"""Errors that drivers should show to their users: reported and published, never stored."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from trio_gcs.client.accessor import Accessor, AnyId, id_of
from trio_gcs.client.calls import Calls
from trio_gcs.client.feeds import Feeds
from trio_gcs.client.following import Hearing
from trio_gcs.client.generated.ray import rpc
from trio_gcs.client.messages import ChannelType, ErrorTableData
from trio_gcs.ids import JobID


class Errors(Accessor):
    """``client.errors``."""

    def __init__(self, calls: Calls, feeds: Feeds) -> None:
        super().__init__(calls, feeds)
        self._stub = calls.stub(rpc.ObservabilityPubSubServiceStub)

    async def report(
        self,
        job_id: AnyId,
        kind: str,
        message: str,
        *,
        timestamp_ms: float = 0.0,
        timeout_s: float | None = None,
    ) -> None:
        """Have an error published to whoever listens. Sent once: a second time would be told twice."""
        error = ErrorTableData(job_id=id_of(JobID, job_id), type=kind, error_message=message, timestamp=timestamp_ms)
        request = rpc.ReportJobErrorRequest(job_error=error)
        await self._calls.call(self._stub.report_job_error, request, timeout_s=timeout_s, once=True)

    @asynccontextmanager
    async def subscribe(self, job_id: AnyId | None = None) -> AsyncIterator[Hearing[ErrorTableData]]:
        """Hear the errors of one job, or all, from now on. What is published while the server is away is gone."""
        key = b"" if job_id is None else id_of(JobID, job_id).hex().encode()
        async with self._feeds.hearing(
            ChannelType.RAY_ERROR_INFO_CHANNEL, key, lambda message: message.error_info_message
        ) as hearing:
            yield hearing
