"""Calls that a worker serves: a unary one that may wait, a reply that is not durable yet, a streaming one.

The hard idea: a call can end from three sides, its handler, its deadline and its caller, in any order. The first one
takes the entry of the stream in the connection; the others find it gone and do nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from trio_gcs.rpc.stream import Stream

if TYPE_CHECKING:
    import trio

    from trio_gcs.rpc.dispatch import Method
    from trio_gcs.wire.receiver import Receiver

DEADLINE_PASSED = GRPCError(Status.DEADLINE_EXCEEDED, "Deadline Exceeded")
STOPPING = GRPCError(Status.UNAVAILABLE, "the server is shutting down")


class _Interruptible:
    """What all jobs share: the scope that their worker lends them."""

    __slots__ = ("began_at", "deadline", "gone", "method", "scope")

    def __init__(self, method: Method, deadline: float, began_at: float) -> None:
        self.method = method
        self.deadline = deadline
        self.began_at = began_at
        self.scope: trio.CancelScope | None = None
        self.gone = False  # the caller is; it has been counted

    def lost(self) -> None:
        """Hear that the caller is gone."""
        if not self.gone:
            self.gone = True
            self.method.counts.bad(Status.CANCELLED.value)
            if self.scope is not None:
                self.scope.cancel()


class UnaryCall(_Interruptible):
    """A unary call in a task."""

    __slots__ = ("body", "connection", "stream_id")

    def __init__(
        self, method: Method, connection: Receiver, stream_id: int, *, deadline: float, body: bytes, began_at: float
    ) -> None:
        super().__init__(method, deadline, began_at)
        self.connection = connection
        self.stream_id = stream_id
        self.body = body
        connection.take(stream_id, self)

    async def run(self) -> None:
        """Serve the call."""
        if not self.gone:
            outcome = await self.method.dispatch.waited(self.method, self.body)
            if not self.gone:
                self.method.finish(self, outcome)

    def interrupted(self) -> None:
        """The deadline has passed, or the caller is gone."""
        if not self.gone:
            self.method.finish(self, DEADLINE_PASSED)


class SettledReply(_Interruptible):
    """An outcome that leaves once what it rests on is durable: without a task where that is one change, and in one else."""

    __slots__ = ("connection", "outcome", "stream_id", "unsettled")

    def __init__(
        self,
        method: Method,
        connection: Receiver,
        stream_id: int,
        *,
        deadline: float,
        outcome: object,
        unsettled: object,
        began_at: float,
    ) -> None:
        super().__init__(method, deadline, began_at)
        self.connection = connection
        self.stream_id = stream_id
        self.outcome = outcome
        self.unsettled = unsettled
        connection.take(stream_id, self)

    async def run(self) -> None:
        """Wait, then speak."""
        await self.method.dispatch.settler.settled(self.unsettled)
        self.settled()

    def settled(self) -> None:
        """It is durable: speak."""
        if not self.gone:
            self.method.finish(self, self.outcome)

    def interrupted(self) -> None:
        """The deadline has passed before it was durable, or the caller is gone."""
        if not self.gone:
            self.method.finish(self, DEADLINE_PASSED)

    expire = interrupted


class StreamCall(_Interruptible):
    """A streaming call in a task of its own."""

    __slots__ = ("stream",)

    def __init__(self, method: Method, stream: Stream[Any, Any], began_at: float) -> None:
        super().__init__(method, stream.deadline, began_at)
        self.stream = stream
        stream.on_lost = self.lost

    async def run(self) -> None:
        """Run the handler, then end the call as it has said, or as it has failed."""
        if self.gone:
            return
        error = await self.method.dispatch.streamed(self.method, self.stream)
        if not self.gone:
            self._end(error)

    def _end(self, error: GRPCError | None) -> None:
        self.gone = True
        self.method.count(self.began_at, error.status.value if error is not None else 0)
        if error is None:
            if not self.stream.trailers_sent:
                self.stream.end(0)
        elif not self.stream.trailers_sent:
            self.stream.end(error.status.value, error.message, error.details)

    def interrupted(self) -> None:
        """The deadline has passed, or the caller is gone."""
        if not self.gone:
            self.gone = True
            self.method.count(self.began_at, Status.DEADLINE_EXCEEDED.value)
            self.stream.give_up(DEADLINE_PASSED)
