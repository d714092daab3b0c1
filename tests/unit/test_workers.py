"""Workers, one claim per rule."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from trio_gcs.errors import Code, Invalid
from trio_gcs.events.domain import WorkerAdded, WorkerDied
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import Address, WorkerExitType
from trio_gcs.generated.ray.gcs_pb2 import WorkerTableData
from trio_gcs.managers.kv import KVManager
from trio_gcs.managers.workers import WorkerManager, WorkerNotFound
from trio_gcs.rpc.handlers import plain_function
from trio_gcs.services.workers import WorkerInfoService
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.memory import MemoryStore
from trio_gcs.store.sqlite import SqliteStore

CRASH, MEANT, OOM = WorkerExitType.SYSTEM_ERROR, WorkerExitType.INTENDED_USER_EXIT, WorkerExitType.NODE_OUT_OF_MEMORY


def worker_id(number: int) -> bytes:
    return number.to_bytes(28, "big")


def worker(number: int, **fields: object) -> WorkerTableData:
    return WorkerTableData(worker_address=Address(worker_id=worker_id(number), node_id=b"n" * 28), **fields)


class World:
    def __init__(self, dead_max: int = 100) -> None:
        self.events: list[object] = []
        self.rows_when_reacting: list[WorkerTableData | None] = []
        self.ledger = Ledger(MemoryStore(), self._publish, {WorkerDied: (self._lose_worker,)})
        self.kv = KVManager(Ledger(MemoryStore()))
        self.workers = WorkerManager(self.ledger, self.kv, dead_max)
        self.service = WorkerInfoService(self.workers)

    def _publish(self, revision: int, events: Sequence[object]) -> None:
        self.events += events

    def _lose_worker(self, change: Change, event: WorkerDied) -> None:
        self.rows_when_reacting.append(self.workers.worker(event.worker.worker_address.worker_id))

    def fail(self, number: int, exit_type: WorkerExitType = CRASH, **fields: object) -> None:
        report = worker(number, exit_type=exit_type, **fields)
        plain_function(self.service.ReportWorkerFailure)(pb.ReportWorkerFailureRequest(worker_failure=report))

    def known(self) -> list[int]:
        return [int.from_bytes(each.worker_address.worker_id, "big") for each in self.workers.select(None).workers]


@pytest.fixture
def world() -> World:
    return World()


def test_a_worker_is_stored_as_it_is(world: World) -> None:
    given = worker(1, is_alive=True, pid=7)
    plain_function(world.service.AddWorkerInfo)(pb.AddWorkerInfoRequest(worker_data=given))
    reply = plain_function(world.service.GetWorkerInfo)(pb.GetWorkerInfoRequest(worker_id=worker_id(1)))
    assert reply.worker_table_data == given
    assert world.events == [WorkerAdded(given)]


def test_an_unknown_worker_is_an_absent_field(world: World) -> None:
    reply = plain_function(world.service.GetWorkerInfo)(pb.GetWorkerInfoRequest(worker_id=worker_id(1)))
    assert not reply.HasField("worker_table_data")


def test_ids_of_a_wrong_length_are_refused(world: World) -> None:
    with pytest.raises(Invalid):
        world.workers.worker(b"abc")
    with pytest.raises(Invalid):
        world.workers.add(WorkerTableData(worker_address=Address(worker_id=b"abc")))


def test_a_report_is_merged_into_the_row(world: World) -> None:
    world.workers.add(worker(1, is_alive=True, pid=7, exit_type=MEANT, worker_info={"k": b"v"}))
    world.fail(1, CRASH, exit_detail="boom", end_time_ms=5, is_alive=True)
    row = world.workers.worker(worker_id(1))
    assert not row.is_alive
    assert (row.pid, row.exit_type, row.exit_detail, row.end_time_ms) == (7, CRASH, "boom", 5)
    assert dict(row.worker_info) == {"k": b"v"}
    assert world.events[1:] == [WorkerDied(row)]


def test_others_react_before_the_row_is_written(world: World) -> None:
    world.workers.add(worker(1, is_alive=True))
    world.fail(1)
    assert [row.is_alive for row in world.rows_when_reacting] == [True]


def test_a_report_of_a_worker_that_nobody_knew_makes_a_row(world: World) -> None:
    world.fail(1)
    assert world.known() == [1]


def test_a_second_report_wins_and_is_published_again(world: World) -> None:
    world.fail(1, CRASH, exit_detail="first")
    world.fail(1, MEANT, exit_detail="second")
    row = world.workers.worker(worker_id(1))
    assert (row.exit_type, row.exit_detail) == (MEANT, "second")
    assert len(world.events) == 2


def test_a_worker_that_is_added_again_lives(world: World) -> None:
    world = World(dead_max=1)
    world.fail(1)
    world.workers.add(worker(1, is_alive=True))
    world.fail(2)
    assert world.known() == [1, 2]


def test_workers_are_counted_before_filters_and_limits(world: World) -> None:
    for number in range(1, 7):
        world.workers.add(worker(number, is_alive=number % 2 == 0))
    world.workers.add_paused_threads(worker_id(3), 2)

    def ask(limit: int | None = None, **filters: bool) -> tuple[int, int, int]:
        request = pb.GetAllWorkerInfoRequest(limit=limit, filters=pb.GetAllWorkerInfoRequest.Filters(**filters))
        reply = plain_function(world.service.GetAllWorkerInfo)(request)
        return len(reply.worker_table_data), reply.total, reply.num_filtered

    assert ask() == (6, 6, 0)
    assert ask(limit=0) == (0, 6, 0)
    assert ask(limit=4) == (4, 6, 0)
    assert ask(is_alive=True) == (3, 6, 3)
    assert ask(is_alive=False) == (6, 6, 0)
    assert ask(limit=2, is_alive=True) == (2, 6, 2)
    assert ask(exist_paused_threads=True) == (1, 6, 5)
    assert ask(exist_paused_threads=True, is_alive=True) == (0, 6, 6)


def test_a_debuggers_port_and_paused_threads_are_noted(world: World) -> None:
    world.workers.add(worker(1, is_alive=True))
    port = pb.UpdateWorkerDebuggerPortRequest(worker_id=worker_id(1), debugger_port=99)
    plain_function(world.service.UpdateWorkerDebuggerPort)(port)
    for delta in (1, 2, -1, -5, 4):
        request = pb.UpdateWorkerNumPausedThreadsRequest(worker_id=worker_id(1), num_paused_threads_delta=delta)
        plain_function(world.service.UpdateWorkerNumPausedThreads)(request)
    row = world.workers.worker(worker_id(1))
    assert (row.debugger_port, row.num_paused_threads) == (99, 1)
    world.workers.add_paused_threads(worker_id(1), -2)
    assert world.workers.worker(worker_id(1)).num_paused_threads == (1 << 32) - 1


def test_an_unknown_worker_has_no_debugger(world: World) -> None:
    for call in (
        lambda: world.workers.set_debugger_port(worker_id(1), 1),
        lambda: world.workers.add_paused_threads(worker_id(1), 1),
    ):
        with pytest.raises(WorkerNotFound, match=worker_id(1).hex()) as caught:
            call()
        assert caught.value.code == Code.NOT_FOUND


def test_of_too_many_dead_the_meant_ones_go_first_and_the_oldest_of_them() -> None:
    world = World(dead_max=3)
    world.workers.add(worker(9, is_alive=True))
    for number, exit_type in ((1, CRASH), (2, MEANT), (3, MEANT), (4, OOM)):
        world.fail(number, exit_type)
    assert world.known() == [9, 1, 3, 4]
    world.fail(5, CRASH)
    assert world.known() == [9, 1, 4, 5]
    world.fail(6, MEANT)
    assert world.known() == [9, 1, 4, 5], "the newcomer itself goes when all others were failures"
    world.fail(7, CRASH)
    assert world.known() == [9, 4, 5, 7]
    assert sum(isinstance(event, WorkerDied) for event in world.events) == 7, "each death was published all the same"


def test_a_second_report_does_not_make_a_death_younger() -> None:
    world = World(dead_max=2)
    for number in (1, 2, 1, 3):
        world.fail(number)
    assert world.known() == [2, 3]


async def test_crashes_are_counted_for_the_usage_report(nursery: trio.Nursery) -> None:
    world = World()
    await nursery.start(world.ledger.serve)
    for number, exit_type in ((1, CRASH), (2, OOM), (3, MEANT), (4, CRASH), (4, CRASH)):
        world.fail(number, exit_type)
    await trio.testing.wait_all_tasks_blocked()
    assert world.kv.get(b"usage_stats", b"extra_usage_tag_worker_crash_system_error") == b"3"
    assert world.kv.get(b"usage_stats", b"extra_usage_tag_worker_crash_oom") == b"1"


async def test_a_restart_forgets_the_dead_that_are_too_many(tmp_path: Path) -> None:
    async def live(dead_max: int, numbers: Sequence[int]) -> list[int]:
        store = await SqliteStore.open(tmp_path / "gcs.sqlite")
        ledger = Ledger(store)
        workers = WorkerManager(ledger, KVManager(Ledger(MemoryStore())), dead_max)
        await ledger.load()
        async with trio.open_nursery() as nursery:
            await nursery.start(ledger.serve)
            workers.recover()
            for number in numbers:
                failed = number < 4
                # Half of them say when they ended in seconds only.
                end = {"end_time_ms": number * 1000} if number % 2 else {"timestamp": number}
                workers.report_failure(worker(number, exit_type=CRASH if failed else MEANT, **end))
            await ledger.drained()
            nursery.cancel_scope.cancel()
        await store.aclose()
        return sorted(int.from_bytes(each.worker_address.worker_id, "big") for each in workers.select(None).workers)

    numbers = [1, 2, 3, 4, 5, 6]
    random.Random(1).shuffle(numbers)
    assert await live(100, numbers) == [1, 2, 3, 4, 5, 6]
    assert await live(5, []) == [1, 2, 3, 5, 6]
    assert await live(3, []) == [1, 2, 3]
    assert await live(2, []) == [2, 3]
    assert await live(100, []) == [2, 3]


def test_a_worker_that_says_again_that_it_is_there_is_no_news(world: World) -> None:
    world.workers.add(worker(1, is_alive=True))
    world.workers.add(worker(1, is_alive=True))
    assert len(world.events) == 1
