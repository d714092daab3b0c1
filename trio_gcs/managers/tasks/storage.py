"""The stored attempts of tasks, found by task, job and worker, and evicted in an order that keeps what matters.

Three lists decide who goes first when the cap is reached: finished attempts, then actor tasks, then all others; the
oldest of the first list that is not empty. An attempt moves to the head of its new list when a report changes its kind.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from enum import IntEnum
from typing import Final

from trio_gcs.generated.ray.common_pb2 import ACTOR_CREATION_TASK, ACTOR_TASK, FAILED, FINISHED
from trio_gcs.generated.ray.gcs_pb2 import TaskEvents
from trio_gcs.managers.tasks.losses import AttemptKey, JobLosses


class Tier(IntEnum):
    """The lists in the order of their eviction."""

    FINISHED = 0
    ACTOR_TASK = 1
    OTHER = 2


_OF_ACTORS: Final = frozenset({ACTOR_TASK, ACTOR_CREATION_TASK})


class Attempt:
    """One attempt of a task. ``events`` grows by merging, so it is copied before it leaves the process's hands."""

    __slots__ = ("events", "job_id", "key", "tier", "worker_id")

    def __init__(self, key: AttemptKey, job_id: bytes, events: TaskEvents) -> None:
        self.key = key
        self.job_id = job_id
        self.events = events
        self.tier = tier_of(events)
        self.worker_id = events.state_updates.worker_id

    @property
    def is_terminated(self) -> bool:
        """Whether it is known to have finished or failed."""
        times = self.events.state_updates.state_ts_ns
        return FINISHED in times or FAILED in times


def tier_of(events: TaskEvents) -> Tier:
    """The list that an attempt belongs to; a failed one is not in the first (Ray 2.60 behaviour)."""
    if FINISHED in events.state_updates.state_ts_ns:
        return Tier.FINISHED
    if events.task_info.type in _OF_ACTORS:
        return Tier.ACTOR_TASK
    return Tier.OTHER


Keys = defaultdict[bytes, dict[AttemptKey, None]]


class TaskStorage:
    """Attempts within ``attempts_max``, each with at most about ``profile_events_max`` profile events."""

    def __init__(self, attempts_max: int, profile_events_max: int) -> None:
        self._attempts_max = attempts_max
        self._profile_events_max = profile_events_max
        self._tiers: tuple[OrderedDict[AttemptKey, Attempt], ...] = tuple(OrderedDict() for _ in Tier)
        self._attempts: dict[AttemptKey, Attempt] = {}
        self._retries: Keys = defaultdict(dict)  # by task; of a first attempt the key is known
        self._by_job: Keys = defaultdict(dict)
        self._by_worker: Keys = defaultdict(dict)
        self.losses: defaultdict[bytes, JobLosses] = defaultdict(JobLosses)

    def __len__(self) -> int:
        return len(self._attempts)

    def __iter__(self) -> Iterator[Attempt]:
        """All attempts: list by list, the newest of each first."""
        for tier in self._tiers:
            yield from reversed(tier.values())

    def of_task(self, task_id: bytes) -> list[Attempt]:
        """The attempts of a task."""
        keys = [(task_id, 0), *self._retries.get(task_id, ())]
        return [self._attempts[key] for key in keys if key in self._attempts]

    def of_job(self, job_id: bytes) -> list[Attempt]:
        """The attempts of all tasks of a job."""
        return [self._attempts[key] for key in self._by_job.get(job_id, ())]

    def of_worker(self, worker_id: bytes) -> list[Attempt]:
        """The attempts that ran on a worker."""
        return [self._attempts[key] for key in self._by_worker.get(worker_id, ())]

    def add(self, events: TaskEvents) -> bool:
        """Store or merge what a worker reports of an attempt. True if the attempt is new."""
        task_id, job_id = events.task_id, events.job_id
        key = (task_id, events.attempt_number)
        losses = self.losses.get(job_id)
        if losses is not None and key in losses.dropped:
            return False
        attempt = self._attempts.get(key)
        if attempt is not None:
            self.merge(attempt, events)
            return False
        stored = TaskEvents()
        stored.CopyFrom(events)
        attempt = self._attempts[key] = Attempt(key, job_id, stored)
        self._tiers[attempt.tier][key] = attempt
        if key[1]:
            self._retries[task_id][key] = None
        self._by_job[job_id][key] = None
        if attempt.worker_id:
            self._by_worker[attempt.worker_id][key] = None
        if len(self._attempts) > self._attempts_max:
            self._evict()
        return True

    def merge(self, attempt: Attempt, events: TaskEvents) -> None:
        """Merge a further report into a stored attempt, and trim its profile events, the oldest first."""
        merged = attempt.events
        merged.MergeFrom(events)
        if merged.job_id != attempt.job_id:  # whatever a later report says: it is found by the job that it began with
            merged.job_id = attempt.job_id
        if merged.HasField("profile_events"):
            excess = len(merged.profile_events.events) - self._profile_events_max
            if excess > 0:
                del merged.profile_events.events[:excess]
                self.lose_profile_events(attempt.job_id, excess)
        tier = tier_of(merged)
        if tier is not attempt.tier:
            del self._tiers[attempt.tier][attempt.key]
            self._tiers[tier][attempt.key] = attempt
            attempt.tier = tier
        worker_id = merged.state_updates.worker_id
        if worker_id != attempt.worker_id:
            _unlink(self._by_worker, attempt.worker_id, attempt.key)
            self._by_worker[worker_id][attempt.key] = None
            attempt.worker_id = worker_id

    def drop(self, job_id: bytes, key: AttemptKey) -> None:
        """Note that ``key`` was lost on its way, and forget what is stored of it."""
        self.losses[job_id].drop(key)
        attempt = self._attempts.get(key)
        if attempt is not None:
            self._forget(attempt)

    def lose_profile_events(self, job_id: bytes, count: int) -> None:
        """Count profile events that were lost."""
        self.losses[job_id].profile_events += count

    def _evict(self) -> None:
        while len(self._attempts) > self._attempts_max:
            tier = next(tier for tier in self._tiers if tier)
            attempt = next(iter(tier.values()))
            events = attempt.events
            profile_events = len(events.profile_events.events) if events.HasField("profile_events") else 0
            self._forget(attempt)
            self.losses[attempt.job_id].drop(attempt.key)
            if profile_events:
                self.lose_profile_events(attempt.job_id, profile_events)

    def _forget(self, attempt: Attempt) -> None:
        key = attempt.key
        del self._attempts[key]
        del self._tiers[attempt.tier][key]
        _unlink(self._retries, key[0], key)
        _unlink(self._by_job, attempt.job_id, key)
        _unlink(self._by_worker, attempt.worker_id, key)


def _unlink(index: Keys, value: bytes, key: AttemptKey) -> None:
    keys = index.get(value)
    if keys is not None:
        keys.pop(key, None)
        if not keys:
            del index[value]
