from trio_gcs.generated.ray import export_actor_data_pb2 as _export_actor_data_pb2
from trio_gcs.generated.ray import export_dataset_metadata_pb2 as _export_dataset_metadata_pb2
from trio_gcs.generated.ray import export_dataset_operator_event_pb2 as _export_dataset_operator_event_pb2
from trio_gcs.generated.ray import export_dataset_operator_schema_pb2 as _export_dataset_operator_schema_pb2
from trio_gcs.generated.ray import export_driver_job_event_pb2 as _export_driver_job_event_pb2
from trio_gcs.generated.ray import export_node_data_pb2 as _export_node_data_pb2
from trio_gcs.generated.ray import export_submission_job_event_pb2 as _export_submission_job_event_pb2
from trio_gcs.generated.ray import export_task_event_pb2 as _export_task_event_pb2
from trio_gcs.generated.ray import export_train_state_pb2 as _export_train_state_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExportEvent(_message.Message):
    __slots__ = ("event_id", "source_type", "timestamp", "task_event_data", "node_event_data", "actor_event_data", "driver_job_event_data", "submission_job_event_data", "train_run_event_data", "train_run_attempt_event_data", "dataset_metadata", "dataset_operator_event_data", "dataset_operator_schema")
    class SourceType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        EXPORT_TASK: _ClassVar[ExportEvent.SourceType]
        EXPORT_NODE: _ClassVar[ExportEvent.SourceType]
        EXPORT_ACTOR: _ClassVar[ExportEvent.SourceType]
        EXPORT_DRIVER_JOB: _ClassVar[ExportEvent.SourceType]
        EXPORT_SUBMISSION_JOB: _ClassVar[ExportEvent.SourceType]
        EXPORT_TRAIN_RUN: _ClassVar[ExportEvent.SourceType]
        EXPORT_TRAIN_RUN_ATTEMPT: _ClassVar[ExportEvent.SourceType]
        EXPORT_DATASET_METADATA: _ClassVar[ExportEvent.SourceType]
        EXPORT_DATASET_OPERATOR_EVENT: _ClassVar[ExportEvent.SourceType]
        EXPORT_DATASET_OPERATOR_SCHEMA: _ClassVar[ExportEvent.SourceType]
    EXPORT_TASK: ExportEvent.SourceType
    EXPORT_NODE: ExportEvent.SourceType
    EXPORT_ACTOR: ExportEvent.SourceType
    EXPORT_DRIVER_JOB: ExportEvent.SourceType
    EXPORT_SUBMISSION_JOB: ExportEvent.SourceType
    EXPORT_TRAIN_RUN: ExportEvent.SourceType
    EXPORT_TRAIN_RUN_ATTEMPT: ExportEvent.SourceType
    EXPORT_DATASET_METADATA: ExportEvent.SourceType
    EXPORT_DATASET_OPERATOR_EVENT: ExportEvent.SourceType
    EXPORT_DATASET_OPERATOR_SCHEMA: ExportEvent.SourceType
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TASK_EVENT_DATA_FIELD_NUMBER: _ClassVar[int]
    NODE_EVENT_DATA_FIELD_NUMBER: _ClassVar[int]
    ACTOR_EVENT_DATA_FIELD_NUMBER: _ClassVar[int]
    DRIVER_JOB_EVENT_DATA_FIELD_NUMBER: _ClassVar[int]
    SUBMISSION_JOB_EVENT_DATA_FIELD_NUMBER: _ClassVar[int]
    TRAIN_RUN_EVENT_DATA_FIELD_NUMBER: _ClassVar[int]
    TRAIN_RUN_ATTEMPT_EVENT_DATA_FIELD_NUMBER: _ClassVar[int]
    DATASET_METADATA_FIELD_NUMBER: _ClassVar[int]
    DATASET_OPERATOR_EVENT_DATA_FIELD_NUMBER: _ClassVar[int]
    DATASET_OPERATOR_SCHEMA_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    source_type: ExportEvent.SourceType
    timestamp: int
    task_event_data: _export_task_event_pb2.ExportTaskEventData
    node_event_data: _export_node_data_pb2.ExportNodeData
    actor_event_data: _export_actor_data_pb2.ExportActorData
    driver_job_event_data: _export_driver_job_event_pb2.ExportDriverJobEventData
    submission_job_event_data: _export_submission_job_event_pb2.ExportSubmissionJobEventData
    train_run_event_data: _export_train_state_pb2.ExportTrainRunEventData
    train_run_attempt_event_data: _export_train_state_pb2.ExportTrainRunAttemptEventData
    dataset_metadata: _export_dataset_metadata_pb2.ExportDatasetMetadata
    dataset_operator_event_data: _export_dataset_operator_event_pb2.ExportDatasetOperatorEventData
    dataset_operator_schema: _export_dataset_operator_schema_pb2.ExportDatasetOperatorSchema
    def __init__(self, event_id: _Optional[str] = ..., source_type: _Optional[_Union[ExportEvent.SourceType, str]] = ..., timestamp: _Optional[int] = ..., task_event_data: _Optional[_Union[_export_task_event_pb2.ExportTaskEventData, _Mapping]] = ..., node_event_data: _Optional[_Union[_export_node_data_pb2.ExportNodeData, _Mapping]] = ..., actor_event_data: _Optional[_Union[_export_actor_data_pb2.ExportActorData, _Mapping]] = ..., driver_job_event_data: _Optional[_Union[_export_driver_job_event_pb2.ExportDriverJobEventData, _Mapping]] = ..., submission_job_event_data: _Optional[_Union[_export_submission_job_event_pb2.ExportSubmissionJobEventData, _Mapping]] = ..., train_run_event_data: _Optional[_Union[_export_train_state_pb2.ExportTrainRunEventData, _Mapping]] = ..., train_run_attempt_event_data: _Optional[_Union[_export_train_state_pb2.ExportTrainRunAttemptEventData, _Mapping]] = ..., dataset_metadata: _Optional[_Union[_export_dataset_metadata_pb2.ExportDatasetMetadata, _Mapping]] = ..., dataset_operator_event_data: _Optional[_Union[_export_dataset_operator_event_pb2.ExportDatasetOperatorEventData, _Mapping]] = ..., dataset_operator_schema: _Optional[_Union[_export_dataset_operator_schema_pb2.ExportDatasetOperatorSchema, _Mapping]] = ...) -> None: ...
