"""Many calls about one subject, made and heard by one task.

A decision about forty bundles is forty calls. The hard idea: what a task is needed for, waiting, they do together. Those
whose turn it is and whose peer is connected are opened at once and cost one small object each; the others take the usual
way (`Turns.take`) in tasks of their own. Whoever is near has answered before the last request is sent, and is heard
without any waiting. Most peers answer within a moment, so the task sleeps until all have, or the moment is over; from then
on it runs whenever there is news, and tells all that has come by then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

import trio
from grpclib.const import Status

from trio_gcs.errors import RemoteError, RemoteGone
from trio_gcs.rpc.shot import Hear
from trio_gcs.wire.client_reply import DEADLINE_EXCEEDED

if TYPE_CHECKING:
    from trio_gcs.rpc.turns import Turns

MOMENT_S: Final = 0.005
UNHEARD: Final = frozenset({Status.UNAVAILABLE.value, Status.DEADLINE_EXCEEDED.value})  # said by our own side
Request = TypeVar("Request")


class UnderWay(Protocol):
    """A call that needs no task."""

    def give_up(self) -> None:
        """End it, since it took too long. It is told so at once."""
        ...


# Opens calls that need no task, where that can be, and returns them by peer. They are heard of later, not at once.
Begin = Callable[[Mapping[bytes, Request], Hear], Mapping[bytes, UnderWay]]
Ask = Callable[[bytes, Request], Awaitable[Any]]
Tell = Callable[[Mapping[bytes, Any]], None]


class Volley(Generic[Request]):
    """The calls under way, and what was heard of them. An answer is a reply or a `RemoteError`."""

    def __init__(
        self,
        turns: Turns,
        subject: bytes,
        requests: Mapping[bytes, Request],
        *,
        begin: Begin[Request],
        ask: Ask[Request],
        tell: Tell,
        look: Callable[[], None] | None = None,
    ) -> None:
        self._turns = turns
        self._subject = subject
        self._requests = requests
        self._begin = begin
        self._ask = ask
        self._tell = tell
        self._look = look
        self._expected = len(requests)  # answers that have yet to come
        self._answers: dict[bytes, Any] = {}  # that have come, and are to be told
        self._under_way: dict[bytes, UnderWay] = {}
        self._again: list[bytes] = []  # peers that have not looked at what they were sent; their turns are ours still
        self._news = trio.Event()
        self._patient = True  # until the moment is over it is no news that one has answered, but that all have

    async def run(self, deadline: float) -> None:
        """Make all calls, and tell what is heard until there is nothing left to hear."""
        waiting = self._fire()
        if self._look is not None and len(self._under_way) > 1:
            self._look()
        if not waiting:
            await self._hear_out(deadline)
            return
        async with trio.open_nursery() as nursery:
            for peer in waiting:
                nursery.start_soon(self._wait_for, peer)
            await self._hear_out(deadline)

    def _fire(self) -> list[bytes]:
        """Open what can be opened at once; returns the peers that are asked in the usual way."""
        ours = self._turns.claim_all(self._requests, self._subject)
        self._under_way.update(self._begin({peer: self._requests[peer] for peer in ours}, self._hear))
        for peer in ours:
            if peer not in self._under_way:
                self._turns.pass_on(peer, self._subject)
        return [peer for peer in self._requests if peer not in self._under_way]

    def _hear(self, peer: bytes, answer: Any) -> None:
        """A call that was fired has ended."""
        self._under_way.pop(peer, None)
        if answer is None:
            self._again.append(peer)
        else:
            self._note(peer, answer)
            self._turns.pass_on(peer, self._subject)
            self._expected -= 1
        self._ring()

    def _ring(self) -> None:
        if not (self._patient and self._under_way):
            self._news.set()

    async def _hear_out(self, deadline: float) -> None:
        """Heard to the end, whoever is cancelled: a task's end is not a message's (see `rpc/turns`)."""
        if len(self._under_way) > 1:
            await self._turns.hear(self._news.wait, min(trio.current_time() + MOMENT_S, deadline))
        self._patient = False
        self._tell_news()
        if self._under_way or self._again:
            await self._turns.hear(self._hear_rest, deadline)
        for call in list(self._under_way.values()):
            call.give_up()
        for peer in self._again:
            self._hear(peer, late())
        if self._expected:
            with trio.CancelScope(shield=True):
                while self._expected:
                    await self._hear_news()
        self._tell_news()

    async def _hear_rest(self) -> None:
        while self._under_way or self._again:
            await self._hear_news()
            await self._send_again()

    async def _hear_news(self) -> None:
        await self._news.wait()
        self._news = trio.Event()
        self._tell_news()

    def _tell_news(self) -> None:
        if self._answers:
            answers, self._answers = self._answers, {}
            self._tell(answers)

    # The usual way.

    async def _wait_for(self, peer: bytes) -> None:
        await self._asked(peer, partial(self._turns.take, peer, self._subject, self._question(peer)), None)

    async def _send_again(self) -> None:
        if self._again:
            again, self._again = self._again, []
            async with trio.open_nursery() as nursery:
                for peer in again:
                    nursery.start_soon(self._ask_again, peer)

    async def _ask_again(self, peer: bytes) -> None:
        try:
            await self._asked(peer, partial(self._turns.heard, self._question(peer)), late())
        finally:
            self._turns.pass_on(peer, self._subject)

    def _question(self, peer: bytes) -> Callable[[], Awaitable[Any]]:
        return partial(self._ask, peer, self._requests[peer])

    async def _asked(self, peer: bytes, call: Callable[[], Awaitable[Any]], answer: RemoteError | None) -> None:
        """Make the call; ``answer`` is what to tell if it is cancelled."""
        try:
            answer = await call()
        except RemoteError as error:
            answer = error
        finally:
            self._expected -= 1  # also when we were cancelled, waiting for our turn, and nothing was asked
            if answer is not None:
                self._note(peer, answer)
            self._ring()

    def _note(self, peer: bytes, answer: Any) -> None:
        self._answers[peer] = answer
        if isinstance(answer, RemoteError) and not isinstance(answer, RemoteGone) and answer.status in UNHEARD:
            self._turns.unheard.add((peer, self._subject))


def late() -> RemoteError:
    """What is told of a call that was not answered in time."""
    return RemoteError(DEADLINE_EXCEEDED, "no answer in time")
