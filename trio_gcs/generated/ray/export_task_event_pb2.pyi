from trio_gcs.generated.ray import common_pb2 as _common_pb2
from trio_gcs.generated.ray import export_runtime_env_pb2 as _export_runtime_env_pb2
from trio_gcs.generated.ray import profile_events_pb2 as _profile_events_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExportTaskEventData(_message.Message):
    __slots__ = ("task_id", "attempt_number", "task_info", "state_updates", "profile_events", "job_id")
    class RayErrorInfo(_message.Message):
        __slots__ = ("error_message", "error_type")
        ERROR_MESSAGE_FIELD_NUMBER: _ClassVar[int]
        ERROR_TYPE_FIELD_NUMBER: _ClassVar[int]
        error_message: str
        error_type: _common_pb2.ErrorType
        def __init__(self, error_message: _Optional[str] = ..., error_type: _Optional[_Union[_common_pb2.ErrorType, str]] = ...) -> None: ...
    class TaskLogInfo(_message.Message):
        __slots__ = ("stdout_file", "stderr_file", "stdout_start", "stdout_end", "stderr_start", "stderr_end")
        STDOUT_FILE_FIELD_NUMBER: _ClassVar[int]
        STDERR_FILE_FIELD_NUMBER: _ClassVar[int]
        STDOUT_START_FIELD_NUMBER: _ClassVar[int]
        STDOUT_END_FIELD_NUMBER: _ClassVar[int]
        STDERR_START_FIELD_NUMBER: _ClassVar[int]
        STDERR_END_FIELD_NUMBER: _ClassVar[int]
        stdout_file: str
        stderr_file: str
        stdout_start: int
        stdout_end: int
        stderr_start: int
        stderr_end: int
        def __init__(self, stdout_file: _Optional[str] = ..., stderr_file: _Optional[str] = ..., stdout_start: _Optional[int] = ..., stdout_end: _Optional[int] = ..., stderr_start: _Optional[int] = ..., stderr_end: _Optional[int] = ...) -> None: ...
    class TaskStateUpdate(_message.Message):
        __slots__ = ("node_id", "worker_id", "error_info", "task_log_info", "worker_pid", "is_debugger_paused", "state_ts_ns")
        class StateTsNsEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: int
            value: int
            def __init__(self, key: _Optional[int] = ..., value: _Optional[int] = ...) -> None: ...
        NODE_ID_FIELD_NUMBER: _ClassVar[int]
        WORKER_ID_FIELD_NUMBER: _ClassVar[int]
        ERROR_INFO_FIELD_NUMBER: _ClassVar[int]
        TASK_LOG_INFO_FIELD_NUMBER: _ClassVar[int]
        WORKER_PID_FIELD_NUMBER: _ClassVar[int]
        IS_DEBUGGER_PAUSED_FIELD_NUMBER: _ClassVar[int]
        STATE_TS_NS_FIELD_NUMBER: _ClassVar[int]
        node_id: bytes
        worker_id: bytes
        error_info: ExportTaskEventData.RayErrorInfo
        task_log_info: ExportTaskEventData.TaskLogInfo
        worker_pid: int
        is_debugger_paused: bool
        state_ts_ns: _containers.ScalarMap[int, int]
        def __init__(self, node_id: _Optional[bytes] = ..., worker_id: _Optional[bytes] = ..., error_info: _Optional[_Union[ExportTaskEventData.RayErrorInfo, _Mapping]] = ..., task_log_info: _Optional[_Union[ExportTaskEventData.TaskLogInfo, _Mapping]] = ..., worker_pid: _Optional[int] = ..., is_debugger_paused: _Optional[bool] = ..., state_ts_ns: _Optional[_Mapping[int, int]] = ...) -> None: ...
    class TaskInfoEntry(_message.Message):
        __slots__ = ("type", "language", "func_or_class_name", "task_id", "parent_task_id", "required_resources", "runtime_env_info", "actor_id", "placement_group_id", "labels", "label_selector")
        class RequiredResourcesEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: float
            def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
        class LabelsEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        class LabelSelectorEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: str
            def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
        TYPE_FIELD_NUMBER: _ClassVar[int]
        LANGUAGE_FIELD_NUMBER: _ClassVar[int]
        FUNC_OR_CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
        TASK_ID_FIELD_NUMBER: _ClassVar[int]
        PARENT_TASK_ID_FIELD_NUMBER: _ClassVar[int]
        REQUIRED_RESOURCES_FIELD_NUMBER: _ClassVar[int]
        RUNTIME_ENV_INFO_FIELD_NUMBER: _ClassVar[int]
        ACTOR_ID_FIELD_NUMBER: _ClassVar[int]
        PLACEMENT_GROUP_ID_FIELD_NUMBER: _ClassVar[int]
        LABELS_FIELD_NUMBER: _ClassVar[int]
        LABEL_SELECTOR_FIELD_NUMBER: _ClassVar[int]
        type: _common_pb2.TaskType
        language: _common_pb2.Language
        func_or_class_name: str
        task_id: bytes
        parent_task_id: bytes
        required_resources: _containers.ScalarMap[str, float]
        runtime_env_info: _export_runtime_env_pb2.ExportRuntimeEnvInfo
        actor_id: bytes
        placement_group_id: bytes
        labels: _containers.ScalarMap[str, str]
        label_selector: _containers.ScalarMap[str, str]
        def __init__(self, type: _Optional[_Union[_common_pb2.TaskType, str]] = ..., language: _Optional[_Union[_common_pb2.Language, str]] = ..., func_or_class_name: _Optional[str] = ..., task_id: _Optional[bytes] = ..., parent_task_id: _Optional[bytes] = ..., required_resources: _Optional[_Mapping[str, float]] = ..., runtime_env_info: _Optional[_Union[_export_runtime_env_pb2.ExportRuntimeEnvInfo, _Mapping]] = ..., actor_id: _Optional[bytes] = ..., placement_group_id: _Optional[bytes] = ..., labels: _Optional[_Mapping[str, str]] = ..., label_selector: _Optional[_Mapping[str, str]] = ...) -> None: ...
    TASK_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_NUMBER_FIELD_NUMBER: _ClassVar[int]
    TASK_INFO_FIELD_NUMBER: _ClassVar[int]
    STATE_UPDATES_FIELD_NUMBER: _ClassVar[int]
    PROFILE_EVENTS_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    task_id: bytes
    attempt_number: int
    task_info: ExportTaskEventData.TaskInfoEntry
    state_updates: ExportTaskEventData.TaskStateUpdate
    profile_events: _profile_events_pb2.ProfileEvents
    job_id: bytes
    def __init__(self, task_id: _Optional[bytes] = ..., attempt_number: _Optional[int] = ..., task_info: _Optional[_Union[ExportTaskEventData.TaskInfoEntry, _Mapping]] = ..., state_updates: _Optional[_Union[ExportTaskEventData.TaskStateUpdate, _Mapping]] = ..., profile_events: _Optional[_Union[_profile_events_pb2.ProfileEvents, _Mapping]] = ..., job_id: _Optional[bytes] = ...) -> None: ...
