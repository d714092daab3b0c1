"""ActorInfoGcsService: actors on the wire. Creating one is a promise: its answer may be hours away."""

from __future__ import annotations

from trio_gcs.errors import NotFound
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import NamedActorInfo
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.generated.ray.gcs_service_grpc import ActorInfoGcsServiceBase
from trio_gcs.ids import ActorID
from trio_gcs.managers.actors import ActorManager
from trio_gcs.rpc.handlers import Parked, unary
from trio_gcs.services.listing import Listing


class ActorInfoService(ActorInfoGcsServiceBase):
    """Speaks for :class:`ActorManager`."""

    def __init__(self, actors: ActorManager) -> None:
        self._actors = actors
        self._names: Listing[ActorTableData, pb.ListNamedActorsReply] = Listing(
            pb.ListNamedActorsReply,
            "named_actors_list",
            lambda _, row: NamedActorInfo(ray_namespace=row.ray_namespace, name=row.name),
        )

    @unary
    def RegisterActor(self, request: pb.RegisterActorRequest) -> pb.RegisterActorReply:
        """Reserve an actor's id, and its name if it has one."""
        self._actors.register(request.task_spec)
        return pb.RegisterActorReply()

    @unary
    def CreateActor(self, request: pb.CreateActorRequest) -> pb.CreateActorReply | Parked[pb.CreateActorReply]:
        """Create a registered actor; answered when it is alive, or dead."""
        parked: Parked[pb.CreateActorReply] = Parked()
        return self._actors.create(request.task_spec, parked) or parked

    @unary
    def RestartActorForLineageReconstruction(
        self, request: pb.RestartActorForLineageReconstructionRequest
    ) -> pb.RestartActorForLineageReconstructionReply:
        """Call an actor back that went out of scope."""
        self._actors.restart_for_lineage(
            ActorID.parse(request.actor_id), request.num_restarts_due_to_lineage_reconstruction
        )
        return pb.RestartActorForLineageReconstructionReply()

    @unary
    def GetActorInfo(self, request: pb.GetActorInfoRequest) -> pb.GetActorInfoReply:
        """Tell what is known of an actor; nothing, if nothing is."""
        row = self._actors.queries.get(ActorID.parse(request.actor_id))
        return pb.GetActorInfoReply(actor_table_data=row)

    @unary
    def GetNamedActorInfo(self, request: pb.GetNamedActorInfoRequest) -> pb.GetNamedActorInfoReply:
        """Tell who holds a name, with what it takes to make a handle."""
        found = self._actors.queries.named(request.ray_namespace, request.name)
        if found is None:
            raise NotFound(f"Actor with name '{request.name}' was not found.")
        row, spec, granted_ms = found
        reply = pb.GetNamedActorInfoReply(actor_table_data=row, task_spec=spec)
        reply.task_spec.lease_grant_timestamp_ms = granted_ms
        return reply

    @unary
    def ListNamedActors(self, request: pb.ListNamedActorsRequest) -> pb.ListNamedActorsReply:
        """List the names of actors that are not dead."""
        return self._names.octets(
            self._actors.queries.with_names(None if request.all_namespaces else request.ray_namespace)
        )

    @unary
    def GetAllActorInfo(self, request: pb.GetAllActorInfoRequest) -> pb.GetAllActorInfoReply:
        """List actors."""
        found = self._actors.queries.search(request.filters, request.limit, stored=request.show_dead_jobs)
        return pb.GetAllActorInfoReply(actor_table_data=found.rows, total=found.total, num_filtered=found.filtered)

    @unary
    def KillActorViaGcs(self, request: pb.KillActorViaGcsRequest) -> pb.KillActorViaGcsReply:
        """End an actor, or have it start again."""
        self._actors.kill(ActorID.parse(request.actor_id), force=request.force_kill, no_restart=request.no_restart)
        return pb.KillActorViaGcsReply()

    @unary
    def ReportActorOutOfScope(self, request: pb.ReportActorOutOfScopeRequest) -> pb.ReportActorOutOfScopeReply:
        """Hear from an owner that nobody holds a handle any more."""
        self._actors.report_out_of_scope(
            ActorID.parse(request.actor_id), request.num_restarts_due_to_lineage_reconstruction
        )
        return pb.ReportActorOutOfScopeReply()
