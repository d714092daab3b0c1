"""Header compression and its memory, against the hpack library."""

import pytest
from hpack import Decoder, Encoder
from hpack.hpack import decode_integer
from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.wire.frames import ErrorCode, PeerError
from trio_gcs.wire.headers import HeaderEncoder, HeaderMemory, encode_integer, malformed_response, malformed_trailers

FIELDS = ((b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-status", b"0"))
names = st.sampled_from([b"a", b"content-type", b"grpc-status", b"x" * 60])
fields = st.lists(st.tuples(names, st.binary(max_size=2000)), max_size=6)


def decoded(decoder, block):
    return [tuple(field) for field in decoder.decode(block, raw=True)]


@given(st.lists(st.tuples(fields, fields, st.none() | st.integers(0, 10_000)), max_size=20))
def test_what_is_encoded_decodes_whatever_the_peer_allows(steps):
    encoder, decoder = HeaderEncoder(), Decoder(max_header_list_size=100_000)
    for kept, passing, size in steps:
        if size is not None:
            encoder.resize(size)
            decoder.max_allowed_table_size = min(size, 4096)
        block = encoder.encode(kept, passing)
        assert decoded(decoder, block) == kept + passing
        assert len(decoder.header_table.dynamic_entries) == len(encoder._entries)


@given(st.lists(fields, max_size=10))
def test_a_block_means_the_same_until_the_generation_moves(lists):
    encoder, decoder, blocks = HeaderEncoder(), Decoder(max_header_list_size=100_000), {}
    for kept in lists:
        before = encoder.generation
        block = encoder.encode(kept)
        decoded(decoder, block)
        if encoder.generation != before:
            blocks.clear()
        else:
            blocks[block] = kept
        for known, meaning in blocks.items():
            assert decoded(decoder, known) == meaning


def test_kept_fields_cost_an_octet_each_once_they_are_in_the_table():
    encoder = HeaderEncoder()
    assert not encoder.has_all(FIELDS)
    encoder.encode(FIELDS)
    assert encoder.has_all(FIELDS)
    assert len(encoder.encode(FIELDS)) == 3


@given(st.integers(0, 2**31), st.integers(1, 8))
def test_integers_are_those_of_hpack(value, prefix_bits):
    assert decode_integer(encode_integer(value, prefix_bits), prefix_bits)[0] == value


@given(st.lists(st.lists(st.tuples(names, st.binary(max_size=300)), min_size=1, max_size=6), max_size=30))
def test_the_memory_never_answers_with_a_stale_meaning(lists):
    encoder, memory = Encoder(), HeaderMemory(list, 100_000)
    for sent in lists:
        block = encoder.encode(sent, huffman=False)
        known = memory.known.get(block)
        assert (known if known is not None else memory.decode(block)) == sent


def test_a_block_that_repeats_is_decoded_twice_at_most():
    encoder, memory = Encoder(), HeaderMemory(list)
    for _ in range(100):
        block = encoder.encode(FIELDS)
        assert memory.known.get(block) or memory.decode(block)
    assert memory.decoded_count == 2


def test_what_is_remembered_is_bounded():
    memory = HeaderMemory(list)
    for number in range(5000):
        block = b"\0\1a" + encode_integer(4, 7) + b"%04d" % number
        memory.decode(block)
    assert len(memory.known) <= 512
    memory.decode(b"\0\1a" + encode_integer(2000, 7) + bytes(2000))
    assert all(len(block) < 100 for block in memory.known)


@pytest.mark.parametrize(
    ("block", "code"),
    [
        (b"\xff", ErrorCode.COMPRESSION_ERROR),
        (b"\x40\x05ab", ErrorCode.COMPRESSION_ERROR),
        (b"\x00\x81\xff\x00", ErrorCode.COMPRESSION_ERROR),
        (b"\x82\x20", ErrorCode.COMPRESSION_ERROR),
        (b"\0\1a" + encode_integer(20_000, 7) + bytes(20_000), ErrorCode.ENHANCE_YOUR_CALM),
    ],
)
def test_what_does_not_decode_ends_the_connection(block, code):
    with pytest.raises(PeerError) as caught:
        HeaderMemory(list).decode(block)
    assert caught.value.code is code


def test_responses_have_a_status_and_trailers_have_none():
    assert malformed_response([(b":status", b"200"), (b"a", b"b")]) is None
    assert malformed_response([(b"a", b"b")]) is not None
    assert malformed_response([(b":status", b"20")]) is not None
    assert malformed_trailers([(b"grpc-status", b"0")]) is None
    assert malformed_trailers([(b":status", b"200")]) is not None
