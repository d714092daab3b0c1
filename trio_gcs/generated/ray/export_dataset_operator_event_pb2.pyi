from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExportDatasetOperatorEventData(_message.Message):
    __slots__ = ("dataset_id", "operator_id", "operator_name", "event_time", "event_type", "message")
    class DatasetOperatorEventType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSPECIFIED: _ClassVar[ExportDatasetOperatorEventData.DatasetOperatorEventType]
        ISSUE_DETECTION_HANGING: _ClassVar[ExportDatasetOperatorEventData.DatasetOperatorEventType]
        ISSUE_DETECTION_HIGH_MEMORY: _ClassVar[ExportDatasetOperatorEventData.DatasetOperatorEventType]
    UNSPECIFIED: ExportDatasetOperatorEventData.DatasetOperatorEventType
    ISSUE_DETECTION_HANGING: ExportDatasetOperatorEventData.DatasetOperatorEventType
    ISSUE_DETECTION_HIGH_MEMORY: ExportDatasetOperatorEventData.DatasetOperatorEventType
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_ID_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_NAME_FIELD_NUMBER: _ClassVar[int]
    EVENT_TIME_FIELD_NUMBER: _ClassVar[int]
    EVENT_TYPE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    dataset_id: str
    operator_id: str
    operator_name: str
    event_time: float
    event_type: ExportDatasetOperatorEventData.DatasetOperatorEventType
    message: str
    def __init__(self, dataset_id: _Optional[str] = ..., operator_id: _Optional[str] = ..., operator_name: _Optional[str] = ..., event_time: _Optional[float] = ..., event_type: _Optional[_Union[ExportDatasetOperatorEventData.DatasetOperatorEventType, str]] = ..., message: _Optional[str] = ...) -> None: ...
