"""The gate: what reaches a handler, what its outcome becomes, and when it leaves."""

import pytest
import structlog
import trio
from google.protobuf.wrappers_pb2 import StringValue
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError

from tests.fakes.echo_service import Echo
from tests.fakes.rpc_world import FakeSettler, messages_of, rpc_world
from trio_gcs.errors import Code, Invalid, NotFound, StoreError
from trio_gcs.generated.ray.gcs_service_pb2 import InternalKVGetReply, InternalKVGetRequest
from trio_gcs.rpc.handlers import Parked, unary
from trio_gcs.rpc.metrics import CallCollector

NOW, LATER, POLL, FAIL, CHAT = (f"/test.Echo/{name}" for name in ("Now", "Later", "Poll", "Fail", "Chat"))


def text(value):
    return StringValue(value=value)


def value_of(answer):
    (message,) = messages_of(answer, StringValue)
    return message.value


class Store:
    """One method, of the kind that the test wants."""

    def __init__(self, function, reply_type=InternalKVGetReply):
        self._function = function
        self._reply_type = reply_type

    def __mapping__(self):
        kind = Cardinality.UNARY_UNARY
        handler = unary(self._function).__get__(self)
        return {"/kv.Store/Get": Handler(handler, kind, InternalKVGetRequest, self._reply_type)}


GET = "/kv.Store/Get"


async def get(function, *headers, **world):
    async with rpc_world(Store(function), **world) as client:
        return await client.ask(GET, InternalKVGetRequest(key=b"k"), *headers)


def raising(error):
    def handler(_self, _request):
        raise error

    return handler


@pytest.mark.parametrize("path", [NOW, LATER])
async def test_a_handler_is_asked_and_its_reply_sent(path):
    async with rpc_world(Echo()) as client:
        assert value_of(await client.ask(path, text("hello"))) == "hello"


async def test_a_success_carries_an_empty_but_present_status():
    answer = await get(lambda _, request: InternalKVGetReply(value=request.key))
    assert answer.body[5:].startswith(b"\n\0")
    assert messages_of(answer, InternalKVGetReply)[0].value == b"k"


async def test_a_status_that_the_handler_set_stays():
    def handler(_self, _request):
        reply = InternalKVGetReply()
        reply.status.code = 17
        return reply

    (reply,) = messages_of(await get(handler), InternalKVGetReply)
    assert reply.status.code == 17


async def test_an_error_goes_into_the_replys_status_where_it_has_one():
    (reply,) = messages_of(await get(raising(Invalid("not like this"))), InternalKVGetReply)
    assert (reply.status.code, reply.status.message) == (Code.INVALID, "not like this")


@pytest.mark.parametrize("path", [FAIL, LATER])
async def test_elsewhere_an_error_is_aborted_with_the_codes_name_and_the_text_in_the_details(path):
    async with rpc_world(Echo()) as client:
        answer = await client.ask(path, text("told"))
    assert answer.status == Status.ABORTED.value
    assert answer.headers["grpc-message"] == "NotFound"
    assert answer.headers["grpc-status-details-bin"] == "bm8gc3VjaCB0aGluZw"


async def test_details_stay_within_what_clients_take():
    answer = await get(raising(NotFound("x" * 50_000)))
    assert len(messages_of(answer, InternalKVGetReply)[0].status.message) == 50_000
    async with rpc_world(Store(raising(NotFound("x" * 100_000)), StringValue)) as client:
        answer = await client.ask(GET, InternalKVGetRequest())
    assert len(answer.headers["grpc-status-details-bin"]) < 8000


async def test_an_error_of_grpc_passes_through():
    async with rpc_world(Echo()) as client:
        answer = await client.ask(FAIL, text("grpc"))
    assert answer.status == Status.DATA_LOSS.value
    assert answer.headers["grpc-message"] == "gone: 100%25 of %C3%BC"


@pytest.mark.parametrize("path", [NOW, LATER, POLL])
async def test_a_message_that_does_not_parse_is_answered_as_the_original_does(path):
    async with rpc_world(Echo()) as client:
        answer = await client.ask(path, b"\xff\xff\xff")
    assert (answer.status, answer.headers["grpc-message"]) == (Status.INTERNAL.value, "Unable to parse request")


@pytest.fixture
def log_entries():
    with structlog.testing.capture_logs() as entries:
        yield entries


async def test_a_bug_costs_one_call_and_is_logged_with_its_traceback(log_entries):
    async with rpc_world(Echo()) as client:
        waiting = client.begin(LATER, text("gate"))
        answer = await client.ask(FAIL, text("bug"))
        assert (answer.status, answer.headers["grpc-message"]) == (Status.INTERNAL.value, "Internal Server Error")
        client.dispatch.methods[LATER.encode()].handler.__self__.gate.set()
        assert value_of((await client.settle())[waiting]) == "gate"
    (entry,) = log_entries
    assert entry["method"] == "Fail"
    assert repr(entry["exc_info"]) == "ValueError('bug')"


@pytest.mark.parametrize("error", [AssertionError("believed"), StoreError("gone")])
@pytest.mark.parametrize("waits", [False, True])
async def test_what_the_daemon_cannot_survive_goes_on_up(error, waits):
    def fails(_self, _request):
        raise error

    async def fails_later(_self, _request):
        await trio.lowlevel.checkpoint()
        raise error

    with pytest.RaisesGroup(type(error)):
        await get(fails_later if waits else fails)


async def test_an_assertion_inside_a_group_goes_on_up_too():
    async def fails(_self, _request):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 0)
            raise AssertionError("believed")

    with pytest.RaisesGroup(pytest.RaisesGroup(AssertionError)):
        await get(fails)


async def test_a_reply_of_a_wrong_type_is_a_bug_of_that_call(log_entries):
    answer = await get(lambda *_: None)
    assert answer.status == Status.INTERNAL.value
    assert log_entries


async def test_keyboard_interrupt_is_nobodys_to_swallow():
    with pytest.raises(BaseExceptionGroup) as caught:
        await get(raising(KeyboardInterrupt()))
    assert caught.value.subgroup(KeyboardInterrupt)


# Durability.


@pytest.mark.parametrize("outcome", ["reply", "error"])
async def test_nothing_leaves_before_it_is_durable(outcome):
    settler = FakeSettler()

    def handler(_self, _request):
        settler.touch("row")
        if outcome == "error":
            raise NotFound("undurably")
        return InternalKVGetReply(value=b"x")

    async with rpc_world(Store(handler), settler=settler) as client:
        assert await client.ask(GET, InternalKVGetRequest()) is None
        settler.commit()
        assert (await client.settle())[1].status == 0


async def test_what_a_handler_did_not_touch_does_not_delay_it():
    settler = FakeSettler()
    settler.open = "somebody else's row"
    async with rpc_world(Echo(), settler=settler) as client:
        assert value_of(await client.ask(NOW, text("x"))) == "x"
        assert settler.waits_count == 0


async def test_a_handler_that_awaited_waits_for_everything():
    settler = FakeSettler()
    settler.open = "somebody's row"
    async with rpc_world(Echo(), settler=settler) as client:
        assert await client.ask(LATER, text("x")) is None
        settler.commit()
        assert value_of((await client.settle())[1]) == "x"


async def test_a_deadline_ends_the_wait_for_durability(autojump_clock):
    settler = FakeSettler()

    def handler(_self, _request):
        settler.touch("row")
        return InternalKVGetReply()

    async with rpc_world(Store(handler), settler=settler) as client:
        client.begin(GET, InternalKVGetRequest(), ("grpc-timeout", "5S"))
        await trio.sleep(6)
        assert (await client.settle())[1].status == Status.DEADLINE_EXCEEDED.value


async def test_a_store_that_fails_while_a_reply_waits_ends_the_daemon():
    settler = FakeSettler()

    def handler(_self, _request):
        settler.touch("row")
        return InternalKVGetReply()

    with pytest.RaisesGroup(StoreError):
        async with rpc_world(Store(handler), settler=settler) as client:
            await client.ask(GET, InternalKVGetRequest())
            settler.fail(StoreError("gone"))
            await trio.testing.wait_all_tasks_blocked()


# Counting.


async def test_every_call_is_counted_by_how_it_ended():
    async with rpc_world(Echo(), token="secret") as client:
        good = ("authorization", "Bearer secret")
        await client.ask(NOW, text("x"), good)
        await client.ask(NOW, text("x"))
        await client.ask(FAIL, text("grpc"), good)
        await client.ask(LATER, text("gate"), good)
        await client.ask(POLL, text("x"), good)
        cancelled = client.begin(POLL, text("x"), good)
        client.cancel(cancelled)
        await client.ask(NOW, text("x"), good, ("grpc-timeout", "0S"))
        samples = {
            (sample.name, sample.labels["method"], sample.labels.get("status")): sample.value
            for family in CallCollector(client.dispatch.counts).collect()
            for sample in family.samples
        }
    assert samples["trio_gcs_calls_total", "Now", "OK"] == 1
    assert samples["trio_gcs_calls_total", "Now", "UNAUTHENTICATED"] == 1
    assert samples["trio_gcs_calls_total", "Now", "DEADLINE_EXCEEDED"] == 1
    assert samples["trio_gcs_calls_total", "Fail", "DATA_LOSS"] == 1
    assert samples["trio_gcs_calls_total", "Poll", "CANCELLED"] == 1
    assert samples["trio_gcs_calls_in_flight", "Now", None] == 0
    assert samples["trio_gcs_calls_in_flight", "Later", None] == 1
    assert samples["trio_gcs_calls_in_flight", "Poll", None] == 1
    assert samples["trio_gcs_call_seconds_total", "Now", None] > 0


async def test_no_path_is_served_twice():
    with pytest.RaisesGroup(AssertionError, allow_unwrapped=True):
        async with rpc_world(Echo(), Echo()):
            pass


# Promises.


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

    async with rpc_world(Store(handler)) as client:
        assert await client.ask(GET, InternalKVGetRequest()) is None
        promise.answer(InternalKVGetReply(value=b"late"))
        assert messages_of((await client.settle())[1], InternalKVGetReply)[0].value == b"late"


# Ends of calls in tasks.


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
