"""Load: h2load for many streams, and grpcio for what Ray's own clients are made of."""

from __future__ import annotations

import re
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
from google.protobuf.message import Message

from bench.servers import TOKEN, Server


@dataclass(frozen=True)
class Call:
    """One RPC to repeat."""

    path: str
    request: Message
    reply_type: type[Message]


@dataclass(frozen=True)
class Shape:
    """How many connections, and how many calls in flight on each."""

    connections: int
    streams: int

    def __str__(self) -> str:
        return f"{self.connections}x{self.streams}"


@dataclass(frozen=True)
class Figure:
    """What a load cost the server."""

    cpu_us: float
    rate: float


def metadata(server: Server) -> list[tuple[str, str]]:
    """What Ray's clients send with each call."""
    fields = [("authorization", f"Bearer {TOKEN}")]
    return [*fields, ("ray_cluster_id", server.cluster_id)] if server.cluster_id else fields


@contextmanager
def channel_to(server: Server) -> Iterator[grpc.Channel]:
    """A channel with Ray's limits on messages."""
    options = [("grpc.max_receive_message_length", 512 << 20), ("grpc.max_send_message_length", 512 << 20)]
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", options) as channel:
        yield channel


def method(channel: grpc.Channel, call: Call) -> grpc.UnaryUnaryMultiCallable:
    """The call as grpcio makes it."""
    return channel.unary_unary(call.path, type(call.request).SerializeToString, call.reply_type.FromString)


def once(server: Server, call: Call) -> Message:
    """Make the call once, and see that it is answered."""
    with channel_to(server) as channel:
        reply: Message = method(channel, call)(call.request, metadata=metadata(server), timeout=30)
        return reply


def h2load(server: Server, call: Call, shape: Shape, requests: int) -> Figure:
    """``requests`` calls by h2load; raises if any fails."""
    body = call.request.SerializeToString()
    with tempfile.NamedTemporaryFile() as file:
        file.write(struct.pack(">BI", 0, len(body)) + body)
        file.flush()
        headers = [
            argument
            for name, value in [("content-type", "application/grpc"), ("te", "trailers"), *metadata(server)]
            for argument in ("-H", f"{name}: {value}")
        ]
        command = ["h2load", f"-c{shape.connections}", f"-m{shape.streams}", f"-n{requests}", "-t1", "-w24", "-W24"]
        before = server.cpu_s()
        done = subprocess.run(
            [*command, f"--data={file.name}", *headers, f"http://127.0.0.1:{server.port}{call.path}"],
            capture_output=True,
            text=True,
            check=True,
        )
        used = server.cpu_s() - before
    succeeded = re.search(r"(\d+) succeeded", done.stdout)
    rate = re.search(r"([\d.]+) req/s", done.stdout)
    if succeeded is None or rate is None or int(succeeded[1]) != requests:
        raise RuntimeError(f"h2load did not succeed with all calls:\n{done.stdout}")
    return Figure(used / requests * 1e6, float(rate[1]))


def c_core(server: Server, call: Call, requests: int, in_flight: int = 32) -> Figure:
    """``requests`` calls by grpcio on one channel, ``in_flight`` at a time."""
    slots = threading.Semaphore(in_flight)
    failed: list[grpc.StatusCode] = []

    def finished(future: grpc.Future) -> None:
        if future.code() is not grpc.StatusCode.OK:
            failed.append(future.code())
        slots.release()

    with channel_to(server) as channel:
        stub = method(channel, call)
        stub(call.request, metadata=metadata(server), timeout=30)
        before, started = server.cpu_s(), time.perf_counter()
        for _ in range(requests):
            slots.acquire()
            stub.future(call.request, metadata=metadata(server)).add_done_callback(finished)
        for _ in range(in_flight):
            slots.acquire()
        took, used = time.perf_counter() - started, server.cpu_s() - before
    if failed:
        raise RuntimeError(f"{len(failed)} of {requests} calls failed: {failed[0]}")
    return Figure(used / requests * 1e6, requests / took)
