"""Promises to reply later, and calls in tasks: kept, broken, too late, cancelled, disconnected."""

import pytest
import trio
from google.protobuf.wrappers_pb2 import StringValue
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from tests.fakes.echo_service import Echo
from tests.fakes.one_method import GET, OneMethod, get
from tests.fakes.rpc_world import messages_of, rpc_world
from trio_gcs.errors import NotFound
from trio_gcs.generated.ray.gcs_service_pb2 import InternalKVGetReply, InternalKVGetRequest
from trio_gcs.rpc.handlers import Parked

LATER, POLL = "/test.Echo/Later", "/test.Echo/Poll"


def text(value):
    return StringValue(value=value)


def value_of(answer):
    (message,) = messages_of(answer, StringValue)
    return message.value


async def test_a_promise_is_kept_later_and_only_once():
    echo = Echo()
    async with rpc_world(echo) as client:
        assert await client.ask(POLL, text("x")) is None
        (parked,) = echo.parked
        assert not parked.gone
        parked.answer(text("kept"))
        parked.answer(text("again"))
        parked.refuse(NotFound("again"))
        assert value_of((await client.settle())[1]) == "kept"
        assert parked.gone
        assert client.sent() == []


async def test_a_promise_may_be_kept_before_it_is_given():
    async with rpc_world(Echo()) as client:
        assert value_of(await client.ask(POLL, text("early"))) == "early"


async def test_a_promise_may_be_broken_with_an_error():
    echo = Echo()
    async with rpc_world(echo) as client:
        await client.ask(POLL, text("x"))
        echo.parked[0].refuse(NotFound("no such thing"))
        assert (await client.settle())[1].headers["grpc-message"] == "NotFound"


@pytest.mark.parametrize("how", ["cancelled", "disconnected"])
async def test_a_promise_to_a_caller_that_is_gone_is_gone(how):
    echo = Echo()
    async with rpc_world(echo) as client:
        stream_id = client.begin(POLL, text("x"))
        client.cancel(stream_id) if how == "cancelled" else client.connection.lost()
        assert echo.parked[0].gone
        echo.parked[0].answer(text("late"))
        assert client.sent() == []


async def test_promises_expire_each_at_its_deadline(autojump_clock):
    echo = Echo()
    async with rpc_world(echo) as client:
        for seconds in (5, 3, 9):
            client.begin(POLL, text("x"), ("grpc-timeout", f"{seconds}S"))
        client.begin(POLL, text("for ever"))
        expired = []
        for _ in range(12):
            await trio.sleep(1)
            expired += [
                (trio.current_time() // 1, sid) for sid, answer in (await client.settle()).items() if answer.status == 4
            ]
        begun = expired[0][0] - 3
        assert [(at - begun, sid) for at, sid in expired] == [(3, 3), (5, 1), (9, 5)]
        assert [parked.gone for parked in echo.parked] == [True, True, True, False]


async def test_ten_thousand_promises_cost_no_task():
    echo = Echo()
    async with rpc_world(echo) as client:
        before = trio.lowlevel.current_statistics().tasks_living
        for _ in range(10_000):
            client.begin(POLL, text("x"), ("grpc-timeout", "100S"))
        assert trio.lowlevel.current_statistics().tasks_living == before
        for parked in echo.parked:
            parked.answer(text("kept"))
        assert len(await client.settle()) == 10_000
        # What has been answered does not stay in the heap of deadlines for long.
        for _ in range(12_000):
            client.begin(POLL, text("early"), ("grpc-timeout", "100S"))
        echo.parked.clear()
        assert len(client.dispatch.deadlines) < 30_000


async def test_an_async_handler_may_promise_too():
    promise = Parked()

    async def handler(_self, _request):
        await trio.lowlevel.checkpoint()
        return promise

    async with rpc_world(OneMethod(handler)) as client:
        assert await client.ask(GET, InternalKVGetRequest()) is None
        promise.answer(InternalKVGetReply(value=b"late"))
        assert messages_of((await client.settle())[1], InternalKVGetReply)[0].value == b"late"


async def test_nothing_is_promised_while_the_server_stops():
    async with rpc_world(Echo()) as client:
        client.dispatch.stopping = True
        assert (await client.ask(POLL, text("x"))).status == Status.UNAVAILABLE.value
        stream_id = client.open("/test.Echo/Chat")
        assert (await client.settle())[stream_id].status == Status.UNAVAILABLE.value
        assert value_of(await client.ask("/test.Echo/Now", text("still"))) == "still"


async def test_a_deadline_cancels_the_handler_and_tells_the_caller(autojump_clock):
    echo = Echo()
    async with rpc_world(echo) as client:
        client.begin(LATER, text("gate"), ("grpc-timeout", "5S"))
        await trio.sleep(4.9)
        assert echo.cancelled == []
        await trio.sleep(0.2)
        assert echo.cancelled == ["gate"]
        assert (await client.settle())[1].status == Status.DEADLINE_EXCEEDED.value
        assert value_of(await client.ask(LATER, text("next"))) == "next"


@pytest.mark.parametrize("started", [True, False])
async def test_a_caller_that_cancels_cancels_the_handler(started):
    echo = Echo()
    async with rpc_world(echo) as client:
        stream_id = client.begin(LATER, text("gate"))
        if started:
            await trio.testing.wait_all_tasks_blocked()
        client.cancel(stream_id)
        assert await client.settle() == {}
        assert echo.cancelled == (["gate"] if started else [])
        assert echo.started == (["gate"] if started else [])
        for number in range(3):
            assert value_of(await client.ask(LATER, text(str(number)))) == str(number)


async def test_a_handler_may_see_its_deadline(autojump_clock):
    seen = []

    async def handler(_self, _request):
        await trio.lowlevel.checkpoint()
        seen.append(trio.current_effective_deadline() - trio.current_time())
        return InternalKVGetReply()

    assert (await get(handler, ("grpc-timeout", "5S"))).status == 0
    assert 4.9 < seen[0] <= 5


async def test_workers_are_used_again():
    async with rpc_world(Echo()) as client:
        for _ in range(50):
            await client.ask(LATER, text("x"))
        tasks = trio.lowlevel.current_statistics().tasks_living
        for _ in range(50):
            await client.ask(LATER, text("x"))
        assert trio.lowlevel.current_statistics().tasks_living == tasks


async def test_a_unary_method_is_a_legal_handler_for_any_server():
    class Stream:
        def __init__(self):
            self.sent = []

        async def recv_message(self):
            return text("hello")

        async def send_message(self, message):
            self.sent.append(message.value)

    echo, stream = Echo(), Stream()
    await echo.Now(stream)
    await echo.Later(stream)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(echo.Poll, stream)
        await trio.testing.wait_all_tasks_blocked()
        echo.parked[0].answer(text("kept"))
    assert stream.sent == ["hello", "hello", "kept"]
    with pytest.raises(GRPCError):
        await echo.Fail(_Saying("grpc"))


class _Saying:
    def __init__(self, value):
        self._value = value

    async def recv_message(self):
        return text(self._value)
