"""Task events: merging, eviction, losses, failure of what was left, and the queries."""

from __future__ import annotations

import pytest
import trio

from trio_gcs.config import GcsConfig
from trio_gcs.errors import Invalid, InvalidArgument
from trio_gcs.events.domain import JobFinished, WorkerDied
from trio_gcs.generated.ray.common_pb2 import TaskType
from trio_gcs.generated.ray.events_event_aggregator_service_pb2 import RayEventsData
from trio_gcs.generated.ray.gcs_pb2 import JobTableData, TaskEventData, TaskEvents, WorkerTableData
from trio_gcs.generated.ray.gcs_service_pb2 import GetTaskEventsReply, GetTaskEventsRequest
from trio_gcs.managers.tasks import TaskManager, queries
from trio_gcs.managers.tasks.conversion import reports_of
from trio_gcs.managers.tasks.queries import find
from trio_gcs.managers.tasks.storage import Tier, tier_of
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore

JOB = b"\x01\0\0\0"
OTHER_JOB = b"\x02\0\0\0"
RUNNING, FINISHED, FAILED, PINNING = 8, 11, 12, 13


def task_id(number: int, job: bytes = JOB) -> bytes:
    return number.to_bytes(20, "big") + job


def events(
    number: int, *states: int, job: bytes = JOB, kind: int = 0, profile: int = 0, worker: bytes = b""
) -> TaskEvents:
    made = TaskEvents(task_id=task_id(number, job), job_id=job)
    made.task_info.type = kind
    made.task_info.name = f"Task{number}"
    made.task_info.job_id = job
    for state in states:
        made.state_updates.state_ts_ns[state] = 1000 + state
    if worker:
        made.state_updates.worker_id = worker
    for index in range(profile):
        made.profile_events.events.add(event_name=str(index))
    return made


def report(*each: TaskEvents, dropped: tuple[bytes, ...] = (), profile_lost: int = 0) -> TaskEventData:
    made = TaskEventData(events_by_task=each, job_id=JOB, num_profile_events_dropped=profile_lost)
    for task in dropped:
        made.dropped_task_attempts.add(task_id=task)
    return made


def ask(tasks: TaskManager, **fields: object) -> GetTaskEventsReply:
    limit = fields.pop("limit", None)
    request = GetTaskEventsRequest(filters=GetTaskEventsRequest.Filters(**fields))
    if limit is not None:
        request.limit = limit
    return find(tasks.storage, request)


def names(reply: GetTaskEventsReply) -> list[str]:
    return [each.task_info.name for each in reply.events_by_task]


def test_reports_of_an_attempt_merge() -> None:
    tasks = TaskManager(GcsConfig())
    tasks.add(report(events(1, RUNNING)))
    tasks.add(report(TaskEvents(task_id=task_id(1), job_id=JOB, state_updates=events(1, FINISHED).state_updates)))
    (stored,) = ask(tasks).events_by_task
    assert dict(stored.state_updates.state_ts_ns) == {RUNNING: 1008, FINISHED: 1011}


def test_events_without_a_task_or_job_are_passed_over() -> None:
    tasks = TaskManager(GcsConfig())
    nameless = events(1)
    nameless.job_id = b"\xff" * 4
    tasks.add(report(nameless, TaskEvents(job_id=JOB)))
    assert ask(tasks).num_total_stored == 0


@pytest.mark.parametrize(
    "broken", [TaskEvents(task_id=b"abc", job_id=JOB), TaskEvents(task_id=task_id(1), job_id=b"x")]
)
def test_an_id_of_a_wrong_length_is_refused_and_nothing_is_taken(broken: TaskEvents) -> None:
    tasks = TaskManager(GcsConfig())
    with pytest.raises(Invalid):
        tasks.add(report(events(2), broken))
    assert len(tasks.storage) == 0


def test_the_creation_of_an_actor_counts_among_the_tasks_of_actors() -> None:
    kinds = (TaskType.ACTOR_TASK, TaskType.NORMAL_TASK, TaskType.ACTOR_CREATION_TASK)
    tiers = [tier_of(event) for event in report(*(events(1, kind=kind) for kind in kinds)).events_by_task]
    assert tiers == [Tier.ACTOR_TASK, Tier.OTHER, Tier.ACTOR_TASK]


def test_profile_events_are_trimmed_only_when_merging_and_the_oldest_go() -> None:
    tasks = TaskManager(GcsConfig(task_profile_events_max=3))
    tasks.add(report(events(1, profile=5)))
    assert len(ask(tasks).events_by_task[0].profile_events.events) == 5
    tasks.add(report(events(1, profile=1)))
    reply = ask(tasks)
    assert [each.event_name for each in reply.events_by_task[0].profile_events.events] == ["3", "4", "0"]
    assert reply.num_profile_task_events_dropped == 3


def test_finished_attempts_go_first_then_actor_tasks_then_others_each_oldest_first() -> None:
    tasks = TaskManager(GcsConfig(task_attempts_max=4))
    tasks.add(report(events(1), events(2, kind=TaskType.ACTOR_TASK), events(3, FINISHED), events(4, FAILED)))
    left = []
    for number in (5, 6, 7, 8):
        tasks.add(report(events(number)))
        left.append(sorted(names(ask(tasks))))
    assert left == [
        ["Task1", "Task2", "Task4", "Task5"],
        ["Task1", "Task4", "Task5", "Task6"],
        ["Task4", "Task5", "Task6", "Task7"],
        ["Task5", "Task6", "Task7", "Task8"],
    ]


def test_the_attempt_just_told_of_may_be_the_one_to_go() -> None:
    tasks = TaskManager(GcsConfig(task_attempts_max=1))
    tasks.add(report(events(1, kind=TaskType.ACTOR_TASK)))
    tasks.add(report(events(2, FINISHED)))
    assert names(ask(tasks)) == ["Task1"]
    assert ask(tasks).num_status_task_events_dropped == 1


def test_an_attempt_that_is_lost_twice_is_lost_once() -> None:
    tasks = TaskManager(GcsConfig())
    tasks.add(report(dropped=(task_id(1), task_id(1), task_id(2)), profile_lost=2))
    tasks.add(report(dropped=(task_id(3, b"othr"),)))
    assert ask(tasks).num_status_task_events_dropped == 3
    assert ask(tasks).num_profile_task_events_dropped == 2


def test_a_dropped_attempt_stays_dropped() -> None:
    tasks = TaskManager(GcsConfig())
    tasks.add(report(events(1), events(2)))
    tasks.add(report(dropped=(task_id(1),), profile_lost=4))
    tasks.add(report(events(1, FINISHED)))
    reply = ask(tasks)
    assert names(reply) == ["Task2"]
    assert (reply.num_status_task_events_dropped, reply.num_profile_task_events_dropped) == (1, 4)


def test_a_scan_lists_the_newest_of_each_list_first() -> None:
    tasks = TaskManager(GcsConfig())
    tasks.add(
        report(events(1), events(2, FINISHED), events(3, kind=TaskType.ACTOR_TASK), events(4), events(5, FINISHED))
    )
    assert names(ask(tasks)) == ["Task5", "Task2", "Task3", "Task4", "Task1"]


def test_filters_are_all_applied() -> None:
    tasks = TaskManager(GcsConfig())
    tasks.add(report(events(1, RUNNING), events(2, FINISHED), events(3, kind=TaskType.DRIVER_TASK)))
    tasks.add(TaskEventData(events_by_task=[events(4, RUNNING, job=OTHER_JOB)], job_id=OTHER_JOB))
    assert names(
        ask(tasks, job_filters=[{"job_id": JOB}], exclude_driver=True, state_filters=[{"state": "running"}])
    ) == ["Task1"]
    assert names(ask(tasks, job_filters=[{"predicate": 1, "job_id": JOB}])) == ["Task4"]
    assert names(ask(tasks, task_name_filters=[{"task_name": "TASK2"}])) == ["Task2"]
    two = ask(tasks, task_filters=[{"task_id": task_id(1)}, {"task_id": task_id(2)}])
    assert (names(two), two.num_total_stored) == ([], 0)
    assert names(ask(tasks, task_filters=[{"task_id": task_id(1)}, {"predicate": 1, "task_id": task_id(2)}])) == [
        "Task1"
    ]


def test_the_state_of_an_attempt_is_the_highest_of_the_enum() -> None:
    tasks = TaskManager(GcsConfig())
    tasks.add(report(events(1, RUNNING, FINISHED, PINNING)))
    assert names(ask(tasks, state_filters=[{"state": "FINISHED"}])) == []
    assert names(ask(tasks, state_filters=[{"state": "getting_and_pinning_args"}])) == ["Task1"]
    assert names(ask(tasks, state_filters=[{"state": "no such state"}])) == []


def test_an_unknown_predicate_is_an_error() -> None:
    with pytest.raises(InvalidArgument, match="Unknown filter predicate: 7"):
        ask(TaskManager(GcsConfig()), job_filters=[{"predicate": 7, "job_id": JOB}])


def test_attempts_without_task_info_never_match() -> None:
    tasks = TaskManager(GcsConfig())
    tasks.add(report(TaskEvents(task_id=task_id(1), job_id=JOB)))
    reply = ask(tasks)
    assert (names(reply), reply.num_filtered_on_gcs, reply.num_total_stored) == ([], 1, 1)


@pytest.mark.parametrize(("limit", "count", "cut"), [(0, 0, 3), (2, 2, 1), (-1, 3, 0), (9, 3, 0)])
def test_what_the_limit_cuts_is_counted(limit: int, count: int, cut: int) -> None:
    tasks = TaskManager(GcsConfig())
    tasks.add(report(*(events(number, RUNNING, profile=2) for number in range(3))))
    reply = ask(tasks, limit=limit)
    assert (len(reply.events_by_task), reply.num_truncated) == (count, cut)
    assert (reply.num_status_task_events_dropped, reply.num_profile_task_events_dropped) == (cut, 2 * cut)


async def test_what_a_dead_worker_was_running_fails_after_a_delay(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    tasks = TaskManager(GcsConfig())
    ledger = Ledger(MemoryStore())
    await nursery.start(ledger.serve)
    worker = b"w" * 28
    tasks.add(report(events(1, RUNNING, worker=worker), events(2, RUNNING), events(3, FINISHED, worker=worker)))
    row = WorkerTableData(end_time_ms=5, exit_detail="gone")
    row.worker_address.worker_id = worker
    with ledger.change() as change:
        tasks.lose_worker(change, WorkerDied(row))
    await trio.sleep(0.9)
    assert names(ask(tasks, state_filters=[{"state": "FAILED"}])) == []
    await trio.sleep(0.2)
    reply = ask(tasks, state_filters=[{"state": "FAILED"}])
    assert names(reply) == ["Task1"]
    state = reply.events_by_task[0].state_updates
    assert (state.state_ts_ns[FAILED], "gone" in state.error_info.error_message) == (5_000_000, True)
    nursery.cancel_scope.cancel()


async def test_what_a_finished_job_left_fails_after_a_delay(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    tasks = TaskManager(GcsConfig())
    ledger = Ledger(MemoryStore())
    await nursery.start(ledger.serve)
    tasks.add(report(events(1, RUNNING), events(2, FAILED), dropped=(task_id(9),)))
    with ledger.change() as change:
        tasks.end_job(change, JobFinished(JobTableData(job_id=JOB, end_time=7)))
    await trio.sleep(14.9)
    assert names(ask(tasks, state_filters=[{"state": "RUNNING"}])) == ["Task1"]
    await trio.sleep(0.2)
    failed = ask(tasks, state_filters=[{"state": "FAILED"}])
    assert sorted(names(failed)) == ["Task1", "Task2"]
    assert {"Job finishes"} == {
        each.state_updates.error_info.error_message[:12]
        for each in failed.events_by_task
        if each.task_info.name == "Task1"
    }, "this beginning is what Ray's users look for"
    tasks.add(report(events(9)))
    assert "Task9" in names(ask(tasks))
    nursery.cancel_scope.cancel()


async def test_the_memory_of_dropped_attempts_is_bounded(nursery: trio.Nursery, autojump_clock: trio.abc.Clock) -> None:
    tasks = TaskManager(GcsConfig(task_attempts_dropped_max=10))
    await nursery.start(tasks.serve)
    tasks.add(report(dropped=tuple(task_id(number) for number in range(15))))
    await trio.sleep(6)
    assert len(tasks.storage.losses[JOB].dropped) == 9
    assert tasks.storage.losses[JOB].attempts == 15
    nursery.cancel_scope.cancel()


def test_ray_events_become_task_events() -> None:
    batch = RayEventsData()
    definition = batch.events.add(event_type="TASK_DEFINITION_EVENT").task_definition_event
    definition.task_id, definition.job_id, definition.task_type = task_id(1), JOB, TaskType.ACTOR_CREATION_TASK
    definition.task_func.python_function_descriptor.function_name = "module.Actor.__init__"
    move = batch.events.add(event_type="TASK_LIFECYCLE_EVENT").task_lifecycle_event
    move.task_id, move.job_id = task_id(1), JOB
    move.state_transitions.add(state=RUNNING).timestamp.FromNanoseconds(42)
    batch.events.add(event_type="NODE_DEFINITION_EVENT")
    batch.task_events_metadata.dropped_task_attempts.add(task_id=task_id(5, OTHER_JOB))
    tasks = TaskManager(GcsConfig())
    for each in reports_of(batch):
        tasks.add(each)
    (stored,) = ask(tasks).events_by_task
    assert stored.task_info.actor_id == task_id(1)[8:]
    assert stored.task_info.func_or_class_name == "__init__"
    assert dict(stored.state_updates.state_ts_ns) == {RUNNING: 42}
    assert tasks.storage.losses[OTHER_JOB].attempts == 1


@pytest.mark.parametrize("seconds", [2**63 - 1, -(2**63), 253402300800])
def test_a_time_that_no_clock_shows_becomes_the_nearest_that_can_be_told(seconds: int) -> None:
    batch = RayEventsData()
    move = batch.events.add(event_type="TASK_LIFECYCLE_EVENT").task_lifecycle_event
    move.task_id, move.job_id = task_id(1), JOB
    move.state_transitions.add(state=RUNNING).timestamp.seconds = seconds
    (told,) = reports_of(batch)
    assert told.events_by_task[0].state_updates.state_ts_ns[RUNNING] == (2**63 - 1 if seconds > 0 else -(2**63))


def test_an_attempt_stays_with_its_job_whatever_a_later_report_says() -> None:
    tasks = TaskManager(GcsConfig())
    tasks.add(report(events(1)))
    tasks.add(report(TaskEvents(task_id=task_id(1), job_id=OTHER_JOB)))
    tasks.add(report(dropped=(task_id(1),)))
    assert tasks.storage.of_job(JOB) == tasks.storage.of_job(OTHER_JOB) == []


def test_losses_beyond_what_a_reply_can_tell_are_told_as_the_most_it_can() -> None:
    tasks = TaskManager(GcsConfig())
    for _ in range(2):
        tasks.add(report(profile_lost=2**31 - 1))
    assert ask(tasks).num_profile_task_events_dropped == 2**31 - 1


async def test_a_worker_that_died_at_the_end_of_time_fails_its_tasks(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    ledger = Ledger(MemoryStore())
    await nursery.start(ledger.serve)
    tasks = TaskManager(GcsConfig())
    tasks.add(report(events(1, RUNNING, worker=b"w")))
    worker = WorkerTableData(end_time_ms=2**64 - 1)
    worker.worker_address.worker_id = b"w"
    with ledger.change() as change:
        tasks.lose_worker(change, WorkerDied(worker))
    await trio.sleep(2)
    assert ask(tasks).events_by_task[0].state_updates.state_ts_ns[FAILED] == 2**63 - 1
    nursery.cancel_scope.cancel()


def test_ten_thousand_filters_cost_no_more_than_two() -> None:
    tasks = TaskManager(GcsConfig())
    tasks.add(report(*(events(number) for number in range(100))))
    filters = GetTaskEventsRequest.Filters()
    for number in range(10_000):
        filters.task_filters.add(predicate="NOT_EQUAL", task_id=task_id(number + 5))
        filters.task_name_filters.add(predicate="EQUAL", task_name="Task3")
    assert len(queries.tests_of(filters)) == 2
    assert names(find(tasks.storage, GetTaskEventsRequest(filters=filters))) == ["Task3"]
