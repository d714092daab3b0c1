"""A server that breaks rules, or babbles, ends one call or one connection, with the code that RFC 9113 names."""

from itertools import pairwise

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.h2_server import HEAD, KEPT, H2Server, prefixed
from trio_gcs.wire import frames
from trio_gcs.wire.client_call import Call
from trio_gcs.wire.client_connection import ClientConnection
from trio_gcs.wire.client_reply import FINE
from trio_gcs.wire.client_sender import ClientLimits
from trio_gcs.wire.frames import ErrorCode, frame, reset_frame, settings_frame, window_update_frame

SETTINGS = settings_frame(())
# :status 200 and content-type, then grpc-status 0: literals, so that they mean the same anywhere.
HEAD_BLOCK = b"\x88\x0f\x10\x10application/grpc"
STATUS_BLOCK = b"\x00\x0bgrpc-status\x010"
HEADERS = frame(frames.HEADERS, frames.END_HEADERS, 1, HEAD_BLOCK)
TRAILERS = frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, STATUS_BLOCK)
PROTOCOL, SIZE, FLOW = ErrorCode.PROTOCOL_ERROR, ErrorCode.FRAME_SIZE_ERROR, ErrorCode.FLOW_CONTROL_ERROR
FULL_WINDOW = b"".join(frame(frames.DATA, 0, 1, bytes(16_384)) for _ in range(5))


def client_with_call(**limits: int) -> tuple[ClientConnection, Call]:
    client = ClientConnection(KEPT, ClientLimits(**limits))
    call = Call()
    client.open(call, b"/a/B", (), b"question", end=True)
    client.take_output()
    return client, call


def frames_of(octets: bytes) -> list[tuple[int, int, bytes]]:
    found, at = [], 0
    while at < len(octets):
        word, _, stream_id = frames.unpack_header(octets, at)
        found.append((word & 0xFF, stream_id, octets[at + 9 : at + 9 + (word >> 8)]))
        at += 9 + (word >> 8)
    return found


def goaway_code(octets: bytes) -> int | None:
    for kind, _, payload in frames_of(octets):
        if kind == frames.GOAWAY:
            return frames.parse_goaway(payload)[1]
    return None


def raises_in_h2(octets: bytes) -> bool:
    oracle = H2Connection(H2Configuration(client_side=True))
    oracle.initiate_connection()
    oracle.send_headers(1, [(b":path", b"/a/B"), *KEPT], end_stream=True)
    try:
        oracle.receive_data(octets)
    except ProtocolError:
        return True
    return False


OF_THE_CONNECTION = {
    "no SETTINGS first": (HEADERS, PROTOCOL),
    "an ACK first": (frames.SETTINGS_ACK, PROTOCOL),
    "garbage": (b"HTTP/1.1 400 Bad Request\r\n\r\n", SIZE),
    "a frame that is too long": (SETTINGS + frame(frames.DATA, 0, 1, bytes(16_385)), SIZE),
    "SETTINGS of a stream": (SETTINGS + frame(frames.SETTINGS, 0, 1), PROTOCOL),
    "SETTINGS cut short": (SETTINGS + frame(frames.SETTINGS, 0, 0, b"12345"), SIZE),
    "SETTINGS that acknowledge and set": (SETTINGS + frame(frames.SETTINGS, frames.ACK, 0, bytes(6)), SIZE),
    "a window beyond all bounds": (settings_frame([(frames.INITIAL_WINDOW_SIZE, 2**31)]), FLOW),
    "a frame size below the least": (settings_frame([(frames.MAX_FRAME_SIZE, 16_383)]), PROTOCOL),
    "push enabled": (settings_frame([(frames.ENABLE_PUSH, 1)]), PROTOCOL),
    "a push": (SETTINGS + frame(frames.PUSH_PROMISE, frames.END_HEADERS, 1, b"\0\0\0\2\x82"), PROTOCOL),
    "PING of a stream": (SETTINGS + frame(frames.PING, 0, 1, bytes(8)), PROTOCOL),
    "PING of seven octets": (SETTINGS + frame(frames.PING, 0, 0, bytes(7)), SIZE),
    "GOAWAY of a stream": (SETTINGS + frame(frames.GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    "GOAWAY cut short": (SETTINGS + frame(frames.GOAWAY, 0, 0, bytes(7)), SIZE),
    "RST_STREAM cut short": (SETTINGS + frame(frames.RST_STREAM, 0, 1, bytes(3)), SIZE),
    "RST_STREAM of an idle stream": (SETTINGS + reset_frame(5, 0), PROTOCOL),
    "RST_STREAM of the connection": (SETTINGS + reset_frame(0, 0), PROTOCOL),
    "WINDOW_UPDATE cut short": (SETTINGS + frame(frames.WINDOW_UPDATE, 0, 0, bytes(3)), SIZE),
    "WINDOW_UPDATE by nothing": (SETTINGS + window_update_frame(0, 0), PROTOCOL),
    "WINDOW_UPDATE of an idle stream": (SETTINGS + window_update_frame(7, 1), PROTOCOL),
    "WINDOW_UPDATE beyond all bounds": (SETTINGS + window_update_frame(0, 2**31 - 1), FLOW),
    "DATA of the connection": (SETTINGS + frame(frames.DATA, 0, 0, b"x"), PROTOCOL),
    "DATA of an idle stream": (SETTINGS + frame(frames.DATA, 0, 3, b"x"), PROTOCOL),
    "DATA of our server's stream": (SETTINGS + frame(frames.DATA, 0, 2, b"x"), PROTOCOL),
    "padding longer than its frame": (SETTINGS + HEADERS + frame(frames.DATA, frames.PADDED, 1, b"\x05abc"), PROTOCOL),
    "padded, with nothing in it": (SETTINGS + HEADERS + frame(frames.DATA, frames.PADDED, 1), SIZE),
    "HEADERS of an idle stream": (
        SETTINGS + frame(frames.HEADERS, frames.END_HEADERS, 3, HEAD_BLOCK),
        PROTOCOL,
    ),
    "HEADERS interrupted": (SETTINGS + frame(frames.HEADERS, 0, 1, HEAD_BLOCK) + SETTINGS, PROTOCOL),
    "CONTINUATION of nothing": (SETTINGS + frame(frames.CONTINUATION, 4, 1, HEAD_BLOCK), PROTOCOL),
    "CONTINUATION of another stream": (
        SETTINGS + frame(frames.HEADERS, 0, 1, HEAD_BLOCK) + frame(frames.CONTINUATION, 4, 3),
        PROTOCOL,
    ),
    "a block that is no HPACK": (
        SETTINGS + frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff\xff\x0f"),
        ErrorCode.COMPRESSION_ERROR,
    ),
}

# The oracle is not strict about these.
FORGIVEN_BY_H2 = {"no SETTINGS first", "an ACK first", "garbage", "RST_STREAM of an idle stream"}

OF_A_CALL = {
    "DATA before HEADERS": (frame(frames.DATA, 0, 1, b"x"), PROTOCOL),
    "two heads": (HEADERS + HEADERS, PROTOCOL),
    "trailers first": (TRAILERS, PROTOCOL),
    "trailers that do not end": (
        HEADERS + frame(frames.HEADERS, frames.END_HEADERS, 1, STATUS_BLOCK),
        PROTOCOL,
    ),
    "an upper-case name": (frame(frames.HEADERS, frames.END_HEADERS, 1, HEAD_BLOCK + b"\x00\x01A\x01b"), PROTOCOL),
    "a request's pseudo-header": (frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x82" + HEAD_BLOCK), PROTOCOL),
    "a connection header": (
        frame(frames.HEADERS, frames.END_HEADERS, 1, HEAD_BLOCK + b"\x00\x0aconnection\x05close"),
        PROTOCOL,
    ),
    "an end that is informational": (
        frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, b"\x08\x03103"),
        PROTOCOL,
    ),
    "WINDOW_UPDATE by nothing": (window_update_frame(1, 0), PROTOCOL),
    "WINDOW_UPDATE beyond all bounds": (window_update_frame(1, 2**31 - 1), FLOW),
    "more DATA than the window": (HEADERS + frame(frames.DATA, 0, 1, prefixed(bytes(90_000))[:9]) + FULL_WINDOW, FLOW),
    "PRIORITY cut short": (frame(frames.PRIORITY, 0, 1, b"1234"), SIZE),
}


@pytest.mark.parametrize("name", OF_THE_CONNECTION)
def test_a_broken_rule_of_the_connection_ends_it_with_its_code(name):
    octets, code = OF_THE_CONNECTION[name]
    client, call = client_with_call()
    client.receive(octets)
    assert goaway_code(client.take_output()) == code
    assert client.closed is not None
    assert call.outcome is not None
    assert call.outcome.status == 14
    assert call.refused == (call.stream_id == 0)  # it may be sent again if it never left
    assert raises_in_h2(octets) != (name in FORGIVEN_BY_H2)


@pytest.mark.parametrize("name", OF_A_CALL)
def test_a_broken_rule_of_a_stream_ends_its_call_alone(name):
    octets, code = OF_A_CALL[name]
    # The window is what makes the peer's flood of data a fault; all that fits is taken before.
    client, call = client_with_call(stream_window_bytes=65_535, message_bytes_max=100_000)
    client.credit = lambda _call: None
    other = Call()
    client.open(other, b"/a/B", (), b"", end=True)
    client.take_output()
    client.receive(SETTINGS + octets)
    resets = [(stream, frames.parse_reset(body)) for kind, stream, body in frames_of(client.take_output()) if kind == 3]
    assert resets == [(1, code)]
    assert call.outcome is not None
    assert call.outcome.status == 13
    three = frame(frames.HEADERS, frames.END_HEADERS, 3, HEAD_BLOCK)
    client.receive(three + frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 3, STATUS_BLOCK))
    assert other.outcome is FINE
    assert client.closed is None


@pytest.mark.parametrize(
    "octets",
    [
        frame(0x77, 0xFF, 0, b"anything"),
        frame(0x77, 0xFF, 1, b"anything"),
        frame(frames.PRIORITY, 0, 9, bytes(5)),
        settings_frame([(0x99, 5)]),
        frame(frames.HEADERS, frames.END_HEADERS, 1, b"\x08\x03103"),
        frame(frames.WINDOW_UPDATE, 0xFF, 0x80000001, b"\x80\0\0\1"),
    ],
)
def test_what_must_be_ignored_is_ignored(octets):
    client, call = client_with_call()
    client.receive(SETTINGS + octets + HEADERS + frame(frames.DATA, 0, 1, prefixed(b"x")) + TRAILERS)
    assert call.outcome is FINE
    assert client.closed is None


def test_padding_and_priority_are_taken_off():
    client, call = client_with_call()
    client.receive(
        SETTINGS
        + frame(frames.HEADERS, 0x2C, 1, b"\x03" + bytes(5) + HEAD_BLOCK + bytes(3))
        + frame(frames.DATA, frames.PADDED, 1, b"\x04" + prefixed(b"answer") + bytes(4))
        + TRAILERS
    )
    assert call.outcome is FINE
    assert call.take_message() == b"answer"


@pytest.mark.parametrize("asking", [frame(frames.PING, 0, 0, bytes(8)), SETTINGS])
def test_a_flood_that_asks_for_answers_ends_the_connection(asking):
    client, call = client_with_call()
    client.receive(SETTINGS + asking * 10_001)
    assert goaway_code(client.take_output()) == ErrorCode.ENHANCE_YOUR_CALM
    assert call.outcome is not None


def test_a_header_block_without_end_ends_the_connection():
    client, _ = client_with_call(header_list_bytes_max=4_000)
    client.receive(SETTINGS + frame(frames.HEADERS, 0, 1, HEAD_BLOCK))
    for _ in range(3):
        client.receive(frame(frames.CONTINUATION, 0, 1, bytes(2_000)))
    assert goaway_code(client.take_output()) == ErrorCode.ENHANCE_YOUR_CALM


def test_a_header_list_that_unfolds_too_far_ends_the_connection():
    client, _ = client_with_call(header_list_bytes_max=4_000)
    block = HEAD_BLOCK + b"\x40\x01a\x7f\x81\x0e" + b"b" * 1_920 + b"\xbe" * 3
    client.receive(SETTINGS + frame(frames.HEADERS, frames.END_HEADERS, 1, block))
    assert goaway_code(client.take_output()) == ErrorCode.ENHANCE_YOUR_CALM


def transcript() -> bytes:
    """Return what a well-behaved server says to three calls."""
    client = ClientConnection(KEPT, ClientLimits())
    for _ in range(3):
        client.open(Call(), b"/a/B", (), b"question", end=True)
    server = H2Server()
    octets = server.take()
    client.receive(octets)
    server.receive(client.take_output())
    server.reply(1, b"answer" * 10)
    server.refuse(3, 5, "nothing there")
    server.head(5, (*HEAD, ("x-custom", "value")))
    server.connection.ping(bytes(8))
    server.data(5, prefixed(b"one") + prefixed(b"two"))
    server.trailers(5)
    server.connection.close_connection(additional_data=b"bye")
    return octets + server.take()


TRANSCRIPT = transcript()
CUTS = st.lists(st.integers(0, len(TRANSCRIPT)), max_size=6)
EDITS = st.lists(
    st.tuples(st.integers(0, len(TRANSCRIPT) - 1), st.sampled_from(["set", "insert", "delete"]), st.integers(0, 255)),
    max_size=8,
)


def edited(edits) -> bytes:
    octets = bytearray(TRANSCRIPT)
    for at, how, value in edits:
        if how == "insert":
            octets.insert(at, value)
        elif at < len(octets):
            octets[at : at + 1] = bytes([value]) if how == "set" else b""
    return bytes(octets)


@settings(max_examples=500, deadline=None)
@given(edits=EDITS, cuts=CUTS)
def test_mangled_octets_never_raise_and_every_call_gets_one_outcome(edits, cuts):
    client = ClientConnection(KEPT, ClientLimits(message_bytes_max=10_000))
    calls = [Call() for _ in range(3)]
    for call in calls:
        client.open(call, b"/a/B", (), b"question", end=True)
    octets = edited(edits)
    marks = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    for start, end in pairwise(marks):
        client.receive(octets[start:end])
    client.lost("the end")
    assert all(call.outcome is not None for call in calls)
    assert client.woken.count(calls[0]) == 1
    assert client.idle
    if not edits:
        assert [call.outcome.status for call in calls] == [0, 5, 0]


@settings(max_examples=300, deadline=None)
@given(octets=st.binary(max_size=300))
def test_noise_never_raises(octets):
    client, call = client_with_call()
    client.receive(SETTINGS + octets)
    client.lost("the end")
    assert call.outcome is not None
