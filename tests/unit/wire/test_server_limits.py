"""What a hostile or a dead peer may cost: floods, sizes, times, and a reader that does not read. And a graceful end."""

import pytest

from tests.fakes.wire_world import HEADERS, World, prefixed, with_header
from trio_gcs.wire import frames
from trio_gcs.wire.frames import ErrorCode, frame

ES, EH = frames.END_STREAM, frames.END_HEADERS
CALM = ErrorCode.ENHANCE_YOUR_CALM


def flood(world, make, count):
    """Send `make(n)` until the connection ends; returns how many it bore."""
    for number in range(count):
        world.send(make(number))
        world.seen.clear()
        if world.connection.closed:
            return number
    return count


def test_rapid_resets_end_the_connection():
    world = World(resets_burst=100, resets_per_s=1)
    borne = flood(world, lambda n: world.head(2 * n + 1) + frames.reset_frame(2 * n + 1, 8), 1000)
    assert (borne, world.goaway) == (100, CALM)


def test_resets_that_a_peer_provokes_count_as_its_own():
    world = World(resets_burst=100, resets_per_s=1)
    borne = flood(world, lambda n: world.head(2 * n + 1) + frames.window_update_frame(2 * n + 1, 0), 1000)
    assert (borne, world.goaway) == (100, CALM)


def test_resets_in_good_time_are_borne_for_ever():
    world = World(resets_burst=100, resets_per_s=10)

    def call_and_cancel(number):
        world.now += 0.11
        return world.head(2 * number + 1) + frames.reset_frame(2 * number + 1, 8)

    assert flood(world, call_and_cancel, 1000) == 1000


@pytest.mark.parametrize(
    "make",
    [
        lambda _: frames.settings_frame([]),
        lambda _: frame(frames.DATA, 0, 1),
        lambda _: frame(frames.DATA, frames.PADDED, 1, b"\x03abc"),
        lambda _: frame(frames.PRIORITY, 0, 1, bytes(5)),
        lambda _: frame(77, 0, 0, b"what?"),
        lambda _: frames.ping_frame(b"unasked.", ack=True),
        lambda _: frames.goaway_frame(0, 0),
    ],
    ids=["settings", "empty data", "empty padded data", "priority", "unknown frames", "pongs", "goaway"],
)
def test_a_flood_of_frames_without_use_ends_the_connection(make):
    world = World(oddities_burst=100, oddities_per_s=1)
    world.send(world.head(1))
    assert (flood(world, make, 1000), world.goaway) == (100, CALM)


def test_pings_without_anything_in_between_end_the_connection_as_in_c_core():
    world = World(ping_period_min_s=60.0, ping_strikes_max=2)
    borne = flood(world, lambda _: frames.ping_frame(bytes(8)), 1000)
    assert (borne, world.goaway) == (3, CALM)
    assert world.connection.end.why == "too_many_pings"


def test_pings_between_answers_or_far_apart_are_borne():
    world = World(ping_period_min_s=60.0)
    assert flood(world, lambda n: world.request(2 * n + 1) + frames.ping_frame(bytes(8)), 100) == 100

    def ping(_):
        world.now += 61
        return frames.ping_frame(bytes(8))

    assert flood(world, ping, 100) == 100


def test_pings_are_borne_while_a_stream_brings_messages_as_c_core_sends_them_to_measure_its_window():
    world = World(ping_period_min_s=60.0)
    world.send(world.head(1, with_header((":path", "/t.T/Stream"))))
    stream = world.connection.streams[1]

    def message_and_ping(_):
        world.connection.send_message(stream, b"news")
        return frames.ping_frame(bytes(8))

    assert flood(world, message_and_ping, 100) == 100


def test_pings_are_borne_while_room_is_made_for_what_the_client_sends():
    world = World(ping_period_min_s=60.0, connection_window_bytes=65_535)
    world.send(world.head(1, with_header((":path", "/t.T/Stream"))))
    half = world.body(1, prefixed(bytes(16_000)), flags=0) * 2
    stream = world.connection.streams[1]

    def bytes_and_ping(_):
        while stream.inbox:
            world.connection.consumed(stream, stream.inbox.popleft())
        return half + half + frames.ping_frame(bytes(8))

    assert flood(world, bytes_and_ping, 100) == 100


@pytest.mark.parametrize("size", [0, 1])
def test_a_flood_of_continuations_ends_the_connection(size):
    world = World(continuations_max=20)
    world.send(frame(frames.HEADERS, 0, 1, b"\x83"))
    assert flood(world, lambda _: frame(frames.CONTINUATION, 0, 1, b"\x86" * size), 1000) < 20
    assert world.goaway == CALM


@pytest.mark.parametrize("parts", [False, True])
def test_a_header_block_over_the_limit_ends_the_connection(parts):
    world = World(header_list_bytes_max=4000)
    block = bytes(5000)
    world.send(
        frame(frames.HEADERS, 0, 1, block[:2000]) + frame(frames.CONTINUATION, EH, 1, block)
        if parts
        else frame(frames.HEADERS, EH, 1, block)
    )
    assert world.connection.closed


def test_a_small_block_of_large_fields_is_too_large():
    world = World(header_list_bytes_max=8000)
    world.send(world.head(1, [*HEADERS, ("x", "y" * 3000)]) + world.body(1, prefixed(b"x")))
    repeated = [*HEADERS, *[("x", "y" * 3000)] * 3]
    assert len(world.encoder.encode(repeated)) < 100
    world.send(world.head(3, repeated))
    assert world.goaway == CALM


def test_streams_over_the_limit_are_refused_and_may_be_tried_again():
    world = World(streams_max=2)
    assert (frames.MAX_CONCURRENT_STREAMS, 2) in frames.parse_settings(_greeting(world))
    for stream_id in (1, 3, 5):
        world.send(world.request(stream_id, path="/t.T/Take"))
    assert world.answers()[5].resets == [ErrorCode.REFUSED_STREAM]
    world.connection.reply(1, b"late")
    world.send(world.request(7, path="/t.T/Take"))
    world.connection.reply(7, b"late")
    world.sent()
    assert world.answers()[7].status == 0


def _greeting(world):
    fresh = World(greet=False, streams_max=world.connection.limits.streams_max)
    return fresh.send(frames.PREFACE)[0].payload


def test_ten_thousand_calls_may_wait_on_one_connection():
    world = World()
    for stream_id in range(1, 20_001, 2):
        world.send(world.request(stream_id, path="/t.T/Take"))
    assert len(world.connection.streams) == 10_000
    world.connection.lost()
    assert sum(owner.lost_count for owner in world.application.take.owners) == 10_000


def reluctant(world):
    """A client that asks for large answers and opens no window for them: 65535 octets, shared, are all it reads."""
    world.send(frames.settings_frame([(frames.INITIAL_WINDOW_SIZE, 2**31 - 1)]))


def test_behind_a_slow_reader_new_calls_wait_and_begin_in_order_when_it_reads():
    world = World(unread_bytes_soft_max=200_000)
    reluctant(world)
    for stream_id in range(1, 21, 2):
        world.send(world.request(stream_id, b"100000", "/t.T/Big"))
    assert len(world.application.big.bodies) == 3
    assert world.connection.held
    world.send(frames.window_update_frame(0, 10_000_000))
    assert not world.connection.held
    answers = world.answers()
    assert [len(answer.body) for answer in answers.values()] == [100_005] * 10
    assert list(answers) == list(range(1, 21, 2))


def test_behind_a_slow_reader_pings_and_resets_are_served():
    world = World(unread_bytes_soft_max=200_000)
    reluctant(world)
    for stream_id in range(1, 11, 2):
        world.send(world.request(stream_id, b"100000", "/t.T/Big"))
    world.seen.clear()
    assert world.send(frames.ping_frame(bytes(8)))[0].flags == frames.ACK
    world.send(b"".join(frames.reset_frame(stream_id, 8) for stream_id in range(1, 11, 2)))
    assert not world.connection.held
    assert world.connection.unread_bytes == 0
    assert len(world.application.big.bodies) == 3
    world.send(frames.window_update_frame(0, 1_000_000))
    assert world.call(stream_id=11).status == 0


def test_more_waiting_calls_than_the_limit_are_refused():
    world = World(unread_bytes_soft_max=100_000, calls_waiting_max=5)
    reluctant(world)
    for stream_id in range(1, 31, 2):
        world.send(world.request(stream_id, b"100000", "/t.T/Big"))
    refused = [
        stream_id for stream_id, answer in world.answers().items() if answer.resets == [ErrorCode.REFUSED_STREAM]
    ]
    assert len(refused) == 15 - 2 - 5


def test_a_reader_that_lets_everything_pile_up_is_ended():
    world = World(unread_bytes_soft_max=500_000, unread_bytes_max=1_000_000)
    for stream_id in range(1, 41, 2):
        world.send(world.request(stream_id, path="/t.T/Take"))
    for stream_id in range(1, 41, 2):
        world.connection.reply(stream_id, bytes(100_000))
    assert world.goaway == CALM
    assert len(world.application.take.owners) == 20


def test_no_preface_in_time_drops_the_connection():
    world = World(greet=False, handshake_timeout_s=20.0)
    assert world.connection.tick(world.now + 19) is None
    world.send(frames.PREFACE)
    assert world.connection.tick(world.now + 21) == "no preface and settings in time"


def test_a_frame_that_does_not_end_drops_the_connection_however_it_trickles():
    world = World(frame_timeout_s=20.0)
    whole = world.body(1, bytes(1000))
    for octet in whole[:19]:
        world.now += 1
        world.send(bytes((octet,)))
    assert world.connection.tick(world.now) is None
    assert world.connection.tick(world.now + 3) == "a frame that began did not end in time"


def test_a_header_block_that_does_not_end_drops_the_connection():
    world = World(frame_timeout_s=20.0)
    world.send(frame(frames.HEADERS, 0, 1, b"\x83"))
    assert world.connection.tick(world.now + 21) == "a frame that began did not end in time"


def test_a_silent_peer_with_open_calls_is_pinged_and_then_dropped():
    world = World(keepalive_period_s=10.0, keepalive_timeout_s=20.0)
    world.send(world.request(1, path="/t.T/Take"))
    assert world.connection.tick(world.now + 11) is None
    assert [seen.kind for seen in world.sent()] == [frames.PING]
    assert world.connection.tick(world.now + 30) is None
    assert world.connection.tick(world.now + 32) == "no answer to a keepalive PING"


def test_a_peer_that_answers_the_ping_stays():
    world = World(keepalive_period_s=10.0, keepalive_timeout_s=20.0)
    world.send(world.request(1, path="/t.T/Take"))
    for _ in range(20):
        world.now += 11
        assert world.connection.tick(world.now) is None
        (ping,) = world.sent()
        world.send(frames.ping_frame(ping.payload, ack=True))
    assert not world.connection.closed


def test_the_silence_of_a_peer_that_we_do_not_read_says_nothing():
    world = World(keepalive_period_s=10.0, keepalive_timeout_s=20.0, frame_timeout_s=20.0)
    world.send(world.request(1, path="/t.T/Take") + b"half a frame"[:5])
    world.connection.flushed(1000)
    for _ in range(10):
        world.now += 30
        assert world.connection.tick(world.now) is None
    world.connection.flushed(0)
    assert world.connection.tick(world.now + 5) is None


def test_an_idle_connection_is_left_alone():
    world = World()
    world.call()
    assert world.connection.tick(world.now + 100_000) is None
    assert world.sent() == []


def test_a_graceful_end_serves_what_was_on_its_way_and_then_no_more():
    world = World()
    world.send(world.request(1, path="/t.T/Take"))
    world.connection.drain()
    goaway, ping = world.sent()
    assert (goaway.kind, goaway.word, ping.kind) == (frames.GOAWAY, frames.LARGEST_STREAM_ID, frames.PING)
    world.send(world.request(3))
    (goaway,) = [seen for seen in world.send(frames.ping_frame(ping.payload, ack=True)) if seen.kind == frames.GOAWAY]
    assert goaway.word == 3
    world.seen.clear()
    world.send(world.request(5) + world.body(5, b"late"))
    assert world.seen == []
    assert not world.connection.drained
    world.connection.reply(1, b"late")
    world.sent()
    assert world.answers()[1].status == 0
    assert world.connection.drained


def test_a_graceful_end_before_the_preface_is_short():
    world = World(greet=False)
    world.connection.drain()
    assert world.connection.drained


def test_the_last_words_name_the_last_stream():
    world = World()
    world.call(with_header((":path", "/no/such")), stream_id=7)
    world.send(frame(frames.PING, 0, 3, bytes(8)))
    assert world.seen[-1].word == 7
    assert b"PING on a stream" in world.seen[-1].payload
