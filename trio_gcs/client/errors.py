"""What a call to a GCS may raise: one class for each thing that a program may want to react to.

The hard idea: a GCS tells of errors in two ways, inside the reply or as a gRPC status, and which way it is depends on the
service. Both end here, and a caller cannot tell them apart.
"""

from collections.abc import Mapping
from typing import ClassVar

from grpclib.const import Status
from grpclib.exceptions import GRPCError

from trio_gcs.errors import Code


class ClientError(Exception):
    """Base of all that a call may raise; ``str(error)`` is one line for a person, ``code`` is Ray's number or None."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class NotFound(ClientError):
    """Nothing is known under this id, name or key."""


class AlreadyExists(ClientError):
    """The name is taken."""


class InvalidRequest(ClientError):
    """The server finds that the request makes no sense, or not now."""


class CreationFailed(ClientError):
    """The constructor of an actor raised."""


class SchedulingCancelled(ClientError):
    """The actor died before its creation was finished."""


class Gone(ClientError):
    """It is dead, so what was waited for will not come about."""


class Passive(ClientError):
    """The server is a standby and takes no such calls."""


class Unauthenticated(ClientError):
    """The server wants a token, and not the one that was sent."""


class WrongCluster(Unauthenticated):
    """Another cluster answers at the address by now: its store was emptied, or never kept anything."""


class Unavailable(ClientError):
    """The server cannot be reached, for longer than the client wanted to try."""


class DeadlineExceeded(ClientError):
    """There was no answer in time. Whether the request was carried out is not known."""


class Unsupported(ClientError):
    """The server has no such call: it may be another version, or stock Ray's."""


class ServerError(ClientError):
    """The server failed in another way; its words are in the message."""


class Compacted(ClientError):
    """What came after this token is no longer kept; begin again with a snapshot."""


class Lagged(ClientError):
    """The reader was too far behind and was cut off; ``token`` is where to go on from."""

    def __init__(self, message: str, token: str) -> None:
        super().__init__(message)
        self.token = token


_BY_CODE: Mapping[int, type[ClientError]] = {
    Code.KEY_ERROR: InvalidRequest,
    Code.TYPE_ERROR: InvalidRequest,
    Code.INVALID: InvalidRequest,
    Code.INVALID_ARGUMENT: InvalidRequest,
    Code.TIMED_OUT: DeadlineExceeded,
    Code.CREATION_TASK_ERROR: CreationFailed,
    Code.NOT_FOUND: NotFound,
    Code.SCHEDULING_CANCELLED: SchedulingCancelled,
    Code.ALREADY_EXISTS: AlreadyExists,
    Code.UNAUTHENTICATED: Unauthenticated,
    Code.GCS_PASSIVE: Passive,
    Code.NOT_IMPLEMENTED: Unsupported,
}
_BY_STATUS: Mapping[Status, type[ClientError]] = {
    Status.UNAVAILABLE: Unavailable,
    Status.DEADLINE_EXCEEDED: DeadlineExceeded,
    Status.UNAUTHENTICATED: Unauthenticated,
    Status.PERMISSION_DENIED: Unauthenticated,
    Status.UNIMPLEMENTED: Unsupported,
    Status.INVALID_ARGUMENT: InvalidRequest,
    Status.NOT_FOUND: NotFound,
    Status.ALREADY_EXISTS: AlreadyExists,
}


class _Names:
    """Codes by the names that travel as gRPC messages."""

    known: ClassVar[Mapping[str, Code]] = {code.wire_name: code for code in Code}


def error_of_code(code: int, message: str) -> ClientError:
    """The error that stands in a reply."""
    known = code in Code.__members__.values()
    name = Code(code).wire_name if known else f"code {code}"
    return _BY_CODE.get(code, ServerError)(message or name, code=code)


def error_of_grpc(error: GRPCError) -> ClientError:
    """The error that came as a gRPC status. ABORTED carries the name of a code, with the text in the details."""
    message = error.message or error.status.name
    if error.status is Status.ABORTED and message in _Names.known:
        told = error.details
        text = told.decode(errors="replace") if isinstance(told, bytes) else str(told or "")
        return error_of_code(_Names.known[message], text)
    if error.status is Status.UNAUTHENTICATED and "WrongClusterID" in message:
        return WrongCluster(message)
    return _BY_STATUS.get(error.status, ServerError)(message)
