"""The agent of the head node: where our metrics and events are sent.

Ray starts it after us, so its port comes with the registration of the head node, and it listens a little later still.
The hard idea: nothing waits for the agent. Who has something for it waits until it is `ready`, and what it does not take
is lost, since it is there for those who watch and not for those who work.
"""

import trio
from grpclib.exceptions import GRPCError

from trio_gcs.errors import RemoteError
from trio_gcs.generated.opentelemetry.metrics_grpc import MetricsServiceStub
from trio_gcs.generated.opentelemetry.metrics_pb2 import ExportMetricsServiceRequest
from trio_gcs.generated.ray.events_event_aggregator_service_grpc import EventAggregatorServiceStub
from trio_gcs.generated.ray.events_event_aggregator_service_pb2 import AddEventsReply, AddEventsRequest
from trio_gcs.generated.ray.reporter_grpc import ReporterServiceStub
from trio_gcs.generated.ray.reporter_pb2 import HealthCheckRequest
from trio_gcs.rpc.channel import Channel

HOST = "127.0.0.1"
HEALTH_RETRY_S = 1.0
HEALTH_TIMEOUT_S = 10.0


class HeadAgent:
    """A client of the agent. `serve` looks for it as soon as `found_at` has told its port."""

    def __init__(self, port: int, *, token: str | None = None) -> None:
        """`port` is 0 or less where nobody knows it yet."""
        self._metadata = {"authorization": f"Bearer {token}"} if token else {}
        self._found = trio.Event()
        self._port = 0
        self._events: EventAggregatorServiceStub | None = None
        self._metrics: MetricsServiceStub | None = None
        self.ready = trio.Event()
        self.found_at(port)

    def found_at(self, port: int) -> None:
        """The agent listens at this port, or will; the first word counts."""
        if port > 0 and not self._found.is_set():
            self._port = port
            self._found.set()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect once the port is known, and say when the agent answers."""
        task_status.started()
        await self._found.wait()
        channel = Channel(HOST, self._port, metadata=self._metadata)
        async with trio.open_nursery() as nursery:
            await nursery.start(channel.run)
            self._events = channel.stub(EventAggregatorServiceStub)
            self._metrics = channel.stub(MetricsServiceStub)
            await self._until_healthy(channel.stub(ReporterServiceStub))
            self.ready.set()
            await trio.sleep_forever()

    async def _until_healthy(self, reporter: ReporterServiceStub) -> None:
        while True:
            try:
                await reporter.HealthCheck(HealthCheckRequest(), timeout=HEALTH_TIMEOUT_S)
            except GRPCError:
                await trio.sleep(HEALTH_RETRY_S)
            else:
                return

    async def add_events(self, request: AddEventsRequest, timeout_s: float) -> AddEventsReply:
        """Hand over events, once it is `ready`. Raises :class:`RemoteError`."""
        assert self._events is not None, "nobody sends before the agent is ready"
        try:
            return await self._events.AddEvents(request, timeout=timeout_s)
        except GRPCError as error:
            raise RemoteError(error.status.value, error.message or "") from error

    async def export_metrics(self, request: ExportMetricsServiceRequest, timeout_s: float) -> None:
        """Hand over metrics, once it is `ready`. Raises :class:`RemoteError`."""
        assert self._metrics is not None, "nobody sends before the agent is ready"
        try:
            await self._metrics.Export(request, timeout=timeout_s)
        except GRPCError as error:
            raise RemoteError(error.status.value, error.message or "") from error
