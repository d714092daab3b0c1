from trio_gcs.generated.ray import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PushTaskRequest(_message.Message):
    __slots__ = ("intended_worker_id", "task_spec", "sequence_number", "client_processed_up_to", "resource_mapping")
    INTENDED_WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    TASK_SPEC_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_PROCESSED_UP_TO_FIELD_NUMBER: _ClassVar[int]
    RESOURCE_MAPPING_FIELD_NUMBER: _ClassVar[int]
    intended_worker_id: bytes
    task_spec: _common_pb2.TaskSpec
    sequence_number: int
    client_processed_up_to: int
    resource_mapping: _containers.RepeatedCompositeFieldContainer[_common_pb2.ResourceMapEntry]
    def __init__(self, intended_worker_id: _Optional[bytes] = ..., task_spec: _Optional[_Union[_common_pb2.TaskSpec, _Mapping]] = ..., sequence_number: _Optional[int] = ..., client_processed_up_to: _Optional[int] = ..., resource_mapping: _Optional[_Iterable[_Union[_common_pb2.ResourceMapEntry, _Mapping]]] = ...) -> None: ...

class PushTaskReply(_message.Message):
    __slots__ = ("return_objects", "dynamic_return_objects", "worker_exiting", "borrowed_refs", "is_retryable_error", "is_application_error", "was_cancelled_before_running", "actor_repr_name", "task_execution_error", "streaming_generator_return_ids")
    RETURN_OBJECTS_FIELD_NUMBER: _ClassVar[int]
    DYNAMIC_RETURN_OBJECTS_FIELD_NUMBER: _ClassVar[int]
    WORKER_EXITING_FIELD_NUMBER: _ClassVar[int]
    BORROWED_REFS_FIELD_NUMBER: _ClassVar[int]
    IS_RETRYABLE_ERROR_FIELD_NUMBER: _ClassVar[int]
    IS_APPLICATION_ERROR_FIELD_NUMBER: _ClassVar[int]
    WAS_CANCELLED_BEFORE_RUNNING_FIELD_NUMBER: _ClassVar[int]
    ACTOR_REPR_NAME_FIELD_NUMBER: _ClassVar[int]
    TASK_EXECUTION_ERROR_FIELD_NUMBER: _ClassVar[int]
    STREAMING_GENERATOR_RETURN_IDS_FIELD_NUMBER: _ClassVar[int]
    return_objects: _containers.RepeatedCompositeFieldContainer[_common_pb2.ReturnObject]
    dynamic_return_objects: _containers.RepeatedCompositeFieldContainer[_common_pb2.ReturnObject]
    worker_exiting: bool
    borrowed_refs: _containers.RepeatedCompositeFieldContainer[_common_pb2.ObjectReferenceCount]
    is_retryable_error: bool
    is_application_error: bool
    was_cancelled_before_running: bool
    actor_repr_name: str
    task_execution_error: str
    streaming_generator_return_ids: _containers.RepeatedCompositeFieldContainer[_common_pb2.StreamingGeneratorReturnIdInfo]
    def __init__(self, return_objects: _Optional[_Iterable[_Union[_common_pb2.ReturnObject, _Mapping]]] = ..., dynamic_return_objects: _Optional[_Iterable[_Union[_common_pb2.ReturnObject, _Mapping]]] = ..., worker_exiting: _Optional[bool] = ..., borrowed_refs: _Optional[_Iterable[_Union[_common_pb2.ObjectReferenceCount, _Mapping]]] = ..., is_retryable_error: _Optional[bool] = ..., is_application_error: _Optional[bool] = ..., was_cancelled_before_running: _Optional[bool] = ..., actor_repr_name: _Optional[str] = ..., task_execution_error: _Optional[str] = ..., streaming_generator_return_ids: _Optional[_Iterable[_Union[_common_pb2.StreamingGeneratorReturnIdInfo, _Mapping]]] = ...) -> None: ...

class WaitForActorRefDeletedRequest(_message.Message):
    __slots__ = ("intended_worker_id", "actor_id")
    INTENDED_WORKER_ID_FIELD_NUMBER: _ClassVar[int]
    ACTOR_ID_FIELD_NUMBER: _ClassVar[int]
    intended_worker_id: bytes
    actor_id: bytes
    def __init__(self, intended_worker_id: _Optional[bytes] = ..., actor_id: _Optional[bytes] = ...) -> None: ...

class WaitForActorRefDeletedReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RayletNotifyGCSRestartRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RayletNotifyGCSRestartReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NumPendingTasksRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class NumPendingTasksReply(_message.Message):
    __slots__ = ("num_pending_tasks",)
    NUM_PENDING_TASKS_FIELD_NUMBER: _ClassVar[int]
    num_pending_tasks: int
    def __init__(self, num_pending_tasks: _Optional[int] = ...) -> None: ...
