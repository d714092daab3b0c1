"""Workers: every worker process and driver that started, and how it ended. Owns WORKERS.

The dead are kept for those who ask late, up to a limit: the deaths that were meant go first, then the others, the oldest
first. A table in memory keeps the dead in that order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum
from typing import NamedTuple, Protocol

import trio

from trio_gcs.errors import NotFound
from trio_gcs.events.domain import WorkerAdded, WorkerDied
from trio_gcs.generated.ray.common_pb2 import WorkerExitType
from trio_gcs.generated.ray.gcs_pb2 import WorkerTableData
from trio_gcs.ids import WorkerID
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Table, message_codec

USAGE_NAMESPACE = b"usage_stats"
USAGE_KEYS = {
    WorkerExitType.SYSTEM_ERROR: b"extra_usage_tag_worker_crash_system_error",
    WorkerExitType.NODE_OUT_OF_MEMORY: b"extra_usage_tag_worker_crash_oom",
}


class Tier(IntEnum):
    """How much a death is worth remembering; the lowest goes first."""

    INTENDED = 0
    FAILURE = 1


class Values(Protocol):
    """The part of the key-value store in which usage is counted."""

    def put(self, namespace: bytes, key: bytes, value: bytes) -> bool:
        """Store a value."""
        ...


class WorkerNotFound(NotFound):
    """No worker with this id ever started, as far as we remember."""

    def __init__(self, worker_id: WorkerID) -> None:
        super().__init__(f"worker {worker_id.hex()} is not known")
        self.worker_id = worker_id


class Selection(NamedTuple):
    """The workers that were asked for, how many there are in all, and how many were passed over on the way."""

    workers: list[WorkerTableData]
    total: int
    filtered: int


class WorkerManager:
    """Knows workers; others react when one dies. ``dead_max`` is how many of the dead are remembered."""

    def __init__(self, ledger: Ledger, values: Values, dead_max: int) -> None:
        self._ledger = ledger
        self._values = values
        self._dead_max = dead_max
        self._workers = ledger.table("WORKERS", message_codec(WorkerTableData))
        self._dead: Table[Tier] = ledger.table("workers dead", None, indexes={"by_tier": lambda tier: (tier,)})
        self._deaths = dict.fromkeys(USAGE_KEYS, 0)

    def recover(self) -> None:
        """Put the dead in order, and forget those that are too many."""
        dead = [(key, worker) for key, worker in self._workers.items() if not worker.is_alive]
        with self._ledger.change() as change:
            for key, worker in sorted(dead, key=lambda row: _end_ms(row[1])):
                change.put(self._dead, key, _tier(worker))
            self._forget_oldest(change)

    # Decisions.

    def add(self, worker: WorkerTableData) -> None:
        """A worker or driver started; its row is stored as it is, over one that may be there."""
        worker_id = WorkerID.parse(worker.worker_address.worker_id)
        with self._ledger.change() as change:
            if worker_id not in self._workers:
                change.emit(WorkerAdded(worker))
            change.put(self._workers, worker_id, worker)
            change.delete(self._dead, worker_id)

    def report_failure(self, report: WorkerTableData) -> None:
        """A worker or driver ended, in order or not. Said again, it ended as it was last said."""
        worker_id = WorkerID.parse(report.worker_address.worker_id)
        with self._ledger.change() as change:
            worker = _copy(self._workers.get(worker_id))
            worker.MergeFrom(report)
            worker.is_alive = False
            change.react(WorkerDied(worker))
            change.put(self._workers, worker_id, worker)
            if worker.exit_type in USAGE_KEYS:
                change.errand(self._count_death, worker.exit_type)
            if worker_id not in self._dead:
                change.put(self._dead, worker_id, _tier(worker))
                self._forget_oldest(change)

    def set_debugger_port(self, worker_id: bytes, port: int) -> None:
        """A worker listens for a debugger."""
        self._edit(worker_id, lambda worker: setattr(worker, "debugger_port", port))

    def add_paused_threads(self, worker_id: bytes, delta: int) -> None:
        """So many more threads of a worker, or fewer, stand at a breakpoint. Below none it wraps round, as Ray's does."""

        def edit(worker: WorkerTableData) -> None:
            worker.num_paused_threads = (worker.num_paused_threads + delta) % (1 << 32)

        self._edit(worker_id, edit)

    def _edit(self, raw_id: bytes, edit: Callable[[WorkerTableData], None]) -> None:
        worker_id = WorkerID.parse(raw_id)
        with self._ledger.change() as change:
            old = self._workers.get(worker_id)
            if old is None:
                raise WorkerNotFound(worker_id)
            worker = _copy(old)
            edit(worker)
            change.put(self._workers, worker_id, worker)

    def _forget_oldest(self, change: Change) -> None:
        while len(self._dead) > self._dead_max:
            oldest = next(first for tier in Tier if (first := self._dead.first("by_tier", tier)) is not None)
            change.delete(self._dead, oldest)
            change.delete(self._workers, oldest)

    # Errands.

    async def _count_death(self, exit_type: WorkerExitType) -> None:
        self._deaths[exit_type] += 1
        self._values.put(USAGE_NAMESPACE, USAGE_KEYS[exit_type], b"%d" % self._deaths[exit_type])
        await trio.lowlevel.checkpoint()

    # Queries.

    def worker(self, worker_id: bytes) -> WorkerTableData | None:
        """The row of a worker, or None."""
        return self._workers.get(WorkerID.parse(worker_id))

    def is_dead(self, worker_id: bytes) -> bool:
        """Whether the worker is known to have ended; nobody knows of one that was never heard of."""
        worker = self._workers.get(worker_id)
        return worker is not None and not worker.is_alive

    def select(self, limit: int | None, *, alive: bool = False, paused: bool = False) -> Selection:
        """So many workers at most; only those that are alive, or have threads at a breakpoint, where that is asked."""
        total = len(self._workers)
        chosen: list[WorkerTableData] = []
        filtered = 0
        for worker in self._workers.values():
            if limit is not None and len(chosen) >= limit:
                break
            if (alive and not worker.is_alive) or (paused and not worker.num_paused_threads):
                filtered += 1
            else:
                chosen.append(worker)
        return Selection(chosen, total, filtered)


def _copy(worker: WorkerTableData | None) -> WorkerTableData:
    copy = WorkerTableData()
    if worker is not None:
        copy.CopyFrom(worker)
    return copy


def _tier(worker: WorkerTableData) -> Tier:
    intended: Iterable[WorkerExitType] = (WorkerExitType.INTENDED_SYSTEM_EXIT, WorkerExitType.INTENDED_USER_EXIT)
    return Tier.INTENDED if worker.exit_type in intended else Tier.FAILURE


def _end_ms(worker: WorkerTableData) -> int:
    return worker.end_time_ms or worker.timestamp * 1000
