"""The services of the contract, RPC by RPC, as this project serves or calls them, and the modules that hold it."""

import importlib
import pathlib
from typing import NamedTuple

REPO = pathlib.Path(__file__).parents[2]
MODULES = [
    importlib.import_module(".".join(path.relative_to(REPO).with_suffix("").parts))
    for path in sorted((REPO / "trio_gcs" / "generated").rglob("*_pb2.py"))
]


class Service(NamedTuple):
    name: str
    module: str
    rpcs: frozenset[str]

    def base(self) -> type:
        """The class that a service of ours subclasses."""
        return self._generated("Base")

    def stub(self) -> type:
        """The class with which it is called."""
        return self._generated("Stub")

    def _generated(self, role: str) -> type:
        module = importlib.import_module(f"trio_gcs.generated.ray.{self.module}_grpc")
        found: type = getattr(module, self.name.rpartition(".")[2] + role)
        return found


def service(name: str, rpcs: str, module: str = "gcs_service") -> Service:
    return Service(f"ray.rpc.{name}", module, frozenset(rpcs.split()))


SERVED = (
    service("JobInfoGcsService", "AddJob MarkJobFinished GetAllJobInfo GetNextJobID"),
    service(
        "ActorInfoGcsService",
        "RegisterActor RestartActorForLineageReconstruction CreateActor GetActorInfo GetNamedActorInfo ListNamedActors "
        "GetAllActorInfo KillActorViaGcs ReportActorOutOfScope",
    ),
    service(
        "WorkerInfoGcsService",
        "ReportWorkerFailure GetWorkerInfo GetAllWorkerInfo AddWorkerInfo UpdateWorkerDebuggerPort "
        "UpdateWorkerNumPausedThreads",
    ),
    service(
        "PlacementGroupInfoGcsService",
        "CreatePlacementGroup RemovePlacementGroup GetPlacementGroup GetNamedPlacementGroup GetAllPlacementGroup "
        "WaitPlacementGroupUntilReady",
    ),
    service(
        "InternalKVGcsService",
        "InternalKVGet InternalKVMultiGet InternalKVPut InternalKVDel InternalKVExists InternalKVKeys GetInternalConfig",
    ),
    service("RuntimeEnvGcsService", "PinRuntimeEnvURI"),
    service("ControlPlanePubSubGcsService", "GcsPublish GcsSubscriberPoll GcsSubscriberCommandBatch"),
    service("ObservabilityPubSubService", "GcsPublish ReportJobError GcsSubscriberPoll GcsSubscriberCommandBatch"),
    service(
        "NodeResourceInfoGcsService",
        "GetAllAvailableResources GetAllTotalResources GetAllResourceUsage GetDrainingNodes",
    ),
    service(
        "NodeInfoGcsService",
        "GetClusterId RegisterNode UnregisterNode DrainNode GetAllNodeInfo GetAllNodeAddressAndLiveness CheckAlive",
    ),
    service("TaskInfoGcsService", "AddTaskEventData GetTaskEvents"),
    service("RayEventExportGcsService", "AddEvents"),
    service(
        "autoscaler.AutoscalerStateService",
        "GetClusterResourceState ReportAutoscalingState ReportClusterConfig RequestClusterResourceConstraint "
        "GetClusterStatus DrainNode ResizeRayletResourceInstances",
        "autoscaler",
    ),
    service("syncer.RaySyncer", "StartSync", "ray_syncer"),
)

# Raylets, workers and agents have more than this: what we call, and what the fakes of the tests need besides.
CALLED = (
    service(
        "NodeManagerService",
        "NotifyGCSRestart GetResourceLoad CancelLeasesWithResourceShapes RequestWorkerLease ReleaseUnusedActorWorkers "
        "ShutdownRaylet DrainRaylet PrepareBundleResources CommitBundleResources RemovePlacementGroupBundles "
        "ResizeLocalResourceInstances CancelWorkerLease ReleaseUnusedBundles IsLocalWorkerDead KillLocalActor",
        "node_manager",
    ),
    service(
        "CoreWorkerService",
        "RayletNotifyGCSRestart PushTask WaitForActorRefDeleted NumPendingTasks",
        "core_worker",
    ),
    service("ReporterService", "HealthCheck", "reporter"),
    service("events.EventAggregatorService", "AddEvents", "events_event_aggregator_service"),
)
