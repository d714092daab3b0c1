"""The gate: what reaches a handler, what its outcome becomes, and when it leaves."""

import pytest
import structlog
import trio
from google.protobuf.wrappers_pb2 import StringValue
from grpclib.const import Status

from tests.fakes.echo_service import Echo
from tests.fakes.one_method import GET, OneMethod, get
from tests.fakes.rpc_world import FakeSettler, messages_of, rpc_world
from trio_gcs.errors import Code, Invalid, NotFound, StoreError
from trio_gcs.generated.ray.gcs_service_pb2 import InternalKVGetReply, InternalKVGetRequest
from trio_gcs.rpc.metrics_export import CallCollector

NOW, LATER, POLL, FAIL, CHAT = (f"/test.Echo/{name}" for name in ("Now", "Later", "Poll", "Fail", "Chat"))


def text(value):
    return StringValue(value=value)


def value_of(answer):
    (message,) = messages_of(answer, StringValue)
    return message.value


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
    async with rpc_world(OneMethod(raising(NotFound("x" * 100_000)), StringValue)) as client:
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
    with pytest.RaisesGroup(KeyboardInterrupt):
        await get(raising(KeyboardInterrupt()))


# Durability.


@pytest.mark.parametrize("outcome", ["reply", "error"])
async def test_nothing_leaves_before_it_is_durable(outcome):
    settler = FakeSettler()

    def handler(_self, _request):
        settler.touch("row")
        if outcome == "error":
            raise NotFound("undurably")
        return InternalKVGetReply(value=b"x")

    async with rpc_world(OneMethod(handler), settler=settler) as client:
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

    async with rpc_world(OneMethod(handler), settler=settler) as client:
        client.begin(GET, InternalKVGetRequest(), ("grpc-timeout", "5S"))
        await trio.sleep(6)
        assert (await client.settle())[1].status == Status.DEADLINE_EXCEEDED.value


async def test_a_store_that_fails_while_a_reply_waits_ends_the_daemon():
    settler = FakeSettler()

    def handler(_self, _request):
        settler.touch("row")
        return InternalKVGetReply()

    with pytest.RaisesGroup(StoreError):
        async with rpc_world(OneMethod(handler), settler=settler) as client:
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
