"""gRPC's own headers: what goes out comes back, and what is broken is refused or shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.wire.metadata import (
    MetadataError,
    decode_binary,
    decode_metadata,
    decode_timeout,
    encode_binary,
    encode_metadata,
    encode_timeout,
    parse_status,
    percent_decode,
    percent_encode,
    status_fields,
)


@given(st.floats(0, 10**8))
def test_a_timeout_comes_back_a_little_shorter_and_never_longer(seconds):
    encoded = encode_timeout(seconds)
    assert len(encoded) <= 9
    back = decode_timeout(encoded)
    assert back <= seconds * (1 + 1e-9) + 1e-9
    assert back >= seconds * (1 - 1e-4) - 1e-8 or seconds > 10**7


@pytest.mark.parametrize("value", [b"", b"1", b"S", b"123456789S", b"-1S", b"1.5S", b"1s", b" 1S", b"\xd9\xa1S"])
def test_a_timeout_outside_of_the_grammar_is_refused(value):
    with pytest.raises(ValueError, match="grpc-timeout"):
        decode_timeout(value)


@given(st.text())
def test_a_message_comes_back_as_it_was(text):
    encoded = percent_encode(text)
    assert all(0x20 <= octet <= 0x7E for octet in encoded)
    shown = text.encode("utf-8", "replace").decode()
    assert percent_decode(encoded) == shown


@pytest.mark.parametrize(("value", "text"), [(b"100%", "100%"), (b"%zz", "%zz"), (b"%ff", "\ufffd"), (b"a%20b", "a b")])
def test_a_broken_message_is_shown_rather_than_refused(value, text):
    assert percent_decode(value) == text


@given(st.binary())
def test_binary_values_are_read_with_and_without_padding(value):
    encoded = encode_binary(value)
    assert b"=" not in encoded
    assert decode_binary(encoded) == value
    assert decode_binary(encoded + b"=" * (-len(encoded) % 4)) == value


keys = st.from_regex(r"[a-z][a-z0-9_.\-]{0,20}", fullmatch=True).filter(
    lambda key: not key.startswith("grpc-") and key not in {"te", "content-type", "user-agent"}
)
pairs = st.one_of(
    st.tuples(keys.filter(lambda key: not key.endswith("-bin")), st.from_regex(r"[ -~]*", fullmatch=True)),
    st.tuples(keys.map(lambda key: f"{key}-bin"), st.binary()),
)


@given(st.lists(pairs, max_size=8))
def test_metadata_comes_back_in_order_with_duplicates(metadata):
    assert list(decode_metadata(encode_metadata(metadata)).items()) == metadata


def test_names_do_not_depend_on_case_and_several_binary_values_may_be_joined():
    metadata = decode_metadata([(b"node_id", b"x"), (b"a-bin", b"AA,AQ==, Ag")])
    assert metadata["NODE_ID"] == "x"
    assert metadata.getall("A-Bin") == [b"\0", b"\1", b"\2"]


@pytest.mark.parametrize(
    "pair",
    [
        ("grpc-status", "0"),
        (":path", "/"),
        ("te", "x"),
        ("a b", "c"),
        ("", "c"),
        ("ü", "c"),
        ("a", "ü"),
        ("a", "b\n"),
        ("a", b"c"),
        ("a-bin", "c"),
    ],
)
def test_what_may_not_be_sent_is_refused(pair):
    with pytest.raises(MetadataError):
        encode_metadata([pair])


@given(st.integers(0, 16), st.text(min_size=1), st.binary())
def test_a_status_comes_back(status, message, details):
    shown = message.encode("utf-8", "replace").decode()
    assert parse_status(status_fields(status, message, details)) == (status, shown, details)


def test_a_status_that_is_missing_or_broken_is_none():
    assert parse_status([]) == (None, None, None)
    assert parse_status([(b"grpc-status", b"x"), (b"grpc-status-details-bin", b"@")]) == (None, None, None)
