"""Who is given what: makes every part of the daemon from settings and stores, and starts none of them.

Parts know each other only through what they are given here, in their constructors. The tables of all managers exist
when this is done, so that the ledgers can be loaded; what runs, and in which order, is the nursery tree's business.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import structlog
import trio

from trio_gcs.config import DaemonSettings, GcsConfig, wall_clock_ms
from trio_gcs.events.domain import NodeDied, WorkerDied
from trio_gcs.events.entry import Thing
from trio_gcs.events.epoch import Epoch
from trio_gcs.events.exports import FOLDER, Exports, kinds_of
from trio_gcs.events.hub import Hub
from trio_gcs.events.log import EventLog
from trio_gcs.events.outlet import Listener, Outlet
from trio_gcs.events.publisher import Publisher, PublisherLimits, SubscriberID
from trio_gcs.events.recorder import Recorder
from trio_gcs.events.things import KINDS_OF_TABLES
from trio_gcs.generated.ray.common_pb2 import TaskType
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupLoad, ResourceLoad
from trio_gcs.ids import ClusterID
from trio_gcs.managers.actors import ActorManager
from trio_gcs.managers.actors.placing import ByRaylets, Placing
from trio_gcs.managers.autoscaler import AutoscalerManager, Drains
from trio_gcs.managers.functions import FunctionManager
from trio_gcs.managers.jobs import JobManager, JobReports
from trio_gcs.managers.kv import KVManager
from trio_gcs.managers.load_pulling import LoadPuller
from trio_gcs.managers.nodes import NodeManager
from trio_gcs.managers.placement_groups import PlacementGroupManager
from trio_gcs.managers.reactions import Managers, reactions_of
from trio_gcs.managers.resources import ResourceManager
from trio_gcs.managers.runtime_env import RuntimeEnvManager
from trio_gcs.managers.sync import SyncRelay
from trio_gcs.managers.tasks import TaskManager
from trio_gcs.managers.tasks.counting import TaskCounting
from trio_gcs.managers.usage import Counts, UsageTags
from trio_gcs.managers.workers import WorkerManager
from trio_gcs.metrics.debug_state import DebugState
from trio_gcs.metrics.instruments import Instrument, Labels, labels
from trio_gcs.metrics.observed import Observed
from trio_gcs.metrics.reporter import Reporter
from trio_gcs.metrics.tasks import TaskMetrics
from trio_gcs.rpc.agent import HeadAgent
from trio_gcs.rpc.raylets import Raylets
from trio_gcs.rpc.turns import Turns
from trio_gcs.rpc.workers import Workers
from trio_gcs.scheduling.leases import LeaseQueue
from trio_gcs.services.actors import ActorInfoService
from trio_gcs.services.autoscaler import AutoscalerStateService
from trio_gcs.services.jobs import JobInfoService
from trio_gcs.services.kv import InternalKVService
from trio_gcs.services.node_resources import NodeResourceInfoService
from trio_gcs.services.nodes import RAY_VERSION, NodeInfoService
from trio_gcs.services.observer import ObserverService
from trio_gcs.services.placement_groups import PlacementGroupInfoService
from trio_gcs.services.pubsub import (
    CONTROL_PLANE_CHANNELS,
    OBSERVABILITY_CHANNELS,
    ControlPlanePubSubService,
    ObservabilityPubSubService,
)
from trio_gcs.services.runtime_env import RuntimeEnvService
from trio_gcs.services.sync import RaySyncerService
from trio_gcs.services.tasks import RayEventExportService, TaskInfoService
from trio_gcs.services.workers import WorkerInfoService
from trio_gcs.store.base import Store
from trio_gcs.store.ledger import Change, Ledger, Reaction
from trio_gcs.store.witness import Witness
from trio_gcs.surroundings import Surroundings

if TYPE_CHECKING:
    from grpclib._typing import IServable

LAST_ANSWERS_S = 1.0
"""How long a dead raylet is heard: it may have answered just before it left."""


class Daemon:
    """All parts of one daemon. ``store`` keeps the tables, ``kv_store`` the key-value pairs in a lane of their own."""

    def __init__(self, settings: DaemonSettings, store: Store, kv_store: Store, at: Surroundings | None = None) -> None:
        config = settings.gcs_config
        self._around = around = at or Surroundings()
        self.settings = settings
        self.witness = Witness()
        self.control_plane = _publisher(around, CONTROL_PLANE_CHANNELS, config)
        self.observability = _publisher(around, OBSERVABILITY_CHANNELS, config, bounded=OBSERVABILITY_CHANNELS)
        self.agent = HeadAgent(settings.metrics_agent_port, token=settings.auth_token)
        self.recorder = Recorder(
            self.agent,
            config,
            session_name=settings.session_name,
            node_id=bytes.fromhex(settings.node_id),
            clock=wall_clock_ms,
            random_bytes=os.urandom,
        )
        self.observed = Observed(wall_clock_ms)
        self.reporter = Reporter(
            self.agent,
            self._instruments,
            common=_common_labels(settings),
            period_s=config.metrics_period_s / 2,
            clock=wall_clock_ms,
        )
        listeners = [self.recorder.record, self.observed.hear, *_exports(settings)]
        event_log = EventLog(structlog.get_logger("events"))
        self.outlet = Outlet(self.control_plane, self.observability, event_log, listeners=listeners)
        reactions: dict[type[Any], Sequence[Reaction]] = {}
        self.hub = Hub(
            history=lambda: self.epoch, things=self._durable_things, clock=around.clock, sure=self.witness.sure
        )
        self.ledger = Ledger(store, self.outlet, reactions, self.witness, self.hub.tables)
        self.kv_ledger = Ledger(kv_store, witness=self.witness, follower=self.hub.keys)
        self.epoch = Epoch(((self.ledger, self.hub.tables), (self.kv_ledger, self.hub.keys)), around.random_bytes)
        self.raylets = Raylets(self._address_of, config, token=settings.auth_token, open_channel=around.open_channel)
        self.workers = Workers(self.raylets, config, token=settings.auth_token, open_channel=around.open_channel)
        self.leases: LeaseQueue | None = None
        self.managers = self._managers(config)
        reactions.update(reactions_of(self.managers, Connections(self.raylets, self.workers)))
        managers = self.managers
        self.task_metrics = TaskMetrics(managers.tasks)
        self.drains = Drains(
            self.ledger, nodes=managers.nodes, raylets=self.raylets, set_preempted=managers.actors.set_preempted
        )
        self.job_reports = JobReports(managers.jobs, managers.kv, self.workers, config.job_pending_tasks_timeout_s)
        self.usage_tags = UsageTags(managers.kv, _usage_counts(managers), config.metrics_period_s / 2)
        self.debug_state = DebugState(self._debug_counts(), config.debug_state_period_s)
        self.load_puller = LoadPuller(
            alive_ids=managers.nodes.alive_ids,
            raylets=self.raylets,
            consumers=(managers.resources.update_loads, managers.autoscaler.update_loads),
            period_s=config.resource_load_pull_period_s,
        )

    def _debug_counts(self) -> dict[str, Callable[[], int]]:
        return {
            "nodes": lambda: len(self.managers.nodes.alive_nodes()),
            "task_events": lambda: self.managers.tasks.reported,
            "revision": lambda: self.ledger.revision,
            "kv_revision": lambda: self.kv_ledger.revision,
            "raylets": lambda: self.raylets.peers_count,
            "workers": lambda: self.workers.peers_count,
        }

    def _managers(self, config: GcsConfig) -> Managers:
        ledger, clock = self.ledger, self._around.clock
        kv = KVManager(self.kv_ledger)
        nodes = NodeManager(ledger, self.raylets, config, clock)
        workers = WorkerManager(ledger, kv, config.dead_workers_max)
        jobs = JobManager(ledger, clock)
        resources = ResourceManager(
            ledger,
            clock=clock,
            refresh_s=config.resource_view_refresh_s,
            update_snapshot=nodes.update_snapshot,
            placement_group_load=self._placement_group_load,
            waiting_leases=self._waiting_leases,
            hear_of_node=self._hear_of_node,
        )
        groups = PlacementGroupManager(
            ledger,
            self.raylets,
            Turns(config.peer_call_timeout_s),
            nodes,
            resources,
            namespace_of=jobs.namespace_of,
            config=config,
            clock=clock,
        )
        return Managers(
            kv=kv,
            nodes=nodes,
            resources=resources,
            sync=SyncRelay(resources.apply_report, nodes.health.mark_healthy),
            jobs=jobs,
            workers=workers,
            placement_groups=groups,
            actors=ActorManager(
                ledger,
                self.raylets,
                self.workers,
                nodes,
                config=config,
                clock=clock,
                placing=self._placing(nodes, resources, config),
                random_bytes=self._around.random_bytes,
                is_worker_dead=workers.is_dead,
            ),
            functions=FunctionManager(ledger, kv),
            runtime_env=RuntimeEnvManager(ledger, kv, self._around.random_bytes),
            tasks=TaskManager(config),
            autoscaler=AutoscalerManager(
                ledger,
                nodes=nodes,
                placement_groups=groups.queries,
                raylets=self.raylets,
                values=kv,
                config=config,
                session_name=self.settings.session_name,
                clock=clock,
                waiting_leases=self._waiting_leases,
            ),
        )

    def _instruments(self) -> Sequence[Instrument]:
        return (*self.observed.instruments, *self.task_metrics.instruments)

    def _placing(self, nodes: NodeManager, resources: ResourceManager, config: GcsConfig) -> Placing:
        if not config.gcs_actor_scheduling:
            return ByRaylets(nodes, self._around.rng)
        self.leases = LeaseQueue(
            self.ledger,
            resources,
            config=config,
            rng=self._around.rng,
            wake=self._wake_actors,
            is_group_gone=self._is_group_gone,
        )
        return self.leases

    async def _wake_actors(self) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        self.managers.actors.place_waiting(news=False)

    def _is_group_gone(self, group_id: bytes) -> bool:
        return not self.managers.placement_groups.queries.is_registered(group_id)

    def _hear_of_node(self, node_id: bytes) -> None:
        if self.leases is not None and self.leases.may_place(node_id):
            self.managers.actors.place_waiting()

    def _waiting_leases(self) -> ResourceLoad:
        return ResourceLoad() if self.leases is None else self.leases.load()

    def _placement_group_load(self) -> PlacementGroupLoad:
        return self.managers.placement_groups.queries.load()

    def _address_of(self, node_id: bytes) -> tuple[str, int] | None:
        return self.managers.nodes.address_of(node_id)

    def services(self, cluster_id: ClusterID) -> list[IServable]:
        """All that is served, once it is known which cluster this is."""
        managers, config = self.managers, self.settings.gcs_config
        return [
            NodeInfoService(managers.nodes, cluster_id),
            NodeResourceInfoService(managers.resources),
            JobInfoService(managers.jobs, self.job_reports),
            ActorInfoService(managers.actors),
            PlacementGroupInfoService(managers.placement_groups),
            WorkerInfoService(managers.workers),
            InternalKVService(managers.kv, self.settings.ray_config.json_text),
            ControlPlanePubSubService(self.control_plane),
            ObservabilityPubSubService(self.observability),
            RuntimeEnvService(managers.runtime_env),
            TaskInfoService(managers.tasks),
            RayEventExportService(managers.tasks),
            AutoscalerStateService(managers.autoscaler, self.drains),
            ObserverService(self.hub, (self.ledger, self.kv_ledger)),
            RaySyncerService(
                managers.sync,
                batch_messages_max=config.syncer_batch_messages_max,
                batch_delay_s=config.syncer_batch_delay_s,
            ),
        ]

    def task_counting(self) -> TaskCounting:
        """Counts tasks for the event stream while somebody follows their summaries."""
        return TaskCounting(self.managers.tasks.storage, self.hub.wants_summaries, self.hub.show_summaries)

    def recover(self) -> None:
        """Go on from what the ledgers loaded. Nothing leaves the process before the ledgers serve."""
        managers = self.managers
        self.epoch.recover()
        managers.nodes.recover()
        for node in managers.nodes.alive_nodes():
            self.recorder.meet(node)
        self.observed.meet(
            managers.actors.queries.registered(),
            [group.head for _, group in managers.placement_groups.queries.select()],
            managers.jobs.all(),
        )
        managers.resources.recover(managers.nodes.alive_nodes())
        managers.workers.recover()
        managers.placement_groups.recover(self._is_job_alive)
        managers.actors.recover(self._is_job_alive)
        managers.functions.recover(managers.jobs.all(), managers.actors.queries.registered())
        managers.runtime_env.recover(managers.jobs.all(), managers.actors.queries.creation_tasks())
        managers.autoscaler.recover()
        managers.kv.put(b"", b"gcs_pid", b"%d" % os.getpid())

    def _durable_things(self, kinds: frozenset[str]) -> Iterator[Thing]:
        copies = [
            (journal.makers[name], ledger.durable_rows(table))
            for ledger, journal in ((self.ledger, self.hub.tables), (self.kv_ledger, self.hub.keys))
            for name, table in ledger.tables.items()
            if name in journal.makers and KINDS_OF_TABLES[name] in kinds
        ]
        return (make(key, row) for make, rows in copies for key, row in rows.items())

    def _is_job_alive(self, job_id: bytes) -> bool:
        job = self.managers.jobs.job(job_id)
        return job is not None and not job.is_dead


class Connections:
    """Ends our connections to peers that are dead, after their death is durable and everyone heard of it."""

    def __init__(self, raylets: Raylets, workers: Workers) -> None:
        self._raylets = raylets
        self._workers = workers

    def lose_node(self, change: Change, event: NodeDied) -> None:
        """Drop the raylet and the workers of a dead node."""
        change.errand(self._drop_node, event.node.node_id)

    def lose_worker(self, change: Change, event: WorkerDied) -> None:
        """Drop a dead worker."""
        change.errand(self._drop_worker, event.worker.worker_address.worker_id)

    async def _drop_node(self, node_id: bytes) -> None:
        # What the raylet answered before it left may still be on its way: that it lets itself be drained, for one.
        await trio.sleep(LAST_ANSWERS_S)
        if not self._raylets.is_alive(node_id):
            self._raylets.drop_raylet(node_id)
            self._workers.drop_workers_of(node_id)

    async def _drop_worker(self, worker_id: bytes) -> None:
        self._workers.drop_worker(worker_id)


def _usage_counts(managers: Managers) -> Counts:
    def tasks_of(kind: int) -> Callable[[], int]:
        return lambda: managers.tasks.counts[kind]

    return {
        "actor_num_created": lambda: managers.actors.created_total,
        "pg_num_created": lambda: managers.placement_groups.created_total,
        "num_actor_creation_tasks": tasks_of(TaskType.ACTOR_CREATION_TASK),
        "num_actor_tasks": tasks_of(TaskType.ACTOR_TASK),
        "num_normal_tasks": tasks_of(TaskType.NORMAL_TASK),
        "num_drivers": tasks_of(TaskType.DRIVER_TASK),
    }


def _common_labels(settings: DaemonSettings) -> Labels:
    return labels(
        Component="gcs_server",
        NodeAddress=settings.node_ip_address,
        SessionName=settings.session_name,
        Version=RAY_VERSION,
        WorkerId="",
    )


def _exports(settings: DaemonSettings) -> list[Listener]:
    kinds = kinds_of(settings.gcs_config)
    if settings.log_dir is None or not kinds:
        return []
    exports = Exports(settings.log_dir / FOLDER, kinds, clock=wall_clock_ms, random_bytes=os.urandom)
    return [exports.write]


def _publisher(
    around: Surroundings, channels: frozenset[int], config: GcsConfig, bounded: Iterable[int] = ()
) -> Publisher[Any]:
    limits = PublisherLimits(
        batch_messages_max=config.publish_batch_messages_max,
        reply_bytes_max=config.message_bytes_max,
        topic_bytes_max=config.publisher_queue_bytes_max,
        subscriber_timeout_s=config.subscriber_timeout_s,
    )
    publisher_id = around.random_bytes(SubscriberID.SIZE)
    return Publisher(publisher_id, channels, structlog.get_logger("pubsub"), bounded=bounded, limits=limits)
