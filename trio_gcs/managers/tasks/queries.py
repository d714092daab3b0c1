"""GetTaskEvents: which attempts a request asks for, and how many it does not see.

A filter that asks for one task or one job selects an index; every filter is then tested on every candidate. The state
of an attempt is the highest one of the enum that has a time, not the latest (Ray 2.60 behaviour).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from trio_gcs.bounds import as_int32
from trio_gcs.errors import InvalidArgument
from trio_gcs.generated.ray.common_pb2 import DRIVER_TASK, NIL, TaskStatus
from trio_gcs.generated.ray.gcs_pb2 import TaskEvents
from trio_gcs.generated.ray.gcs_service_pb2 import FilterPredicate, GetTaskEventsReply, GetTaskEventsRequest
from trio_gcs.managers.tasks.storage import Attempt, TaskStorage

Filters = GetTaskEventsRequest.Filters
Test = Callable[[TaskEvents], bool]


@dataclass(frozen=True)
class Candidates:
    """What a request looks through, and what was lost of it."""

    attempts: Iterable[Attempt]
    count: int
    attempts_lost: int = 0
    profile_events_lost: int = 0


def select(storage: TaskStorage, filters: Filters) -> Candidates:
    """The attempts among which the filters are tried."""
    task_ids = {test.task_id for test in filters.task_filters if test.predicate == FilterPredicate.EQUAL}
    if task_ids:
        attempts = storage.of_task(task_ids.pop()) if len(task_ids) == 1 else []
        return Candidates(attempts, len(attempts))
    job_ids = {test.job_id for test in filters.job_filters if test.predicate == FilterPredicate.EQUAL}
    if len(job_ids) > 1:
        return Candidates([], 0)
    if job_ids:
        job_id = job_ids.pop()
        attempts = storage.of_job(job_id)
        losses = storage.losses.get(job_id)
        if losses is None:
            return Candidates(attempts, len(attempts))
        return Candidates(attempts, len(attempts), losses.attempts, losses.profile_events)
    lost = storage.losses.values()
    attempts_lost = sum(losses.attempts for losses in lost)
    return Candidates(storage, len(storage), attempts_lost, sum(losses.profile_events for losses in lost))


def tests_of(filters: Filters) -> list[Test]:
    """The filters as functions; raises :class:`InvalidArgument` for a predicate that nobody knows."""
    tests: list[Test] = []
    if filters.exclude_driver:
        tests.append(lambda events: events.task_info.type != DRIVER_TASK)
    tests += _compare(((each.predicate, each.task_id) for each in filters.task_filters), lambda events: events.task_id)
    tests += _compare(((each.predicate, each.job_id) for each in filters.job_filters), _job_id)
    tests += _compare(((each.predicate, each.actor_id) for each in filters.actor_filters), _actor_id)
    tests += _compare(((each.predicate, each.task_name.lower()) for each in filters.task_name_filters), _name)
    tests += _compare(((each.predicate, each.state.upper()) for each in filters.state_filters), state_name)
    return tests


def _job_id(events: TaskEvents) -> bytes:
    return events.task_info.job_id


def _actor_id(events: TaskEvents) -> bytes:
    return events.task_info.actor_id


def _name(events: TaskEvents) -> str:
    return events.task_info.name.lower()


def state_name(events: TaskEvents) -> str:
    """The name of the highest state that has a time; NIL if none has."""
    highest = max(events.state_updates.state_ts_ns, default=NIL)
    return TaskStatus.Name(highest) if highest in TaskStatus.values() else str(highest)


def _compare(wanted: Iterable[tuple[int, object]], actual: Callable[[TaskEvents], object]) -> list[Test]:
    """Tests of one property: two at most, so that a request of many filters costs no more than one of few."""
    equal: set[object] = set()
    unequal: set[object] = set()
    for predicate, value in wanted:
        if predicate == FilterPredicate.EQUAL:
            equal.add(value)
        elif predicate == FilterPredicate.NOT_EQUAL:
            unequal.add(value)
        else:
            raise InvalidArgument(f"Unknown filter predicate: {predicate}")
    tests: list[Test] = []
    if equal:
        tests.append(lambda events: {actual(events)} == equal)  # nothing equals two values
    if unequal:
        tests.append(lambda events: actual(events) not in unequal)
    return tests


def find(storage: TaskStorage, request: GetTaskEventsRequest) -> GetTaskEventsReply:
    """Answer a request. Absent or negative limit: all; 0: none, only the counts."""
    tests = tests_of(request.filters)
    candidates = select(storage, request.filters)
    limit = request.limit if request.HasField("limit") and request.limit >= 0 else None
    found: list[TaskEvents] = []
    filtered = truncated = attempts_cut = profile_events_cut = 0
    for attempt in candidates.attempts:
        events = attempt.events
        if not events.HasField("task_info") or not all(test(events) for test in tests):
            filtered += 1
        elif limit is not None and len(found) >= limit:
            truncated += 1
            attempts_cut += events.HasField("state_updates")
            profile_events_cut += len(events.profile_events.events) if events.HasField("profile_events") else 0
        else:
            found.append(events)
    return GetTaskEventsReply(
        events_by_task=found,
        num_profile_task_events_dropped=as_int32(candidates.profile_events_lost + profile_events_cut),
        num_status_task_events_dropped=as_int32(candidates.attempts_lost + attempts_cut),
        num_total_stored=candidates.count,
        num_filtered_on_gcs=filtered,
        num_truncated=truncated,
    )
