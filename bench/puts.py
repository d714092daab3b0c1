"""Puts of different keys, so many in flight on one connection: what h2load cannot do, whose calls are all the same.

One key again and again would be no measure: either server orders the changes of a key, one by waiting for each and one by
writing only the last of a batch. The client knows just enough of HTTP/2 to cost less than what it measures.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from hpack import Encoder, NeverIndexedHeaderTuple

from bench.cases import KV
from bench.load import Call, Figure, metadata, once
from bench.servers import Server
from trio_gcs.generated.ray import gcs_service_pb2 as pb

KEYS: Final = 20_000
VALUE: Final = b"v" * 100
BODY, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0x0, 0x1, 0x4, 0x6, 0x7, 0x8
END_STREAM, END_HEADERS, ACK = 0x1, 0x4, 0x1
WINDOW: Final = 0x7FFF_0000
FIRST_WINDOW: Final = 65_535
NAMESPACE: Final = b"puts"


def figure(server: Server, requests: int, in_flight: int) -> Figure:
    """``requests`` puts, ``in_flight`` at a time; sees that all of them are there."""
    with closing(Connection(server)) as connection:
        connection.put(range(in_flight), in_flight)  # the first ones warm everything up
        before, began = server.cpu_s(), time.perf_counter()
        connection.put(range(requests), in_flight)
        took, used = time.perf_counter() - began, server.cpu_s() - before
    keys = once(
        server, Call(KV + "InternalKVKeys", pb.InternalKVKeysRequest(namespace=NAMESPACE), pb.InternalKVKeysReply)
    )
    assert isinstance(keys, pb.InternalKVKeysReply), "the call's own reply type"
    if len(keys.results) < min(requests, KEYS):
        raise RuntimeError(f"of {requests} puts only {len(keys.results)} are there")
    return Figure(used / requests * 1e6, requests / took)


class Connection:
    """One HTTP/2 connection that puts."""

    def __init__(self, server: Server) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fields = [(":method", "POST"), (":scheme", "http"), (":path", f"{KV}InternalKVPut"), (":authority", "bench")]
        fields += [("content-type", "application/grpc"), ("te", "trailers"), *metadata(server)]
        # Nothing is indexed, so the same octets serve every call.
        self._headers = Encoder().encode([NeverIndexedHeaderTuple(*field) for field in fields], huffman=False)
        self._stream_id = -1
        self._room = FIRST_WINDOW
        self._unread = b""
        settings = _frame(SETTINGS, 0, 0, struct.pack(">HI", 4, WINDOW))
        window = _frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW - FIRST_WINDOW))
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + window)

    def put(self, numbers: range, in_flight: int) -> None:
        """Put the keys of these numbers."""
        bodies = [_body(number % KEYS) for number in numbers]
        sent = done = 0
        while done < len(bodies):
            out = []
            while sent < len(bodies) and sent - done < in_flight and self._room >= len(bodies[sent]):
                self._stream_id += 2
                out.append(_frame(HEADERS, END_HEADERS, self._stream_id, self._headers))
                out.append(_frame(BODY, END_STREAM, self._stream_id, bodies[sent]))
                self._room -= len(bodies[sent])
                sent += 1
            if out:
                self._socket.sendall(b"".join(out))
            done += self._read()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _read(self) -> int:
        """Take what has come; returns how many calls have ended."""
        ended = 0
        for kind, flags, stream_id, payload in self._frames():
            if kind == HEADERS and flags & END_STREAM:
                ended += 1
            elif kind == SETTINGS and not flags & ACK:
                self._socket.sendall(_frame(SETTINGS, ACK, 0, b""))
            elif kind == PING and not flags & ACK:
                self._socket.sendall(_frame(PING, ACK, 0, payload))
            elif kind == WINDOW_UPDATE and stream_id == 0:
                self._room += struct.unpack(">I", payload)[0]
            elif kind == GOAWAY:
                raise RuntimeError(f"the server hung up: {payload!r}")
        return ended

    def _frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        received = self._socket.recv(1 << 18)
        if not received:
            raise RuntimeError("the server hung up")
        octets, at = self._unread + received, 0
        while len(octets) - at >= 9:
            high, low, kind, flags, stream_id = struct.unpack_from(">BHBBI", octets, at)
            end = at + 9 + (high << 16 | low)
            if end > len(octets):
                break
            yield kind, flags, stream_id, octets[at + 9 : end]
            at = end
        self._unread = octets[at:]


def _frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return struct.pack(">BHBBI", len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream_id) + payload


def _body(number: int) -> bytes:
    request = pb.InternalKVPutRequest(namespace=NAMESPACE, key=b"key-%d" % number, value=VALUE, overwrite=True)
    octets = request.SerializeToString()
    return struct.pack(">BI", 0, len(octets)) + octets
