"""The same octets to our connection and to the h2 library's: both find them in order, or both object at the same frame.

Where RFC 9113 leaves the choice between an error of the stream and one of the connection, either counts as objecting.
"""

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from hpack import Encoder
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.fakes.wire_world import HEADERS, World, prefixed, with_header
from trio_gcs.wire import frames
from trio_gcs.wire.frames import frame

ES, EH, PADDED, PRIORITY = frames.END_STREAM, frames.END_HEADERS, frames.PADDED, frames.PRIORITY_FLAG
# A call that never ends by itself, so that both sides see streams in the same states.
OPEN = with_header((":path", "/t.T/Stream"))

header_lists = st.sampled_from(
    [
        OPEN,
        [("trailer", "x")],
        [*OPEN, ("x-a", "1")],
        [*OPEN, ("Upper", "case")],
        [*OPEN, ("connection", "close")],
        [*OPEN, (":path", "/again")],
        [*OPEN, ("te", "gzip")],
        [(":status", "200"), *OPEN],
        [pair for pair in OPEN if pair[0] != ":path"],
        [pair for pair in OPEN if pair[0] != ":method"],
        [pair for pair in OPEN if pair[0] != ":scheme"],
        with_header((":path", "")),
    ]
)
stream_ids = st.sampled_from([0, 1, 1, 1, 2, 3, 3, 5, 7])
messages = st.sampled_from([b"", prefixed(b"x"), prefixed(b"hello")])


@st.composite
def header_frames(draw):
    flags = draw(st.sampled_from([EH, EH, EH, EH | ES, EH | ES, 0, EH | PADDED, EH | PRIORITY]))
    return ("headers", draw(stream_ids), flags, draw(header_lists))


@st.composite
def raw_frames(draw):
    kind = draw(st.sampled_from([*range(10), 42]))
    flags = draw(st.sampled_from([0, ES, EH, PADDED, ES | PADDED]))
    return (
        "raw",
        kind,
        flags,
        draw(stream_ids),
        draw(st.sampled_from([b"", bytes(4), bytes(5), bytes(6), bytes(8), b"\x02ab"])),
    )


def whole(octets):
    return st.just(("octets", octets))


well_formed = st.one_of(
    st.builds(lambda s, f, m: ("octets", frame(frames.DATA, f, s, m)), stream_ids, st.sampled_from([0, ES]), messages),
    st.builds(lambda s: ("octets", frames.reset_frame(s, 8)), stream_ids),
    st.builds(
        lambda s, n: ("octets", frames.window_update_frame(s, n)), stream_ids, st.sampled_from([0, 1, 2**31 - 1])
    ),
    st.builds(
        lambda key, value: ("octets", frames.settings_frame([(key, value)])),
        st.integers(1, 7),
        st.sampled_from([0, 1, 2, 16_384, 65_535, 2**24 - 1, 2**24, 2**31 - 1, 2**31]),
    ),
    whole(frames.ping_frame(b"12345678")),
    whole(frames.ping_frame(b"12345678", ack=True)),
    whole(frames.goaway_frame(0, 0)),
)


class Both:
    """Our connection and h2's, each behind the same client."""

    def __init__(self):
        self.ours = World(
            greet=False, stream_window_bytes=65_535, connection_window_bytes=65_535, frame_bytes_max=16_384,
            ping_strikes_max=1000,
        )  # fmt: skip
        self.theirs = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.theirs.initiate_connection()
        self.theirs.data_to_send()
        self.encoder = Encoder()
        hello = frames.PREFACE + frames.settings_frame([])
        assert self.objections(hello + frames.SETTINGS_ACK) == (False, False)

    def octets(self, step):
        match step:
            case ("headers", stream_id, flags, headers):
                block = self.encoder.encode(headers)
                if flags & PADDED:
                    block = b"\x02" + block + bytes(2)
                if flags & PRIORITY:
                    block = bytes(5) + block
                if flags & EH:
                    return frame(frames.HEADERS, flags, stream_id, block)
                middle = len(block) // 2
                first = frame(frames.HEADERS, flags, stream_id, block[:middle])
                return first + frame(frames.CONTINUATION, EH, stream_id, block[middle:])
            case ("raw", kind, flags, stream_id, payload):
                if kind in {frames.HEADERS, frames.PUSH_PROMISE}:
                    flags |= EH  # h2 looks at a block when it is complete, we do at once.
                return frame(kind, flags, stream_id, payload)
            case ("octets", octets):
                return octets
        raise AssertionError(step)

    def objections(self, octets):
        return self.ours_objects(octets), self.theirs_objects(octets)

    def ours_objects(self, octets):
        answers = self.ours.send(octets)
        return any(answer.kind in {frames.RST_STREAM, frames.GOAWAY} for answer in answers)

    def is_open_here(self, octets):
        return int.from_bytes(octets[5:9], "big") in self.ours.connection.streams

    def theirs_objects(self, octets):
        try:
            self.theirs.receive_data(octets)
        except ProtocolError:
            return True
        answer = self.theirs.data_to_send()
        while answer:
            word, _, _ = frames.unpack_header(answer)
            if word & 0xFF in {frames.RST_STREAM, frames.GOAWAY}:
                return True
            answer = answer[9 + (word >> 8) :]
        return False


@settings(max_examples=1000, deadline=None)
@given(st.lists(st.one_of(header_frames(), well_formed, well_formed, raw_frames()), max_size=8))
@example([("headers", 1, EH, OPEN), ("octets", frame(frames.DATA, ES, 1, prefixed(b"x")))])
@example([("headers", 1, EH | ES, OPEN), ("octets", frame(frames.DATA, ES, 1, prefixed(b"x")))])
@example([("headers", 1, EH | ES, OPEN), ("octets", frames.window_update_frame(1, 2**31 - 1))])
@example([("headers", 3, EH, OPEN), ("headers", 1, EH, OPEN)])
@example([("headers", 1, EH, list(HEADERS)), ("octets", frame(frames.DATA, 0, 1, b""))])
def test_we_and_h2_object_to_the_same_frames(steps):
    both = Both()
    for step in steps:
        octets = both.octets(step)
        ours, theirs = both.objections(octets)
        if ours and octets[3] == frames.RST_STREAM:
            return  # An idle stream cannot be reset; h2 lets it pass.
        if ours and int.from_bytes(octets[5:9], "big") == 2:
            return  # A server's stream, and we open none: idle. h2 sees that only for some kinds of frames.
        if theirs and octets[3] == frames.WINDOW_UPDATE and not both.is_open_here(octets):
            return  # We have answered the call, so its windows do not matter any more; h2 answers nothing.
        assert ours == theirs, f"at {step}: we {'object' if ours else 'accept'}, h2 does not agree"
        if ours or octets[3] == frames.GOAWAY:
            return  # h2 hears nothing after a GOAWAY, though the calls that are open go on.
