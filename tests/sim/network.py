"""A network in memory: connections that are slow, break with words under way, or fall silent in one direction.

A fault is one of the connection, as it is with TCP: octets come in order or not at all. A request is lost where the
connection breaks before it arrives, a reply where it breaks after; and what is under way arrives even if its sender
has given up on it or is dead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable

import trio

from tests.sim.faults import Faults

Serve = Callable[[trio.abc.Stream], Awaitable[None]]
GCS = "gcs"


class Direction:
    """Octets on their way from one party to another."""

    def __init__(self, link: Link, sender: str, receiver: str) -> None:
        self.link = link
        self.sender = sender
        self.receiver = receiver
        self.under_way: deque[tuple[float, bytes]] = deque()
        self.arrived = bytearray()
        self.over = False  # nothing more arrives
        self.ending = False  # over, as soon as what is under way has arrived
        self.moving = False
        self.news = trio.Event()

    def push(self, octets: bytes) -> None:
        network = self.link.network
        delay = network.faults.delay()
        if not delay and not self.under_way and not network.is_held(self):
            self.arrive(octets)
            return
        self.under_way.append((trio.current_time() + delay, octets))
        if not self.moving:
            self.moving = True
            network.nursery.start_soon(self.move)

    async def move(self) -> None:
        while self.under_way and not self.over:
            due, octets = self.under_way[0]
            if due > trio.current_time():
                await trio.sleep_until(due)
            elif self.link.network.is_held(self):
                await self.link.network.freed.wait()
            else:
                self.under_way.popleft()
                self.arrive(octets)
        self.moving = False
        if self.ending:
            self.end()

    def arrive(self, octets: bytes) -> None:
        if not self.over:
            self.arrived += octets
            self.wake()

    def end(self, *, at_once: bool = True) -> None:
        if not at_once and self.under_way:
            self.ending = True
            return
        self.over = True
        self.under_way.clear()
        self.wake()

    def wake(self) -> None:
        self.news.set()
        self.news = trio.Event()


class End(trio.abc.Stream):
    """One end of a connection."""

    def __init__(self, out: Direction, into: Direction) -> None:
        self._out = out
        self._into = into
        self._closed = False

    async def send_all(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        if self._closed:
            raise trio.ClosedResourceError
        if self._out.over or self._out.ending:
            raise trio.BrokenResourceError("the connection broke")
        self._out.link.say(self._out, bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        into = self._into
        while not into.arrived:
            if self._closed:
                raise trio.ClosedResourceError
            if into.over:
                raise trio.BrokenResourceError("the connection broke")
            await into.news.wait()
        taken = bytes(into.arrived)
        into.arrived.clear()
        return taken

    async def aclose(self) -> None:
        self._closed = True
        self._into.wake()
        self._out.end(at_once=False)
        self._into.end()
        await trio.lowlevel.checkpoint()


class Link:
    """A connection between two parties."""

    def __init__(self, network: Network, caller: str, callee: str) -> None:
        self.network = network
        self.parties = (caller, callee)
        self.there = Direction(self, caller, callee)
        self.back = Direction(self, callee, caller)

    def ends(self) -> tuple[End, End]:
        return End(self.there, self.back), End(self.back, self.there)

    def say(self, direction: Direction, octets: bytes) -> None:
        faults = self.network.faults
        kind = "request lost" if direction is self.there else "reply lost"
        if not faults.strikes(kind):
            direction.push(octets)
            return
        faults.tell(f"{direction.sender} -> {direction.receiver}: {kind}")
        if faults.rng.random() < 0.5:  # the words arrive, but nobody hears what becomes of them
            direction.push(octets)
        self.break_off()

    def break_off(self) -> None:
        """What is under way to the daemon is lost: a registration that came so late would be a second life, as in Ray."""
        for direction in (self.there, self.back):
            direction.end(at_once=direction.receiver == GCS)

    def desert(self, party: str) -> None:
        """One party is dead: what it said before still arrives, and it hears nothing."""
        for direction in (self.there, self.back):
            direction.end(at_once=direction.receiver == party)


class Network:
    """All hosts and connections."""

    def __init__(self, faults: Faults, nursery: trio.Nursery) -> None:
        self.faults = faults
        self.nursery = nursery
        self.freed = trio.Event()
        self._hosts: dict[object, tuple[str, Serve]] = {}
        self._links: dict[Link, None] = {}
        self._held: set[tuple[str, str]] = set()  # no octet gets from the first to the second

    # Hosts.

    def listen(self, address: object, party: str, serve: Serve) -> None:
        self._hosts[address] = (party, serve)

    def close(self, address: object) -> None:
        self._hosts.pop(address, None)

    def kill(self, party: str) -> None:
        """A party is dead, and its machine says so."""
        for link in [link for link in self._links if party in link.parties]:
            link.desert(party)

    async def dial(self, caller: str, address: object) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        party = self._hosts[address][0] if address in self._hosts else ""
        while party and (self._holds(caller, party) or self._holds(party, caller)):
            await self.freed.wait()
        if address not in self._hosts:
            raise ConnectionRefusedError(111, "connection refused")
        party, serve = self._hosts[address]
        link = Link(self, caller, party)
        ours, theirs = link.ends()
        self._links[link] = None
        self.nursery.start_soon(self._serve, link, serve, theirs)
        return ours

    async def _serve(self, link: Link, serve: Serve, stream: trio.abc.Stream) -> None:
        await serve(stream)
        self._links.pop(link, None)

    # Silence.

    def is_held(self, direction: Direction) -> bool:
        return bool(self._held) and self._holds(direction.sender, direction.receiver)

    def hold(self, sender: str, receiver: str) -> None:
        """From now on nothing gets from one to the other; "*" is everybody."""
        self._held.add((sender, receiver))

    def free(self, sender: str, receiver: str) -> None:
        self._held.discard((sender, receiver))
        self.freed.set()
        self.freed = trio.Event()

    def _holds(self, sender: str, receiver: str) -> bool:
        held = self._held
        return (sender, receiver) in held or (sender, "*") in held or ("*", receiver) in held
