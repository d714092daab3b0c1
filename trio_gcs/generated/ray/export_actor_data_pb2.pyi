from trio_gcs.generated.ray import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExportActorData(_message.Message):
    __slots__ = ("actor_id", "job_id", "state", "is_detached", "name", "pid", "ray_namespace", "serialized_runtime_env", "class_name", "death_cause", "required_resources", "node_id", "placement_group_id", "repr_name", "labels", "label_selector")
    class ActorState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DEPENDENCIES_UNREADY: _ClassVar[ExportActorData.ActorState]
        PENDING_CREATION: _ClassVar[ExportActorData.ActorState]
        ALIVE: _ClassVar[ExportActorData.ActorState]
        RESTARTING: _ClassVar[ExportActorData.ActorState]
        DEAD: _ClassVar[ExportActorData.ActorState]
    DEPENDENCIES_UNREADY: ExportActorData.ActorState
    PENDING_CREATION: ExportActorData.ActorState
    ALIVE: ExportActorData.ActorState
    RESTARTING: ExportActorData.ActorState
    DEAD: ExportActorData.ActorState
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
    ACTOR_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    IS_DETACHED_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    RAY_NAMESPACE_FIELD_NUMBER: _ClassVar[int]
    SERIALIZED_RUNTIME_ENV_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    DEATH_CAUSE_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_RESOURCES_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    PLACEMENT_GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    REPR_NAME_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    LABEL_SELECTOR_FIELD_NUMBER: _ClassVar[int]
    actor_id: bytes
    job_id: bytes
    state: ExportActorData.ActorState
    is_detached: bool
    name: str
    pid: int
    ray_namespace: str
    serialized_runtime_env: str
    class_name: str
    death_cause: _common_pb2.ActorDeathCause
    required_resources: _containers.ScalarMap[str, float]
    node_id: bytes
    placement_group_id: bytes
    repr_name: str
    labels: _containers.ScalarMap[str, str]
    label_selector: _containers.ScalarMap[str, str]
    def __init__(self, actor_id: _Optional[bytes] = ..., job_id: _Optional[bytes] = ..., state: _Optional[_Union[ExportActorData.ActorState, str]] = ..., is_detached: _Optional[bool] = ..., name: _Optional[str] = ..., pid: _Optional[int] = ..., ray_namespace: _Optional[str] = ..., serialized_runtime_env: _Optional[str] = ..., class_name: _Optional[str] = ..., death_cause: _Optional[_Union[_common_pb2.ActorDeathCause, _Mapping]] = ..., required_resources: _Optional[_Mapping[str, float]] = ..., node_id: _Optional[bytes] = ..., placement_group_id: _Optional[bytes] = ..., repr_name: _Optional[str] = ..., labels: _Optional[_Mapping[str, str]] = ..., label_selector: _Optional[_Mapping[str, str]] = ...) -> None: ...
