"""Cutting messages out of octets, however these are cut."""

import gzip
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.wire_world import prefixed
from trio_gcs.wire.messages import Assembler, CallError


@given(st.lists(st.binary(max_size=50), max_size=10), st.lists(st.integers(0, 500), max_size=30), st.booleans())
def test_messages_come_out_whole_and_in_order_however_they_are_cut(bodies, cuts, squeeze):
    octets = b"".join(prefixed(gzip.compress(body), 1) if squeeze else prefixed(body) for body in bodies)
    ends = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    assembler = Assembler(b"gzip", 1000)
    found = [body for start, end in pairwise(ends) for body in assembler.feed(octets[start:end])]
    assert found == bodies
    assert assembler.pending_bytes == 0


@given(st.binary(min_size=1, max_size=50), st.data())
def test_what_is_pending_is_what_came_of_an_unfinished_message(body, data):
    octets = prefixed(body)
    come = data.draw(st.integers(0, len(octets) - 1))
    assembler = Assembler(b"identity", 1000)
    assert list(assembler.feed(octets[:come])) == []
    assert assembler.pending_bytes == come
    assert list(assembler.feed(octets[come:])) == [body]


def test_a_size_is_refused_when_its_prefix_is_whole_and_not_before():
    assembler = Assembler(b"identity", 10)
    octets = prefixed(bytes(11))
    assert list(assembler.feed(octets[:4])) == []
    with pytest.raises(CallError):
        list(assembler.feed(octets[4:5]))
