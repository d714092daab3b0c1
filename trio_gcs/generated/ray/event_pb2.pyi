from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Event(_message.Message):
    __slots__ = ("event_id", "source_type", "source_hostname", "source_pid", "severity", "label", "message", "timestamp", "custom_fields")
    class SourceType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        COMMON: _ClassVar[Event.SourceType]
        CORE_WORKER: _ClassVar[Event.SourceType]
        GCS: _ClassVar[Event.SourceType]
        RAYLET: _ClassVar[Event.SourceType]
        CLUSTER_LIFECYCLE: _ClassVar[Event.SourceType]
        AUTOSCALER: _ClassVar[Event.SourceType]
        JOBS: _ClassVar[Event.SourceType]
    COMMON: Event.SourceType
    CORE_WORKER: Event.SourceType
    GCS: Event.SourceType
    RAYLET: Event.SourceType
    CLUSTER_LIFECYCLE: Event.SourceType
    AUTOSCALER: Event.SourceType
    JOBS: Event.SourceType
    class Severity(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        INFO: _ClassVar[Event.Severity]
        WARNING: _ClassVar[Event.Severity]
        ERROR: _ClassVar[Event.Severity]
        FATAL: _ClassVar[Event.Severity]
        DEBUG: _ClassVar[Event.Severity]
        TRACE: _ClassVar[Event.Severity]
    INFO: Event.Severity
    WARNING: Event.Severity
    ERROR: Event.Severity
    FATAL: Event.Severity
    DEBUG: Event.Severity
    TRACE: Event.Severity
    class CustomFieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_HOSTNAME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_PID_FIELD_NUMBER: _ClassVar[int]
    SEVERITY_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    CUSTOM_FIELDS_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    source_type: Event.SourceType
    source_hostname: str
    source_pid: int
    severity: Event.Severity
    label: str
    message: str
    timestamp: int
    custom_fields: _containers.ScalarMap[str, str]
    def __init__(self, event_id: _Optional[str] = ..., source_type: _Optional[_Union[Event.SourceType, str]] = ..., source_hostname: _Optional[str] = ..., source_pid: _Optional[int] = ..., severity: _Optional[_Union[Event.Severity, str]] = ..., label: _Optional[str] = ..., message: _Optional[str] = ..., timestamp: _Optional[int] = ..., custom_fields: _Optional[_Mapping[str, str]] = ...) -> None: ...
