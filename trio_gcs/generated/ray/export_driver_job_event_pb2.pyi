from trio_gcs.generated.ray import export_runtime_env_pb2 as _export_runtime_env_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExportDriverJobEventData(_message.Message):
    __slots__ = ("job_id", "is_dead", "driver_pid", "config", "start_time", "end_time", "entrypoint", "driver_ip_address")
    class JobConfig(_message.Message):
        __slots__ = ("runtime_env_info", "metadata")
        class MetadataEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        RUNTIME_ENV_INFO_FIELD_NUMBER: _ClassVar[int]
        METADATA_FIELD_NUMBER: _ClassVar[int]
        runtime_env_info: _export_runtime_env_pb2.ExportRuntimeEnvInfo
        metadata: _containers.ScalarMap[str, str]
        def __init__(self, runtime_env_info: _Optional[_Union[_export_runtime_env_pb2.ExportRuntimeEnvInfo, _Mapping]] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    IS_DEAD_FIELD_NUMBER: _ClassVar[int]
    DRIVER_PID_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    ENTRYPOINT_FIELD_NUMBER: _ClassVar[int]
    DRIVER_IP_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    job_id: bytes
    is_dead: bool
    driver_pid: int
    config: ExportDriverJobEventData.JobConfig
    start_time: int
    end_time: int
    entrypoint: str
    driver_ip_address: str
    def __init__(self, job_id: _Optional[bytes] = ..., is_dead: _Optional[bool] = ..., driver_pid: _Optional[int] = ..., config: _Optional[_Union[ExportDriverJobEventData.JobConfig, _Mapping]] = ..., start_time: _Optional[int] = ..., end_time: _Optional[int] = ..., entrypoint: _Optional[str] = ..., driver_ip_address: _Optional[str] = ...) -> None: ...
