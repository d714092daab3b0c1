from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EventFilter(_message.Message):
    __slots__ = ("kinds", "ids", "jobs", "namespaces", "states")
    KINDS_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NAMESPACES_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    kinds: _containers.RepeatedScalarFieldContainer[str]
    ids: _containers.RepeatedScalarFieldContainer[str]
    jobs: _containers.RepeatedScalarFieldContainer[str]
    namespaces: _containers.RepeatedScalarFieldContainer[str]
    states: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, kinds: _Optional[_Iterable[str]] = ..., ids: _Optional[_Iterable[str]] = ..., jobs: _Optional[_Iterable[str]] = ..., namespaces: _Optional[_Iterable[str]] = ..., states: _Optional[_Iterable[str]] = ...) -> None: ...

class EventsRequest(_message.Message):
    __slots__ = ("filter", "coalesce")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    FROM_FIELD_NUMBER: _ClassVar[int]
    COALESCE_FIELD_NUMBER: _ClassVar[int]
    filter: EventFilter
    coalesce: bool
    def __init__(self, filter: _Optional[_Union[EventFilter, _Mapping]] = ..., coalesce: _Optional[bool] = ..., **kwargs) -> None: ...

class StreamMessage(_message.Message):
    __slots__ = ("hello", "row", "event", "synced", "bookmark", "compacted", "end")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    SYNCED_FIELD_NUMBER: _ClassVar[int]
    BOOKMARK_FIELD_NUMBER: _ClassVar[int]
    COMPACTED_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    row: Row
    event: Event
    synced: Synced
    bookmark: Bookmark
    compacted: Compacted
    end: End
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., row: _Optional[_Union[Row, _Mapping]] = ..., event: _Optional[_Union[Event, _Mapping]] = ..., synced: _Optional[_Union[Synced, _Mapping]] = ..., bookmark: _Optional[_Union[Bookmark, _Mapping]] = ..., compacted: _Optional[_Union[Compacted, _Mapping]] = ..., end: _Optional[_Union[End, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("epoch", "bookmark_period_ms")
    FROM_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    BOOKMARK_PERIOD_MS_FIELD_NUMBER: _ClassVar[int]
    epoch: str
    bookmark_period_ms: int
    def __init__(self, epoch: _Optional[str] = ..., bookmark_period_ms: _Optional[int] = ..., **kwargs) -> None: ...

class Row(_message.Message):
    __slots__ = ("kind", "id", "state", "job", "namespace", "message", "key", "task_summary")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    TASK_SUMMARY_FIELD_NUMBER: _ClassVar[int]
    kind: str
    id: str
    state: str
    job: str
    namespace: str
    message: GcsMessage
    key: KeyBody
    task_summary: TaskSummaryBody
    def __init__(self, kind: _Optional[str] = ..., id: _Optional[str] = ..., state: _Optional[str] = ..., job: _Optional[str] = ..., namespace: _Optional[str] = ..., message: _Optional[_Union[GcsMessage, _Mapping]] = ..., key: _Optional[_Union[KeyBody, _Mapping]] = ..., task_summary: _Optional[_Union[TaskSummaryBody, _Mapping]] = ...) -> None: ...

class GcsMessage(_message.Message):
    __slots__ = ("type", "raw")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    RAW_FIELD_NUMBER: _ClassVar[int]
    type: str
    raw: bytes
    def __init__(self, type: _Optional[str] = ..., raw: _Optional[bytes] = ...) -> None: ...

class KeyBody(_message.Message):
    __slots__ = ("namespace", "key", "size_bytes")
    NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    namespace: bytes
    key: bytes
    size_bytes: int
    def __init__(self, namespace: _Optional[bytes] = ..., key: _Optional[bytes] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class TaskSummaryBody(_message.Message):
    __slots__ = ("attempts_by_state",)
    class AttemptsByStateEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ATTEMPTS_BY_STATE_FIELD_NUMBER: _ClassVar[int]
    attempts_by_state: _containers.ScalarMap[str, int]
    def __init__(self, attempts_by_state: _Optional[_Mapping[str, int]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("token", "revision", "index", "time_ms", "op", "row", "was", "what", "cause")
    class Op(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PUT: _ClassVar[Event.Op]
        DELETE: _ClassVar[Event.Op]
    PUT: Event.Op
    DELETE: Event.Op
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    OP_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    WAS_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    token: str
    revision: int
    index: int
    time_ms: int
    op: Event.Op
    row: Row
    was: str
    what: _containers.RepeatedScalarFieldContainer[str]
    cause: Cause
    def __init__(self, token: _Optional[str] = ..., revision: _Optional[int] = ..., index: _Optional[int] = ..., time_ms: _Optional[int] = ..., op: _Optional[_Union[Event.Op, str]] = ..., row: _Optional[_Union[Row, _Mapping]] = ..., was: _Optional[str] = ..., what: _Optional[_Iterable[str]] = ..., cause: _Optional[_Union[Cause, _Mapping]] = ...) -> None: ...

class Cause(_message.Message):
    __slots__ = ("what", "kind", "id")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    what: str
    kind: str
    id: str
    def __init__(self, what: _Optional[str] = ..., kind: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class Synced(_message.Message):
    __slots__ = ("token",)
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    token: str
    def __init__(self, token: _Optional[str] = ...) -> None: ...

class Bookmark(_message.Message):
    __slots__ = ("token", "time_ms")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    token: str
    time_ms: int
    def __init__(self, token: _Optional[str] = ..., time_ms: _Optional[int] = ...) -> None: ...

class Compacted(_message.Message):
    __slots__ = ("reason", "epoch", "oldest")
    REASON_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    reason: str
    epoch: str
    oldest: str
    def __init__(self, reason: _Optional[str] = ..., epoch: _Optional[str] = ..., oldest: _Optional[str] = ...) -> None: ...

class End(_message.Message):
    __slots__ = ("reason", "token")
    REASON_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    reason: str
    token: str
    def __init__(self, reason: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...
