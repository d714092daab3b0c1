from trio_gcs.generated.trio_gcs.v1 import events_pb2 as _events_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LoggedBatch(_message.Message):
    __slots__ = ("previous_revision", "previous_index", "events", "keys")
    PREVIOUS_REVISION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_INDEX_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    previous_revision: int
    previous_index: int
    events: _containers.RepeatedCompositeFieldContainer[_events_pb2.Event]
    keys: _containers.RepeatedCompositeFieldContainer[LoggedKey]
    def __init__(self, previous_revision: _Optional[int] = ..., previous_index: _Optional[int] = ..., events: _Optional[_Iterable[_Union[_events_pb2.Event, _Mapping]]] = ..., keys: _Optional[_Iterable[_Union[LoggedKey, _Mapping]]] = ...) -> None: ...

class LoggedKey(_message.Message):
    __slots__ = ("revision", "index", "time_ms", "stored_name", "size_bytes")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    TIME_MS_FIELD_NUMBER: _ClassVar[int]
    STORED_NAME_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    revision: int
    index: int
    time_ms: int
    stored_name: bytes
    size_bytes: int
    def __init__(self, revision: _Optional[int] = ..., index: _Optional[int] = ..., time_ms: _Optional[int] = ..., stored_name: _Optional[bytes] = ..., size_bytes: _Optional[int] = ...) -> None: ...
