"""Raylets and workers of a case: real sockets that write down each call and answer as the case says.

What has no scripted answer is held until the case answers the call itself. Calls that come by themselves, again and
again (health checks, pulls of load), are answered and counted, but never shown.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
from google.protobuf import message_factory
from google.protobuf.message import Message

from trio_gcs.generated.grpc.health_pb2 import DESCRIPTOR as HEALTH
from trio_gcs.generated.grpc.health_pb2 import HealthCheckResponse
from trio_gcs.generated.ray.common_pb2 import Address
from trio_gcs.generated.ray.core_worker_pb2 import DESCRIPTOR as CORE_WORKER
from trio_gcs.generated.ray.node_manager_pb2 import DESCRIPTOR as NODE_MANAGER
from trio_gcs.generated.ray.node_manager_pb2 import (
    DrainRayletReply,
    GetResourceLoadReply,
    PrepareBundleResourcesReply,
)

if TYPE_CHECKING:
    from tests.differential.gcs import Gcs

PATIENCE_S = 8.0
HELD = frozenset({"RequestWorkerLease", "PushTask", "WaitForActorRefDeleted"})
UNSHOWN = frozenset({"Check", "GetResourceLoad", "WaitForActorRefDeleted"})
METHODS = {
    f"/{service.full_name}/{method.name}": method
    for file in (HEALTH, CORE_WORKER, NODE_MANAGER)
    for service in file.services_by_name.values()
    for method in service.methods
}
Answer = Message | grpc.StatusCode | Callable[["Call"], "Message | grpc.StatusCode"]


class Call:
    """One call that a server made to a peer."""

    def __init__(self, peer: Peer, method: str, request: Message, metadata: dict[str, str]) -> None:
        self.peer = peer
        self.method = method
        self.request = request
        self.metadata = metadata
        self.is_taken = False
        self._over = threading.Event()
        self._answer: Message | grpc.StatusCode | None = None

    def answer(self, answer: Message | grpc.StatusCode) -> None:
        """Let the caller have its reply, or an error."""
        self._answer = answer
        self._over.set()

    def give_up(self) -> None:
        self._over.set()

    def wait(self) -> Message | grpc.StatusCode:
        self._over.wait()
        return grpc.StatusCode.CANCELLED if self._answer is None else self._answer


class Peer(grpc.GenericRpcHandler):
    """A server of all services of raylets and workers, on a port of its own."""

    def __init__(self, gcs: Gcs, name: str, executor: ThreadPoolExecutor) -> None:
        self.gcs = gcs
        self.name = name
        self.calls: list[Call] = []
        self._news = threading.Condition()
        self._answers: dict[str, Answer] = {
            "Check": HealthCheckResponse(status=HealthCheckResponse.SERVING),
            "DrainRaylet": DrainRayletReply(is_accepted=True),
            "PrepareBundleResources": PrepareBundleResourcesReply(success=True),
        }
        self._executor = executor
        self.port = 0
        self._server = self._serve()
        gcs.names.give_port(self.port, name)

    def _serve(self) -> grpc.Server:
        server = grpc.server(self._executor, options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((self,))
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        server.start()
        return server

    def script(self, method: str, answer: Answer) -> None:
        """Answer every call of the method so from now on."""
        self._answers[method] = answer

    def service(self, details):
        method = METHODS.get(details.method)
        if method is None:
            return None
        request_type = message_factory.GetMessageClass(method.input_type)
        reply_type = message_factory.GetMessageClass(method.output_type)

        def serve(request: Message, context: grpc.ServicerContext) -> Message:
            call = Call(self, method.name, request, dict(context.invocation_metadata()))
            context.add_callback(call.give_up)
            with self._news:
                self.calls.append(call)
                self._news.notify_all()
            answer = self._answers.get(method.name)
            if answer is None and method.name not in HELD:
                answer = reply_type()
            if callable(answer):
                answer = answer(call)
            if answer is None:
                answer = call.wait()
            if isinstance(answer, grpc.StatusCode):
                context.abort(answer, "as the case says")
            return answer

        return grpc.unary_unary_rpc_method_handler(serve, request_type.FromString, reply_type.SerializeToString)

    def take(self, method: str, *, show: bool = True) -> Call:
        """Wait for the next call of a method that was not taken yet."""
        with self._news:
            came = self._news.wait_for(lambda: self._untaken(method), PATIENCE_S)
            if not came:
                self.gcs.note(f"{self.name} is not asked for {method}")
                raise TimeoutError(f"{self.name} was not asked for {method}")
            call = self._untaken(method)[0]
            call.is_taken = True
        if show:
            self.gcs.note(f"{self.name} <- {method}", call.request)
        return call

    def count(self, method: str) -> int:
        with self._news:
            return sum(call.method == method for call in self.calls)

    def _untaken(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method and not call.is_taken]

    def rest(self) -> list[Call]:
        """What nobody took, but for what comes by itself."""
        with self._news:
            return [call for call in self.calls if not call.is_taken and call.method not in UNSHOWN]

    def stop(self) -> None:
        """Close the port; held calls end."""
        self._server.stop(None).wait()
        for call in self.calls:
            call.give_up()

    def start_again(self) -> None:
        """Listen on the same port again."""
        give_up_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._server = self._serve()
            except RuntimeError:
                if time.monotonic() > give_up_s:
                    raise
                time.sleep(0.05)
            else:
                return


class Raylet(Peer):
    """A raylet, and the node that it stands for."""

    def __init__(self, gcs: Gcs, name: str, executor: ThreadPoolExecutor) -> None:
        super().__init__(gcs, name, executor)
        self.node_id = gcs.id(name, 28)
        load = GetResourceLoadReply()
        load.resources.node_id = self.node_id
        self.script("GetResourceLoad", load)

    @property
    def address(self) -> Address:
        return Address(node_id=self.node_id, ip_address="127.0.0.1", port=self.port)


class Worker(Peer):
    """A worker on a node, real or not."""

    def __init__(self, gcs: Gcs, name: str, executor: ThreadPoolExecutor, node_id: bytes) -> None:
        super().__init__(gcs, name, executor)
        self.worker_id = gcs.id(name, 28)
        self.node_id = node_id

    @property
    def address(self) -> Address:
        return Address(node_id=self.node_id, ip_address="127.0.0.1", port=self.port, worker_id=self.worker_id)
