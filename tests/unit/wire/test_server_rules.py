"""RFC 9113, rule by rule: what ends the connection, what ends the stream, and what must be borne."""

import pytest

from tests.fakes.wire_world import HEADERS, World, prefixed, with_header
from trio_gcs.wire import frames
from trio_gcs.wire.frames import ErrorCode, frame, pack_header

PROTOCOL, SIZE, FLOW = ErrorCode.PROTOCOL_ERROR, ErrorCode.FRAME_SIZE_ERROR, ErrorCode.FLOW_CONTROL_ERROR
ES, EH = frames.END_STREAM, frames.END_HEADERS


def goaway_of(world):
    """The code of the last frame, which must be GOAWAY."""
    last = [seen for seen in world.seen if seen.kind == frames.GOAWAY][-1]
    assert world.seen[-1] is last
    return int.from_bytes(last.payload[4:8], "big")


CONNECTION_ERRORS = {
    "data on stream zero": (frame(frames.DATA, 0, 0, b"x"), PROTOCOL),
    "headers on stream zero": (frame(frames.HEADERS, EH, 0, b"\x83"), PROTOCOL),
    "headers on an even stream": (frame(frames.HEADERS, EH, 2, b"\x83"), PROTOCOL),
    "data on an idle stream": (frame(frames.DATA, 0, 1, b"x"), PROTOCOL),
    "a reset of an idle stream": (frames.reset_frame(1, 8), PROTOCOL),
    "a reset of stream zero": (frames.reset_frame(0, 8), PROTOCOL),
    "a reset of the wrong size": (frame(frames.RST_STREAM, 0, 1, b"abc"), SIZE),
    "a window update of an idle stream": (frames.window_update_frame(1, 5), PROTOCOL),
    "a window update of nothing": (frames.window_update_frame(0, 0), PROTOCOL),
    "a window update of the wrong size": (frame(frames.WINDOW_UPDATE, 0, 0, b"abc"), SIZE),
    "a window over 2^31-1": (frames.window_update_frame(0, 2**31 - 1), FLOW),
    "settings on a stream": (frame(frames.SETTINGS, 0, 1), PROTOCOL),
    "settings of the wrong size": (frame(frames.SETTINGS, 0, 0, b"abc"), SIZE),
    "acknowledged settings with a payload": (frame(frames.SETTINGS, frames.ACK, 0, bytes(6)), SIZE),
    "enable push of two": (frames.settings_frame([(frames.ENABLE_PUSH, 2)]), PROTOCOL),
    "an initial window over 2^31-1": (frames.settings_frame([(frames.INITIAL_WINDOW_SIZE, 2**31)]), FLOW),
    "a frame size below 16384": (frames.settings_frame([(frames.MAX_FRAME_SIZE, 16_383)]), PROTOCOL),
    "a frame size above 2^24-1": (frames.settings_frame([(frames.MAX_FRAME_SIZE, 2**24)]), PROTOCOL),
    "a ping on a stream": (frame(frames.PING, 0, 1, bytes(8)), PROTOCOL),
    "a ping of the wrong size": (frame(frames.PING, 0, 0, bytes(7)), SIZE),
    "goaway on a stream": (frame(frames.GOAWAY, 0, 1, bytes(8)), PROTOCOL),
    "goaway of the wrong size": (frame(frames.GOAWAY, 0, 0, bytes(7)), SIZE),
    "a push promise of a client": (frame(frames.PUSH_PROMISE, EH, 1, bytes(8)), PROTOCOL),
    "a continuation of nothing": (frame(frames.CONTINUATION, EH, 1), PROTOCOL),
    "priority on stream zero": (frame(frames.PRIORITY, 0, 0, bytes(5)), PROTOCOL),
    "a header block interrupted by ping": (
        frame(frames.HEADERS, 0, 1, b"\x83") + frames.ping_frame(bytes(8)),
        PROTOCOL,
    ),
    "a header block interrupted by an unknown frame": (
        frame(frames.HEADERS, 0, 1, b"\x83") + frame(99, 0, 0),
        PROTOCOL,
    ),
    "a header block continued on another stream": (
        frame(frames.HEADERS, 0, 1, b"\x83") + frame(frames.CONTINUATION, EH, 3),
        PROTOCOL,
    ),
    "padding longer than the frame": (frame(frames.HEADERS, EH | frames.PADDED, 1, b"\x05abc"), PROTOCOL),
    "a padded frame without a pad length": (frame(frames.HEADERS, EH | frames.PADDED, 1), SIZE),
    "headers too short for their priority": (frame(frames.HEADERS, EH | frames.PRIORITY_FLAG, 1, b"abc"), SIZE),
    "a frame over our size": (pack_header(65_537 << 8, 0, 1), SIZE),
    "a block that does not decode": (
        frame(frames.HEADERS, EH, 1, b"\xff\xff\xff\xff\xff"),
        ErrorCode.COMPRESSION_ERROR,
    ),
    "a block with an index out of the table": (frame(frames.HEADERS, EH, 1, b"\xfe"), ErrorCode.COMPRESSION_ERROR),
    "a table larger than allowed": (frame(frames.HEADERS, EH, 1, b"\x3f\xe2\x1f"), ErrorCode.COMPRESSION_ERROR),
}


@pytest.mark.parametrize(("octets", "code"), CONNECTION_ERRORS.values(), ids=CONNECTION_ERRORS)
def test_it_ends_the_connection(octets, code):
    world = World()
    world.send(octets)
    assert goaway_of(world) == code
    assert world.connection.closed


@pytest.mark.parametrize(("octets", "code"), CONNECTION_ERRORS.values(), ids=CONNECTION_ERRORS)
def test_it_ends_the_connection_octet_by_octet_too(octets, code):
    world = World()
    for octet in octets:
        world.send(bytes((octet,)))
    assert goaway_of(world) == code


MALFORMED = {
    "an upper-case name": [*HEADERS, ("Upper", "x")],
    "a connection header": [*HEADERS, ("connection", "close")],
    "transfer-encoding": [*HEADERS, ("transfer-encoding", "chunked")],
    "te other than trailers": with_header(("te", "gzip")),
    "a pseudo-header after a regular one": [*HEADERS, (":path", "/x")],
    "an unknown pseudo-header": [(":what", "x"), *HEADERS],
    "a response's pseudo-header": [(":status", "200"), *HEADERS],
    "a repeated pseudo-header": [(":method", "POST"), *HEADERS],
    "no method": HEADERS[1:],
    "no scheme": [HEADERS[0], *HEADERS[2:]],
    "no path": [*HEADERS[:2], *HEADERS[3:]],
    "an empty path": with_header((":path", "")),
    "a line break in a value": [*HEADERS, ("a", "b\r\nc")],
    "a NUL in a value": [*HEADERS, ("a", "b\0c")],
    "a space in a name": [*HEADERS, ("a b", "c")],
    "an empty name": [*HEADERS, ("", "c")],
    "content-length that is no number": [*HEADERS, ("content-length", "x")],
}


@pytest.mark.parametrize("headers", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_request_costs_its_stream_only(headers):
    world = World()
    world.send(world.head(1, headers) + world.body(1, prefixed(b"x")))
    assert world.answers()[1].resets == [PROTOCOL]
    assert world.call(stream_id=3).body == prefixed(b"hello")


def test_the_first_frame_is_settings():
    world = World(greet=False)
    world.send(frames.PREFACE + frames.ping_frame(bytes(8)))
    assert goaway_of(world) == PROTOCOL


def test_the_first_frame_is_not_an_acknowledgement():
    world = World(greet=False)
    world.send(frames.PREFACE + frames.SETTINGS_ACK)
    assert goaway_of(world) == PROTOCOL


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\n", b"X", frames.PREFACE[:-1] + b"x"])
def test_another_preface_is_refused_at_its_first_wrong_octet(octets):
    world = World(greet=False)
    world.send(octets)
    assert world.goaway == PROTOCOL


def test_a_preface_may_come_in_parts_and_is_answered_with_settings_and_an_acknowledgement():
    world = World(greet=False)
    for octet in frames.PREFACE + frames.settings_frame([]):
        world.send(bytes((octet,)))
    assert [(seen.kind, seen.flags) for seen in world.seen] == [
        (frames.SETTINGS, 0),
        (frames.WINDOW_UPDATE, 0),
        (frames.SETTINGS, 1),
    ]


def test_unknown_frames_and_settings_are_ignored():
    world = World()
    world.send(frame(42, 0xFF, 1, b"what?") + frames.settings_frame([(99, 1)]))
    assert world.call().body == prefixed(b"hello")


def test_the_reserved_bit_of_a_stream_id_is_ignored():
    world = World()
    world.send(
        frame(frames.HEADERS, EH, 1 | 1 << 31, world.encoder.encode(HEADERS)) + world.body(1 | 1 << 31, prefixed(b"x"))
    )
    assert world.answers()[1].body == prefixed(b"x")


def test_padding_and_priority_are_taken_off():
    world = World()
    block = world.encoder.encode(HEADERS)
    world.send(
        frame(frames.HEADERS, EH | frames.PADDED | frames.PRIORITY_FLAG, 1, b"\x03" + bytes(5) + block + bytes(3))
    )
    world.send(frame(frames.DATA, ES | frames.PADDED, 1, b"\x02" + prefixed(b"x") + bytes(2)))
    assert world.answers()[1].body == prefixed(b"x")


def test_a_header_block_may_come_in_parts():
    world = World()
    block = world.encoder.encode(HEADERS)
    world.send(frame(frames.HEADERS, 0, 1, block[:3]) + frame(frames.CONTINUATION, 0, 1, block[3:9]))
    world.send(frame(frames.CONTINUATION, EH, 1, block[9:]) + world.body(1, prefixed(b"x")))
    assert world.answers()[1].body == prefixed(b"x")


def test_trailers_end_a_request():
    world = World()
    world.send(world.head(1) + world.body(1, prefixed(b"x"), 0) + world.head(1, [("a", "b")], EH | ES))
    assert world.answers()[1].body == prefixed(b"x")


@pytest.mark.parametrize(
    ("headers", "flags"), [([("a", "b")], EH), ([(":path", "/")], EH | ES), ([("A", "b")], EH | ES)]
)
def test_trailers_must_end_the_stream_and_carry_no_pseudo_header(headers, flags):
    world = World()
    world.send(world.head(1) + world.body(1, prefixed(b"x"), 0) + world.head(1, headers, flags))
    assert world.answers()[1].resets == [PROTOCOL]


@pytest.mark.parametrize("late", ["data", "headers"])
def test_a_frame_after_the_end_of_a_stream_that_waits_costs_the_call(late):
    world = World()
    world.send(world.request(1, path="/t.T/Take"))
    world.send(world.body(1, b"more") if late == "data" else world.head(1, [("a", "b")], EH | ES))
    assert world.answers()[1].resets == [ErrorCode.STREAM_CLOSED]
    assert world.application.take.owners[0].lost_count == 1


def test_data_on_a_stream_that_both_have_closed_is_refused():
    world = World()
    world.call()
    world.send(world.body(1, b"more"))
    assert world.answers()[1].resets == [ErrorCode.STREAM_CLOSED]


def test_headers_on_a_closed_stream_end_the_connection():
    world = World()
    world.call(stream_id=5)
    world.send(world.head(3))
    assert world.goaway == ErrorCode.STREAM_CLOSED


def test_what_was_on_its_way_to_a_stream_that_we_closed_is_discarded():
    world = World()
    world.send(world.head(1, with_header((":path", "/no/such"))))
    assert world.answers()[1].resets == [ErrorCode.NO_ERROR]
    world.send(
        world.body(1, prefixed(b"x"), 0) + world.head(1, [("a", "b")], EH | ES) + frames.window_update_frame(1, 5)
    )
    assert world.seen == []
    assert world.goaway is None


def test_window_updates_and_resets_of_closed_streams_are_ignored():
    world = World()
    world.call()
    world.send(frames.window_update_frame(1, 5) + frames.reset_frame(1, 8))
    assert world.seen == []


@pytest.mark.parametrize("increment", [0, 2**31 - 1])
def test_a_wrong_window_update_costs_its_stream(increment):
    world = World()
    world.send(world.head(1) + frames.window_update_frame(1, increment))
    assert world.answers()[1].resets == [PROTOCOL if increment == 0 else FLOW]


def test_priority_of_the_wrong_size_costs_its_stream():
    world = World()
    world.send(world.head(1) + frame(frames.PRIORITY, 0, 1, b"abc"))
    assert world.answers()[1].resets == [SIZE]


def test_content_length_must_be_the_length():
    world = World()
    world.send(world.head(1, [*HEADERS, ("content-length", "9")]) + world.body(1, prefixed(b"hello")))
    assert world.answers()[1].resets == [PROTOCOL]
    assert world.call([*HEADERS, ("content-length", "10")], stream_id=3).body == prefixed(b"hello")


def test_more_than_a_streams_window_costs_the_stream():
    world = World(stream_window_bytes=100_000, frame_bytes_max=65_536)
    world.send(world.head(1) + world.body(1, prefixed(bytes(200_000))[:60_000], 0))
    # The first half is given back as it is assembled, so a peer must be greedy to be caught.
    world.connection.streams[1].receive_window = 10
    world.send(world.body(1, bytes(11), 0))
    assert world.answers()[1].resets == [FLOW]


def test_more_than_the_connections_window_ends_it():
    world = World(connection_window_bytes=65_535)
    world.connection._receive_window = 10
    world.send(world.head(1) + world.body(1, prefixed(bytes(100))))
    assert world.goaway == FLOW


def test_the_connections_window_is_opened_again():
    world = World(connection_window_bytes=65_535)
    for stream_id in range(1, 101, 2):
        world.send(world.request(stream_id, bytes(10_000)))
    increments = [seen.word for seen in world.seen if seen.kind == frames.WINDOW_UPDATE and seen.stream_id == 0]
    assert sum(increments) > 50 * 10_000 - 65_535
    assert world.goaway is None


def test_ping_is_answered_with_its_octets():
    world = World()
    assert world.send(frames.ping_frame(b"12345678")) == [(frames.PING, frames.ACK, 0, b"12345678", ())]


def test_a_goaway_of_the_client_lets_its_calls_end():
    world = World()
    world.send(world.request(1, path="/t.T/Take") + frames.goaway_frame(0, 0))
    world.connection.reply(1, b"late")
    world.sent()
    assert world.answers()[1].body == prefixed(b"late")


def test_after_a_failure_nothing_is_heard_and_nothing_said():
    world = World()
    world.send(world.request(1, path="/t.T/Take") + frame(frames.PING, 0, 0, b"short"))
    world.seen.clear()
    world.connection.reply(1, b"late")
    assert world.send(world.request(3)) == []
    assert world.application.take.owners[0].lost_count == 1
