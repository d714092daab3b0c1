from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExportSubmissionJobEventData(_message.Message):
    __slots__ = ("submission_job_id", "status", "entrypoint", "message", "error_type", "start_time", "end_time", "metadata", "runtime_env_json", "driver_agent_http_address", "driver_node_id", "driver_exit_code")
    class JobStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PENDING: _ClassVar[ExportSubmissionJobEventData.JobStatus]
        RUNNING: _ClassVar[ExportSubmissionJobEventData.JobStatus]
        STOPPED: _ClassVar[ExportSubmissionJobEventData.JobStatus]
        SUCCEEDED: _ClassVar[ExportSubmissionJobEventData.JobStatus]
        FAILED: _ClassVar[ExportSubmissionJobEventData.JobStatus]
    PENDING: ExportSubmissionJobEventData.JobStatus
    RUNNING: ExportSubmissionJobEventData.JobStatus
    STOPPED: ExportSubmissionJobEventData.JobStatus
    SUCCEEDED: ExportSubmissionJobEventData.JobStatus
    FAILED: ExportSubmissionJobEventData.JobStatus
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SUBMISSION_JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ENTRYPOINT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ERROR_TYPE_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    RUNTIME_ENV_JSON_FIELD_NUMBER: _ClassVar[int]
    DRIVER_AGENT_HTTP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    DRIVER_NODE_ID_FIELD_NUMBER: _ClassVar[int]
    DRIVER_EXIT_CODE_FIELD_NUMBER: _ClassVar[int]
    submission_job_id: str
    status: ExportSubmissionJobEventData.JobStatus
    entrypoint: str
    message: str
    error_type: str
    start_time: int
    end_time: int
    metadata: _containers.ScalarMap[str, str]
    runtime_env_json: str
    driver_agent_http_address: str
    driver_node_id: str
    driver_exit_code: int
    def __init__(self, submission_job_id: _Optional[str] = ..., status: _Optional[_Union[ExportSubmissionJobEventData.JobStatus, str]] = ..., entrypoint: _Optional[str] = ..., message: _Optional[str] = ..., error_type: _Optional[str] = ..., start_time: _Optional[int] = ..., end_time: _Optional[int] = ..., metadata: _Optional[_Mapping[str, str]] = ..., runtime_env_json: _Optional[str] = ..., driver_agent_http_address: _Optional[str] = ..., driver_node_id: _Optional[str] = ..., driver_exit_code: _Optional[int] = ...) -> None: ...
