"""How a service says what kind of method it has: `unary` marks it, `Parked` promises a reply for later.

The hard idea: a unary method is written as a plain function from request to reply, and `unary` turns it into the
handler that generated service classes expect. Our server never calls that handler: it finds the plain function behind
it and calls it directly, inline in the reader when it is a `def`, in a pooled task when it is an `async def`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast, overload

import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from trio_gcs.errors import GcsError

if TYPE_CHECKING:
    from grpclib.server import Stream

    from trio_gcs.wire.receiver import Receiver

Service = TypeVar("Service")
Request = TypeVar("Request")
Reply = TypeVar("Reply")
Function = Callable[[Service, Request], "Reply | Parked[Reply] | Awaitable[Reply]"]

_PLAIN = "__plain__"


class Keeper(Protocol):
    """Whoever knows how to send what a parked call is answered with."""

    def keep(self, parked: Parked[Any], outcome: object) -> None:
        """Send a reply or an error."""
        ...

    def forget(self, parked: Parked[Any]) -> None:
        """The caller is gone."""
        ...


class Parked(Generic[Reply]):
    """A promise to reply later: what a handler returns instead of a reply. It costs this object, and no task.

    Whoever parks a call keeps the object. What it is answered with leaves at once: say only what is durable.
    """

    __slots__ = ("_early", "_keeper", "began_at", "connection", "deadline", "gone", "stream_id")

    connection: Receiver
    stream_id: int
    deadline: float
    began_at: float

    def __init__(self) -> None:
        self.gone = False  # nobody waits any more: answered, cancelled, too late or disconnected
        self._early: object | None = None
        self._keeper: Keeper | None = None

    def answer(self, reply: Reply) -> None:
        """Send the reply. Nothing happens when nobody waits any more."""
        self._settle(reply)

    def refuse(self, error: GcsError | GRPCError) -> None:
        """Send an error instead. Nothing happens when nobody waits any more."""
        self._settle(error)

    def expire(self) -> None:
        """Tell the caller that its deadline has passed."""
        self._settle(GRPCError(Status.DEADLINE_EXCEEDED, "Deadline Exceeded"))

    def lost(self) -> None:
        """Hear that the caller is gone."""
        if not self.gone:
            self.gone = True
            if self._keeper is not None:
                self._keeper.forget(self)

    def bind(self, keeper: Keeper) -> object | None:
        """Begin to wait; returns what the promise was kept with already, if it was."""
        assert self._keeper is None, "one promise answers one call"
        self._keeper = keeper
        return self._early

    def _settle(self, outcome: object) -> None:
        if self.gone:
            return
        self.gone = True
        if self._keeper is None:
            self._early = outcome
        else:
            self._keeper.keep(self, outcome)


class _Kept(Keeper):
    """Keeps a promise for a server other than ours: one task waits for it."""

    def __init__(self) -> None:
        self.done = trio.Event()
        self.outcome: object = None

    def keep(self, parked: Parked[Any], outcome: object) -> None:
        self.outcome = outcome
        self.done.set()

    def forget(self, parked: Parked[Any]) -> None:
        self.done.set()

    async def wait(self, parked: Parked[Any]) -> object:
        outcome = parked.bind(self)
        if outcome is None:
            await self.done.wait()
            outcome = self.outcome
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@overload
def unary(
    function: Callable[[Service, Request], Coroutine[Any, Any, Reply]],
) -> Callable[[Service, Stream[Request, Reply]], Coroutine[Any, Any, None]]: ...


@overload
def unary(
    function: Callable[[Service, Request], Reply | Parked[Reply]],
) -> Callable[[Service, Stream[Request, Reply]], Coroutine[Any, Any, None]]: ...


def unary(
    function: Callable[[Service, Request], Any],
) -> Callable[[Service, Stream[Request, Any]], Coroutine[Any, Any, None]]:
    """Make a handler of a function from request to reply.

    A `def` runs inline: it must not wait, and nothing else runs meanwhile. It may return `Parked`. An `async def` runs
    in a task, under the deadline of its call.
    """

    @wraps(function)
    async def handler(service: Service, stream: Stream[Request, Reply]) -> None:
        request = await stream.recv_message()
        if request is None:
            raise GRPCError(Status.UNIMPLEMENTED, "a unary call has one message")
        reply: object = function(service, request)
        if inspect.isawaitable(reply):
            reply = await reply
        if isinstance(reply, Parked):
            reply = await _Kept().wait(reply)
        await stream.send_message(cast("Reply", reply))

    setattr(handler, _PLAIN, function)
    return handler


def plain_function(handler: Callable[..., Any]) -> Callable[[Any], Any] | None:
    """Return the function that `unary` decorated, bound to its service; None for any other handler."""
    function = getattr(handler, _PLAIN, None)
    service = getattr(handler, "__self__", None)
    return function.__get__(service) if function is not None else None
