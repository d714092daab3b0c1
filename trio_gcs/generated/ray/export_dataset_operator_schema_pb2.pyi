from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class ExportDatasetOperatorSchema(_message.Message):
    __slots__ = ("operator_uuid", "schema_fields")
    class SchemaFieldsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    OPERATOR_UUID_FIELD_NUMBER: _ClassVar[int]
    SCHEMA_FIELDS_FIELD_NUMBER: _ClassVar[int]
    operator_uuid: str
    schema_fields: _containers.ScalarMap[str, str]
    def __init__(self, operator_uuid: _Optional[str] = ..., schema_fields: _Optional[_Mapping[str, str]] = ...) -> None: ...
