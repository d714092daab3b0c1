"""gRPC over HTTP/2 as a server's connection speaks it: headers, messages, refusals, promises, windows."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.wire_world import HEADERS, World, prefixed, with_header
from trio_gcs.wire import frames
from trio_gcs.wire.frames import ErrorCode

ES, EH = frames.END_STREAM, frames.END_HEADERS
INTERNAL, UNIMPLEMENTED, EXHAUSTED, LATE = 13, 12, 8, 4


def test_an_answer_is_headers_a_message_and_trailers():
    answer = World().call()
    assert answer.headers == {":status": "200", "content-type": "application/grpc", "grpc-status": "0"}
    assert answer.body == prefixed(b"hello")
    assert answer.resets == []


def test_the_second_answer_costs_three_octets_of_headers():
    world = World()
    world.call()
    world.send(world.request(3))
    assert [len(seen.payload) for seen in world.seen if seen.kind == frames.HEADERS] == [2, 1]
    assert world.answers()[3].status == 0


def test_a_block_that_repeats_is_judged_once():
    world = World()
    for stream_id in range(1, 21, 2):
        world.send(world.request(stream_id))
    # The first block fills the dynamic table, so the second one is new again.
    assert world.application.asked == 2
    assert len(world.answers()) == 10


def test_a_change_of_the_table_forgets_remembered_blocks():
    world = World()
    for stream_id in (1, 3, 5):
        world.send(world.request(stream_id))
    moved = world.head(7, with_header(("x-new", "entry"), (":path", "/t.T/Echo"))) + world.body(7, prefixed(b"x"))
    world.send(moved + world.request(9))
    assert {stream_id: answer.status for stream_id, answer in world.answers().items()} == dict.fromkeys(
        (1, 3, 5, 7, 9), 0
    )


@pytest.mark.parametrize("content_type", ["application/grpc", "application/grpc+proto", "application/grpc;charset=x"])
def test_content_types_of_grpc_are_served(content_type):
    assert World().call(with_header(("content-type", content_type))).status == 0


@pytest.mark.parametrize("content_type", ["application/json", "application/grpc-web", ""])
def test_other_content_types_are_unsupported(content_type):
    assert World().call(with_header(("content-type", content_type))).headers[":status"] == "415"


def test_other_methods_than_post_are_not_allowed():
    assert World().call(with_header((":method", "GET"))).headers[":status"] == "405"


def test_an_unknown_path_is_unimplemented_and_the_connection_lives():
    world = World()
    assert world.call(with_header((":path", "/no/such"))).status == UNIMPLEMENTED
    assert world.call(stream_id=3).status == 0


def test_a_refused_call_is_refused_before_its_message_comes():
    world = World()
    world.send(world.head(1, [*HEADERS, ("authorization", "no")]))
    answer = world.answers()[1]
    assert (answer.status, answer.headers["grpc-message"]) == (16, "not you")
    assert answer.resets == [ErrorCode.NO_ERROR]


@pytest.mark.parametrize("timeout", ["", "1", "S", "123456789S", "-1S", "1x", "1.5S"])
def test_a_malformed_timeout_is_an_error_of_the_call(timeout):
    assert World().call([*HEADERS, ("grpc-timeout", timeout)]).status == INTERNAL


@pytest.mark.parametrize("split", [False, True])
def test_no_time_left_is_answered_at_once_without_the_handler(split):
    world = World()
    world.send(world.head(1, [*HEADERS, ("grpc-timeout", "0S" if not split else "1S")]))
    world.now += 2
    world.send(world.body(1, prefixed(b"x")))
    assert world.answers()[1].status == LATE
    assert world.application.echo.bodies == []
    assert world.application.echo.expired_count == 1


def test_a_message_may_come_octet_by_octet():
    world = World()
    world.send(world.head(1))
    for octet in prefixed(b"hello"):
        world.send(world.body(1, bytes((octet,)), 0))
    world.send(world.body(1, b""))
    assert world.answers()[1].body == prefixed(b"hello")


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"", UNIMPLEMENTED),
        (prefixed(b"a") * 2, UNIMPLEMENTED),
        (prefixed(b"hello")[:-1], INTERNAL),
        (prefixed(b"hello")[:3], INTERNAL),
        (prefixed(b"x", compressed=1), INTERNAL),
        (prefixed(b"x", compressed=2), INTERNAL),
    ],
    ids=["none", "two", "cut off", "cut off in the prefix", "compressed without an encoding", "an unknown flag"],
)
def test_not_exactly_one_whole_message_is_an_error_of_the_call(octets, status):
    world = World()
    assert world.call(octets=octets).status == status
    assert world.call(stream_id=3).status == 0


def test_a_message_over_the_limit_is_refused_by_its_prefix():
    world = World(message_bytes_max=100)
    world.send(world.head(1) + world.body(1, prefixed(bytes(101))[:20], 0))
    answer = world.answers()[1]
    assert answer.status == EXHAUSTED
    assert answer.headers["grpc-message"] == "Received message larger than max (101 vs. 100)"
    assert world.call(octets=prefixed(bytes(101)), stream_id=3).status == EXHAUSTED


def test_unfinished_messages_of_a_connection_are_limited_together():
    world = World(incoming_bytes_max=100_000)
    for stream_id in (1, 3, 5):
        world.send(world.head(stream_id) + world.body(stream_id, prefixed(bytes(200_000))[:40_000], 0))
    assert [answer.status for answer in world.answers().values() if answer.headers] == [EXHAUSTED]
    world.send(frames.reset_frame(1, 8) + frames.reset_frame(3, 8))
    assert world.connection._incoming_bytes == 0


@pytest.mark.parametrize(("encoding", "squeeze"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_compressed_requests_are_read(encoding, squeeze):
    headers = [*HEADERS, ("grpc-encoding", encoding)]
    assert World().call(headers, prefixed(squeeze(b"hello"), 1)).body == prefixed(b"hello")
    assert World().call(headers, prefixed(b"plain", 0)).body == prefixed(b"plain")


def test_a_bomb_is_not_inflated():
    bomb = prefixed(gzip.compress(bytes(10_000_000)), 1)
    assert World(message_bytes_max=1_000_000).call([*HEADERS, ("grpc-encoding", "gzip")], bomb).status == EXHAUSTED


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"hello", mtime=0)[:-9]])
def test_broken_compression_is_an_error_of_the_call(body):
    assert World().call([*HEADERS, ("grpc-encoding", "gzip")], prefixed(body, 1)).status == INTERNAL


def test_an_unknown_encoding_is_unimplemented_and_says_what_is_accepted():
    answer = World().call([*HEADERS, ("grpc-encoding", "snappy")])
    assert answer.status == UNIMPLEMENTED
    assert answer.headers["grpc-accept-encoding"] == "identity, deflate, gzip"


def test_binary_metadata_that_is_not_base64_is_an_error_of_the_call():
    assert World().call([*HEADERS, ("x-bin", "@@")]).status == INTERNAL


def test_a_call_that_was_taken_is_answered_later():
    world = World()
    world.send(world.request(1, path="/t.T/Take"))
    assert world.answers() == {}
    world.connection.reply(1, b"late")
    assert world.notified == 1
    world.sent()
    assert world.answers()[1].body == prefixed(b"late")


def test_a_call_that_was_taken_is_refused_later_with_details():
    world = World()
    world.send(world.request(1, path="/t.T/Take"))
    world.connection.refuse(1, [(b"grpc-status", b"10"), (b"grpc-status-details-bin", b"aGk")])
    world.sent()
    answer = world.answers()[1]
    assert (answer.status, answer.headers["grpc-status-details-bin"]) == (10, "aGk")


@pytest.mark.parametrize("how", ["reset", "lost", "failed"])
def test_whoever_took_a_call_hears_once_that_its_caller_is_gone(how):
    world = World()
    world.send(world.request(1, path="/t.T/Take"))
    if how == "reset":
        world.send(frames.reset_frame(1, ErrorCode.CANCEL))
    elif how == "lost":
        world.connection.lost()
    else:
        world.send(world.body(2, b""))
    world.connection.lost()
    assert world.application.take.owners[0].lost_count == 1
    world.seen.clear()
    world.connection.reply(1, b"late")
    world.connection.refuse(1, [])
    assert [seen for seen in world.sent() if seen.kind != frames.GOAWAY] == []


@given(window=st.integers(0, 70_000), frame_size=st.integers(16_384, 40_000), size=st.integers(0, 150_000))
def test_a_reply_of_any_size_leaves_exactly_as_the_windows_allow(window, frame_size, size):
    world = World()
    world.send(frames.settings_frame([(frames.INITIAL_WINDOW_SIZE, window), (frames.MAX_FRAME_SIZE, frame_size)]))
    world.send(frames.window_update_frame(0, 200_000))
    world.send(world.request(1, b"%d" % size, "/t.T/Big"))
    sent = sum(len(seen.payload) for seen in world.seen if seen.kind == frames.DATA)
    assert sent == min(window, size + 5)
    if sent < size + 5:
        world.send(frames.window_update_frame(1, size + 5))
    assert all(len(seen.payload) <= frame_size for seen in world.seen)
    answer = world.answers()[1]
    assert answer.body == prefixed(bytes(size))
    assert answer.status == 0
    assert world.connection.streams == {}
    assert world.connection.unread_bytes == 0


def test_a_window_that_was_enlarged_while_the_call_waited_counts():
    world = World()
    world.send(frames.settings_frame([(frames.INITIAL_WINDOW_SIZE, 10)]))
    world.send(world.request(1, path="/t.T/Take") + frames.window_update_frame(1, 5))
    world.connection.reply(1, bytes(100))
    world.sent()
    assert sum(len(seen.payload) for seen in world.seen if seen.kind == frames.DATA) == 15


def test_a_smaller_initial_window_makes_windows_negative():
    world = World()
    world.send(world.request(1, b"100000", "/t.T/Big") + frames.settings_frame([(frames.INITIAL_WINDOW_SIZE, 0)]))
    world.send(frames.window_update_frame(0, 100_000) + frames.window_update_frame(1, 65_535))
    assert sum(len(seen.payload) for seen in world.seen if seen.kind == frames.DATA) == 65_535
    world.send(frames.window_update_frame(1, 34_470))
    assert world.answers()[1].body == prefixed(bytes(100_000))


def test_streams_that_starve_go_on_in_their_order():
    world = World()
    for stream_id in (1, 3, 5):
        world.send(world.request(stream_id, b"50000", "/t.T/Big"))
    world.send(frames.window_update_frame(0, 1_000_000))
    assert [len(answer.body) for answer in world.answers().values()] == [50_005] * 3


def test_a_table_that_the_client_forbids_is_not_used():
    world = World()
    world.call()
    world.send(frames.settings_frame([(frames.HEADER_TABLE_SIZE, 0)]))
    world.decoder.max_allowed_table_size = 0
    for stream_id in (3, 5, 7):
        assert world.call(stream_id=stream_id).status == 0
    assert len(world.decoder.header_table.dynamic_entries) == 0


def test_a_streaming_call_is_opened_by_its_headers_and_told_of_messages_and_the_end():
    world = World()
    world.send(world.head(1, with_header((":path", "/t.T/Stream"))))
    (owner,) = world.application.stream.owners
    world.send(world.body(1, prefixed(b"a") + prefixed(b"b")[:2], 0))
    assert list(owner.stream.inbox) == [b"a"]
    world.send(world.body(1, prefixed(b"b")[2:]))
    assert list(owner.stream.inbox) == [b"a", b"b"]
    assert owner.stream.remote_closed
    world.connection.send_head(owner.stream, [(b"x", b"y")])
    world.connection.send_message(owner.stream, b"answer")
    world.connection.send_trailers(owner.stream, [(b"grpc-status", b"0")])
    world.sent()
    answer = world.answers()[1]
    assert (answer.headers["x"], answer.body, answer.status) == ("y", prefixed(b"answer"), 0)


def test_a_stream_that_is_not_read_keeps_its_window_closed_and_no_other():
    world = World(stream_window_bytes=100_000)
    world.send(world.head(1, with_header((":path", "/t.T/Stream"))))
    for _ in range(9):
        world.send(world.body(1, prefixed(bytes(10_000)), 0))
    assert [seen for seen in world.seen if seen.kind == frames.WINDOW_UPDATE and seen.stream_id == 1] == []
    (owner,) = world.application.stream.owners
    while owner.stream.inbox:
        world.connection.consumed(owner.stream, owner.stream.inbox.popleft())
    world.sent()
    assert sum(seen.word for seen in world.seen if seen.kind == frames.WINDOW_UPDATE and seen.stream_id == 1) > 40_000
    assert world.call(stream_id=3).status == 0


def test_a_deadline_in_the_middle_of_a_message_resets_the_stream():
    world = World()
    world.send(world.head(1, with_header((":path", "/t.T/Stream"))))
    (owner,) = world.application.stream.owners
    world.connection.send_message(owner.stream, bytes(100_000))
    world.connection.cut(owner.stream, [(b"grpc-status", b"4")])
    world.sent()
    assert world.answers()[1].resets == [ErrorCode.CANCEL]
    assert world.connection.unread_bytes == 0


@pytest.mark.parametrize("special", [False, True])
def test_a_handler_may_be_the_end_of_its_own_connection(special):
    world = World()
    world.call()
    echo, world.application.echo.call = world.application.echo.call, None

    def serve(connection, stream_id, request, deadline, body):
        connection.fail(frames.PeerError(ErrorCode.ENHANCE_YOUR_CALM, "enough"))
        return echo(connection, stream_id, request, deadline, body)

    world.application.echo.call = serve
    fresh = [("x-fresh", "a block that was not judged yet")]
    split = world.body(3, prefixed(b"x"), 0) + world.body(3, b"") if special else world.body(3, prefixed(b"x"))
    world.send(world.head(3, [*HEADERS, *fresh]) + split)
    assert [seen.kind for seen in world.seen] == [frames.GOAWAY]
    assert world.connection.streams == {}
