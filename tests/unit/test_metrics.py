"""What is measured, and what of it is sent to the agent of the head node."""

from __future__ import annotations

from trio_gcs.config import GcsConfig
from trio_gcs.events import domain
from trio_gcs.generated.opentelemetry.metrics_pb2 import AGGREGATION_TEMPORALITY_DELTA, Metric
from trio_gcs.generated.ray.common_pb2 import TaskSpec, WorkerExitType
from trio_gcs.generated.ray.gcs_pb2 import (
    ActorTableData,
    JobTableData,
    PlacementGroupTableData,
    TaskEventData,
    WorkerTableData,
)
from trio_gcs.managers.tasks import TaskManager
from trio_gcs.metrics.instruments import Counter, Gauge, Histogram, labels, request_of
from trio_gcs.metrics.observed import Observed
from trio_gcs.metrics.tasks import TaskMetrics

COMMON = labels(Component="gcs_server")


class World:
    def __init__(self) -> None:
        self.now_ms = 1000
        self.observed = Observed(lambda: self.now_ms)

    def metrics(self) -> dict[str, Metric]:
        request = request_of(self.observed.instruments, 7, COMMON)
        return {metric.name: metric for metric in request.resource_metrics[0].scope_metrics[0].metrics}

    def gauge(self, name: str, by: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for point in self.metrics()[name].gauge.data_points:
            its = {each.key: each.value.string_value for each in point.attributes}
            found[its[by]] = found.get(its[by], 0) + point.as_double
        return {key: value for key, value in found.items() if value}


def actor(state: ActorTableData.ActorState, number: int = 1) -> ActorTableData:
    return ActorTableData(actor_id=bytes([number]) * 16, state=state, class_name=f"Class{number}")


def moved(row: ActorTableData) -> domain.ActorMoved:
    return domain.ActorMoved(row, row)


def test_a_gauge_says_what_is_there_and_that_the_rest_is_gone() -> None:
    gauge = Gauge("actors", "Actors.")
    gauge.replace({labels(State="ALIVE"): 2})
    gauge.replace({labels(State="DEAD"): 1})
    metric = gauge.collect(7, COMMON)
    assert metric is not None
    assert [point.as_double for point in metric.gauge.data_points] == [0, 1]
    assert metric.gauge.data_points[0].attributes[0].value.string_value == "gcs_server"


def test_a_counter_sends_what_is_new_and_nothing_when_there_is_nothing() -> None:
    counter = Counter("calls", "Calls.")
    counter.add((), 2)
    counter.up_to(labels(Method="A"), 5)
    first = counter.collect(7, COMMON)
    assert first is not None
    assert first.sum.is_monotonic
    assert first.sum.aggregation_temporality == AGGREGATION_TEMPORALITY_DELTA
    assert [point.as_double for point in first.sum.data_points] == [2, 5]
    assert counter.collect(8, COMMON) is None
    counter.up_to(labels(Method="A"), 6)
    second = counter.collect(9, COMMON)
    assert second is not None
    assert [point.as_double for point in second.sum.data_points] == [1]


def test_a_histogram_sorts_what_it_observed_into_buckets() -> None:
    histogram = Histogram("latency_ms", "How long.", bounds=(1.0, 10.0))
    for value in (0.5, 1.0, 3.0, 99.0):
        histogram.observe((), value)
    metric = histogram.collect(7, ())
    assert metric is not None
    (point,) = metric.histogram.data_points
    assert (list(point.bucket_counts), point.count, point.sum) == ([2, 1, 1], 4, 103.5)
    assert histogram.collect(8, ()) is None


def test_an_actor_is_counted_in_the_state_that_it_is_in() -> None:
    world = World()
    unready = actor(ActorTableData.DEPENDENCIES_UNREADY)
    world.observed.hear([domain.ActorRegistered(unready, TaskSpec())])
    assert world.gauge("actors", "State") == {"DEPENDENCIES_UNREADY": 1}
    world.observed.hear([domain.ActorPending(actor(ActorTableData.PENDING_CREATION))])
    world.observed.hear([moved(actor(ActorTableData.ALIVE)), moved(actor(ActorTableData.ALIVE, 2))])
    assert world.gauge("actors", "State") == {"ALIVE": 2}
    assert world.gauge("actors", "Name") == {"Class1": 1, "Class2": 1}
    assert world.gauge("gcs_actors_count", "State") == {"Created": 2, "Registered": 2}


def test_the_dead_stay_counted_when_they_are_forgotten() -> None:
    world = World()
    dead = actor(ActorTableData.DEAD)
    world.observed.hear([moved(dead), domain.ActorForgotten(dead)])
    assert world.gauge("actors", "State") == {"DEAD": 1}


def test_the_time_to_a_place_is_measured_from_the_wish_for_one() -> None:
    world = World()
    world.observed.hear([domain.ActorPending(actor(ActorTableData.PENDING_CREATION))])
    world.now_ms += 25
    world.observed.hear([moved(actor(ActorTableData.ALIVE))])
    (point,) = world.metrics()["scheduler_placement_time_ms"].histogram.data_points
    assert point.sum == 25


def test_placement_groups_are_counted_by_state_and_tell_how_long_they_took() -> None:
    world = World()
    group = PlacementGroupTableData(placement_group_id=b"g" * 18)
    world.observed.hear([domain.PlacementGroupMoved(group, 1)])
    created = PlacementGroupTableData(placement_group_id=b"g" * 18, state=PlacementGroupTableData.CREATED)
    created.stats.end_to_end_creation_latency_us = 5000
    world.observed.hear([domain.PlacementGroupMoved(created, 1)])
    metrics = world.metrics()
    assert metrics["gcs_placement_group_creation_latency_ms"].histogram.data_points[0].sum == 5
    assert world.gauge("placement_groups", "State") == {"CREATED": 1}
    assert world.gauge("gcs_placement_group_count", "State") == {"Registered": 1}
    removed = PlacementGroupTableData(placement_group_id=b"g" * 18, state=PlacementGroupTableData.REMOVED)
    world.observed.hear([domain.PlacementGroupMoved(removed, 1)])
    assert world.gauge("placement_groups", "State") == {"REMOVED": 1}


def test_jobs_run_finish_once_and_took_some_time() -> None:
    world = World()
    job = JobTableData(job_id=b"\1\0\0\0", start_time=1000, end_time=4000)
    world.observed.hear([domain.JobAdded(job)])
    assert world.metrics()["running_jobs"].gauge.data_points[0].as_double == 1
    world.observed.hear([domain.JobFinished(job), domain.JobFinished(job, again=True)])
    metrics = world.metrics()
    assert metrics["finished_jobs"].sum.data_points[0].as_double == 1
    assert metrics["job_duration_s"].gauge.data_points[0].as_double == 3
    assert "job_duration_s" not in world.metrics(), "it is said once"


def test_only_ends_that_nobody_wanted_count_as_failures() -> None:
    world = World()
    for exit_type in (WorkerExitType.SYSTEM_ERROR, WorkerExitType.INTENDED_USER_EXIT):
        world.observed.hear([domain.WorkerDied(WorkerTableData(exit_type=exit_type))])
    assert world.metrics()["unintentional_worker_failures"].sum.data_points[0].as_double == 1


def test_what_was_there_at_start_is_counted() -> None:
    world = World()
    groups = [PlacementGroupTableData(placement_group_id=b"g" * 18)]
    jobs = [JobTableData(job_id=b"\1\0\0\0"), JobTableData(job_id=b"\2\0\0\0", is_dead=True)]
    world.observed.meet([actor(ActorTableData.ALIVE)], groups, jobs)
    assert world.gauge("actors", "State") == {"ALIVE": 1}
    assert world.gauge("placement_groups", "State") == {"PENDING": 1}
    assert world.metrics()["running_jobs"].gauge.data_points[0].as_double == 1


def test_task_events_are_counted_as_reported_stored_or_lost() -> None:
    tasks = TaskManager(GcsConfig())
    report = TaskEventData(job_id=b"\1\0\0\0", num_profile_events_dropped=2)
    report.events_by_task.add(task_id=b"t" * 20 + b"\1\0\0\0", job_id=b"\1\0\0\0")
    report.dropped_task_attempts.add(task_id=b"u" * 20 + b"\1\0\0\0")
    tasks.add(report)
    request = request_of(TaskMetrics(tasks).instruments, 7, ())
    told = [
        [point.as_double for point in metric.gauge.data_points]
        for metric in request.resource_metrics[0].scope_metrics[0].metrics
    ]
    assert told == [[1], [1], [1, 2]]
