"""Valid sessions, mutated: whatever comes, nothing is raised, what we say is well formed, and neighbours do not notice."""

from random import Random

import pytest

from tests.fakes.wire_world import HEADERS, World, prefixed, with_header
from trio_gcs.wire import frames
from trio_gcs.wire.stream import WireStream

SESSIONS = 1500
PATHS = ("/t.T/Echo", "/t.T/Echo", "/t.T/Take", "/t.T/Stream", "/t.T/Big", "/no/such")
LENGTH_AND_KIND = slice(0, 4)


def session(random):
    """The octets of a client that does a bit of everything, frame by frame."""
    world = World(greet=False)
    steps = [
        frames.PREFACE,
        frames.settings_frame([(frames.INITIAL_WINDOW_SIZE, random.choice([0, 10, 65_535, 2**20]))]),
    ]
    for number in range(random.randrange(1, 12)):
        stream_id = 2 * number + 1
        headers = with_header((":path", random.choice(PATHS)), *random.sample(EXTRAS, random.randrange(3)))
        block = world.encoder.encode(headers)
        cut = random.randrange(len(block))
        body = prefixed(b"%d" % random.randrange(100_000))
        at = random.randrange(len(body))
        steps += random.choice(
            [
                [world.frame_of(stream_id, block)],
                [
                    frames.frame(frames.HEADERS, 0, stream_id, block[:cut]),
                    frames.frame(frames.CONTINUATION, frames.END_HEADERS, stream_id, block[cut:]),
                ],
            ]
        )
        steps += random.choice(
            [[world.body(stream_id, body)], [world.body(stream_id, body[:at], 0), world.body(stream_id, body[at:])]]
        )
        steps += random.sample(
            [
                frames.window_update_frame(stream_id, random.randrange(1, 2**31)),
                frames.window_update_frame(0, random.randrange(1, 2**20)),
                frames.reset_frame(stream_id, 8),
                frames.ping_frame(random.randbytes(8)),
                frames.settings_frame([(random.randrange(8), random.randrange(2**17))]),
                frames.SETTINGS_ACK,
                frames.frame(frames.PRIORITY, 0, stream_id, bytes(5)),
            ],
            random.randrange(3),
        )
    return steps


EXTRAS = [("grpc-timeout", "1S"), ("x-bin", "aGk"), ("grpc-encoding", "gzip"), ("content-length", "7"), ("x", "y" * 50)]


def mutated(random, steps):
    """The same octets, a little wrong."""
    steps = list(steps)
    for _ in range(random.randrange(4)):
        at = random.randrange(len(steps))
        octets = bytearray(steps[at] or b"?")
        match random.randrange(7):
            case 0:
                octets[random.randrange(len(octets))] ^= 1 << random.randrange(8)
            case 1:
                octets[random.randrange(min(9, len(octets)))] = random.randrange(256)
            case 2:
                del octets[random.randrange(len(octets)) :]
            case 3:
                octets[0:0] = random.randbytes(random.randrange(20))
            case 4:
                steps.insert(random.randrange(len(steps)), bytes(octets))
            case 5:
                other = random.randrange(len(steps))
                steps[at], steps[other] = steps[other], steps[at]
                continue
            case _:
                steps.insert(
                    at,
                    frames.frame(
                        random.randrange(12),
                        random.randrange(256),
                        random.randrange(8),
                        random.randbytes(random.randrange(40)),
                    ),
                )
                continue
        steps[at] = bytes(octets)
    return b"".join(steps)


def check(world):
    connection = world.connection
    assert not world._rest, "we sent half a frame"
    if connection.closed:
        assert connection.streams == {}
    queued = sum(entry.queued_bytes for entry in connection.streams.values() if isinstance(entry, WireStream))
    pending = sum(
        entry.assembler.pending_bytes
        for entry in connection.streams.values()
        if isinstance(entry, WireStream) and entry.assembler is not None
    )
    if not connection.closed:
        assert connection._queued_bytes == queued
        assert connection._incoming_bytes == pending
    for owner in [*world.application.take.owners, *world.application.stream.owners]:
        assert owner.lost_count <= 1
        alive = connection.streams.get(owner.stream_id)
        assert (alive is None) or owner.lost_count == 0 or isinstance(alive, WireStream)


@pytest.mark.parametrize("seed", range(5))
def test_mutated_sessions_end_at_most_their_own_connection(seed):
    ended = 0
    for number in range(SESSIONS // 5):
        random = Random(f"{seed}/{number}")
        world = World(greet=False, unread_bytes_soft_max=50_000)
        octets = mutated(random, session(random))
        while octets:
            size = random.choice([1, 9, 100, 10_000])
            world.now += random.random()
            world.send(octets[:size])
            octets = octets[size:]
        world.connection.tick(world.now)
        check(world)
        ended += world.connection.closed
        world.connection.lost()
        assert all(owner.lost_count <= 1 for owner in world.application.take.owners)
    # The mutations bite, and not always.
    assert 20 < ended < SESSIONS // 5 - 20


def test_noise_is_no_preface():
    for seed in range(300):
        random = Random(seed)
        world = World(greet=False)
        world.send(random.randbytes(random.randrange(24, 2000)))
        assert world.goaway is not None


def test_noise_after_a_preface_is_contained():
    for seed in range(300):
        random = Random(seed)
        world = World()
        world.call(HEADERS)
        world.send(random.randbytes(random.randrange(9, 5000)))
        check(world)
