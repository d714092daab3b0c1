from trio_gcs.generated.trio_gcs.v1 import events_pb2 as _events_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class LoggedChange(_message.Message):
    __slots__ = ("previous_revision", "previous_index", "events")
    PREVIOUS_REVISION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_INDEX_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    previous_revision: int
    previous_index: int
    events: _containers.RepeatedCompositeFieldContainer[_events_pb2.Event]
    def __init__(self, previous_revision: _Optional[int] = ..., previous_index: _Optional[int] = ..., events: _Optional[_Iterable[_Union[_events_pb2.Event, _Mapping]]] = ...) -> None: ...
