"""What a server's header block means to a call: how it ended, or that it goes on.

The hard idea: everything that can be known from one block alone is worked out once, when the block is decoded, and
remembered with it (see `HeaderMemory`). A call that is answered by a block seen before costs no look at any field.
"""

from typing import Final, NamedTuple

from trio_gcs.wire.frames import ErrorCode
from trio_gcs.wire.headers import malformed_response, malformed_trailers
from trio_gcs.wire.metadata import Field, parse_status

# The numbers of gRPC's statuses that we make ourselves.
CANCELLED: Final = 1
UNKNOWN: Final = 2
DEADLINE_EXCEEDED: Final = 4
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
UNAUTHENTICATED: Final = 16

_HTTP_OK: Final = 200
_STATUS_MAX: Final = 16

# gRPC's "HTTP to gRPC status code mapping"; whatever is not listed is UNKNOWN.
_OF_HTTP: Final = {
    400: INTERNAL,
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    404: UNIMPLEMENTED,
    429: UNAVAILABLE,
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}

# gRPC's mapping of RST_STREAM; whatever is not listed is INTERNAL.
_OF_RESET: Final = {
    ErrorCode.REFUSED_STREAM: UNAVAILABLE,
    ErrorCode.CANCEL: CANCELLED,
    ErrorCode.STREAM_CLOSED: UNKNOWN,
    ErrorCode.ENHANCE_YOUR_CALM: RESOURCE_EXHAUSTED,
    ErrorCode.INADEQUATE_SECURITY: PERMISSION_DENIED,
}


class Outcome(NamedTuple):
    """How a call ended; `details` are the octets of grpc-status-details-bin."""

    status: int
    message: str | None = None
    details: bytes | None = None


FINE: Final = Outcome(0)


class Reply:
    """One header block from a server: the head of a reply, its trailers, or both in one."""

    __slots__ = ("encoding", "fields", "informational", "is_head", "outcome", "problem", "refusal")

    def __init__(self, fields: list[Field]) -> None:
        named = dict(fields)
        http_status = named.get(b":status")
        self.fields = fields
        self.is_head = http_status is not None
        self.problem = malformed_response(fields) if self.is_head else malformed_trailers(fields)
        self.informational = http_status is not None and http_status[:1] == b"1"
        self.encoding = named.get(b"grpc-encoding", b"identity")
        self.outcome = _outcome(fields) if b"grpc-status" in named else None
        # Set when a head can be no head of a gRPC reply, so that the call is over whatever follows.
        self.refusal: Outcome | None = None
        if http_status is not None and self.problem is None and not self.informational:
            self.refusal = _refusal(int(http_status), named.get(b"content-type"))

    def __bool__(self) -> bool:
        """Be true, as `HeaderMemory` wants of what it remembers."""
        return True


def _outcome(fields: list[Field]) -> Outcome:
    status, message, details = parse_status(fields)
    if status is None or status > _STATUS_MAX:
        return Outcome(UNKNOWN, f"the server ended the call with no status that is known: {message or ''}", details)
    return Outcome(status, message, details) if status else FINE


def _refusal(http_status: int, content_type: bytes | None) -> Outcome | None:
    if http_status != _HTTP_OK:
        return Outcome(_OF_HTTP.get(http_status, UNKNOWN), f"the server answered with HTTP status {http_status}")
    if content_type is None or not content_type.startswith(b"application/grpc"):
        shown = "no content-type" if content_type is None else f"content-type {content_type.decode('latin-1')!r}"
        return Outcome(UNKNOWN, f"the server answered with {shown}")
    return None


def outcome_of_reset(code: int) -> Outcome:
    """Return how a call ended that the server reset with `code`."""
    try:
        name = ErrorCode(code).name
    except ValueError:
        return Outcome(INTERNAL, f"the server reset the call with code {code}")
    return Outcome(_OF_RESET.get(ErrorCode(code), INTERNAL), f"the server reset the call: {name}")
