"""A reply that was given before in the same octets is taken as what it was then, and as nothing else."""

import gzip
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.h2_server import HEAD, KEPT, H2Server, prefixed, pump
from trio_gcs.wire import frames, known_replies
from trio_gcs.wire.client_call import Call
from trio_gcs.wire.client_connection import ClientConnection
from trio_gcs.wire.client_reply import FINE
from trio_gcs.wire.client_sender import ClientLimits

MORE = (("x-more", "is added to the table"),)


class Forgetful(known_replies.KnownReplies):
    """Knows no reply."""

    def find(self, octets, blocks):
        return None


class Answer(NamedTuple):
    """What a server says to one call; ``cut`` is where its octets come in two pieces."""

    message: bytes = b"yes"
    status: int = 0
    more: tuple[tuple[str, str], ...] = ()
    zipped: bool = False
    cut: int = 0

    def to(self, server: H2Server, call: Call) -> list[bytes]:
        server.head(call.stream_id, (*HEAD, ("grpc-encoding", "gzip")) if self.zipped else HEAD)
        message = gzip.compress(self.message, mtime=0) if self.zipped else self.message
        server.data(call.stream_id, prefixed(message, int(self.zipped)))
        server.trailers(call.stream_id, self.status, self.more)
        octets = server.take()
        return [octets[: self.cut], octets[self.cut :]] if self.cut else [octets]


ANSWER = st.builds(
    Answer,
    message=st.sampled_from((b"", b"yes", b"no!", b"yes and no", b"x" * 300)),
    status=st.sampled_from((0, 0, 0, 5)),
    more=st.sampled_from(((), (), MORE)),
    zipped=st.sampled_from((False, False, True)),
    cut=st.sampled_from((0, 0, 0, 7, 30)),
)
# Each so many times in a row: what was said once is remembered after the second time.
ANSWERS = st.lists(st.tuples(ANSWER, st.integers(1, 4)), max_size=5).map(
    lambda pairs: [answer for answer, count in pairs for _ in range(count)]
)


def client(**limits: int) -> tuple[ClientConnection, H2Server]:
    made, server = ClientConnection(KEPT, ClientLimits(**limits)), H2Server()
    pump(made, server)
    return made, server


def ask(made: ClientConnection, server: H2Server) -> Call:
    call = Call()
    made.open(call, b"/a/B", (), b"question", end=True)
    server.receive(made.take_output())
    return call


def looked_into(made: ClientConnection, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    kinds: list[int] = []
    take = made._take_frame
    monkeypatch.setattr(made, "_take_frame", lambda kind, *rest: (kinds.append(kind), take(kind, *rest)))
    return kinds


def state(made: ClientConnection, call: Call) -> tuple[object, ...]:
    blocks = [reply.fields if reply is not None else None for reply in (call.head, call.trailers)]
    return (*blocks, call.outcome, list(call.messages), call.held_bytes, made._receive_window, made.closed, made.idle)


@given(ANSWERS)
def test_who_knows_replies_hears_the_same_as_who_does_not(answers: list[Answer]) -> None:
    (knowing, server), (forgetful, _) = client(), client()
    forgetful._replies = Forgetful()
    for answer in answers:
        calls = [ask(knowing, server), Call()]
        forgetful.open(calls[1], b"/a/B", (), b"question", end=True)
        forgetful.take_output()
        for piece in answer.to(server, calls[0]):
            knowing.receive(piece)
            forgetful.receive(piece)
        assert state(knowing, calls[0]) == state(forgetful, calls[1])
        assert [len(made.woken) for made in (knowing, forgetful)] == [1, 1]
        assert knowing.take_output() == forgetful.take_output()
        knowing.woken.clear()
        forgetful.woken.clear()


def test_what_was_said_before_is_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    made, server = client()
    kinds = looked_into(made, monkeypatch)
    for _ in range(4):
        call = ask(made, server)
        made.receive(b"".join(Answer().to(server, call)))
        assert (call.outcome, call.take_message()) == (FINE, b"yes")
    # The first time its blocks enter the table, the second time they are remembered.
    assert len(kinds) == 6


def test_a_reply_to_a_call_that_is_over_is_nobody_s(monkeypatch: pytest.MonkeyPatch) -> None:
    made, server = client()
    for _ in range(3):
        call = ask(made, server)
        (octets,) = Answer().to(server, call)
        made.receive(octets)
    kinds = looked_into(made, monkeypatch)
    made.woken.clear()
    made.receive(octets)
    assert (len(kinds), made.woken, made.closed) == (3, [], None)


def test_a_reply_that_was_refused_is_refused_again() -> None:
    made, server = client(message_bytes_max=2)
    for _ in range(4):
        call = ask(made, server)
        made.receive(b"".join(Answer().to(server, call)))
        assert call.outcome is not None
        assert call.outcome.status == 8
        assert not call.messages
        server.receive(made.take_output())


def test_only_small_replies_and_so_many_are_remembered() -> None:
    made, server = client()
    for size in (*range(200), *range(200)):
        call = ask(made, server)
        made.receive(b"".join(Answer(message=bytes(size * 3)).to(server, call)))
        assert call.outcome is FINE
    known = made._replies._by_size
    assert 0 < len(known) <= known_replies._SIZES_MAX
    assert max(known) <= known_replies.REPLY_BYTES_MAX


def test_a_head_that_is_no_grpc_is_never_remembered() -> None:
    made, server = client()
    for _ in range(4):
        call = ask(made, server)
        server.head(call.stream_id, ((":status", "200"), ("content-type", "text/html")))
        server.data(call.stream_id, prefixed(b"yes"))
        server.trailers(call.stream_id)
        made.receive(server.take())
        assert call.outcome is not None
        assert call.outcome.status == 2
        made.take_output()
    assert not made._replies._by_size


def learned() -> tuple[ClientConnection, list[bytes]]:
    """A client that has heard the same reply twice, and the blocks of the reply, which enter no table."""
    made, _ = client()
    blocks = [b"\x88\xbe", b"\0\x0bgrpc-status\x010"]  # 0xbe is the newest entry of the table
    first = b"\x88\x40\x0ccontent-type\x10application/grpc"
    for head in (first, blocks[0], blocks[0]):
        call = opened(made)
        made.receive(whole(call, head, blocks[1]))
        assert call.outcome is FINE
    assert made._replies._by_size
    return made, blocks


def opened(made: ClientConnection, *, end: bool = True) -> Call:
    call = Call()
    made.open(call, b"/a/B", (), b"question", end=end)
    made.take_output()
    return call


def whole(call: Call, head: bytes, trailers: bytes) -> bytes:
    return (
        frames.frame(frames.HEADERS, frames.END_HEADERS, call.stream_id, head)
        + frames.frame(frames.DATA, 0, call.stream_id, prefixed(b"yes"))
        + frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, call.stream_id, trailers)
    )


def test_the_same_octets_mean_something_else_once_the_table_has_changed() -> None:
    made, blocks = learned()
    other = opened(made)
    made.receive(frames.frame(frames.HEADERS, frames.END_HEADERS, other.stream_id, b"\x88\x40\x01x\x01y\xbf"))
    call = opened(made)
    made.receive(whole(call, *blocks))  # the newest entry is "x: y" now, and no content type
    assert call.outcome is not None
    assert call.outcome.status == 2


def test_a_whole_reply_to_a_call_that_has_its_head_breaks_a_rule() -> None:
    made, blocks = learned()
    call = opened(made)
    made.receive(frames.frame(frames.HEADERS, frames.END_HEADERS, call.stream_id, blocks[0]))
    made.receive(whole(call, *blocks))
    assert call.outcome is not None
    assert call.outcome.status == 13


def test_a_reply_before_the_request_has_ended_resets_the_stream() -> None:
    made, blocks = learned()
    call = opened(made, end=False)
    made.receive(whole(call, *blocks))
    assert call.outcome is FINE
    assert made.take_output() == frames.reset_frame(call.stream_id, 0)


def test_a_reply_in_the_middle_of_a_frame_is_payload() -> None:
    made, blocks = learned()
    call = opened(made)
    octets = whole(call, *blocks)
    made.receive(frames.pack_header(len(octets) << 8 | 0xAA, 0, 0))  # of a kind that is ignored
    made.receive(octets)
    assert call.outcome is None
    made.receive(octets)
    assert call.outcome is FINE
