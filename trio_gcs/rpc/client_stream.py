"""One call as code sees it: the stream that grpclib's generated stubs use, on Trio.

The hard idea: the stream *is* the call that the connection moves (see `wire/client_call`), and the tasks that use
it are its waiters, at most one that sends and one that receives. A unary call is one object and one park: it sleeps
until its outcome is there. The deadline bounds every wait and ends in DEADLINE_EXCEEDED; leaving the block early,
also by cancellation, resets the call at the peer.
"""

import math
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import trio
from google.protobuf.message import DecodeError
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError
from multidict import CIMultiDict
from trio.lowlevel import Abort, RaiseCancelT, Task, current_task, reschedule, wait_task_rescheduled

from trio_gcs.rpc.codec import reader, writer
from trio_gcs.wire.client_call import Call
from trio_gcs.wire.client_reply import CANCELLED, DEADLINE_EXCEEDED, Outcome
from trio_gcs.wire.metadata import Field, decode_metadata, encode_timeout

if TYPE_CHECKING:
    from trio_gcs.rpc.channel import Channel
    from trio_gcs.rpc.client_link import Link


Request = TypeVar("Request")
Answer = TypeVar("Answer")

_CANCELLED_HERE = Outcome(CANCELLED, "the call was cancelled by this side")
_TOO_LATE = Outcome(DEADLINE_EXCEEDED, "the deadline of the call has passed")


class Method(Generic[Request, Answer]):
    """What a channel keeps of each method that was called."""

    __slots__ = ("cardinality", "name", "path", "read", "request_type", "write")

    def __init__(
        self, name: str, cardinality: Cardinality, request_type: type[Request], reply_type: type[Answer]
    ) -> None:
        self.name = name
        self.path = name.encode("ascii")
        self.cardinality = cardinality
        self.request_type = request_type
        self.write: Callable[[Request], bytes] = writer(request_type)
        self.read: Callable[[bytes], Answer] = reader(reply_type)


class ClientStream(Call, Generic[Request, Answer]):
    """A call in progress. Use it as an async context manager; leaving the block ends the call."""

    __slots__ = (
        "_cancelled",
        "_cardinality",
        "_channel",
        "_deadline",
        "_link",
        "_method",
        "_passing",
        "_receiver",
        "_request",
        "_sender",
    )

    def __init__(
        self,
        channel: "Channel",
        method: Method[Request, Answer],
        *,
        deadline: float,
        passing: tuple[Field, ...],
    ) -> None:
        super().__init__()
        self._channel = channel
        self._method = method
        self._cardinality = method.cardinality
        self._deadline = deadline
        self._passing = passing
        self._link: Link | None = None
        self._request: bytes | None = None  # kept while it might have to be sent again
        self._cancelled = False
        self._sender: Task | None = None
        self._receiver: Task | None = None
        self.eager = method.cardinality is not Cardinality.UNARY_UNARY

    # Sending.

    async def send_request(self, *, end: bool = False) -> None:
        """Send the headers alone. `send_message` does it together with the first message."""
        if self._link is not None:
            raise ProtocolError("the request was sent already")
        if end and not self._cardinality.client_streaming:
            raise ProtocolError("a unary request has a message")
        await self._open(None, end=end)

    async def send_message(self, message: Request, *, end: bool = False) -> None:
        """Send a message. Waits, in a stream of messages, while the peer's windows are full.

        The only message of a unary request is its last one, whatever `end` says.
        """
        if not isinstance(message, self._method.request_type):
            raise TypeError(f"{self._method.request_type.__name__} expected, not {type(message).__name__}")
        if self.ended:
            raise ProtocolError("the last message was sent already")
        last = end or not self._cardinality.client_streaming
        if self._link is None:
            await self._open(self._method.write(message), end=last)
            return
        if self.outcome is not None:
            self._raise_unless_fine()
            raise StreamTerminatedError("the server has ended the call")
        self._link.connection.send(self, self._method.write(message), end=last)
        self._link.flush()
        if self._cardinality.client_streaming:
            await self._sent()

    async def end(self) -> None:
        """Tell the peer that no further message follows; done already for a unary request."""
        if self._link is None:
            raise ProtocolError("the request was not sent")
        if self.ended:
            if self._cardinality.client_streaming:
                raise ProtocolError("the last message was sent already")
            return
        if not self._cardinality.client_streaming:
            raise ProtocolError("a unary request has a message")
        self._link.connection.end(self)
        self._link.flush()
        await self._sent()

    async def cancel(self) -> None:
        """Give the call up: the peer is told, and leaving the block raises nothing."""
        if self._link is None:
            raise ProtocolError("the request was not sent")
        self._cancelled = True
        self._link.cancel(self, _CANCELLED_HERE)

    # Receiving.

    async def recv_initial_metadata(self) -> None:
        """Wait for the head of the reply; raises GRPCError when the call ends without one, or badly."""
        self._check_sent()
        if self.head is None and self.outcome is None:
            self.eager = True
            while self.head is None and self.outcome is None:
                await self._heard()
        if self.head is None or self.head is self.trailers:
            self._raise_unless_fine()

    async def recv_message(self) -> Answer | None:
        """Return the next message, or None after the last one.

        A unary reply is returned when its status is there too, and raises GRPCError when that is not OK.
        """
        self._check_sent()
        if self._cardinality.server_streaming:
            while not self.messages and self.outcome is None:
                await self._heard()
            if not self.messages:
                return None
        else:
            while await self._goes_on():
                await self._heard()
            self._raise_unless_fine()
            if len(self.messages) != 1:
                raise GRPCError(Status.INTERNAL, f"{len(self.messages)} messages in a unary reply")
        octets = self.take_message()
        if self.outcome is None:
            assert self._link is not None, "checked above"
            self._link.connection.credit(self)
            self._link.flush()
        try:
            return self._method.read(octets)
        except (DecodeError, ValueError) as error:
            raise GRPCError(Status.INTERNAL, f"the reply to {self._method.name} cannot be read: {error}") from error

    async def recv_trailing_metadata(self) -> None:
        """Wait for the end of the call, dropping messages that nobody has taken; raises GRPCError unless it is OK."""
        self._check_sent()
        if not self.ended:
            raise ProtocolError("the last message was not sent")
        while await self._goes_on():
            await self._heard()
            if self._cardinality.server_streaming and self.messages and self.outcome is None:
                assert self._link is not None, "checked above"
                self.take_message()
                self._link.connection.credit(self)
                self._link.flush()
        self._raise_unless_fine()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Answer:
        message = await self.recv_message()
        if message is None:
            raise StopAsyncIteration
        return message

    @property
    def initial_metadata(self) -> CIMultiDict[str | bytes] | None:
        """The metadata of the reply's head; None until it has come."""
        if self.head is None:
            return None
        return decode_metadata(() if self.head is self.trailers else self.head.fields)

    @property
    def trailing_metadata(self) -> CIMultiDict[str | bytes] | None:
        """The metadata that came with the status; None until it has come."""
        return None if self.trailers is None else decode_metadata(self.trailers.fields)

    # The block.

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._link is None:
            return
        try:
            if error is None and not self._cancelled:
                if self.outcome is None or self.refused:
                    await self.recv_trailing_metadata()  # noqa: ASYNC102 - the block has ended well
                else:
                    self._raise_unless_fine()
        finally:
            if self.outcome is None and self._link is not None:
                self._link.cancel(self, _CANCELLED_HERE)

    # Waiting.

    def wake(self) -> None:
        """Let the tasks that wait for news look; the connection calls this."""
        task = self._receiver
        if task is not None:
            self._receiver = None
            reschedule(task)
        task = self._sender
        if task is not None:
            self._sender = None
            reschedule(task)

    async def _open(self, message: bytes | None, *, end: bool) -> None:
        link = self._channel.ready_link
        if link is None:
            link = await self._channel.link(self._deadline)
        self._link = link
        passing = self._passing
        if self._deadline < math.inf:
            passing = ((b"grpc-timeout", encode_timeout(self._deadline - trio.current_time())), *passing)
        if self._cardinality is Cardinality.UNARY_UNARY:
            self._request = message
        link.connection.open(self, self._method.path, passing, message, end=end)
        link.flush()
        if self.unsent and self._cardinality.client_streaming:
            await self._sent()

    async def _goes_on(self) -> bool:
        """Whether the outcome is yet to come. A request that may be sent again is; that can be refused on the spot, too."""
        while self.refused and await self._sent_again():
            pass
        return self.outcome is None

    async def _sent_again(self) -> bool:
        """Send a unary request once more, after a refusal that proves that the server has not looked at it."""
        request, self._request = self._request, None
        if request is None:
            return False
        self.forget_refusal()
        self._link = None
        await self._open(request, end=True)
        self._request = None
        return True

    async def _sent(self) -> None:
        while self.unsent and self.outcome is None:
            self._sender = current_task()
            await self._parked(self._abort_send)

    async def _heard(self) -> None:
        self._receiver = current_task()
        await self._parked(self._abort_receive)

    async def _parked(self, abort: Callable[[RaiseCancelT], Abort]) -> None:
        if self._deadline == math.inf:
            await wait_task_rescheduled(abort)
            return
        with trio.CancelScope(deadline=self._deadline) as scope:
            await wait_task_rescheduled(abort)
        if scope.cancelled_caught:
            self._link_now().cancel(self, _TOO_LATE)

    def _abort_send(self, _raise_cancel: RaiseCancelT) -> Abort:
        self._sender = None
        return Abort.SUCCEEDED

    def _abort_receive(self, _raise_cancel: RaiseCancelT) -> Abort:
        self._receiver = None
        return Abort.SUCCEEDED

    def _link_now(self) -> "Link":
        assert self._link is not None, "the request was sent"
        return self._link

    def _check_sent(self) -> None:
        if self._link is None:
            raise ProtocolError("the request was not sent")

    def _raise_unless_fine(self) -> None:
        outcome = self.outcome
        if outcome is not None and outcome.status:
            raise GRPCError(Status(outcome.status), outcome.message, outcome.details)
