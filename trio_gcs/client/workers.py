"""Workers: processes of nodes and drivers. Only those that fail are told to everybody."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from trio_gcs.client.accessor import Accessor, AnyId, id_of
from trio_gcs.client.calls import Calls
from trio_gcs.client.errors import NotFound
from trio_gcs.client.feeds import Feeds, Topics
from trio_gcs.client.following import Following, Source
from trio_gcs.client.generated.ray import rpc
from trio_gcs.client.messages import ChannelType, Worker, WorkerDeltaData
from trio_gcs.ids import WorkerID


class Workers(Accessor):
    """``client.workers``."""

    def __init__(self, calls: Calls, feeds: Feeds) -> None:
        super().__init__(calls, feeds)
        self._stub = calls.stub(rpc.WorkerInfoGcsServiceStub)

    async def get(self, worker_id: AnyId, *, timeout_s: float | None = None) -> Worker:
        """One worker, alive or dead; raises NotFound."""
        request = rpc.GetWorkerInfoRequest(worker_id=id_of(WorkerID, worker_id))
        reply = await self._calls.call(self._stub.get_worker_info, request, timeout_s=timeout_s)
        if reply.worker_table_data is None:
            raise NotFound(f"worker {request.worker_id.hex()} is not known")
        return reply.worker_table_data

    async def list(
        self,
        *,
        alive: bool | None = None,
        paused: bool | None = None,
        limit: int | None = None,
        timeout_s: float | None = None,
    ) -> list[Worker]:
        """Workers that meet all of these; ``paused``: with threads that wait in a debugger."""
        filters = rpc.GetAllWorkerInfoRequestFilters(exist_paused_threads=paused or None, is_alive=alive or None)
        request = rpc.GetAllWorkerInfoRequest(limit=None if alive is False else limit, filters=filters)
        reply = await self._calls.call(self._stub.get_all_worker_info, request, timeout_s=timeout_s)
        if alive is not False:
            return reply.worker_table_data
        return [row for row in reply.worker_table_data if not row.is_alive][:limit]  # a server filters the living only

    async def add(self, worker: Worker, *, timeout_s: float | None = None) -> None:
        """Note that a worker began, as its raylet does."""
        await self._calls.call(
            self._stub.add_worker_info, rpc.AddWorkerInfoRequest(worker_data=worker), timeout_s=timeout_s
        )

    async def report_failure(self, worker: Worker, *, timeout_s: float | None = None) -> None:
        """Report a worker's end, as its raylet does; ids, exit type and detail count."""
        request = rpc.ReportWorkerFailureRequest(worker_failure=worker)
        await self._calls.call(self._stub.report_worker_failure, request, timeout_s=timeout_s)

    async def set_debugger_port(self, worker_id: AnyId, port: int, *, timeout_s: float | None = None) -> None:
        """Note where a worker's debugger listens. Stock Ray crashes where it does not know the worker."""
        request = rpc.UpdateWorkerDebuggerPortRequest(worker_id=id_of(WorkerID, worker_id), debugger_port=port)
        await self._calls.call(self._stub.update_worker_debugger_port, request, timeout_s=timeout_s)

    async def add_paused_threads(self, worker_id: AnyId, delta: int, *, timeout_s: float | None = None) -> None:
        """Add to a worker's count of threads that wait in a debugger. Sent once: it would count twice."""
        request = rpc.UpdateWorkerNumPausedThreadsRequest(
            worker_id=id_of(WorkerID, worker_id), num_paused_threads_delta=delta
        )
        await self._calls.call(self._stub.update_worker_num_paused_threads, request, timeout_s=timeout_s, once=True)

    @asynccontextmanager
    async def subscribe_failures(self, worker_id: AnyId | None = None) -> AsyncIterator[Following[WorkerDeltaData]]:
        """Follow the ends of one worker, or of all: first those that are known, each once."""
        key = id_of(WorkerID, worker_id) if worker_id is not None else b""

        async def fetch() -> Iterable[WorkerDeltaData]:
            rows = await self.list(alive=False)
            ends = [_end_of(row) for row in rows]
            return [end for end in ends if not key or end.worker_id == key]

        source = Source(
            key=lambda end: end.worker_id,
            is_final=lambda _: True,
            fetch=fetch,
            merge=lambda message, _: message.worker_delta_message,
            supersedes=lambda _old, _new: False,
            parse=_end_in,
        )
        topics = Topics(kind="worker", channel=ChannelType.GCS_WORKER_DELTA_CHANNEL, key=key)
        async with self._following(topics, source) as following:
            yield following

    async def wait_for_failure(self, worker_id: AnyId, *, timeout_s: float | None = None) -> Worker:
        """Wait until a worker has failed, and return its row; raises DeadlineExceeded."""
        timeout_s = self._calls.patience.call_timeout_s if timeout_s is None else timeout_s
        async with self.subscribe_failures(worker_id) as following:
            await following.until(lambda _: True, timeout_s=timeout_s)
        return await self.get(worker_id)


def _end_of(row: Worker) -> WorkerDeltaData:
    address = row.worker_address
    return WorkerDeltaData() if address is None else WorkerDeltaData(address.node_id, address.worker_id)


def _end_in(raw: bytes) -> WorkerDeltaData | None:
    row = Worker.parse(raw)
    return None if row.is_alive else _end_of(row)
