"""Simulated raylets for the bench: one process that agrees to everything at once, with a port for each node.

Raylets of a cluster have addresses of their own. Were they one address here, gRPC's C core would share one connection among
all of them, which it can't do in any cluster.

Both servers call the same process and wait for it, so it must cost next to nothing: a request is not even read. Every
call is answered with the same octets, in which a reservation finds its "success" and a health check its "SERVING".
"""

from __future__ import annotations

import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from trio_gcs.wire import frames

_READ_BYTES_MAX: Final = 65_536
_GREETING: Final = frames.settings_frame(()) + frames.window_update_frame(
    0, frames.LARGEST_WINDOW - frames.DEFAULT_WINDOW
)


def _literal(name: bytes, value: bytes) -> bytes:
    """A header field that enters no table (RFC 7541, section 6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


_HEAD: Final = b"\x88" + _literal(b"content-type", b"application/grpc")  # 0x88 is ":status: 200"
_YES: Final = b"\0\0\0\0\x02" + b"\x08\x01"  # field 1 is 1: success, or SERVING
_TRAILERS: Final = _literal(b"grpc-status", b"0")


def _answer(stream_id: int) -> bytes:
    return (
        frames.frame(frames.HEADERS, frames.END_HEADERS, stream_id, _HEAD)
        + frames.frame(frames.DATA, 0, stream_id, _YES)
        + frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream_id, _TRAILERS)
    )


class _Caller:
    """A connection: where one frame ends, and which of them end a request, is all that is looked at."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._tail = b""
        self._greeted = False

    def read(self) -> bool:
        """Answer what has arrived; False when the caller has gone."""
        octets = self.sock.recv(_READ_BYTES_MAX)
        if not octets:
            return False
        buffer, out = self._tail + octets, []
        if not self._greeted:
            if len(buffer) < len(frames.PREFACE):
                self._tail = buffer
                return True
            buffer = buffer[len(frames.PREFACE) :]
            self._greeted = True
            out.append(_GREETING)
        at = 0
        while len(buffer) - at >= frames.HEADER_SIZE:
            word, flags, stream_id = frames.unpack_header(buffer, at)
            end = at + frames.HEADER_SIZE + (word >> 8)
            if end > len(buffer):
                break
            kind = word & 0xFF
            if kind in {frames.DATA, frames.HEADERS} and flags & frames.END_STREAM:
                out.append(_answer(stream_id))
            elif kind == frames.SETTINGS and not flags & frames.ACK:
                out.append(frames.SETTINGS_ACK)
            elif kind == frames.PING and not flags & frames.ACK:
                out.append(frames.ping_frame(buffer[end - 8 : end], ack=True))
            at = end
        self._tail = buffer[at:]
        if out:
            self.sock.sendall(b"".join(out))
        return True


def _serve(count: int) -> None:
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=16) for _ in range(count)]
    print(*(listener.getsockname()[1] for listener in listeners), flush=True)
    doors = {listener.fileno(): listener for listener in listeners}
    callers: dict[int, _Caller] = {}
    with select.epoll() as epoll:
        for fd in doors:
            epoll.register(fd, select.EPOLLIN)
        while True:
            for fd, _ in epoll.poll():
                if fd in doors:
                    sock, _ = doors[fd].accept()
                    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    callers[sock.fileno()] = _Caller(sock)
                    epoll.register(sock.fileno(), select.EPOLLIN)
                elif not callers[fd].read():
                    callers.pop(fd).sock.close()


@contextmanager
def running(count: int) -> Iterator[list[int]]:
    """Run this many raylets in a process of their own; yields their ports."""
    command = [sys.executable, "-m", "bench.raylets", str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "a pipe was asked for"
        try:
            yield [int(port) for port in process.stdout.readline().split()]
        finally:
            process.kill()


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
