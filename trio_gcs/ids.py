"""Ray's ids: byte strings of a fixed length, one type each.

An id *is* its bytes, so it goes into protobuf fields and dictionary keys as it is. All-0xFF is *nil*, and an empty
field of a message means nil too (Ray 2.60 behaviour); any other length is refused where it comes in.
"""

from __future__ import annotations

from typing import ClassVar, Self

from trio_gcs.errors import Invalid


class Id(bytes):
    """Base of all ids."""

    __slots__ = ()
    SIZE: ClassVar[int]

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Take an id from a message. Empty is nil; a wrong length raises :class:`Invalid`."""
        if len(raw) == cls.SIZE:
            return cls(raw)
        if not raw:
            return cls.nil()
        raise Invalid(f"Expected {cls.__name__} to be {cls.SIZE} bytes, but got {len(raw)} bytes.")

    @classmethod
    def nil(cls) -> Self:
        """The id of nothing."""
        return cls(b"\xff" * cls.SIZE)

    @property
    def is_nil(self) -> bool:
        """Whether this is the id of nothing."""
        return self == b"\xff" * self.SIZE

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.hex()})"

    __str__ = __repr__


class NodeID(Id):
    """A node, that is, one raylet's life."""

    __slots__ = ()
    SIZE = 28


class WorkerID(Id):
    """A worker process or a driver."""

    __slots__ = ()
    SIZE = 28


class ClusterID(Id):
    """A cluster, from its first start until its store is emptied."""

    __slots__ = ()
    SIZE = 28


class JobID(Id):
    """A job: a little-endian unsigned 32-bit number."""

    __slots__ = ()
    SIZE = 4

    @classmethod
    def from_number(cls, number: int) -> JobID:
        """The id of job ``number``; job 1 is ``01 00 00 00``."""
        return cls(number.to_bytes(4, "little"))


class ActorID(Id):
    """An actor: 12 random bytes, then its job."""

    __slots__ = ()
    SIZE = 16

    @property
    def job_id(self) -> JobID:
        """The job that made the actor; nil for the nil actor."""
        return JobID(self[12:])


class TaskID(Id):
    """A task: 8 random bytes, then its actor, whose last 4 bytes are the job."""

    __slots__ = ()
    SIZE = 24

    @property
    def actor_id(self) -> ActorID:
        """The actor that the task belongs to; nil but for its job where it belongs to none."""
        return ActorID(self[8:])

    @property
    def job_id(self) -> JobID:
        """The job that the task belongs to."""
        return JobID(self[20:])


class ObjectID(Id):
    """An object: the task that made it, then its index among the task's results."""

    __slots__ = ()
    SIZE = 28


class PlacementGroupID(Id):
    """A placement group: 14 random bytes, then its job."""

    __slots__ = ()
    SIZE = 18

    @property
    def job_id(self) -> JobID:
        """The job that made the group."""
        return JobID(self[14:])


class LeaseID(Id):
    """A lease of a worker: a little-endian 32-bit counter, then 28 bytes of whoever counted."""

    __slots__ = ()
    SIZE = 32


def is_nil(raw: bytes) -> bool:
    """Whether an id field of a message names nothing: empty, or all 0xFF."""
    return not raw.strip(b"\xff")
