"""Streaming handlers: order, back-pressure, and every way to end."""

import pytest
import trio
from google.protobuf.wrappers_pb2 import StringValue
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError, ProtocolError

from tests.fakes.echo_service import Echo
from tests.fakes.rpc_world import messages_of, rpc_world
from trio_gcs.wire import frames

CHAT, COUNT, SUM = "/test.Echo/Chat", "/test.Echo/Count", "/test.Echo/Sum"


def text(value):
    return StringValue(value=value)


class Octets(bytes):
    def SerializeToString(self):
        return bytes(self)


class Talk:
    """A service whose only method is the handler that the test brings."""

    def __init__(self, handler):
        self._handler = handler

    def __mapping__(self):
        return {"/t.Talk/Talk": Handler(self._handler, Cardinality.STREAM_STREAM, StringValue, StringValue)}


TALK = "/t.Talk/Talk"


async def test_initial_metadata_leaves_at_once_and_messages_are_answered_one_by_one():
    async with rpc_world(Echo()) as client:
        stream_id = client.open(CHAT)
        answer = (await client.settle())[stream_id]
        assert answer.headers["greeting"] == "hello"
        assert answer.headers["token-bin"] == "AAH/"
        for word in ("a", "b"):
            client.say(stream_id, text(word))
            assert [m.value for m in messages_of((await client.settle())[stream_id], StringValue)] == [word.upper()]
        client.say(stream_id, None, last=True)
        answer = (await client.settle())[stream_id]
        assert (answer.status, answer.headers["farewell"]) == (0, "bye")


async def test_a_call_with_many_requests_has_one_reply():
    async with rpc_world(Echo()) as client:
        stream_id = client.open(SUM)
        for number in range(10):
            client.say(stream_id, text(str(number)), last=number == 9)
        answer = (await client.settle())[stream_id]
        assert messages_of(answer, StringValue)[0].value == "45"
        assert answer.status == 0


@pytest.mark.parametrize(("octets", "status"), [(b"\xff" * 9, Status.INTERNAL), (b"", Status.DATA_LOSS)])
async def test_a_handler_with_a_nursery_says_the_same_as_one_without(octets, status):
    async def talk(stream):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await stream.recv_message()
            raise GRPCError(Status.DATA_LOSS, "as you wish")

    async with rpc_world(Talk(talk)) as client:
        stream_id = client.open(TALK)
        client.say(stream_id, Octets(octets))
        answer = (await client.settle())[stream_id]
        assert answer.status == status.value
        assert answer.headers["grpc-message"] != "Internal Server Error"


async def test_a_handler_that_raises_ends_the_call_with_status_and_details():
    async with rpc_world(Echo()) as client:
        stream_id = client.open(CHAT)
        client.say(stream_id, text("raise"))
        answer = (await client.settle())[stream_id]
        assert (answer.status, answer.headers["grpc-message"]) == (Status.DATA_LOSS.value, "as you wish")
        assert answer.headers["grpc-status-details-bin"] == "ZGV0YWlscw"


async def test_a_message_that_does_not_parse_ends_the_stream():
    async with rpc_world(Echo()) as client:
        stream_id = client.open(CHAT)
        client.send(client.body(stream_id, b"\0\0\0\0\3\xff\xff\xff", 0))
        answer = (await client.settle())[stream_id]
        assert (answer.status, answer.headers["grpc-message"]) == (Status.INTERNAL.value, "Unable to parse request")


async def test_a_sender_waits_for_the_window_of_its_reader():
    async with rpc_world(Echo()) as client:
        stream_id = client.open(COUNT)
        client.say(stream_id, text("200"), last=True)
        received = len((await client.settle())[stream_id].body)
        assert 60_000 < received <= 65_535
        # One message waits, the others were not even made.
        assert client.connection.unread_bytes < 2100
        while received < 200 * 1000:
            client.send(frames.window_update_frame(0, 20_000) + frames.window_update_frame(stream_id, 20_000))
            answer = (await client.settle())[stream_id]
            received += len(answer.body)
        assert answer.status == 0


async def test_a_sender_waits_for_the_socket_of_its_reader():
    async with rpc_world(Echo()) as client:
        client.send(frames.settings_frame([(frames.INITIAL_WINDOW_SIZE, 2**31 - 1)]))
        client.send(frames.window_update_frame(0, 2**31 - 1 - 65_535))
        stream_id = client.open(COUNT)
        client.say(stream_id, text("100000"), last=True)
        await trio.testing.wait_all_tasks_blocked()
        assert 500_000 < client.connection.unsent_bytes < 600_000


async def test_a_reader_that_does_not_read_does_not_hurt_a_neighbour_on_its_connection():
    async with rpc_world(Echo()) as client:
        client.send(frames.window_update_frame(0, 1_000_000))
        stuck = client.open(COUNT)
        client.say(stuck, text("200"), last=True)
        await client.settle()
        assert (await client.ask("/test.Echo/Now", text("x"))).status == 0


@pytest.mark.parametrize("how", ["reset", "disconnected"])
async def test_a_caller_that_goes_cancels_the_handler(how):
    echo = Echo()
    async with rpc_world(echo) as client:
        stream_id = client.open(CHAT)
        await client.settle()
        client.cancel(stream_id) if how == "reset" else client.connection.lost()
        assert await client.settle() == {}
        assert echo.cancelled == ["chat"]


async def test_a_deadline_ends_a_stream(autojump_clock):
    echo = Echo()
    async with rpc_world(echo) as client:
        stream_id = client.open(CHAT, ("grpc-timeout", "5S"))
        await trio.sleep(6)
        answer = (await client.settle())[stream_id]
        assert answer.status == Status.DEADLINE_EXCEEDED.value
        assert echo.cancelled == ["chat"]


async def test_metadata_is_case_insensitive_and_keeps_what_came_twice():
    seen = []

    async def handler(stream):
        seen.append(stream.metadata)
        seen.append(stream.deadline)

    async with rpc_world(Talk(handler)) as client:
        headers = [("node_id", "ab"), ("authorization", "one"), ("authorization", "two"), ("x-bin", "AAH/")]
        stream_id = client.open(TALK, *headers)
        assert (await client.settle())[stream_id].status == 0
    metadata, deadline = seen
    assert metadata["Node_ID"] == "ab"
    assert metadata.getall("Authorization") == ["one", "two"]
    assert metadata["x-bin"] == b"\0\1\xff"
    assert "te" not in metadata
    assert deadline > trio.current_time() + 1e6


async def test_two_tasks_may_read_and_write_at_once():
    async def handler(stream):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.send_message, text("unasked"))
            async for message in stream:
                nursery.start_soon(stream.send_message, message)

    async with rpc_world(Talk(handler)) as client:
        stream_id = client.open(TALK)
        for word in ("a", "b"):
            client.say(stream_id, text(word), last=word == "b")
        answer = (await client.settle())[stream_id]
        assert sorted(m.value for m in messages_of(answer, StringValue)) == ["a", "b", "unasked"]
        assert answer.status == 0


async def test_saying_things_out_of_order_is_a_bug_of_the_handler():
    async def handler(stream):
        await stream.send_initial_metadata()
        with pytest.raises(ProtocolError):
            await stream.send_initial_metadata()
        await stream.send_trailing_metadata(status=Status.ABORTED, status_message="enough")
        with pytest.raises(ProtocolError):
            await stream.send_message(text("more"))
        with pytest.raises(ProtocolError):
            await stream.send_trailing_metadata()

    async with rpc_world(Talk(handler)) as client:
        stream_id = client.open(TALK)
        answer = (await client.settle())[stream_id]
        assert (answer.status, answer.headers["grpc-message"]) == (Status.ABORTED.value, "enough")


async def test_the_end_of_a_call_before_the_caller_has_ended_tells_it_to_send_no_more():
    async def handler(stream):
        await stream.send_message(text("enough"))

    async with rpc_world(Talk(handler)) as client:
        stream_id = client.open(TALK)
        answer = (await client.settle())[stream_id]
        assert (answer.status, answer.resets) == (0, [0])
        client.say(stream_id, text("too late"), last=True)
        assert await client.settle() == {}
        assert client.goaway is None


async def test_a_handler_may_reset_its_stream():
    async def handler(stream):
        await stream.cancel()

    async with rpc_world(Talk(handler)) as client:
        stream_id = client.open(TALK)
        assert (await client.settle())[stream_id].resets == [8]
