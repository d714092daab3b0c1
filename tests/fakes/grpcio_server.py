"""A grpcio server in threads, on a port of its own: the other implementation that our channel has to get on with.

Its methods take and return octets: Echo, Fail (NOT_FOUND with details and metadata), Sleep (for as many seconds as the
request says), Metadata (what it was sent, one `name=value` a line), Abort, and the streams Count, Sum and EchoAll.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc


class Raw:
    """A message of bare octets, for stubs."""

    def __init__(self, octets: bytes = b"") -> None:
        self.octets = octets

    def SerializeToString(self) -> bytes:
        return self.octets

    @classmethod
    def FromString(cls, octets: bytes) -> "Raw":
        return cls(octets)


class Echo(grpc.GenericRpcHandler):
    """`cancelled` is set when a call of Sleep is cancelled by its caller."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.sleeping = threading.Event()

    def service(self, details):
        name = details.method.rsplit("/", 1)[-1].lower()
        for kind, make in (
            ("unary", grpc.unary_unary_rpc_method_handler),
            ("stream", grpc.unary_stream_rpc_method_handler),
            ("gather", grpc.stream_unary_rpc_method_handler),
            ("both", grpc.stream_stream_rpc_method_handler),
        ):
            method = getattr(self, f"{kind}_{name}", None)
            if method is not None:
                return make(method)
        return None

    def unary_echo(self, request, _context):
        return request

    def unary_fail(self, _request, context):
        context.set_trailing_metadata((("grpc-status-details-bin", b"raw \xff"), ("x-why", "because")))
        context.abort(grpc.StatusCode.NOT_FOUND, "nothing there: é %")

    def unary_sleep(self, request, context):
        over = threading.Event()

        def hear() -> None:
            if not over.is_set():
                self.cancelled.set()
            over.set()

        context.add_callback(hear)
        self.sleeping.set()
        over.wait(float(request))
        over.set()
        return b"slept"

    def unary_metadata(self, _request, context):
        context.send_initial_metadata((("x-first", "1"), ("x-octets-bin", b"\x00\xff")))
        context.set_trailing_metadata((("x-last", "2"),))
        pairs = [f"{name}={value}" for name, value in context.invocation_metadata()]
        return "\n".join([*pairs, f"left={context.time_remaining()}"]).encode()

    def unary_squeezed(self, request, context):
        context.set_compression(grpc.Compression.Gzip)
        return request

    def stream_count(self, request, _context):
        for number in range(int(request)):
            yield b"%d" % number

    def stream_large(self, request, _context):
        for _ in range(20):
            yield bytes(int(request))

    def gather_sum(self, requests, _context):
        return b"%d" % sum(int(request) for request in requests)

    def both_echoall(self, requests, _context):
        yield from requests


@contextmanager
def grpcio_server(port: int = 0, **options: int) -> Iterator[tuple[int, Echo, grpc.Server]]:
    """Serve on loopback; yields the port, the service and the server."""
    service = Echo()
    unlimited = {"grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1, "grpc.so_reuseport": 0}
    server = grpc.server(ThreadPoolExecutor(16), options=list({**unlimited, **options}.items()))
    server.add_generic_rpc_handlers((service,))
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield bound, service, server
    finally:
        server.stop(None).wait()
