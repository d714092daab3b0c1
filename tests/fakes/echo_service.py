"""A service for tests of the transport: every kind of method, on protobuf's well-known wrappers, nothing of Ray's."""

import grpclib.const
import trio
from google.protobuf.wrappers_pb2 import BytesValue, StringValue
from grpclib.const import Cardinality, Status
from grpclib.exceptions import GRPCError

from trio_gcs.errors import NotFound
from trio_gcs.rpc.handlers import Parked, unary

PREFIX = "/test.Echo/"


class Echo:
    """Says things back. `parked` keeps what waits, `cancelled` what was cut short."""

    def __init__(self):
        self.parked = []
        self.cancelled = []
        self.started = []
        self.gate = trio.Event()
        self._news = trio.Event()

    def note(self, where, what):
        where.append(what)
        self._news.set()
        self._news = trio.Event()

    async def until(self, come_true):
        """Wait until something that was noted makes this true."""
        while not come_true():
            await self._news.wait()

    @unary
    def Now(self, request: StringValue) -> StringValue:
        return StringValue(value=request.value)

    @unary
    def Size(self, request: BytesValue) -> BytesValue:
        """A body of as many octets as the request says."""
        return BytesValue(value=bytes(int(request.value)))

    @unary
    def Fail(self, request: StringValue) -> StringValue:
        kinds = {
            "told": NotFound("no such thing"),
            "grpc": GRPCError(Status.DATA_LOSS, "gone: 100% of ü"),
            "bug": ValueError("bug"),
        }
        raise kinds.get(request.value) or AssertionError("the daemon must not go on")

    @unary
    async def Later(self, request: StringValue) -> StringValue:
        self.note(self.started, request.value)
        try:
            if request.value == "gate":
                await self.gate.wait()
            elif request.value == "told":
                raise NotFound("no such thing")
            else:
                await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            self.note(self.cancelled, request.value)
            raise
        return StringValue(value=request.value)

    @unary
    def Poll(self, request: StringValue) -> StringValue | Parked[StringValue]:
        parked = Parked()
        if request.value == "early":
            parked.answer(StringValue(value="early"))
        self.note(self.parked, parked)
        return parked

    async def Chat(self, stream):
        self.note(self.started, "chat")
        await stream.send_initial_metadata(metadata={"greeting": "hello", "token-bin": b"\0\1\xff"})
        try:
            async for message in stream:
                if message.value == "raise":
                    raise GRPCError(Status.DATA_LOSS, "as you wish", b"details")
                await stream.send_message(StringValue(value=message.value.upper()))
        except trio.Cancelled:
            self.note(self.cancelled, "chat")
            raise
        await stream.send_trailing_metadata(metadata={"farewell": "bye"})

    async def Count(self, stream):
        """As many messages as asked for, of 1000 octets each."""
        request = await stream.recv_message()
        for number in range(int(request.value)):
            await stream.send_message(StringValue(value=f"{number:1000d}"))

    async def Sum(self, stream):
        total = 0
        async for message in stream:
            total += int(message.value)
        await stream.send_message(StringValue(value=str(total)))

    def __mapping__(self):
        kinds = {
            "Now": (self.Now, Cardinality.UNARY_UNARY, StringValue, StringValue),
            "Size": (self.Size, Cardinality.UNARY_UNARY, BytesValue, BytesValue),
            "Fail": (self.Fail, Cardinality.UNARY_UNARY, StringValue, StringValue),
            "Later": (self.Later, Cardinality.UNARY_UNARY, StringValue, StringValue),
            "Poll": (self.Poll, Cardinality.UNARY_UNARY, StringValue, StringValue),
            "Chat": (self.Chat, Cardinality.STREAM_STREAM, StringValue, StringValue),
            "Count": (self.Count, Cardinality.UNARY_STREAM, StringValue, StringValue),
            "Sum": (self.Sum, Cardinality.STREAM_UNARY, StringValue, StringValue),
        }
        return {PREFIX + name: grpclib.const.Handler(*kind) for name, kind in kinds.items()}
