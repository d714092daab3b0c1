"""Jobs, one claim per rule."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from trio_gcs.errors import Code, Invalid, RemoteError
from trio_gcs.events.domain import JobAdded, JobFinished, NodeDied
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import Address
from trio_gcs.generated.ray.core_worker_pb2 import NumPendingTasksReply, NumPendingTasksRequest
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo, JobTableData
from trio_gcs.ids import JobID
from trio_gcs.managers.jobs import JobManager, JobReports
from trio_gcs.managers.kv import KVManager
from trio_gcs.rpc.handlers import plain_function
from trio_gcs.services.jobs import JobInfoService
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore
from trio_gcs.store.sqlite import SqliteStore

NODE = b"n" * 28


class Drivers:
    """Drivers that answer as told; a number, an error, or silence where nothing was told."""

    def __init__(self) -> None:
        self.answers: dict[str, int | RemoteError] = {}
        self.asked: list[tuple[str, float | None]] = []

    async def num_pending_tasks(
        self, address: Address, request: NumPendingTasksRequest, timeout_s: float | None = None
    ) -> NumPendingTasksReply:
        self.asked.append((address.ip_address, timeout_s))
        answer = self.answers.get(address.ip_address)
        if answer is None:
            await trio.sleep_forever()
        if isinstance(answer, RemoteError):
            raise answer
        return NumPendingTasksReply(num_pending_tasks=answer)


class World:
    def __init__(self) -> None:
        self.events: list[object] = []
        self.now_ms = 1000
        self.ledger = Ledger(MemoryStore(), self._publish, {NodeDied: (self._lose_node,)})
        self.jobs = JobManager(self.ledger, lambda: self.now_ms)
        self.kv = KVManager(Ledger(MemoryStore()))
        self.drivers = Drivers()
        self.reports = JobReports(self.jobs, self.kv, self.drivers, timeout_s=1.0)
        self.service = JobInfoService(self.jobs, self.reports)

    def _publish(self, revision: int, events: Sequence[object]) -> None:
        self.events += events

    def _lose_node(self, change: object, event: NodeDied) -> None:
        self.jobs.lose_node(change, event)

    def kill_node(self, node_id: bytes) -> None:
        with self.ledger.change() as change:
            change.react(NodeDied(GcsNodeInfo(node_id=node_id)))

    async def list(self, **fields: object) -> list[JobTableData]:
        reply = await plain_function(self.service.GetAllJobInfo)(pb.GetAllJobInfoRequest(**fields))
        return list(reply.job_info_list)


@pytest.fixture
def world() -> World:
    return World()


def job(number: int = 1, *, node_id: bytes = NODE, submission: str | None = None) -> JobTableData:
    made = JobTableData(job_id=JobID.from_number(number), start_time=5, entrypoint="python x.py")
    made.driver_address.node_id = node_id
    made.driver_address.ip_address = f"10.0.0.{number}"
    if submission is not None:
        made.config.metadata["job_submission_id"] = submission
    return made


def test_numbers_begin_at_one_and_are_never_used_twice(world: World) -> None:
    assert [plain_function(world.service.GetNextJobID)(pb.GetNextJobIDRequest()).job_id for _ in range(3)] == [1, 2, 3]


async def test_numbers_and_jobs_survive_a_restart(tmp_path: Path) -> None:
    for life in (1, 2):
        store = await SqliteStore.open(tmp_path / "gcs.sqlite")
        ledger = Ledger(store)
        jobs = JobManager(ledger, lambda: 1000)
        await ledger.load()
        async with trio.open_nursery() as nursery:
            await nursery.start(ledger.serve)
            assert jobs.next_number() == life
            jobs.add(job(life))
            await ledger.drained()
            assert len(list(jobs.all())) == life
            nursery.cancel_scope.cancel()
        await store.aclose()


def test_a_job_begins_by_our_clock(world: World) -> None:
    given = job()
    world.jobs.add(given)
    row = world.jobs.job(given.job_id)
    assert row.start_time == row.timestamp == 1000
    assert row.entrypoint == "python x.py"
    assert given.start_time == 5, "the request is not ours to edit"
    assert world.events == [JobAdded(row)]


def test_a_job_added_again_is_stored_and_published_again_but_marked(world: World) -> None:
    world.jobs.add(job())
    world.now_ms = 2000
    world.jobs.add(job())
    row = world.jobs.job(job().job_id)
    assert row.start_time == 2000
    assert world.events[1:] == [JobAdded(row, again=True)]


def test_a_job_with_an_id_of_a_wrong_length_is_refused(world: World) -> None:
    with pytest.raises(Invalid):
        world.jobs.add(JobTableData(job_id=b"abc"))
    with pytest.raises(Invalid):
        world.jobs.finish(b"abc")
    assert world.events == []


def test_a_finished_job_is_dead_by_our_clock_and_published_whole(world: World) -> None:
    world.jobs.add(job())
    world.now_ms = 3000
    plain_function(world.service.MarkJobFinished)(pb.MarkJobFinishedRequest(job_id=job().job_id))
    row = world.jobs.job(job().job_id)
    assert row.is_dead
    assert row.timestamp == row.end_time == 3000
    assert row.start_time == 1000
    assert world.events[1:] == [JobFinished(row)]
    assert list(world.jobs.running()) == []


def test_finishing_again_moves_the_end_and_is_marked(world: World) -> None:
    world.jobs.add(job())
    world.jobs.finish(job().job_id)
    world.now_ms = 4000
    world.jobs.finish(job().job_id)
    row = world.jobs.job(job().job_id)
    assert row.end_time == 4000
    assert world.events[2:] == [JobFinished(row, again=True)]


def test_finishing_an_unknown_job_is_fine_and_does_nothing(world: World) -> None:
    world.jobs.finish(job().job_id)
    assert world.events == []
    assert world.ledger.revision == 0


def test_a_late_retry_brings_an_ended_job_back(world: World) -> None:
    world.jobs.add(job())
    world.jobs.finish(job().job_id)
    world.jobs.add(job())
    assert [each.job_id for each in world.jobs.running()] == [job().job_id]
    assert world.events[-1] == JobAdded(world.jobs.job(job().job_id), again=False)


def test_the_death_of_a_node_ends_the_jobs_driven_from_it(world: World) -> None:
    for number, node_id in ((1, NODE), (2, b"m" * 28), (3, NODE)):
        world.jobs.add(job(number, node_id=node_id))
    world.jobs.finish(JobID.from_number(3))
    world.now_ms = 9000
    world.kill_node(NODE)
    assert [each.end_time for each in world.jobs.all()] == [9000, 0, 1000]
    assert [each.job_id for each in world.jobs.running()] == [JobID.from_number(2)]
    assert isinstance(world.events[-1], JobFinished)


async def test_a_limit_counts_jobs_that_match(world: World) -> None:
    for number in range(1, 5):
        world.jobs.add(job(number, submission="s" if number % 2 else None))
    skip = {"skip_is_running_tasks_field": True}
    assert len(await world.list(**skip)) == 4
    assert len(await world.list(limit=3, **skip)) == 3
    assert await world.list(limit=0, **skip) == []
    assert len(await world.list(limit=2, job_or_submission_id="s", **skip)) == 2
    with pytest.raises(Invalid, match="Invalid limit") as caught:
        await world.list(limit=-1)
    assert caught.value.code == Code.INVALID


async def test_a_job_is_found_by_its_id_in_hex_and_by_its_submission(world: World) -> None:
    world.jobs.add(job(1))
    world.jobs.add(job(2, submission="raysubmit_x"))
    skip = {"skip_is_running_tasks_field": True}
    assert [each.job_id for each in await world.list(job_or_submission_id="01000000", **skip)] == [job(1).job_id]
    assert [each.job_id for each in await world.list(job_or_submission_id="raysubmit_x", **skip)] == [job(2).job_id]
    assert await world.list(job_or_submission_id="nobody", **skip) == []
    assert await world.list(job_or_submission_id="", **skip) == []


async def test_drivers_say_whether_they_are_busy_and_silence_costs_a_second(
    world: World, autojump_clock: trio.abc.Clock
) -> None:
    for number in range(1, 6):
        world.jobs.add(job(number))
    world.jobs.finish(JobID.from_number(5))
    world.drivers.answers = {"10.0.0.1": 3, "10.0.0.2": 0, "10.0.0.3": RemoteError(14, "no")}
    begin = trio.current_time()
    listed = await world.list()
    assert trio.current_time() - begin == 1.0
    said = [each.is_running_tasks if each.HasField("is_running_tasks") else None for each in listed]
    assert said == [True, False, None, None, False]
    assert sorted(world.drivers.asked) == [(f"10.0.0.{number}", 1.0) for number in range(1, 5)]


async def test_skipping_asks_nobody_and_leaves_the_field_out_for_the_dead_too(world: World) -> None:
    world.jobs.add(job(1))
    world.jobs.add(job(2))
    world.jobs.finish(JobID.from_number(2))
    listed = await world.list(skip_is_running_tasks_field=True)
    assert not any(each.HasField("is_running_tasks") for each in listed)
    assert world.drivers.asked == []


def note(world: World, submission: str, text: str) -> None:
    world.kv.put(b"job", f"_ray_internal_job_info_{submission}".encode(), text.encode())


async def test_the_dashboards_note_of_a_job_is_attached(world: World) -> None:
    for number, submission in ((1, "a"), (2, "a"), (3, "unnoted"), (4, None), (5, "empty"), (6, "")):
        world.jobs.add(job(number, submission=submission))
    content = {"status": "RUNNING", "entrypoint": "x", "start_time": 7, "driverExitCode": 3, "message": None}
    note(world, "a", json.dumps(content | {"metadata": {"k": "v"}}))
    note(world, "empty", "")
    listed = await world.list(skip_is_running_tasks_field=True)
    assert [each.HasField("job_info") for each in listed] == [True, True, False, False, False, False]
    found = listed[0].job_info
    assert (found.status, found.start_time, found.driver_exit_code) == ("RUNNING", 7, 3)
    assert dict(found.metadata) == {"k": "v"}
    assert not found.HasField("message")
    assert not world.jobs.job(job(1).job_id).HasField("job_info"), "the stored row stays as it is"
    skipped = await world.list(skip_is_running_tasks_field=True, skip_submission_job_info_field=True)
    assert not any(each.HasField("job_info") for each in skipped)


async def test_of_a_note_that_cannot_be_read_the_beginning_counts(world: World) -> None:
    world.jobs.add(job(1, submission="a"))
    note(world, "a", '{"status": "FAILED", "no_such_field": 1, "entrypoint": "x"}')
    [listed] = await world.list(skip_is_running_tasks_field=True)
    assert listed.HasField("job_info")
    assert listed.job_info.status == "FAILED"
    assert listed.job_info.entrypoint == ""


@pytest.mark.parametrize("text", [b"{", b"\xff\xfe", b"[" * 100_000, b"[]", b'{"start_time": 1e400}'])
async def test_a_note_that_is_no_note_harms_nobody(world: World, text: bytes) -> None:
    world.jobs.add(job(1, submission="a"))
    world.kv.put(b"job", b"_ray_internal_job_info_a", text)
    [listed] = await world.list(skip_is_running_tasks_field=True)
    assert listed.job_info.status == ""
