"""One case's view of one server: calls it, plays raylets and workers for it, and writes down all that is seen."""

from __future__ import annotations

import difflib
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from tests.differential.peers import Raylet, Worker
from tests.differential.servers import TOKEN, Server
from tests.differential.shown import Names
from tests.differential.subscriber import Subscriber
from trio_gcs.generated.ray.autoscaler_pb2 import DESCRIPTOR as AUTOSCALER
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.generated.ray.gcs_service_pb2 import DESCRIPTOR as GCS_SERVICE

SERVICES = {
    name: (GCS_SERVICE.services_by_name.get(full) or AUTOSCALER.services_by_name[full])
    for name, full in {
        "kv": "InternalKVGcsService",
        "nodes": "NodeInfoGcsService",
        "resources": "NodeResourceInfoGcsService",
        "jobs": "JobInfoGcsService",
        "workers": "WorkerInfoGcsService",
        "actors": "ActorInfoGcsService",
        "groups": "PlacementGroupInfoGcsService",
        "env": "RuntimeEnvGcsService",
        "tasks": "TaskInfoGcsService",
        "events": "RayEventExportGcsService",
        "control": "ControlPlanePubSubGcsService",
        "observability": "ObservabilityPubSubService",
        "autoscaler": "AutoscalerStateService",
    }.items()
}
TIMEOUT_S = 8.0
SETTLE_S = 0.15
THREADS_MAX = 128


class Pending:
    """A call that is on its way."""

    def __init__(self, gcs: Gcs, label: str, future: grpc.Future) -> None:
        self._gcs = gcs
        self._label = label
        self._future = future

    @property
    def is_over(self) -> bool:
        return bool(self._future.done())

    def result(self, *, show: bool = True) -> Message | None:
        """Wait for the reply, and write it down; None if it was an error."""
        try:
            reply = self._future.result()
        except grpc.RpcError as error:
            details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin", b"").decode()
            text = self._gcs.names.text
            told = f"{error.code().name} {error.details()!r} {text('message', details)}"
            if error.code() in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED}:
                told = f"{error.code().name} {text('message', error.details())}"
            self._gcs.note(f"{self._label} -> {told}")
            return None
        if show:
            self._gcs.note(f"{self._label} ->", reply)
        return reply


class Method:
    """An RPC: calling it makes the request of the arguments, waits, and writes the outcome down."""

    def __init__(self, gcs: Gcs, method: MethodDescriptor) -> None:
        self._gcs = gcs
        self.name = method.name
        self.path = f"/{method.containing_service.full_name}/{method.name}"
        self.request_type = message_factory.GetMessageClass(method.input_type)
        self.reply_type = message_factory.GetMessageClass(method.output_type)

    def __call__(self, request: Message | None = None, **fields: object) -> Message | None:
        return self.start(request, **fields).result()

    def quiet(self, request: Message | None = None, **fields: object) -> Message | None:
        """Call it without a note, unless it fails."""
        return self.start(request, **fields).result(show=False)

    def start(
        self,
        request: Message | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        metadata: list[tuple[str, str]] | None = None,
        label: str = "",
        **fields: object,
    ) -> Pending:
        """Send it, and go on."""
        octets = (self.request_type(**fields) if request is None else request).SerializeToString()
        return self.raw(octets, timeout_s=timeout_s, metadata=metadata, label=label)

    def raw(
        self,
        octets: bytes,
        *,
        timeout_s: float = TIMEOUT_S,
        metadata: list[tuple[str, str]] | None = None,
        label: str = "",
    ) -> Pending:
        """Send these octets, whether they are a message or not."""
        call = self._gcs.channel.unary_unary(self.path, None, self.reply_type.FromString)
        sent = self._gcs.metadata if metadata is None else metadata
        return Pending(self._gcs, label or self.name, call.future(octets, metadata=sent, timeout=timeout_s))


class Service:
    """The RPCs of a service, by name."""

    def __init__(self, gcs: Gcs, name: str) -> None:
        self.methods = {method.name: Method(gcs, method) for method in SERVICES[name].methods}

    def __getattr__(self, name: str) -> Method:
        return self.methods[name]


class Gcs:
    """The server as one case sees it. ``observations`` is what the case saw, to be equal on both."""

    kv: Service
    nodes: Service
    resources: Service
    jobs: Service
    workers: Service
    actors: Service
    groups: Service
    env: Service
    tasks: Service
    events: Service
    control: Service
    observability: Service
    autoscaler: Service

    def __init__(self, server: Server, case: str, stack: ExitStack) -> None:
        self.server = server
        self.case = case
        self.names = Names()
        self.observations: list[str] = []
        self.metadata = [("authorization", f"Bearer {TOKEN}")] if server.setup.token else []
        options = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]
        self.channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{server.port}", options))
        self._stack = stack
        self._executor = ThreadPoolExecutor(THREADS_MAX)
        stack.callback(self._executor.shutdown)
        self._peers: list[Raylet | Worker] = []
        for name in SERVICES:
            setattr(self, name, Service(self, name))

    # What is seen.

    def note(self, what: str, message: Message | None = None) -> None:
        """Write an observation down."""
        shown = "" if message is None else "\n" + self.names.shown(message)
        self.observations.append(what + shown.replace("\n", "\n    "))

    def settle(self) -> None:
        """Give calls that should not come a moment to come, then write down what nobody waited for."""
        if self._peers:
            time.sleep(SETTLE_S)
        for peer in self._peers:
            for call in peer.rest():
                call.is_taken = True
                self.note(f"{peer.name} <- {call.method}, unexpectedly", call.request)

    def until(self, true: Callable[[], bool], what: str) -> None:
        """Wait until it is true, and write down if it never is."""
        give_up_s = time.monotonic() + TIMEOUT_S
        while not true():
            if time.monotonic() > give_up_s:
                self.note(f"never: {what}")
                return
            time.sleep(0.01)

    # Whom it knows.

    def id(self, name: str, size: int) -> bytes:
        """An id for the thing of this name: the same on both servers, another one in each case."""
        digest = hashlib.sha512(f"{self.case}/{name}".encode()).digest()[:size]
        return self.names.give(digest, name)

    def job_id(self, name: str) -> bytes:
        return self.id(name, 4)

    def actor_id(self, name: str, job_id: bytes) -> bytes:
        return self.names.give(hashlib.sha512(f"{self.case}/{name}".encode()).digest()[:12] + job_id, name)

    def raylet(self, name: str) -> Raylet:
        """A raylet that has not registered its node."""
        raylet = Raylet(self, name, self._executor)
        self._stack.callback(raylet.stop)
        self._peers.append(raylet)
        return raylet

    def node(self, name: str = "node", **fields: object) -> Raylet:
        """A raylet with its node registered, until the case is over."""
        raylet = self.raylet(name)
        self.nodes.RegisterNode.quiet(node_info=self.node_row(raylet, **fields))
        self._stack.callback(self.lose_node, raylet)
        return raylet

    def node_row(self, raylet: Raylet, **fields: object) -> GcsNodeInfo:
        fields.setdefault("resources_total", {"CPU": 4.0})
        return GcsNodeInfo(
            node_id=raylet.node_id, node_manager_address="127.0.0.1", node_manager_port=raylet.port, **fields
        )

    def lose_node(self, raylet: Raylet, reason: int = 1, message: str = "«it is over»") -> None:
        """Unregister a node; nothing happens if it is not alive."""
        if self.nodes.CheckAlive.quiet(node_ids=[raylet.node_id]).raylet_alive[0]:
            self.nodes.UnregisterNode.quiet(
                node_id=raylet.node_id, node_death_info={"reason": reason, "reason_message": message}
            )

    def worker(self, name: str, node: Raylet | bytes) -> Worker:
        """A worker that listens."""
        worker = Worker(self, name, self._executor, node if isinstance(node, bytes) else node.node_id)
        self._stack.callback(worker.stop)
        self._peers.append(worker)
        return worker

    def fail_worker(self, worker: Worker, exit_type: int = 0, detail: str = "«it fell»", **fields: object) -> None:
        """Report a worker's end as its raylet would."""
        self.workers.ReportWorkerFailure(
            worker_failure={
                "worker_address": worker.address,
                "exit_type": exit_type,
                "exit_detail": detail,
                **fields,
            }
        )

    def subscriber(self, *channels: int, service: str = "control", **options: object) -> Subscriber:
        """A subscriber of whole channels, which are all of the service if none is given."""
        return Subscriber(self, service, channels, **options)


def difference(stock: list[str], ours: list[str]) -> str:
    """How the observations differ, as a unified diff; empty if they do not."""
    lines = ["\n".join(side).splitlines() for side in (stock, ours)]
    return "\n".join(difflib.unified_diff(*lines, "stock", "trio-gcs", lineterm="", n=8))
