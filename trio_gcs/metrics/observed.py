"""What is measured of the cluster, from the events of durable changes: nobody is asked, and nobody counts twice.

The hard idea: an actor or a placement group is in one state at a time, so it is moved from one count to another, and
one that is gone for good stays counted as what it was last, by number and not by name.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from trio_gcs.events import domain
from trio_gcs.generated.ray.common_pb2 import WorkerExitType
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, JobTableData, PlacementGroupTableData, WorkerTableData
from trio_gcs.metrics.instruments import Counter, Gauge, Histogram, Instrument, labels

GCS = "gcs"
MEANT = frozenset({WorkerExitType.INTENDED_SYSTEM_EXIT, WorkerExitType.INTENDED_USER_EXIT})
UNRESOLVED, PENDING = ActorTableData.DEPENDENCIES_UNREADY, ActorTableData.PENDING_CREATION
# What Ray calls the states of actors where it counts them without their classes.
PLACES = {
    "Unresolved": (UNRESOLVED,),
    "Pending": (PENDING, ActorTableData.RESTARTING),
    "Created": (ActorTableData.ALIVE,),
    "Destroyed": (ActorTableData.DEAD,),
    "Registered": (UNRESOLVED, PENDING, ActorTableData.RESTARTING, ActorTableData.ALIVE),
}
GROUP_PLACES = {
    "Pending": (PlacementGroupTableData.PENDING, PlacementGroupTableData.RESCHEDULING),
    "Registered": tuple(
        state
        for state in PlacementGroupTableData.PlacementGroupState.values()
        if state != PlacementGroupTableData.REMOVED
    ),
}


class Observed:
    """Listens to events; ``instruments`` are what to send."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._actors: dict[bytes, tuple[int, str]] = {}
        self._actor_states: Tally[tuple[int, str]] = Tally()
        self._began_ms: dict[bytes, int] = {}
        self._groups: dict[bytes, int] = {}
        self._group_states: Tally[int] = Tally()
        self._jobs: set[bytes] = set()
        self._actors_gauge = Gauge("actors", "Actors by state and class.")
        self._actors_count = Gauge("gcs_actors_count", "Actors by what the control service does with them.")
        self._groups_gauge = Gauge("placement_groups", "Placement groups by state.")
        self._groups_count = Gauge("gcs_placement_group_count", "Placement groups by what is done with them.")
        self._running_jobs = Gauge("running_jobs", "Jobs that run.")
        self._finished_jobs = Counter("finished_jobs", "Jobs that have finished.")
        self._job_durations = Gauge("job_duration_s", "How long finished jobs took.", once=True)
        self._failed_workers = Counter("unintentional_worker_failures", "Workers that were not meant to end.")
        self._dead_nodes = Counter("node_failure_total", "Nodes that died.")
        self._creation = Histogram("gcs_placement_group_creation_latency_ms", "From the request to the last bundle.")
        self._scheduling = Histogram("gcs_placement_group_scheduling_latency_ms", "Of the last attempt.")
        self._placement = Histogram("scheduler_placement_time_ms", "From the wish for a place to the place.")

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """All instruments, up to date."""
        self._read_gauges()
        return (
            *(self._actors_gauge, self._actors_count, self._groups_gauge, self._groups_count),
            *(self._running_jobs, self._finished_jobs, self._job_durations, self._failed_workers, self._dead_nodes),
            *(self._creation, self._scheduling, self._placement),
        )

    def meet(
        self,
        actors: Iterable[ActorTableData],
        groups: Iterable[PlacementGroupTableData],
        jobs: Iterable[JobTableData],
    ) -> None:
        """Count what there is at start."""
        for actor in actors:
            self._count_actor(actor)
        for group in groups:
            self._count_group(group)
        self._jobs.update(job.job_id for job in jobs if not job.is_dead)

    def hear(self, events: Sequence[object]) -> None:
        """Take the events of one change."""
        for event in events:
            heard = HEARD.get(type(event))
            if heard is not None:
                heard(self, event)

    # Events.

    def actor_registered(self, event: domain.ActorRegistered) -> None:
        """It is known."""
        self._count_actor(event.actor)

    def actor_pending(self, event: domain.ActorPending) -> None:
        """It looks for a place."""
        self._began_ms[event.actor.actor_id] = self._clock()
        self._count_actor(event.actor)

    def actor_moved(self, event: domain.ActorMoved) -> None:
        """It found its place, lost it, or is dead."""
        actor = event.actor
        began_ms = self._began_ms.pop(actor.actor_id, None)
        if actor.state == ActorTableData.ALIVE and began_ms is not None:
            self._placement.observe(labels(WorkloadType="Actor"), self._clock() - began_ms)
        elif actor.state == ActorTableData.RESTARTING:
            self._began_ms[actor.actor_id] = self._clock()
        self._count_actor(actor)

    def actor_forgotten(self, event: domain.ActorForgotten) -> None:
        """It stays in the count of the dead."""
        self._actors.pop(event.actor.actor_id, None)

    def group_moved(self, event: domain.PlacementGroupMoved) -> None:
        """It is in another state; when that is CREATED, it tells how long that took."""
        group = event.group
        if group.state == PlacementGroupTableData.CREATED:
            creation_ms = group.stats.end_to_end_creation_latency_us / 1000
            self._creation.observe((), creation_ms)
            self._scheduling.observe((), group.stats.scheduling_latency_us / 1000)
            self._placement.observe(labels(WorkloadType="PlacementGroup"), creation_ms)
        self._count_group(group)

    def job_added(self, event: domain.JobAdded) -> None:
        """A job runs."""
        self._jobs.add(event.job.job_id)

    def job_finished(self, event: domain.JobFinished) -> None:
        """A job runs no more."""
        job = event.job
        self._jobs.discard(job.job_id)
        if not event.again:
            self._finished_jobs.add(())
            duration_s = (job.end_time - job.start_time) / 1000
            self._job_durations.set(labels(JobId=job.job_id.hex()), duration_s)

    def worker_died(self, event: domain.WorkerDied) -> None:
        """A worker ended, as it should or not."""
        worker: WorkerTableData = event.worker
        if worker.exit_type not in MEANT:
            self._failed_workers.add(())

    def node_died(self, event: domain.NodeDied) -> None:
        """A node is dead."""
        self._dead_nodes.add(labels(NodeId=event.node.node_id.hex()))

    # Counts.

    def _count_actor(self, actor: ActorTableData) -> None:
        now = (actor.state, actor.class_name)
        before = self._actors.get(actor.actor_id)
        if before is not None:
            self._actor_states[before] -= 1
        self._actor_states[now] += 1
        self._actors[actor.actor_id] = now

    def _count_group(self, group: PlacementGroupTableData) -> None:
        before = self._groups.pop(group.placement_group_id, None)
        if before is not None:
            self._group_states[before] -= 1
        self._group_states[group.state] += 1
        if group.state != PlacementGroupTableData.REMOVED:
            self._groups[group.placement_group_id] = group.state

    def _read_gauges(self) -> None:
        names = ActorTableData.ActorState
        self._actors_gauge.replace(
            {
                labels(State=names.Name(state), Name=class_name, Source=GCS, JobId=""): count
                for (state, class_name), count in self._actor_states.items()
            }
        )
        by_state: Tally[int] = Tally()
        for (state, _), count in self._actor_states.items():
            by_state[state] += count
        self._actors_count.replace(
            {labels(State=place): sum(by_state[state] for state in states) for place, states in PLACES.items()}
        )
        groups = PlacementGroupTableData.PlacementGroupState
        self._groups_gauge.replace(
            {labels(State=groups.Name(state), Source=GCS): count for state, count in self._group_states.items()}
        )
        self._groups_count.replace(
            {
                labels(State=place): sum(self._group_states[state] for state in states)
                for place, states in GROUP_PLACES.items()
            }
        )
        self._running_jobs.replace({(): len(self._jobs)})


HEARD: dict[type, Callable[[Observed, Any], None]] = {
    domain.ActorRegistered: Observed.actor_registered,
    domain.ActorPending: Observed.actor_pending,
    domain.ActorMoved: Observed.actor_moved,
    domain.ActorForgotten: Observed.actor_forgotten,
    domain.PlacementGroupMoved: Observed.group_moved,
    domain.JobAdded: Observed.job_added,
    domain.JobFinished: Observed.job_finished,
    domain.WorkerDied: Observed.worker_died,
    domain.NodeDied: Observed.node_died,
}
