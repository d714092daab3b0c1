"""The client's connection against h2 as the server: whatever is asked for arrives, and rules are kept."""

import gzip
import zlib

import pytest
from h2.errors import ErrorCodes
from h2.settings import SettingCodes
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.h2_server import HEAD, KEPT, H2Server, prefixed, pump
from trio_gcs.wire.client_call import Call
from trio_gcs.wire.client_connection import ClientConnection
from trio_gcs.wire.client_reply import FINE, Outcome
from trio_gcs.wire.client_sender import ClientLimits

GAVE_UP = Outcome(1, "given up")


def new_client(**limits: int) -> ClientConnection:
    return ClientConnection(KEPT, ClientLimits(**limits))


def unary(client: ClientConnection, message: bytes = b"", path: bytes = b"/a/B") -> Call:
    call = Call()
    client.open(call, path, (), message, end=True)
    return call


def connected(**server_settings: int) -> tuple[ClientConnection, H2Server]:
    client = new_client()
    server = H2Server({SettingCodes[key]: value for key, value in server_settings.items()})
    pump(client, server)
    return client, server


def test_a_unary_call_brings_its_reply_and_wakes_its_caller_once():
    client, server = connected()
    call = unary(client, b"question")
    pump(client, server)
    (request,) = server.ended
    assert request.messages == [b"question"]
    assert request.path == "/a/B"
    assert request.headers["te"] == "trailers"
    server.reply(1, b"answer")
    pump(client, server)
    assert call.outcome is FINE
    assert call.take_message() == b"answer"
    assert client.woken == [call]
    assert client.idle


def test_the_second_call_of_a_method_repeats_a_block_of_a_few_octets():
    client, server = connected()
    unary(client)
    first = len(client.take_output())
    unary(client)
    second = client.take_output()
    unary(client)
    assert len(second) < first / 2
    assert len(client.take_output()) == len(second)
    assert server


def test_the_outcome_of_trailers_only_has_status_message_and_details():
    client, server = connected()
    call = unary(client)
    pump(client, server)
    more = (("grpc-status", "5"), ("grpc-message", "no%20%C3%A9"), ("grpc-status-details-bin", "cmF3"))
    server.head(1, (*HEAD, *more), end=True)
    pump(client, server)
    assert call.outcome == Outcome(5, "no é", b"raw")
    assert call.head is call.trailers


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ([(":status", "401"), ("content-type", "text/html")], 16),
        ([(":status", "404")], 12),
        ([(":status", "503")], 14),
        ([(":status", "302")], 2),
        ([(":status", "200"), ("content-type", "text/html")], 2),
        ([(":status", "200")], 2),
        ([(":status", "200"), ("content-type", "application/grpc+proto")], 2),  # ends without a status
        ([(":status", "503"), ("content-type", "application/grpc"), ("grpc-status", "8")], 8),
        ([(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "77")], 2),
        ([(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "-1")], 2),
    ],
)
def test_a_reply_that_is_no_grpc_becomes_a_status(head, status):
    client, server = connected()
    call = unary(client)
    pump(client, server)
    server.head(1, head, end=True)
    pump(client, server)
    assert call.outcome is not None
    assert call.outcome.status == status


@pytest.mark.parametrize(
    ("code", "status", "refused"),
    [
        (ErrorCodes.REFUSED_STREAM, 14, True),
        (ErrorCodes.CANCEL, 1, False),
        (ErrorCodes.ENHANCE_YOUR_CALM, 8, False),
        (ErrorCodes.NO_ERROR, 13, False),
        (ErrorCodes.INTERNAL_ERROR, 13, False),
    ],
)
def test_a_reset_becomes_a_status_and_says_whether_to_ask_again(code, status, refused):
    client, server = connected()
    call = unary(client)
    pump(client, server)
    server.reset(1, code)
    pump(client, server)
    assert call.outcome is not None
    assert (call.outcome.status, call.refused) == (status, refused)


def test_calls_beyond_the_servers_limit_wait_in_line_and_keep_their_order():
    client, server = connected(MAX_CONCURRENT_STREAMS=2)
    calls = [unary(client, b"%d" % number) for number in range(5)]
    pump(client, server)
    assert [request.messages for request in server.ended] == [[b"0"], [b"1"]]
    client.cancel(calls[2], GAVE_UP)
    server.reply(1, b"")
    pump(client, server)
    assert server.ended[-1].messages == [b"3"]
    for stream_id in (3, 5, 7):
        server.reply(stream_id, b"")
        pump(client, server)
    assert [call.outcome for call in calls] == [FINE, FINE, GAVE_UP, FINE, FINE]
    assert client.idle


def test_a_cancelled_call_is_reset_and_its_late_reply_ignored():
    client, server = connected()
    call = unary(client)
    other = unary(client)
    pump(client, server)
    server.reply(1, b"too late")
    late = server.take()
    client.cancel(call, GAVE_UP)
    client.receive(late)
    server.reply(3, b"in time")
    client.receive(server.take())
    assert call.outcome == GAVE_UP
    assert other.outcome is FINE
    server.receive(client.take_output())
    assert client.closed is None


def test_goaway_lets_earlier_calls_end_and_refuses_later_ones():
    client, server = connected()
    early, late = unary(client), unary(client)
    pump(client, server)
    server.connection.close_connection(last_stream_id=1, additional_data=b"bye")
    client.receive(server.take())
    assert early.outcome is None
    assert late.outcome is not None
    assert late.outcome.status == 14
    assert "bye" in (late.outcome.message or "")
    assert late.refused
    assert not client.can_open
    too_late = unary(client)
    assert too_late.refused
    client.lost("the server closed the connection")
    assert early.outcome == Outcome(14, "the server closed the connection")
    assert not early.refused


def test_a_stream_of_messages_goes_both_ways():
    client, server = connected()
    call = Call()
    call.eager = True
    client.open(call, b"/a/S", (), None, end=False)
    client.send(call, b"one", end=False)
    pump(client, server)
    server.head(1)
    server.data(1, prefixed(b"1"))
    pump(client, server)
    assert call.take_message() == b"1"
    client.send(call, b"two", end=False)
    client.end(call)
    pump(client, server)
    assert server.requests[1].messages == [b"one", b"two"]
    assert server.requests[1].ended
    server.trailers(1)
    pump(client, server)
    assert call.outcome is FINE


def test_a_server_that_ends_early_is_told_that_nothing_more_comes():
    client, server = connected()
    call = Call()
    client.open(call, b"/a/S", (), None, end=False)
    pump(client, server)
    server.refuse(1, 9, "enough")
    pump(client, server)
    assert call.outcome == Outcome(9, "enough")
    assert server.requests[1].reset == ErrorCodes.NO_ERROR


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_replies_are_read(encoding, pack):
    client, server = connected()
    call = unary(client)
    pump(client, server)
    server.head(1, (*HEAD, ("grpc-encoding", encoding)))
    server.data(1, prefixed(pack(b"x" * 1000), 1))
    server.trailers(1)
    pump(client, server)
    assert call.outcome is FINE
    assert call.take_message() == b"x" * 1000


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (prefixed(b"x", 1), 13),  # compressed by nothing that was named
        (prefixed(b"x", 2), 13),
        (prefixed(b"x" * 101), 8),
        (prefixed(b"x" * 50)[:-1], 13),  # cut short
    ],
)
def test_unfit_messages_end_their_call_alone(octets, status):
    client = new_client(message_bytes_max=100)
    server = H2Server()
    bad, good = unary(client), unary(client)
    pump(client, server)
    server.head(1)
    server.data(1, octets)
    server.trailers(1)
    server.reply(3, b"fine")
    pump(client, server)
    assert bad.outcome is not None
    assert bad.outcome.status == status
    assert good.outcome is FINE


def test_a_compressed_message_may_not_inflate_beyond_the_limit():
    client = new_client(message_bytes_max=1000)
    server = H2Server()
    call = unary(client)
    pump(client, server)
    server.head(1, (*HEAD, ("grpc-encoding", "gzip")))
    server.data(1, prefixed(gzip.compress(bytes(100_000)), 1))
    pump(client, server)
    assert call.outcome is not None
    assert call.outcome.status == 8


def test_a_stream_that_nobody_reads_stops_at_its_window():
    client = new_client(stream_window_bytes=70_000)
    server = H2Server()
    call = Call()
    client.open(call, b"/a/S", (), b"", end=True)
    pump(client, server)
    server.head(1)
    for _ in range(20):
        server.data(1, prefixed(bytes(9_995)))
    pump(client, server)
    assert len(call.messages) == 7
    while call.messages:
        call.take_message()
        client.credit(call)
        pump(client, server)
    server.trailers(1)
    pump(client, server)
    assert call.outcome is FINE


def test_a_resized_header_table_is_obeyed():
    client, server = connected()
    unary(client)
    pump(client, server)
    server.connection.update_settings({SettingCodes.HEADER_TABLE_SIZE: 0})
    pump(client, server)
    for _ in range(3):
        unary(client)
    pump(client, server)
    assert [request.path for request in server.ended] == ["/a/B"] * 4


def test_pings_are_answered_and_sent():
    client, server = connected()
    server.connection.ping(b"12345678")
    client.ping()
    pump(client, server)
    assert server.pings == 1
    assert client.pongs_count == 1


SIZES = st.one_of(st.integers(0, 40), st.integers(16_370, 16_390), st.integers(60_000, 90_000))
CALLS = st.lists(st.tuples(SIZES, SIZES, st.sampled_from([b"/a/B", b"/a/C", b"/long/" + b"x" * 200])), max_size=8)


@settings(max_examples=150, deadline=None)
@given(
    calls=CALLS,
    window=st.sampled_from([0, 2_000, 65_535, 1_000_000]),
    streams_max=st.integers(1, 6),
    table_size=st.sampled_from([0, 50, 200, 4096, 65_536]),
    frame_size=st.sampled_from([16_384, 100_000]),
    own_window=st.sampled_from([1_000, 65_535, 1_000_000]),
    chunks=st.lists(st.one_of(st.integers(1, 30), st.integers(1_000, 30_000)), min_size=1, max_size=8),
)
def test_every_body_arrives_whole_whatever_the_windows(  # noqa: PLR0917 - as many as there are dimensions
    calls, window, streams_max, table_size, frame_size, own_window, chunks
):
    def sizes():
        while True:
            yield from chunks

    client = new_client(stream_window_bytes=own_window)
    server = H2Server(
        {
            SettingCodes.INITIAL_WINDOW_SIZE: window,
            SettingCodes.MAX_CONCURRENT_STREAMS: streams_max,
            SettingCodes.HEADER_TABLE_SIZE: table_size,
            SettingCodes.MAX_FRAME_SIZE: frame_size,
        }
    )
    piecewise = sizes() if sum(max(pair[:2]) for pair in calls) < 50_000 else None
    pump(client, server)  # h2 takes a larger frame size only from the next octets on
    made = [(unary(client, bytes(asked), path), asked, answered) for asked, answered, path in calls]
    for _ in range(len(calls) + 1):
        pump(client, server, piecewise)
        if window < 65_535 and server.requests:
            # A server that grants so little at first grants more later.
            for request in server.requests.values():
                if not request.ended:
                    server.connection.increment_flow_control_window(300_000, request.stream_id)
            pump(client, server, piecewise)
        for request in server.ended:
            asked, answered, path = calls[request.stream_id // 2]
            assert request.path == path.decode()
            assert request.messages == [bytes(asked)]
            server.reply(request.stream_id, bytes(answered))
        server.ended.clear()
    pump(client, server, piecewise)
    for call, _, answered in made:
        assert call.outcome is FINE
        assert call.take_message() == bytes(answered)
    assert client.idle
