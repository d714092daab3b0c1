"""Effectful calls to raylets: one in flight per (peer, subject), heard to the end.

Cancelling a task does not cancel a message. A release that overtakes its own prepare leaks the bundle, so a call
whose caller has lost interest still occupies its turn until it is answered or its time is over.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

import trio
from grpclib.const import Status

from trio_gcs.errors import RemoteError
from trio_gcs.rpc.volley import Ask, Begin, Tell, Volley

Result = TypeVar("Result")
Request = TypeVar("Request")
Key = tuple[bytes, bytes]


class Turns:
    """Turns at peers. Waiting for a turn can be cancelled; the call, once it has begun, cannot."""

    def __init__(self, call_timeout_s: float) -> None:
        self._call_timeout_s = call_timeout_s
        # By subject and peer: an entry is a call under way, and who comes after it.
        self._waiting: dict[bytes, dict[bytes, list[trio.Event]]] = {}
        self.unheard: set[Key] = set()  # where a call ended without an answer: it may arrive after the next one
        self._calls: set[trio.CancelScope] = set()
        self._stopped = False

    async def take(self, peer: bytes, subject: bytes, call: Callable[[], Awaitable[Result]]) -> Result:
        """Make a call when nobody else's about this subject is under way at this peer.

        Raises what the call raises, and :class:`RemoteError` when it is not answered in time.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self.claim_all((peer,), subject):
            await self._turn(peer, subject)
        try:
            return await self.heard(call)
        finally:
            self.pass_on(peer, subject)

    async def take_all(
        self,
        subject: bytes,
        requests: Mapping[bytes, Request],
        *,
        begin: Begin[Request],
        ask: Ask[Request],
        tell: Tell,
        look: Callable[[], None] | None = None,
    ) -> None:
        """Send each peer its request in turn, all at once, and hear every answer.

        ``begin`` opens calls that need no task, where that can be; ``ask`` is the way that always works. ``tell`` is
        called with replies and errors by peer, as they come, all that came together in one. ``look`` takes in what has
        arrived by now: where requests leave at once, the first have been answered when the last is sent, and what nobody
        waits for costs no turn of trio.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._stopped:
            await trio.sleep_forever()  # whoever calls is being cancelled
        volley = Volley(self, subject, requests, begin=begin, ask=ask, tell=tell, look=look)
        await volley.run(trio.current_time() + self._call_timeout_s)

    def settle(self, peer: bytes, subject: bytes) -> bool:
        """Say that this peer has answered since; returns whether a call to it had ended without an answer before."""
        was_unheard = (peer, subject) in self.unheard
        self.unheard.discard((peer, subject))
        return was_unheard

    def claim_all(self, peers: Iterable[bytes], subject: bytes) -> list[bytes]:
        """Take the turns that are nobody's, without waiting; returns at which of the peers."""
        under_way = self._waiting.get(subject, {})
        ours = [peer for peer in peers if peer not in under_way]
        if ours:
            self._waiting[subject] = under_way
        for peer in ours:
            under_way[peer] = []
        return ours

    async def _turn(self, peer: bytes, subject: bytes) -> None:
        turn = trio.Event()
        waiting = self._waiting[subject][peer]
        waiting.append(turn)
        came = False
        try:
            await turn.wait()
            came = True
        finally:
            if turn.is_set() and not came:  # it came to somebody who was being cancelled
                self.pass_on(peer, subject)
            elif not came:
                waiting.remove(turn)

    def pass_on(self, peer: bytes, subject: bytes) -> None:
        """End a turn: the next one is who has waited longest for it."""
        under_way = self._waiting[subject]
        waiting = under_way.pop(peer)
        if waiting:
            under_way[peer] = waiting
            waiting.pop(0).set()
        elif not under_way:
            del self._waiting[subject]

    def stop(self) -> None:
        """Stop hearing, as the daemon is ending: calls under way are given up now, and none begins."""
        self._stopped = True
        for scope in self._calls:
            scope.cancel()

    async def hear(self, work: Callable[[], Awaitable[Result]], deadline: float) -> Result | None:
        """Hear what has begun, whoever is cancelled; None if the deadline passes or the daemon ends before."""
        scope = trio.CancelScope(deadline=deadline, shield=True)
        if self._stopped:
            scope.cancel()
        self._calls.add(scope)
        try:
            with scope:
                return await work()
        finally:
            self._calls.discard(scope)
        return None

    async def heard(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Make a call whose turn it is, and hear it to its end."""
        if self._stopped:
            await trio.sleep_forever()  # whoever calls is being cancelled
        reply = await self.hear(call, trio.current_time() + self._call_timeout_s)
        if reply is not None:
            return reply
        await trio.lowlevel.checkpoint()  # a caller that was cancelled meanwhile hears of that instead
        raise RemoteError(Status.DEADLINE_EXCEEDED.value, f"no answer within {self._call_timeout_s:g} s")
