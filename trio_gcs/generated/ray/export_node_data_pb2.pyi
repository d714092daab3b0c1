from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExportNodeData(_message.Message):
    __slots__ = ("node_id", "node_manager_address", "state", "resources_total", "node_name", "start_time_ms", "end_time_ms", "is_head_node", "labels", "death_info")
    class GcsNodeState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ALIVE: _ClassVar[ExportNodeData.GcsNodeState]
        DEAD: _ClassVar[ExportNodeData.GcsNodeState]
    ALIVE: ExportNodeData.GcsNodeState
    DEAD: ExportNodeData.GcsNodeState
    class NodeDeathInfo(_message.Message):
        __slots__ = ("reason", "reason_message")
        class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            UNSPECIFIED: _ClassVar[ExportNodeData.NodeDeathInfo.Reason]
            EXPECTED_TERMINATION: _ClassVar[ExportNodeData.NodeDeathInfo.Reason]
            UNEXPECTED_TERMINATION: _ClassVar[ExportNodeData.NodeDeathInfo.Reason]
            AUTOSCALER_DRAIN_PREEMPTED: _ClassVar[ExportNodeData.NodeDeathInfo.Reason]
            AUTOSCALER_DRAIN_IDLE: _ClassVar[ExportNodeData.NodeDeathInfo.Reason]
        UNSPECIFIED: ExportNodeData.NodeDeathInfo.Reason
        EXPECTED_TERMINATION: ExportNodeData.NodeDeathInfo.Reason
        UNEXPECTED_TERMINATION: ExportNodeData.NodeDeathInfo.Reason
        AUTOSCALER_DRAIN_PREEMPTED: ExportNodeData.NodeDeathInfo.Reason
        AUTOSCALER_DRAIN_IDLE: ExportNodeData.NodeDeathInfo.Reason
        REASON_FIELD_NUMBER: _ClassVar[int]
        REASON_MESSAGE_FIELD_NUMBER: _ClassVar[int]
        reason: ExportNodeData.NodeDeathInfo.Reason
        reason_message: str
        def __init__(self, reason: _Optional[_Union[ExportNodeData.NodeDeathInfo.Reason, str]] = ..., reason_message: _Optional[str] = ...) -> None: ...
    class ResourcesTotalEntry(_message.Message):
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
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    NODE_MANAGER_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_TOTAL_FIELD_NUMBER: _ClassVar[int]
    NODE_NAME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_MS_FIELD_NUMBER: _ClassVar[int]
    IS_HEAD_NODE_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    DEATH_INFO_FIELD_NUMBER: _ClassVar[int]
    node_id: bytes
    node_manager_address: str
    state: ExportNodeData.GcsNodeState
    resources_total: _containers.ScalarMap[str, float]
    node_name: str
    start_time_ms: int
    end_time_ms: int
    is_head_node: bool
    labels: _containers.ScalarMap[str, str]
    death_info: ExportNodeData.NodeDeathInfo
    def __init__(self, node_id: _Optional[bytes] = ..., node_manager_address: _Optional[str] = ..., state: _Optional[_Union[ExportNodeData.GcsNodeState, str]] = ..., resources_total: _Optional[_Mapping[str, float]] = ..., node_name: _Optional[str] = ..., start_time_ms: _Optional[int] = ..., end_time_ms: _Optional[int] = ..., is_head_node: _Optional[bool] = ..., labels: _Optional[_Mapping[str, str]] = ..., death_info: _Optional[_Union[ExportNodeData.NodeDeathInfo, _Mapping]] = ...) -> None: ...
