from trio_gcs.generated.google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExportTrainRunEventData(_message.Message):
    __slots__ = ("schema_version", "id", "name", "job_id", "controller_actor_id", "status", "status_detail", "start_time_ns", "end_time_ns", "controller_log_file_path", "ray_train_version", "train_run_panels", "train_worker_panels", "framework_versions", "run_settings")
    class RunStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        RUN_STATUS_UNSPECIFIED: _ClassVar[ExportTrainRunEventData.RunStatus]
        INITIALIZING: _ClassVar[ExportTrainRunEventData.RunStatus]
        SCHEDULING: _ClassVar[ExportTrainRunEventData.RunStatus]
        RUNNING: _ClassVar[ExportTrainRunEventData.RunStatus]
        RESTARTING: _ClassVar[ExportTrainRunEventData.RunStatus]
        RESIZING: _ClassVar[ExportTrainRunEventData.RunStatus]
        FINISHED: _ClassVar[ExportTrainRunEventData.RunStatus]
        ERRORED: _ClassVar[ExportTrainRunEventData.RunStatus]
        ABORTED: _ClassVar[ExportTrainRunEventData.RunStatus]
    RUN_STATUS_UNSPECIFIED: ExportTrainRunEventData.RunStatus
    INITIALIZING: ExportTrainRunEventData.RunStatus
    SCHEDULING: ExportTrainRunEventData.RunStatus
    RUNNING: ExportTrainRunEventData.RunStatus
    RESTARTING: ExportTrainRunEventData.RunStatus
    RESIZING: ExportTrainRunEventData.RunStatus
    FINISHED: ExportTrainRunEventData.RunStatus
    ERRORED: ExportTrainRunEventData.RunStatus
    ABORTED: ExportTrainRunEventData.RunStatus
    class DashboardPanelMetadata(_message.Message):
        __slots__ = ("id", "title")
        ID_FIELD_NUMBER: _ClassVar[int]
        TITLE_FIELD_NUMBER: _ClassVar[int]
        id: str
        title: str
        def __init__(self, id: _Optional[str] = ..., title: _Optional[str] = ...) -> None: ...
    class RunSettings(_message.Message):
        __slots__ = ("train_loop_config", "backend_config", "scaling_config", "datasets", "data_config", "run_config")
        TRAIN_LOOP_CONFIG_FIELD_NUMBER: _ClassVar[int]
        BACKEND_CONFIG_FIELD_NUMBER: _ClassVar[int]
        SCALING_CONFIG_FIELD_NUMBER: _ClassVar[int]
        DATASETS_FIELD_NUMBER: _ClassVar[int]
        DATA_CONFIG_FIELD_NUMBER: _ClassVar[int]
        RUN_CONFIG_FIELD_NUMBER: _ClassVar[int]
        train_loop_config: _struct_pb2.Struct
        backend_config: ExportTrainRunEventData.BackendConfig
        scaling_config: ExportTrainRunEventData.ScalingConfig
        datasets: _containers.RepeatedScalarFieldContainer[str]
        data_config: ExportTrainRunEventData.DataConfig
        run_config: ExportTrainRunEventData.RunConfig
        def __init__(self, train_loop_config: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., backend_config: _Optional[_Union[ExportTrainRunEventData.BackendConfig, _Mapping]] = ..., scaling_config: _Optional[_Union[ExportTrainRunEventData.ScalingConfig, _Mapping]] = ..., datasets: _Optional[_Iterable[str]] = ..., data_config: _Optional[_Union[ExportTrainRunEventData.DataConfig, _Mapping]] = ..., run_config: _Optional[_Union[ExportTrainRunEventData.RunConfig, _Mapping]] = ...) -> None: ...
    class BackendConfig(_message.Message):
        __slots__ = ("framework", "config")
        class TrainingFramework(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            TRAINING_FRAMEWORK_UNSPECIFIED: _ClassVar[ExportTrainRunEventData.BackendConfig.TrainingFramework]
            TORCH: _ClassVar[ExportTrainRunEventData.BackendConfig.TrainingFramework]
            JAX: _ClassVar[ExportTrainRunEventData.BackendConfig.TrainingFramework]
            TENSORFLOW: _ClassVar[ExportTrainRunEventData.BackendConfig.TrainingFramework]
            XGBOOST: _ClassVar[ExportTrainRunEventData.BackendConfig.TrainingFramework]
            LIGHTGBM: _ClassVar[ExportTrainRunEventData.BackendConfig.TrainingFramework]
        TRAINING_FRAMEWORK_UNSPECIFIED: ExportTrainRunEventData.BackendConfig.TrainingFramework
        TORCH: ExportTrainRunEventData.BackendConfig.TrainingFramework
        JAX: ExportTrainRunEventData.BackendConfig.TrainingFramework
        TENSORFLOW: ExportTrainRunEventData.BackendConfig.TrainingFramework
        XGBOOST: ExportTrainRunEventData.BackendConfig.TrainingFramework
        LIGHTGBM: ExportTrainRunEventData.BackendConfig.TrainingFramework
        FRAMEWORK_FIELD_NUMBER: _ClassVar[int]
        CONFIG_FIELD_NUMBER: _ClassVar[int]
        framework: ExportTrainRunEventData.BackendConfig.TrainingFramework
        config: _struct_pb2.Struct
        def __init__(self, framework: _Optional[_Union[ExportTrainRunEventData.BackendConfig.TrainingFramework, str]] = ..., config: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ...) -> None: ...
    class ScalingConfig(_message.Message):
        __slots__ = ("num_workers_fixed", "num_workers_range", "use_gpu", "resources_per_worker", "placement_strategy", "accelerator_type", "use_tpu", "topology", "label_selector_list", "label_selector_single")
        class StringMap(_message.Message):
            __slots__ = ("values",)
            class ValuesEntry(_message.Message):
                __slots__ = ("key", "value")
                KEY_FIELD_NUMBER: _ClassVar[int]
                VALUE_FIELD_NUMBER: _ClassVar[int]
                key: str
                value: str
                def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
            VALUES_FIELD_NUMBER: _ClassVar[int]
            values: _containers.ScalarMap[str, str]
            def __init__(self, values: _Optional[_Mapping[str, str]] = ...) -> None: ...
        class StringMapList(_message.Message):
            __slots__ = ("values",)
            VALUES_FIELD_NUMBER: _ClassVar[int]
            values: _containers.RepeatedCompositeFieldContainer[ExportTrainRunEventData.ScalingConfig.StringMap]
            def __init__(self, values: _Optional[_Iterable[_Union[ExportTrainRunEventData.ScalingConfig.StringMap, _Mapping]]] = ...) -> None: ...
        class StringFloatMap(_message.Message):
            __slots__ = ("values",)
            class ValuesEntry(_message.Message):
                __slots__ = ("key", "value")
                KEY_FIELD_NUMBER: _ClassVar[int]
                VALUE_FIELD_NUMBER: _ClassVar[int]
                key: str
                value: float
                def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
            VALUES_FIELD_NUMBER: _ClassVar[int]
            values: _containers.ScalarMap[str, float]
            def __init__(self, values: _Optional[_Mapping[str, float]] = ...) -> None: ...
        class IntRange(_message.Message):
            __slots__ = ("min", "max")
            MIN_FIELD_NUMBER: _ClassVar[int]
            MAX_FIELD_NUMBER: _ClassVar[int]
            min: int
            max: int
            def __init__(self, min: _Optional[int] = ..., max: _Optional[int] = ...) -> None: ...
        NUM_WORKERS_FIXED_FIELD_NUMBER: _ClassVar[int]
        NUM_WORKERS_RANGE_FIELD_NUMBER: _ClassVar[int]
        USE_GPU_FIELD_NUMBER: _ClassVar[int]
        RESOURCES_PER_WORKER_FIELD_NUMBER: _ClassVar[int]
        PLACEMENT_STRATEGY_FIELD_NUMBER: _ClassVar[int]
        ACCELERATOR_TYPE_FIELD_NUMBER: _ClassVar[int]
        USE_TPU_FIELD_NUMBER: _ClassVar[int]
        TOPOLOGY_FIELD_NUMBER: _ClassVar[int]
        LABEL_SELECTOR_LIST_FIELD_NUMBER: _ClassVar[int]
        LABEL_SELECTOR_SINGLE_FIELD_NUMBER: _ClassVar[int]
        num_workers_fixed: int
        num_workers_range: ExportTrainRunEventData.ScalingConfig.IntRange
        use_gpu: bool
        resources_per_worker: ExportTrainRunEventData.ScalingConfig.StringFloatMap
        placement_strategy: str
        accelerator_type: str
        use_tpu: bool
        topology: str
        label_selector_list: ExportTrainRunEventData.ScalingConfig.StringMapList
        label_selector_single: ExportTrainRunEventData.ScalingConfig.StringMap
        def __init__(self, num_workers_fixed: _Optional[int] = ..., num_workers_range: _Optional[_Union[ExportTrainRunEventData.ScalingConfig.IntRange, _Mapping]] = ..., use_gpu: _Optional[bool] = ..., resources_per_worker: _Optional[_Union[ExportTrainRunEventData.ScalingConfig.StringFloatMap, _Mapping]] = ..., placement_strategy: _Optional[str] = ..., accelerator_type: _Optional[str] = ..., use_tpu: _Optional[bool] = ..., topology: _Optional[str] = ..., label_selector_list: _Optional[_Union[ExportTrainRunEventData.ScalingConfig.StringMapList, _Mapping]] = ..., label_selector_single: _Optional[_Union[ExportTrainRunEventData.ScalingConfig.StringMap, _Mapping]] = ...) -> None: ...
    class ExecutionOptions(_message.Message):
        __slots__ = ("resource_limits", "exclude_resources", "preserve_order", "actor_locality_enabled", "verbose_progress")
        RESOURCE_LIMITS_FIELD_NUMBER: _ClassVar[int]
        EXCLUDE_RESOURCES_FIELD_NUMBER: _ClassVar[int]
        PRESERVE_ORDER_FIELD_NUMBER: _ClassVar[int]
        ACTOR_LOCALITY_ENABLED_FIELD_NUMBER: _ClassVar[int]
        VERBOSE_PROGRESS_FIELD_NUMBER: _ClassVar[int]
        resource_limits: _struct_pb2.Struct
        exclude_resources: _struct_pb2.Struct
        preserve_order: bool
        actor_locality_enabled: bool
        verbose_progress: bool
        def __init__(self, resource_limits: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., exclude_resources: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., preserve_order: _Optional[bool] = ..., actor_locality_enabled: _Optional[bool] = ..., verbose_progress: _Optional[bool] = ...) -> None: ...
    class DataExecutionOptions(_message.Message):
        __slots__ = ("default", "per_dataset_execution_options")
        class PerDatasetExecutionOptionsEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: ExportTrainRunEventData.ExecutionOptions
            def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[ExportTrainRunEventData.ExecutionOptions, _Mapping]] = ...) -> None: ...
        DEFAULT_FIELD_NUMBER: _ClassVar[int]
        PER_DATASET_EXECUTION_OPTIONS_FIELD_NUMBER: _ClassVar[int]
        default: ExportTrainRunEventData.ExecutionOptions
        per_dataset_execution_options: _containers.MessageMap[str, ExportTrainRunEventData.ExecutionOptions]
        def __init__(self, default: _Optional[_Union[ExportTrainRunEventData.ExecutionOptions, _Mapping]] = ..., per_dataset_execution_options: _Optional[_Mapping[str, ExportTrainRunEventData.ExecutionOptions]] = ...) -> None: ...
    class DataConfig(_message.Message):
        __slots__ = ("all", "datasets", "enable_shard_locality", "data_execution_options")
        class All(_message.Message):
            __slots__ = ()
            def __init__(self) -> None: ...
        class StringList(_message.Message):
            __slots__ = ("values",)
            VALUES_FIELD_NUMBER: _ClassVar[int]
            values: _containers.RepeatedScalarFieldContainer[str]
            def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...
        ALL_FIELD_NUMBER: _ClassVar[int]
        DATASETS_FIELD_NUMBER: _ClassVar[int]
        ENABLE_SHARD_LOCALITY_FIELD_NUMBER: _ClassVar[int]
        DATA_EXECUTION_OPTIONS_FIELD_NUMBER: _ClassVar[int]
        all: ExportTrainRunEventData.DataConfig.All
        datasets: ExportTrainRunEventData.DataConfig.StringList
        enable_shard_locality: bool
        data_execution_options: ExportTrainRunEventData.DataExecutionOptions
        def __init__(self, all: _Optional[_Union[ExportTrainRunEventData.DataConfig.All, _Mapping]] = ..., datasets: _Optional[_Union[ExportTrainRunEventData.DataConfig.StringList, _Mapping]] = ..., enable_shard_locality: _Optional[bool] = ..., data_execution_options: _Optional[_Union[ExportTrainRunEventData.DataExecutionOptions, _Mapping]] = ...) -> None: ...
    class RunConfig(_message.Message):
        __slots__ = ("name", "failure_config", "worker_runtime_env", "checkpoint_config", "storage_path", "storage_filesystem")
        NAME_FIELD_NUMBER: _ClassVar[int]
        FAILURE_CONFIG_FIELD_NUMBER: _ClassVar[int]
        WORKER_RUNTIME_ENV_FIELD_NUMBER: _ClassVar[int]
        CHECKPOINT_CONFIG_FIELD_NUMBER: _ClassVar[int]
        STORAGE_PATH_FIELD_NUMBER: _ClassVar[int]
        STORAGE_FILESYSTEM_FIELD_NUMBER: _ClassVar[int]
        name: str
        failure_config: ExportTrainRunEventData.FailureConfig
        worker_runtime_env: _struct_pb2.Struct
        checkpoint_config: ExportTrainRunEventData.CheckpointConfig
        storage_path: str
        storage_filesystem: str
        def __init__(self, name: _Optional[str] = ..., failure_config: _Optional[_Union[ExportTrainRunEventData.FailureConfig, _Mapping]] = ..., worker_runtime_env: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., checkpoint_config: _Optional[_Union[ExportTrainRunEventData.CheckpointConfig, _Mapping]] = ..., storage_path: _Optional[str] = ..., storage_filesystem: _Optional[str] = ...) -> None: ...
    class FailureConfig(_message.Message):
        __slots__ = ("max_failures", "controller_failure_limit")
        MAX_FAILURES_FIELD_NUMBER: _ClassVar[int]
        CONTROLLER_FAILURE_LIMIT_FIELD_NUMBER: _ClassVar[int]
        max_failures: int
        controller_failure_limit: int
        def __init__(self, max_failures: _Optional[int] = ..., controller_failure_limit: _Optional[int] = ...) -> None: ...
    class CheckpointConfig(_message.Message):
        __slots__ = ("num_to_keep", "checkpoint_score_attribute", "checkpoint_score_order")
        class CheckpointScoreOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            SCORE_ORDER_UNSPECIFIED: _ClassVar[ExportTrainRunEventData.CheckpointConfig.CheckpointScoreOrder]
            MAX: _ClassVar[ExportTrainRunEventData.CheckpointConfig.CheckpointScoreOrder]
            MIN: _ClassVar[ExportTrainRunEventData.CheckpointConfig.CheckpointScoreOrder]
        SCORE_ORDER_UNSPECIFIED: ExportTrainRunEventData.CheckpointConfig.CheckpointScoreOrder
        MAX: ExportTrainRunEventData.CheckpointConfig.CheckpointScoreOrder
        MIN: ExportTrainRunEventData.CheckpointConfig.CheckpointScoreOrder
        NUM_TO_KEEP_FIELD_NUMBER: _ClassVar[int]
        CHECKPOINT_SCORE_ATTRIBUTE_FIELD_NUMBER: _ClassVar[int]
        CHECKPOINT_SCORE_ORDER_FIELD_NUMBER: _ClassVar[int]
        num_to_keep: int
        checkpoint_score_attribute: str
        checkpoint_score_order: ExportTrainRunEventData.CheckpointConfig.CheckpointScoreOrder
        def __init__(self, num_to_keep: _Optional[int] = ..., checkpoint_score_attribute: _Optional[str] = ..., checkpoint_score_order: _Optional[_Union[ExportTrainRunEventData.CheckpointConfig.CheckpointScoreOrder, str]] = ...) -> None: ...
    class FrameworkVersionsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_ACTOR_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STATUS_DETAIL_FIELD_NUMBER: _ClassVar[int]
    START_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    CONTROLLER_LOG_FILE_PATH_FIELD_NUMBER: _ClassVar[int]
    RAY_TRAIN_VERSION_FIELD_NUMBER: _ClassVar[int]
    TRAIN_RUN_PANELS_FIELD_NUMBER: _ClassVar[int]
    TRAIN_WORKER_PANELS_FIELD_NUMBER: _ClassVar[int]
    FRAMEWORK_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    RUN_SETTINGS_FIELD_NUMBER: _ClassVar[int]
    schema_version: int
    id: str
    name: str
    job_id: bytes
    controller_actor_id: bytes
    status: ExportTrainRunEventData.RunStatus
    status_detail: str
    start_time_ns: int
    end_time_ns: int
    controller_log_file_path: str
    ray_train_version: int
    train_run_panels: _containers.RepeatedCompositeFieldContainer[ExportTrainRunEventData.DashboardPanelMetadata]
    train_worker_panels: _containers.RepeatedCompositeFieldContainer[ExportTrainRunEventData.DashboardPanelMetadata]
    framework_versions: _containers.ScalarMap[str, str]
    run_settings: ExportTrainRunEventData.RunSettings
    def __init__(self, schema_version: _Optional[int] = ..., id: _Optional[str] = ..., name: _Optional[str] = ..., job_id: _Optional[bytes] = ..., controller_actor_id: _Optional[bytes] = ..., status: _Optional[_Union[ExportTrainRunEventData.RunStatus, str]] = ..., status_detail: _Optional[str] = ..., start_time_ns: _Optional[int] = ..., end_time_ns: _Optional[int] = ..., controller_log_file_path: _Optional[str] = ..., ray_train_version: _Optional[int] = ..., train_run_panels: _Optional[_Iterable[_Union[ExportTrainRunEventData.DashboardPanelMetadata, _Mapping]]] = ..., train_worker_panels: _Optional[_Iterable[_Union[ExportTrainRunEventData.DashboardPanelMetadata, _Mapping]]] = ..., framework_versions: _Optional[_Mapping[str, str]] = ..., run_settings: _Optional[_Union[ExportTrainRunEventData.RunSettings, _Mapping]] = ...) -> None: ...

class ExportTrainRunAttemptEventData(_message.Message):
    __slots__ = ("schema_version", "run_id", "attempt_id", "status", "status_detail", "start_time_ns", "end_time_ns", "resources", "workers", "ray_train_version")
    class RunAttemptStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        RUN_ATTEMPT_STATUS_UNSPECIFIED: _ClassVar[ExportTrainRunAttemptEventData.RunAttemptStatus]
        PENDING: _ClassVar[ExportTrainRunAttemptEventData.RunAttemptStatus]
        RUNNING: _ClassVar[ExportTrainRunAttemptEventData.RunAttemptStatus]
        FINISHED: _ClassVar[ExportTrainRunAttemptEventData.RunAttemptStatus]
        ERRORED: _ClassVar[ExportTrainRunAttemptEventData.RunAttemptStatus]
        ABORTED: _ClassVar[ExportTrainRunAttemptEventData.RunAttemptStatus]
    RUN_ATTEMPT_STATUS_UNSPECIFIED: ExportTrainRunAttemptEventData.RunAttemptStatus
    PENDING: ExportTrainRunAttemptEventData.RunAttemptStatus
    RUNNING: ExportTrainRunAttemptEventData.RunAttemptStatus
    FINISHED: ExportTrainRunAttemptEventData.RunAttemptStatus
    ERRORED: ExportTrainRunAttemptEventData.RunAttemptStatus
    ABORTED: ExportTrainRunAttemptEventData.RunAttemptStatus
    class ActorStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACTOR_STATUS_UNSPECIFIED: _ClassVar[ExportTrainRunAttemptEventData.ActorStatus]
        ALIVE: _ClassVar[ExportTrainRunAttemptEventData.ActorStatus]
        DEAD: _ClassVar[ExportTrainRunAttemptEventData.ActorStatus]
    ACTOR_STATUS_UNSPECIFIED: ExportTrainRunAttemptEventData.ActorStatus
    ALIVE: ExportTrainRunAttemptEventData.ActorStatus
    DEAD: ExportTrainRunAttemptEventData.ActorStatus
    class TrainResources(_message.Message):
        __slots__ = ("resources",)
        class ResourcesEntry(_message.Message):
            __slots__ = ("key", "value")
            KEY_FIELD_NUMBER: _ClassVar[int]
            VALUE_FIELD_NUMBER: _ClassVar[int]
            key: str
            value: float
            def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
        RESOURCES_FIELD_NUMBER: _ClassVar[int]
        resources: _containers.ScalarMap[str, float]
        def __init__(self, resources: _Optional[_Mapping[str, float]] = ...) -> None: ...
    class TrainWorker(_message.Message):
        __slots__ = ("world_rank", "local_rank", "node_rank", "actor_id", "node_id", "node_ip", "pid", "gpu_ids", "status", "resources", "log_file_path")
        WORLD_RANK_FIELD_NUMBER: _ClassVar[int]
        LOCAL_RANK_FIELD_NUMBER: _ClassVar[int]
        NODE_RANK_FIELD_NUMBER: _ClassVar[int]
        ACTOR_ID_FIELD_NUMBER: _ClassVar[int]
        NODE_ID_FIELD_NUMBER: _ClassVar[int]
        NODE_IP_FIELD_NUMBER: _ClassVar[int]
        PID_FIELD_NUMBER: _ClassVar[int]
        GPU_IDS_FIELD_NUMBER: _ClassVar[int]
        STATUS_FIELD_NUMBER: _ClassVar[int]
        RESOURCES_FIELD_NUMBER: _ClassVar[int]
        LOG_FILE_PATH_FIELD_NUMBER: _ClassVar[int]
        world_rank: int
        local_rank: int
        node_rank: int
        actor_id: bytes
        node_id: bytes
        node_ip: str
        pid: int
        gpu_ids: _containers.RepeatedScalarFieldContainer[int]
        status: ExportTrainRunAttemptEventData.ActorStatus
        resources: ExportTrainRunAttemptEventData.TrainResources
        log_file_path: str
        def __init__(self, world_rank: _Optional[int] = ..., local_rank: _Optional[int] = ..., node_rank: _Optional[int] = ..., actor_id: _Optional[bytes] = ..., node_id: _Optional[bytes] = ..., node_ip: _Optional[str] = ..., pid: _Optional[int] = ..., gpu_ids: _Optional[_Iterable[int]] = ..., status: _Optional[_Union[ExportTrainRunAttemptEventData.ActorStatus, str]] = ..., resources: _Optional[_Union[ExportTrainRunAttemptEventData.TrainResources, _Mapping]] = ..., log_file_path: _Optional[str] = ...) -> None: ...
    SCHEMA_VERSION_FIELD_NUMBER: _ClassVar[int]
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STATUS_DETAIL_FIELD_NUMBER: _ClassVar[int]
    START_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    END_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    RESOURCES_FIELD_NUMBER: _ClassVar[int]
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    RAY_TRAIN_VERSION_FIELD_NUMBER: _ClassVar[int]
    schema_version: int
    run_id: str
    attempt_id: str
    status: ExportTrainRunAttemptEventData.RunAttemptStatus
    status_detail: str
    start_time_ns: int
    end_time_ns: int
    resources: _containers.RepeatedCompositeFieldContainer[ExportTrainRunAttemptEventData.TrainResources]
    workers: _containers.RepeatedCompositeFieldContainer[ExportTrainRunAttemptEventData.TrainWorker]
    ray_train_version: int
    def __init__(self, schema_version: _Optional[int] = ..., run_id: _Optional[str] = ..., attempt_id: _Optional[str] = ..., status: _Optional[_Union[ExportTrainRunAttemptEventData.RunAttemptStatus, str]] = ..., status_detail: _Optional[str] = ..., start_time_ns: _Optional[int] = ..., end_time_ns: _Optional[int] = ..., resources: _Optional[_Iterable[_Union[ExportTrainRunAttemptEventData.TrainResources, _Mapping]]] = ..., workers: _Optional[_Iterable[_Union[ExportTrainRunAttemptEventData.TrainWorker, _Mapping]]] = ..., ray_train_version: _Optional[int] = ...) -> None: ...
