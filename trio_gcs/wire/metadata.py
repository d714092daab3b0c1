"""gRPC's own headers, for both roles: timeouts, messages, custom metadata and the status of a call.

Metadata reaches people as a case-insensitive multi-mapping (`CIMultiDict`) of str to str, or to bytes for names
that end in `-bin`; on the wire it is header fields of octets. The hard idea: text is percent-encoded and binary is
base64 exactly as the gRPC description says, but what comes in is read leniently, since a peer's slip in a
message or in padding must not cost the call.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from multidict import CIMultiDict

Value = str | bytes
Field = tuple[bytes, bytes]
MetadataLike = Mapping[str, Value] | Collection[tuple[str, Value]]

_UNITS_S: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_TIMEOUT_DIGITS_MAX: Final = 99_999_999

# Everything printable but the percent sign itself travels as it is.
_SAFE: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")

_NAME = re.compile(r"[0-9a-z_.-]+")
_TEXT = re.compile(r"[ -~]*")
_OURS: Final = (b":", b"grpc-")
_RESERVED: Final = frozenset({b"te", b"content-type", b"user-agent"})


class MetadataError(ValueError):
    """Metadata that may not be sent: a reserved or malformed name, or a value of the wrong type."""


def decode_timeout(value: bytes) -> float:
    """Return the seconds of a `grpc-timeout`; raises ValueError for what the grammar does not allow."""
    match = _TIMEOUT.fullmatch(value)
    if match is None:
        raise ValueError(f"grpc-timeout {value!r} is not up to eight digits and a unit")
    return int(match[1]) * _UNITS_S[match[2]]


def encode_timeout(seconds: float) -> bytes:
    """Return `grpc-timeout` for a time that is left, rounded down to the finest unit that fits in eight digits."""
    seconds = max(seconds, 0.0)
    for unit in (b"n", b"u", b"m", b"S", b"M", b"H"):
        count = int(seconds / _UNITS_S[unit])
        if count <= _TIMEOUT_DIGITS_MAX:
            return b"%d%b" % (count, unit)
    return b"%dH" % _TIMEOUT_DIGITS_MAX


def percent_encode(text: str) -> bytes:
    """Return `grpc-message` for a text: printable ASCII as it is, the rest as %XX of its UTF-8."""
    return quote(text, safe=_SAFE, errors="replace").encode("ascii")


def percent_decode(value: bytes) -> str:
    """Return the text of a `grpc-message`; broken escapes and broken UTF-8 are shown, not refused."""
    return unquote_to_bytes(value).decode("utf-8", "replace")


def encode_binary(value: bytes) -> bytes:
    """Return a `-bin` header's value: base64 without padding."""
    return b64encode(value).rstrip(b"=")


def decode_binary(value: bytes) -> bytes:
    """Return the octets of one `-bin` value, padded or not; raises ValueError when it is not base64."""
    bare = value.rstrip(b"=")
    return b64decode(bare + b"=" * (-len(bare) % 4), validate=True)


def decode_metadata(fields: Iterable[Field]) -> CIMultiDict[str | bytes]:
    """Gather the custom metadata of a header block, in order, duplicates kept.

    Raises ValueError when a `-bin` value is not base64.
    """
    metadata: CIMultiDict[str | bytes] = CIMultiDict()
    for name, value in fields:
        if name.startswith(_OURS) or name in _RESERVED:
            continue
        if name.endswith(b"-bin"):
            # A proxy may have joined several values of one name with commas; base64 has no comma.
            for part in value.split(b","):
                metadata.add(name.decode("ascii"), decode_binary(part.strip()))
        else:
            metadata.add(name.decode("ascii"), value.decode("latin-1"))
    return metadata


def encode_metadata(metadata: MetadataLike | None) -> list[Field]:
    """Return the header fields of custom metadata; raises `MetadataError` for what may not be sent."""
    if not metadata:
        return []
    pairs = metadata.items() if isinstance(metadata, Mapping) else metadata
    return [_encode_pair(name, value) for name, value in pairs]


def _encode_pair(name: str, value: str | bytes) -> Field:
    name = name.lower()
    key = name.encode("ascii", "replace")
    if not _NAME.fullmatch(name) or key.startswith(_OURS) or key in _RESERVED:
        raise MetadataError(f"{name!r} is not a name for metadata")
    if name.endswith("-bin"):
        if not isinstance(value, bytes):
            raise MetadataError(f"{name!r} needs bytes")
        return key, encode_binary(value)
    if not isinstance(value, str) or not _TEXT.fullmatch(value):
        raise MetadataError(f"{name!r} needs printable ASCII text")
    return key, value.encode("ascii")


def status_fields(status: int, message: str | None = None, details: bytes | None = None) -> list[Field]:
    """Return the trailing fields that end a call; `details` go into `grpc-status-details-bin` as they are."""
    fields = [(b"grpc-status", b"%d" % status)]
    if message:
        fields.append((b"grpc-message", percent_encode(message)))
    if details is not None:
        fields.append((b"grpc-status-details-bin", encode_binary(details)))
    return fields


def parse_status(fields: Iterable[Field]) -> tuple[int | None, str | None, bytes | None]:
    """Return (status, message, details) of a trailer block; a status that is missing or no number is None."""
    status: int | None = None
    message: str | None = None
    details: bytes | None = None
    for name, value in fields:
        if name == b"grpc-status" and value.isdigit():
            status = int(value)
        elif name == b"grpc-message":
            message = percent_decode(value)
        elif name == b"grpc-status-details-bin":
            try:
                details = decode_binary(value)
            except ValueError:
                details = None
    return status, message, details
