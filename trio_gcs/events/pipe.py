"""A socket that can be offered octets without waiting: what lets one task speak to a thousand subscribers.

The hard idea is the order. Frames come from two sides, events from the fan-out and pongs and the close from
trio-websocket, and a socket that is full takes part of a frame. So everything passes one buffer, which is empty most of
the time: who offers while it is not is told no and comes again, who must be heard waits until it is.
"""

from __future__ import annotations

import socket
from typing import Final

import trio

_RECEIVE_BYTES: Final = 4096


class Pipe(trio.abc.Stream):
    """A connected socket, as trio-websocket takes it. Owns the socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._rest = bytearray()
        self._turn = trio.Lock()
        self.broken = False

    @property
    def is_full(self) -> bool:
        """Whether something waits for the socket already."""
        return bool(self._rest)

    def offer(self, octets: bytes) -> None:
        """Send without waiting; what the socket does not take remains, to be sent by :meth:`flush`."""
        assert not self._rest, "an offer would overtake what waits"
        if self.broken:
            return
        try:
            sent = self._sock.send(octets)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.broken = True  # whoever reads is told
            return
        if sent < len(octets):
            self._rest += memoryview(octets)[sent:]

    async def flush(self) -> None:
        """Wait until the socket has taken what remains. Cancelling leaves the rest where it is."""
        async with self._turn:
            while self._rest and not self.broken:
                try:
                    sent = self._sock.send(self._rest)
                except BlockingIOError:
                    await trio.lowlevel.wait_writable(self._sock)
                except OSError:
                    self.broken = True
                else:
                    del self._rest[:sent]

    async def send_all(self, octets: bytes | bytearray | memoryview) -> None:
        """Send after what was offered before; raises ``BrokenResourceError`` if nobody is there."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._rest += octets
        await self.flush()
        if self.broken:
            raise trio.BrokenResourceError

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until there is room."""
        await self.flush()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next octets; none at the end."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            try:
                return self._sock.recv(max_bytes or _RECEIVE_BYTES)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._sock)
            except OSError as error:
                self.broken = True
                if self._sock.fileno() < 0:
                    raise trio.ClosedResourceError from error
                raise trio.BrokenResourceError from error

    def close(self) -> None:
        """Let go of the socket."""
        if self._sock.fileno() >= 0:
            trio.lowlevel.notify_closing(self._sock)
            self._sock.close()
        self.broken = True

    async def aclose(self) -> None:
        """Let go of the socket."""
        self.close()
        await trio.lowlevel.checkpoint()
