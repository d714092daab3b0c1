"""What a request's header block means, worked out once per distinct block and then remembered with it.

The hard idea: everything that depends on the headers alone is decided here, before any stream exists: whether the
block is malformed (the stream is reset), whether the call is refused (and with which status), or who serves it. The
fast path of a connection then asks for a single attribute, `fast`.
"""

from collections.abc import Callable, Iterable
from math import inf
from typing import TYPE_CHECKING, Final, Protocol

from trio_gcs.wire import messages, metadata
from trio_gcs.wire.headers import malformed_request, malformed_trailers
from trio_gcs.wire.metadata import Field

if TYPE_CHECKING:
    from multidict import CIMultiDict

    from trio_gcs.wire.receiver import Receiver
    from trio_gcs.wire.stream import WireStream

_STATUS_HEADER: Final = (b":status", b"200")
_CONTENT_TYPE: Final = (b"content-type", b"application/grpc")
HEAD: Final = (_STATUS_HEADER, _CONTENT_TYPE)


class Refusal:
    """An answer that is known from the headers alone: one header block that ends the call."""

    __slots__ = ("fields", "status")

    def __init__(self, status: int, message: str, extra: Iterable[Field] = (), head: Iterable[Field] = HEAD) -> None:
        self.status = status
        self.fields = [*head, *metadata.status_fields(status, message), *extra]

    def used(self) -> None:
        """Hear that a call was refused so; for those who count."""


class Target(Protocol):
    """One method of the application, as a connection sees it."""

    @property
    def streaming(self) -> bool:
        """Whether `open` is to be called when the headers arrive, rather than `call` with the whole message."""
        ...

    def call(
        self, connection: "Receiver", stream_id: int, request: "Request", deadline: float, body: bytes
    ) -> bytes | None:
        """Serve a unary call: return its reply's octets, or `take` the stream, answer later and return None."""
        ...

    def open(self, connection: "Receiver", stream: "WireStream") -> None:
        """Serve a streaming call: `adopt` it."""
        ...

    def expired(self) -> None:
        """Hear that a call came with no time left, and was answered so."""
        ...


Call = Callable[["Receiver", int, "Request", float, bytes], bytes | None]


class Application(Protocol):
    """Who decides about calls."""

    def admit(self, path: bytes, fields: list[Field]) -> Target | Refusal:
        """Return who serves a call with these headers, or why nobody does. Asked once per distinct header block."""
        ...


class Request:
    """A decoded header block with the verdict on it. It may also be the trailers of a stream that is open."""

    __slots__ = (
        "_metadata",
        "content_length",
        "encoding",
        "fast",
        "fields",
        "malformed",
        "refusal",
        "target",
        "timeout_s",
    )

    def __init__(self, fields: list[Field], application: Application) -> None:
        self.fields = fields
        self.malformed = malformed_request(fields)
        self.timeout_s = inf
        self.encoding = b"identity"
        self.content_length: int | None = None
        self.refusal: Refusal | None = None
        self.target: Target | None = None
        self.fast: Call | None = None  # who serves the call, if nothing about it is special
        self._metadata: CIMultiDict[str | bytes] | None = None
        if self.malformed is None:
            self._judge(application)

    @property
    def metadata(self) -> "CIMultiDict[str | bytes]":
        """The custom metadata; `_judge` has seen that it can be decoded."""
        if self._metadata is None:
            self._metadata = metadata.decode_metadata(self.fields)
        return self._metadata

    @property
    def malformed_as_trailers(self) -> str | None:
        """What is wrong with this block as trailers, or None."""
        return malformed_trailers(self.fields)

    def _judge(self, application: Application) -> None:
        headers = dict(self.fields)
        length = headers.get(b"content-length")
        if length is not None:
            if not length.isdigit():
                self.malformed = "content-length is not a number"
                return
            self.content_length = int(length)
        self.refusal = self._refused(headers)
        if self.refusal is not None:
            return
        verdict = application.admit(headers[b":path"], self.fields)
        if isinstance(verdict, Refusal):
            self.refusal = verdict
        else:
            self.target = verdict
            if not verdict.streaming:
                self.fast = verdict.call

    def _refused(self, headers: dict[bytes, bytes]) -> Refusal | None:
        """Read gRPC's own headers; return a refusal where they are not gRPC's, or not to be understood."""
        if headers[b":method"] != b"POST":
            return Refusal(messages.INTERNAL, "gRPC calls are POST", head=[(b":status", b"405")])
        if not _is_grpc(headers.get(b"content-type", b"")):
            return Refusal(messages.INTERNAL, "gRPC calls are application/grpc", head=[(b":status", b"415")])
        self.encoding = headers.get(b"grpc-encoding", b"identity")
        if not messages.acceptable(self.encoding):
            text = f"grpc-encoding {self.encoding.decode('latin-1')!r} is not supported"
            return Refusal(messages.UNIMPLEMENTED, text, [(b"grpc-accept-encoding", messages.ACCEPTED)])
        try:
            if b"grpc-timeout" in headers:
                self.timeout_s = metadata.decode_timeout(headers[b"grpc-timeout"])
            if any(name.endswith(b"-bin") for name in headers):
                self._metadata = metadata.decode_metadata(self.fields)
        except ValueError as error:
            return Refusal(messages.INTERNAL, f"malformed metadata: {error}")
        return None


def _is_grpc(content_type: bytes) -> bool:
    """`application/grpc`, alone or with a +format or ;parameter. Only protobuf is served, whatever it is called."""
    return content_type.startswith(b"application/grpc") and content_type[16:17] in b"+;"
