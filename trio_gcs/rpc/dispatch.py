"""The one gate: every call passes it on its way in, every reply and every error on its way out.

In: who may call (`verdict`), until when, and how the message is read. Out: a status where the reply has one, else
gRPC's; a reply leaves when all that it rests on is durable. In between, the only `except Exception` of the daemon: a
handler's bug is that call's INTERNAL and a traceback in the log. What means that the daemon itself cannot be trusted
any more, an AssertionError or a StoreError, goes on up and ends it.

The hard idea is that most calls need nothing of this: `_inline_call` makes one closure per method that reads, calls,
asks two questions and writes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from inspect import iscoroutinefunction
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import structlog
from google.protobuf.message import DecodeError
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError

from trio_gcs.errors import GcsError, StoreError
from trio_gcs.rpc import codec
from trio_gcs.rpc.calls import STOPPING, SettledReply, StreamCall, UnaryCall
from trio_gcs.rpc.deadlines import Deadlines
from trio_gcs.rpc.handlers import Parked, plain_function
from trio_gcs.rpc.metrics import MethodCounts
from trio_gcs.rpc.pool import Pool
from trio_gcs.rpc.stream import Stream
from trio_gcs.rpc.verdict import Gatekeeper
from trio_gcs.wire.metadata import Field, status_fields
from trio_gcs.wire.request import Refusal, Target

if TYPE_CHECKING:
    from grpclib._typing import IServable

    from trio_gcs.wire.receiver import Receiver
    from trio_gcs.wire.request import Call, Request
    from trio_gcs.wire.stream import WireStream

log = structlog.get_logger(__name__)

_FATAL: Final = (AssertionError, StoreError)
_DETAILS_BYTES_MAX: Final = 4096  # C-core refuses trailers of more than 8 KiB
_UNREADABLE = GRPCError(Status.INTERNAL, "Unable to parse request")
_BUG = GRPCError(Status.INTERNAL, "Internal Server Error")


class Settler(Protocol):
    """Knows what a crash could still undo."""

    def begin(self) -> None:
        """Hear that an inline handler starts, which has seen nothing yet."""
        ...

    def unsettled(self) -> object | None:
        """Return what the inline handler that just ran rests on; None when all of it is durable."""
        ...

    def everything(self) -> object | None:
        """Return all that is not durable; None when there is nothing."""
        ...

    async def settled(self, unsettled: Any) -> None:
        """Wait until it is durable."""
        ...

    def promise(self, unsettled: Any, word: Callable[[], None]) -> bool:
        """Say ``word`` when it is durable; False where only :meth:`settled` can wait for it."""
        ...


class NothingToSettle:
    """For a server without a store."""

    def begin(self) -> None:
        """Nothing begins."""

    def unsettled(self) -> None:
        """Nothing is owed."""

    def everything(self) -> None:
        """Nothing is owed."""

    async def settled(self, unsettled: object) -> None:
        """Return at once."""

    def promise(self, unsettled: object, word: Callable[[], None]) -> bool:
        """Leave it to the one who waits."""
        return False


class Dispatch:
    """Serves calls by the services that were added; the application of every connection of a server."""

    def __init__(
        self,
        *,
        settler: Settler | None = None,
        token: str | None = None,
        cluster_id: Callable[[], str] | None = None,
    ) -> None:
        self.settler = settler if settler is not None else NothingToSettle()
        self.pool = Pool()
        self.deadlines = Deadlines()
        self._gatekeeper = Gatekeeper(token, cluster_id)
        self.methods: dict[bytes, Method] = {}
        self.stopping = False  # promises and streams, which would not end by themselves, are refused

    def add(self, services: Iterable[IServable]) -> None:
        """Serve the methods of these services too."""
        for service in services:
            for path, handler in service.__mapping__().items():
                assert path.encode() not in self.methods, f"{path} is served twice"
                self.methods[path.encode()] = Method(self, path, handler)

    @property
    def counts(self) -> Sequence[MethodCounts]:
        """The counts of all methods, for whoever exports them."""
        return [method.counts for method in self.methods.values()]

    def service_names(self) -> set[str]:
        """The full names of all services."""
        return {method.counts.service for method in self.methods.values()}

    def admit(self, path: bytes, fields: list[Field]) -> Target | Refusal:
        """Return who serves a call with these headers, or why nobody does."""
        method = self.methods.get(path)
        if method is None:
            return Refusal(Status.UNIMPLEMENTED.value, "")
        objection = self._gatekeeper.objection(path, fields)
        return method if objection is None else CountedRefusal(method.counts, objection)

    def error_of(self, method: Method, error: Exception) -> GRPCError | GcsError:
        """Return what the caller is told of an error, or raise it if the daemon must not go on."""
        if isinstance(error, GcsError | GRPCError):
            return error
        if isinstance(error, DecodeError):
            return _UNREADABLE
        if isinstance(error, _FATAL) or (isinstance(error, ExceptionGroup) and error.subgroup(_FATAL) is not None):
            raise error
        if isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:  # a handler with a nursery says it so
            return self.error_of(method, error.exceptions[0])
        log.error("a handler failed", service=method.counts.service, method=method.counts.method, exc_info=error)
        return _BUG

    async def waited(self, method: Method, body: bytes) -> object:
        """Run a handler that may wait, and return its outcome once that is durable: a reply, `Parked` or an error."""
        outcome: object
        try:
            outcome = await method.waits(method.read(body))
        except Exception as error:  # noqa: BLE001 - the gate
            outcome = self.error_of(method, error)
        unsettled = self.settler.everything()
        if unsettled is not None:
            await self.settler.settled(unsettled)
        return outcome

    async def streamed(self, method: Method, stream: Stream[Any, Any]) -> GRPCError | None:
        """Run a streaming handler; returns how it failed."""
        try:
            await method.handler(stream)
        except Exception as error:  # noqa: BLE001 - the gate
            return told(self.error_of(method, error))
        return None

    def contained(self, function: Callable[..., None], *args: object) -> bool:
        """Call into a connection; returns False when that failed by a bug of ours, which costs one connection."""
        try:
            function(*args)
        except _FATAL:
            raise
        except Exception:
            log.exception("a connection failed")
            return False
        return True


class Method:
    """One method of a service: a target of calls. What it is told by handlers becomes octets here."""

    def __init__(self, dispatch: Dispatch, path: str, handler: Handler) -> None:
        _, service, name = path.split("/")
        self.dispatch = dispatch
        self.counts = MethodCounts(service, name)
        self.handler: Callable[[Stream[Any, Any]], Awaitable[None]] = handler.func
        self.read = codec.reader(handler.request_type)
        self.write = codec.writer(handler.reply_type)
        self.reply_type = handler.reply_type
        self.has_status = codec.has_status(handler.reply_type)
        self.writes_many = handler.cardinality.server_streaming
        function = plain_function(handler.func) if handler.cardinality is Cardinality.UNARY_UNARY else None
        self.streaming = function is None
        self.waits = cast("Callable[[Any], Awaitable[Any]]", function)
        inline = function is not None and not iscoroutinefunction(function)
        self.call: Call = _inline_call(self, cast("Callable[[Any], Any]", function)) if inline else self._pooled_call

    # As a connection's target.

    def _pooled_call(
        self, connection: Receiver, stream_id: int, _request: Request, deadline: float, body: bytes
    ) -> bytes | None:
        self.counts.started += 1
        call = UnaryCall(self, connection, stream_id, deadline=deadline, body=body, began_at=perf_counter())
        self.dispatch.pool.run(call)
        return None

    def open(self, connection: Receiver, stream: WireStream) -> None:
        """Begin a streaming call."""
        if self.dispatch.stopping:
            self.counts.refused(STOPPING.status.value)
            connection.send_trailers(stream, status_fields(STOPPING.status.value, STOPPING.message))
            return
        self.counts.started += 1
        call: Stream[Any, Any] = Stream(connection, stream, self.read_message, self.write, writes_many=self.writes_many)
        self.dispatch.pool.run(StreamCall(self, call, perf_counter()))

    def expired(self) -> None:
        """Count a call that came with no time left."""
        self.counts.refused(Status.DEADLINE_EXCEEDED.value)

    # Outcomes.

    def read_message(self, body: bytes) -> Any:
        """Read one message of a stream."""
        return self.read(body)

    def octets(self, reply: Any) -> bytes:
        """Write a reply, with a status that says it went well unless the handler set one."""
        if self.has_status:
            reply.status.SetInParent()
        return self.write(reply)

    def count(self, began_at: float, status: int) -> None:
        """Count the end of a call."""
        self.counts.seconds += perf_counter() - began_at
        if status:
            self.counts.bad(status)
        else:
            self.counts.ended_well += 1

    def finish(self, call: UnaryCall | SettledReply, outcome: object) -> None:
        """Send the outcome of a call that was taken."""
        if isinstance(outcome, Parked):
            self.park(outcome, call.connection, call.stream_id, call.deadline, call.began_at)
            return
        call.gone = True
        self.send(call.connection, call.stream_id, call.began_at, outcome)

    def send(self, connection: Receiver, stream_id: int, began_at: float, outcome: object) -> None:
        """Send a reply, an error, or octets that are a reply already."""
        octets = self._settled_octets(outcome)
        if isinstance(octets, GRPCError):
            self.count(began_at, octets.status.value)
            connection.refuse(stream_id, status_fields(octets.status.value, octets.message, octets.details))
        else:
            self.count(began_at, 0)
            connection.reply(stream_id, octets)

    def _settled_octets(self, outcome: object) -> bytes | GRPCError:
        if isinstance(outcome, bytes):
            return outcome
        try:
            if isinstance(outcome, GcsError) and self.has_status:
                return self.write(codec.status_reply(self.reply_type, outcome))
            if isinstance(outcome, GcsError | GRPCError):
                return told(outcome)
            return self.octets(outcome)
        except Exception as error:  # noqa: BLE001 - the gate: a reply of a wrong type, say
            return told(self.dispatch.error_of(self, error))

    # Promises.

    def park(self, parked: Parked[Any], connection: Receiver, stream_id: int, deadline: float, began_at: float) -> None:
        """Wait for a promise to be kept, without a task."""
        parked.connection = connection
        parked.stream_id = stream_id
        parked.deadline = deadline
        parked.began_at = began_at
        connection.take(stream_id, parked)
        early = parked.bind(self)
        if early is not None:
            self.keep(parked, early)
        elif self.dispatch.stopping:
            parked.refuse(STOPPING)
        else:
            self.dispatch.deadlines.add(deadline, parked)

    def keep(self, parked: Parked[Any], outcome: object) -> None:
        """Send what a promise was kept with."""
        self.send(parked.connection, parked.stream_id, parked.began_at, outcome)

    def forget(self, _parked: Parked[Any]) -> None:
        """Count a promise that nobody waits for."""
        self.counts.bad(Status.CANCELLED.value)


class CountedRefusal(Refusal):
    """A refusal that shows in the counts of its method."""

    __slots__ = ("_counts",)

    def __init__(self, counts: MethodCounts, objection: str) -> None:
        super().__init__(Status.UNAUTHENTICATED.value, objection)
        self._counts = counts

    def used(self) -> None:
        """Count it."""
        self._counts.refused(self.status)


def told(error: GRPCError | GcsError) -> GRPCError:
    """Return an error as gRPC tells it: for ours, ABORTED with the code's name, and the text in the details."""
    if isinstance(error, GRPCError):
        if error.details is not None and not isinstance(error.details, bytes):
            return GRPCError(error.status, error.message, str(error.details).encode("utf-8", "replace"))
        return error
    details = str(error).encode("utf-8", "replace")[:_DETAILS_BYTES_MAX]
    return GRPCError(Status.ABORTED, error.code.wire_name, details)


def _inline_call(method: Method, function: Callable[[Any], Any]) -> Call:
    """Make the fast path of a method whose function never waits."""
    counts, settler, dispatch = method.counts, method.dispatch.settler, method.dispatch
    begin, read_unsettled = settler.begin, settler.unsettled
    read, write, reply_type, has_status = method.read, method.write, method.reply_type, method.has_status
    clock = perf_counter

    def call(connection: Receiver, stream_id: int, _: Request, deadline: float, body: bytes) -> bytes | None:
        began_at = clock()
        counts.started += 1
        begin()
        outcome: object
        try:
            reply = function(read(body))
            if reply.__class__ is reply_type:
                if has_status:
                    reply.status.SetInParent()
                outcome = octets = write(reply)
                unsettled = read_unsettled()
                if unsettled is None:
                    counts.ended_well += 1
                    counts.seconds += clock() - began_at
                    return octets
            else:
                outcome = reply
                unsettled = read_unsettled()
        except Exception as error:  # noqa: BLE001 - the gate
            outcome = dispatch.error_of(method, error)
            unsettled = read_unsettled()
        if isinstance(outcome, Parked):
            method.park(outcome, connection, stream_id, deadline, began_at)
        elif unsettled is None:
            method.send(connection, stream_id, began_at, outcome)
        else:
            reply_later = SettledReply(
                method,
                connection,
                stream_id,
                deadline=deadline,
                outcome=outcome,
                unsettled=unsettled,
                began_at=began_at,
            )
            if settler.promise(unsettled, reply_later.settled):
                dispatch.deadlines.add(deadline, reply_later)
            else:
                dispatch.pool.run(reply_later)
        return None

    return call


__all__ = ["Dispatch", "Method", "NothingToSettle", "Settler", "told"]
