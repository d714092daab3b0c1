from trio_gcs.generated.trio_gcs.v1 import events_pb2 as _events_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TreeRequest(_message.Message):
    __slots__ = ("tasks_max",)
    TASKS_MAX_FIELD_NUMBER: _ClassVar[int]
    tasks_max: int
    def __init__(self, tasks_max: _Optional[int] = ...) -> None: ...

class TreeReply(_message.Message):
    __slots__ = ("root", "tasks", "omitted")
    ROOT_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    OMITTED_FIELD_NUMBER: _ClassVar[int]
    root: TaskNode
    tasks: int
    omitted: int
    def __init__(self, root: _Optional[_Union[TaskNode, _Mapping]] = ..., tasks: _Optional[int] = ..., omitted: _Optional[int] = ...) -> None: ...

class TaskNode(_message.Message):
    __slots__ = ("name", "waits_in", "deadline_in_s", "cancelled", "nurseries")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WAITS_IN_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_IN_S_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    NURSERIES_FIELD_NUMBER: _ClassVar[int]
    name: str
    waits_in: _containers.RepeatedScalarFieldContainer[str]
    deadline_in_s: float
    cancelled: bool
    nurseries: _containers.RepeatedCompositeFieldContainer[NurseryNode]
    def __init__(self, name: _Optional[str] = ..., waits_in: _Optional[_Iterable[str]] = ..., deadline_in_s: _Optional[float] = ..., cancelled: _Optional[bool] = ..., nurseries: _Optional[_Iterable[_Union[NurseryNode, _Mapping]]] = ...) -> None: ...

class NurseryNode(_message.Message):
    __slots__ = ("deadline_in_s", "cancelled", "shielded", "tasks")
    DEADLINE_IN_S_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    SHIELDED_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    deadline_in_s: float
    cancelled: bool
    shielded: bool
    tasks: _containers.RepeatedCompositeFieldContainer[TaskNode]
    def __init__(self, deadline_in_s: _Optional[float] = ..., cancelled: _Optional[bool] = ..., shielded: _Optional[bool] = ..., tasks: _Optional[_Iterable[_Union[TaskNode, _Mapping]]] = ...) -> None: ...

class StoryRequest(_message.Message):
    __slots__ = ("id", "lines_max")
    ID_FIELD_NUMBER: _ClassVar[int]
    LINES_MAX_FIELD_NUMBER: _ClassVar[int]
    id: str
    lines_max: int
    def __init__(self, id: _Optional[str] = ..., lines_max: _Optional[int] = ...) -> None: ...

class StoryReply(_message.Message):
    __slots__ = ("lines", "complete_after_revision")
    LINES_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_AFTER_REVISION_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[StoryLine]
    complete_after_revision: int
    def __init__(self, lines: _Optional[_Iterable[_Union[StoryLine, _Mapping]]] = ..., complete_after_revision: _Optional[int] = ...) -> None: ...

class StoryLine(_message.Message):
    __slots__ = ("revision", "time_ms", "kind", "id", "was", "state", "deleted", "what", "cause", "why")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    WAS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    revision: int
    time_ms: int
    kind: str
    id: str
    was: str
    state: str
    deleted: bool
    what: _containers.RepeatedScalarFieldContainer[str]
    cause: _events_pb2.Cause
    why: str
    def __init__(self, revision: _Optional[int] = ..., time_ms: _Optional[int] = ..., kind: _Optional[str] = ..., id: _Optional[str] = ..., was: _Optional[str] = ..., state: _Optional[str] = ..., deleted: _Optional[bool] = ..., what: _Optional[_Iterable[str]] = ..., cause: _Optional[_Union[_events_pb2.Cause, _Mapping]] = ..., why: _Optional[str] = ...) -> None: ...

class StatsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatsReply(_message.Message):
    __slots__ = ("tables", "jobs", "events")
    TABLES_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    tables: _containers.RepeatedCompositeFieldContainer[TableStats]
    jobs: _containers.RepeatedCompositeFieldContainer[JobStats]
    events: EventLogStats
    def __init__(self, tables: _Optional[_Iterable[_Union[TableStats, _Mapping]]] = ..., jobs: _Optional[_Iterable[_Union[JobStats, _Mapping]]] = ..., events: _Optional[_Union[EventLogStats, _Mapping]] = ...) -> None: ...

class TableStats(_message.Message):
    __slots__ = ("name", "rows", "bytes", "kept")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    KEPT_FIELD_NUMBER: _ClassVar[int]
    name: str
    rows: int
    bytes: int
    kept: bool
    def __init__(self, name: _Optional[str] = ..., rows: _Optional[int] = ..., bytes: _Optional[int] = ..., kept: _Optional[bool] = ...) -> None: ...

class JobStats(_message.Message):
    __slots__ = ("job", "kind", "rows", "bytes")
    JOB_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    job: str
    kind: str
    rows: int
    bytes: int
    def __init__(self, job: _Optional[str] = ..., kind: _Optional[str] = ..., rows: _Optional[int] = ..., bytes: _Optional[int] = ...) -> None: ...

class EventLogStats(_message.Message):
    __slots__ = ("events", "bytes", "revision", "oldest_revision", "subscribers")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    OLDEST_REVISION_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBERS_FIELD_NUMBER: _ClassVar[int]
    events: int
    bytes: int
    revision: int
    oldest_revision: int
    subscribers: int
    def __init__(self, events: _Optional[int] = ..., bytes: _Optional[int] = ..., revision: _Optional[int] = ..., oldest_revision: _Optional[int] = ..., subscribers: _Optional[int] = ...) -> None: ...
