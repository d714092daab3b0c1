from trio_gcs.generated.google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubStage(_message.Message):
    __slots__ = ("name", "id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    id: str
    def __init__(self, name: _Optional[str] = ..., id: _Optional[str] = ...) -> None: ...

class Operator(_message.Message):
    __slots__ = ("name", "id", "uuid", "input_dependencies", "sub_stages", "args", "execution_start_time", "execution_end_time", "state")
    class OperatorState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[Operator.OperatorState]
        RUNNING: _ClassVar[Operator.OperatorState]
        FINISHED: _ClassVar[Operator.OperatorState]
        FAILED: _ClassVar[Operator.OperatorState]
        PENDING: _ClassVar[Operator.OperatorState]
    UNKNOWN: Operator.OperatorState
    RUNNING: Operator.OperatorState
    FINISHED: Operator.OperatorState
    FAILED: Operator.OperatorState
    PENDING: Operator.OperatorState
    NAME_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    UUID_FIELD_NUMBER: _ClassVar[int]
    INPUT_DEPENDENCIES_FIELD_NUMBER: _ClassVar[int]
    SUB_STAGES_FIELD_NUMBER: _ClassVar[int]
    ARGS_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_START_TIME_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_END_TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    name: str
    id: str
    uuid: str
    input_dependencies: _containers.RepeatedScalarFieldContainer[str]
    sub_stages: _containers.RepeatedCompositeFieldContainer[SubStage]
    args: _struct_pb2.Struct
    execution_start_time: float
    execution_end_time: float
    state: Operator.OperatorState
    def __init__(self, name: _Optional[str] = ..., id: _Optional[str] = ..., uuid: _Optional[str] = ..., input_dependencies: _Optional[_Iterable[str]] = ..., sub_stages: _Optional[_Iterable[_Union[SubStage, _Mapping]]] = ..., args: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., execution_start_time: _Optional[float] = ..., execution_end_time: _Optional[float] = ..., state: _Optional[_Union[Operator.OperatorState, str]] = ...) -> None: ...

class Topology(_message.Message):
    __slots__ = ("operators",)
    OPERATORS_FIELD_NUMBER: _ClassVar[int]
    operators: _containers.RepeatedCompositeFieldContainer[Operator]
    def __init__(self, operators: _Optional[_Iterable[_Union[Operator, _Mapping]]] = ...) -> None: ...

class ExportDatasetMetadata(_message.Message):
    __slots__ = ("topology", "dataset_id", "job_id", "start_time", "data_context", "execution_start_time", "execution_end_time", "state", "operator_panels")
    class DatasetState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN: _ClassVar[ExportDatasetMetadata.DatasetState]
        RUNNING: _ClassVar[ExportDatasetMetadata.DatasetState]
        FINISHED: _ClassVar[ExportDatasetMetadata.DatasetState]
        FAILED: _ClassVar[ExportDatasetMetadata.DatasetState]
        PENDING: _ClassVar[ExportDatasetMetadata.DatasetState]
    UNKNOWN: ExportDatasetMetadata.DatasetState
    RUNNING: ExportDatasetMetadata.DatasetState
    FINISHED: ExportDatasetMetadata.DatasetState
    FAILED: ExportDatasetMetadata.DatasetState
    PENDING: ExportDatasetMetadata.DatasetState
    class DashboardPanelMetadata(_message.Message):
        __slots__ = ("id", "title")
        ID_FIELD_NUMBER: _ClassVar[int]
        TITLE_FIELD_NUMBER: _ClassVar[int]
        id: str
        title: str
        def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ...) -> None: ...
    TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
    DATASET_ID_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    DATA_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_START_TIME_FIELD_NUMBER: _ClassVar[int]
    EXECUTION_END_TIME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    OPERATOR_PANELS_FIELD_NUMBER: _ClassVar[int]
    topology: Topology
    dataset_id: str
    job_id: str
    start_time: float
    data_context: _struct_pb2.Struct
    execution_start_time: float
    execution_end_time: float
    state: ExportDatasetMetadata.DatasetState
    operator_panels: _containers.RepeatedCompositeFieldContainer[ExportDatasetMetadata.DashboardPanelMetadata]
    def __init__(self, topology: _Optional[_Union[Topology, _Mapping]] = ..., dataset_id: _Optional[str] = ..., job_id: _Optional[str] = ..., start_time: _Optional[float] = ..., data_context: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., execution_start_time: _Optional[float] = ..., execution_end_time: _Optional[float] = ..., state: _Optional[_Union[ExportDatasetMetadata.DatasetState, str]] = ..., operator_panels: _Optional[_Iterable[_Union[ExportDatasetMetadata.DashboardPanelMetadata, _Mapping]]] = ...) -> None: ...
