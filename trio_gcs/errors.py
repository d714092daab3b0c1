"""The whole tree of errors: what a caller may be told, what a peer did to us, and what ends the daemon.

Three kinds, three fates. A :class:`GcsError` is told to the caller, by ``rpc/dispatch`` and nowhere else. A
:class:`RemoteError` is caught by the duty that called a raylet or a worker. A :class:`StoreError` ends the daemon.
Everything else that a handler raises is a bug.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class Code(IntEnum):
    """Status codes of Ray 2.60, as they stand in ``GcsStatus.code``."""

    OK = 0
    OUT_OF_MEMORY = 1
    KEY_ERROR = 2
    TYPE_ERROR = 3
    INVALID = 4
    IO_ERROR = 5
    UNKNOWN_ERROR = 9
    NOT_IMPLEMENTED = 10
    REDIS_ERROR = 11
    TIMED_OUT = 12
    INTERRUPTED = 13
    INTENTIONAL_SYSTEM_EXIT = 14
    UNEXPECTED_SYSTEM_EXIT = 15
    CREATION_TASK_ERROR = 16
    NOT_FOUND = 17
    DISCONNECTED = 18
    SCHEDULING_CANCELLED = 19
    ALREADY_EXISTS = 20
    RPC_ERROR = 30
    UNAUTHENTICATED = 33
    INVALID_ARGUMENT = 34
    PERMISSION_DENIED = 37
    GCS_PASSIVE = 38

    @property
    def wire_name(self) -> str:
        """Ray's name of the code, which travels as grpc-message where a reply has no status field."""
        return _WIRE_NAMES.get(self) or "".join(word.capitalize() for word in self.name.split("_"))


_WIRE_NAMES = {Code.OK: "OK", Code.IO_ERROR: "IOError", Code.UNKNOWN_ERROR: "Unknown error", Code.RPC_ERROR: "RpcError"}


class GcsError(Exception):
    """Base of what a caller may be told; ``str(error)`` is the text it gets."""

    code: ClassVar[Code]


class BadKey(GcsError):
    """A key that the key-value store refuses."""

    code = Code.KEY_ERROR


class Invalid(GcsError):
    """The request makes no sense, or not now."""

    code = Code.INVALID


class InvalidArgument(GcsError):
    """One field of the request is outside of what it may be."""

    code = Code.INVALID_ARGUMENT


class TimedOut(GcsError):
    """What the caller waited for did not happen in the time that it gave."""

    code = Code.TIMED_OUT


class CreationTaskFailed(GcsError):
    """The constructor of an actor raised."""

    code = Code.CREATION_TASK_ERROR


class NotFound(GcsError):
    """Nothing is known under this id, name or key."""

    code = Code.NOT_FOUND


class Disconnected(GcsError):
    """The peer that had to be asked is gone."""

    code = Code.DISCONNECTED


class SchedulingCancelled(GcsError):
    """The actor died before its creation was finished."""

    code = Code.SCHEDULING_CANCELLED


class AlreadyExists(GcsError):
    """The name is taken."""

    code = Code.ALREADY_EXISTS


class RemoteError(Exception):
    """A raylet or a worker answered with an error, or did not answer.

    ``status`` is the number of the gRPC status, ``details`` the text that Ray puts into grpc-status-details-bin.
    """

    def __init__(self, status: int, message: str, details: str = "") -> None:
        super().__init__(f"gRPC status {status}: {message}" + (f" ({details})" if details else ""))
        self.status = status
        self.message = message
        self.details = details


class RemoteGone(RemoteError):
    """The peer was declared dead, or our client to it was dropped; it will never answer."""

    def __init__(self, peer: str) -> None:
        super().__init__(14, f"{peer} is gone")


class StoreError(Exception):
    """The store failed, or answered wrongly. There is no state after it: the daemon ends, and start is recovery."""


class StartError(Exception):
    """The daemon cannot start as it was asked to; ``str(error)`` is one line for the person who asked."""
