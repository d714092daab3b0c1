"""A server's connection without a socket, an application that notes what it is asked, and a client of raw frames."""

from dataclasses import dataclass, field
from typing import NamedTuple

from hpack import Decoder, Encoder

from trio_gcs.wire import frames
from trio_gcs.wire.limits import Limits
from trio_gcs.wire.messages import pack_prefix
from trio_gcs.wire.request import Refusal
from trio_gcs.wire.server import ServerConnection

HEADERS = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/t.T/Echo"),
    (":authority", "here"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
)


def with_header(*changes):
    """The usual headers, with some of them replaced or added."""
    names = {name for name, _ in changes}
    pseudo = [pair for pair in changes if pair[0].startswith(":")]
    kept = [pair for pair in HEADERS if pair[0] not in names]
    return (
        [pair for pair in kept if pair[0].startswith(":")]
        + pseudo
        + [pair for pair in kept if not pair[0].startswith(":")]
        + [pair for pair in changes if not pair[0].startswith(":")]
    )


def prefixed(body, compressed=0):
    return pack_prefix(compressed, len(body)) + body


HELLO = prefixed(b"hello")


class Frame(NamedTuple):
    kind: int
    flags: int
    stream_id: int
    payload: bytes
    headers: tuple = ()

    @property
    def word(self):
        """The error code of RST_STREAM, or the increment of WINDOW_UPDATE."""
        return int.from_bytes(self.payload[:4], "big")


@dataclass
class Owner:
    stream_id: int
    body: bytes = b""
    lost_count: int = 0
    stream: object = None
    readable_count: int = 0
    writable_count: int = 0

    def lost(self):
        self.lost_count += 1

    def readable(self):
        self.readable_count += 1

    def writable(self):
        self.writable_count += 1


@dataclass
class Method:
    """`kind`: echo answers at once, take answers later, stream is a streaming call, big answers with many octets."""

    kind: str
    streaming: bool = False
    owners: list = field(default_factory=list)
    bodies: list = field(default_factory=list)
    expired_count: int = 0

    def call(self, connection, stream_id, request, deadline, body):
        self.bodies.append(body)
        if self.kind == "take":
            self.owners.append(Owner(stream_id, body))
            connection.take(stream_id, self.owners[-1])
            return None
        if self.kind == "big":
            return bytes(int(body)) if body.isdigit() else bytes(len(body))
        return body

    def open(self, connection, stream):
        self.owners.append(Owner(stream.id, stream=stream))
        connection.adopt(stream, self.owners[-1])

    def expired(self):
        self.expired_count += 1


class Application:
    def __init__(self):
        self.echo = Method("echo")
        self.take = Method("take")
        self.big = Method("big")
        self.stream = Method("stream", streaming=True)
        self.asked = 0

    def admit(self, path, fields):
        self.asked += 1
        methods = {b"/t.T/Echo": self.echo, b"/t.T/Take": self.take, b"/t.T/Big": self.big, b"/t.T/Stream": self.stream}
        if dict(fields).get(b"authorization") == b"no":
            return Refusal(16, "not you")
        return methods.get(path) or Refusal(12, "")


class World:
    """Both ends. The client's preface and settings have been exchanged, unless `greet` is False."""

    def __init__(self, *, greet=True, **limits):
        self.application = Application()
        self.now = 1000.0
        self.notified = 0
        self.connection = ServerConnection(self.application, Limits(**limits), self._note, self.now)
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.seen = []
        self._rest = b""
        if greet:
            self.send(frames.PREFACE + frames.settings_frame([]))
            self.seen.clear()

    def _note(self):
        self.notified += 1

    def send(self, octets):
        """Give octets to the server; returns the frames that it answered with."""
        self.connection.receive(octets, self.now)
        return self.sent()

    def sent(self):
        """What the server has to say now."""
        octets = self._rest
        while self.connection.out:
            octets += b"".join(self.connection.out)
            self.connection.out.clear()
            self.connection.flushed(0)
        self.connection.awake = False
        answer = []
        while len(octets) >= 9:
            word, flags, stream_id = frames.unpack_header(octets)
            end = 9 + (word >> 8)
            # Decoded as they come, whether a test looks or not, since each block may change the table.
            headers = tuple(self.decoder.decode(octets[9:end])) if word & 0xFF == frames.HEADERS else ()
            answer.append(Frame(word & 0xFF, flags, stream_id, octets[9:end], headers))
            octets = octets[end:]
        self._rest = octets
        self.seen += answer
        return answer

    @staticmethod
    def frame_of(stream_id, block, flags=frames.END_HEADERS):
        return frames.frame(frames.HEADERS, flags, stream_id, block)

    def head(self, stream_id, headers=HEADERS, flags=frames.END_HEADERS):
        return self.frame_of(stream_id, self.encoder.encode(headers), flags)

    @staticmethod
    def body(stream_id, octets, flags=frames.END_STREAM):
        return frames.frame(frames.DATA, flags, stream_id, octets)

    def request(self, stream_id, body=b"hello", path="/t.T/Echo"):
        return self.head(stream_id, with_header((":path", path))) + self.body(stream_id, prefixed(body))

    def answers(self):
        """All calls that were answered so far: stream -> (headers and trailers in order, body, reset code)."""
        calls = {}
        for frame in self.seen:
            if frame.stream_id == 0:
                continue
            headers, body, resets = calls.setdefault(frame.stream_id, ([], bytearray(), []))
            if frame.kind == frames.HEADERS:
                headers += frame.headers
            elif frame.kind == frames.DATA:
                body += frame.payload
            elif frame.kind == frames.RST_STREAM:
                resets.append(frame.word)
        self.seen.clear()
        return {stream_id: Answer(dict(h), bytes(b), r) for stream_id, (h, b, r) in calls.items()}

    def call(self, headers=HEADERS, octets=HELLO, stream_id=1):
        """One whole call; returns its answer."""
        self.send(self.head(stream_id, headers) + self.body(stream_id, octets))
        return self.answers()[stream_id]

    @property
    def goaway(self):
        """The error code of the GOAWAY that ended the connection, or None."""
        return self.connection.end.code if self.connection.end is not None else None


class Answer(NamedTuple):
    headers: dict
    body: bytes
    resets: list

    @property
    def status(self):
        return int(self.headers.get("grpc-status", -1))
