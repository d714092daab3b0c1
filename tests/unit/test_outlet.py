"""What leaves when a change is durable: messages to subscribers, and lines in the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import structlog
from structlog.testing import CapturingLogger

from trio_gcs.events import domain
from trio_gcs.events.log import LINES, EventLog
from trio_gcs.events.outlet import Outlet
from trio_gcs.events.publisher import Publisher
from trio_gcs.generated.ray.common_pb2 import Address
from trio_gcs.generated.ray.gcs_pb2 import ErrorTableData, GcsNodeInfo, JobTableData, WorkerTableData
from trio_gcs.generated.ray.gcs_service_pb2 import GcsSubscriberPollReply

ANNA = b"a" * 28
NODE, WORKER = b"n" * 28, b"w" * 28
JOB_CHANNEL, NODE_CHANNEL, WORKER_CHANNEL, ERROR_CHANNEL = 3, 4, 5, 6


class Park:
    gone = False
    reply: GcsSubscriberPollReply | None = None

    def answer(self, reply: bytes) -> None:
        self.reply = GcsSubscriberPollReply.FromString(reply)


class World:
    def __init__(self, level: int = logging.INFO) -> None:
        self.captured = CapturingLogger()
        log = structlog.wrap_logger(
            self.captured, processors=[], wrapper_class=structlog.make_filtering_bound_logger(level)
        )
        self.control: Publisher[Park] = Publisher(b"C" * 28, {2, 3, 4, 5, 9}, log, clock_s=lambda: 0.0)
        self.observability: Publisher[Park] = Publisher(b"O" * 28, {6, 7, 8}, log, clock_s=lambda: 0.0)
        self.outlet = Outlet(self.control, self.observability, EventLog(log))

    def lines(self) -> Iterator[dict[str, Any]]:
        return (call.kwargs for call in self.captured.calls)


def job() -> JobTableData:
    return JobTableData(job_id=b"\1\0\0\0")


def dead_worker() -> WorkerTableData:
    return WorkerTableData(worker_address=Address(node_id=NODE, worker_id=WORKER), exit_type=99)


def test_the_messages_of_a_change_arrive_in_one_reply_in_order() -> None:
    world = World()
    for channel in (JOB_CHANNEL, NODE_CHANNEL, WORKER_CHANNEL):
        world.control.subscribe(ANNA, b"", channel)
    poll = world.control.poll(ANNA, 0, b"", Park)
    world.outlet(1, [domain.WorkerDied(dead_worker()), domain.JobFinished(job())])
    assert [each.channel_type for each in poll.reply.pub_messages] == [WORKER_CHANNEL, JOB_CHANNEL]
    assert poll.reply.pub_messages[1].job_message == job()


def test_each_channel_has_its_publisher() -> None:
    world = World()
    world.observability.subscribe(ANNA, b"", ERROR_CHANNEL, b"01000000")
    poll = world.observability.poll(ANNA, 0, b"", Park)
    error = ErrorTableData(type="node_removed")
    world.outlet(1, [domain.JobAdded(job()), domain.ErrorRaised(b"01000000", error)])
    assert [each.error_info_message for each in poll.reply.pub_messages] == [error]


def test_a_raylet_reads_of_its_own_death_before_it_is_dropped() -> None:
    world = World()
    world.control.subscribe(ANNA, NODE, NODE_CHANNEL)
    poll = world.control.poll(ANNA, 0, b"", Park)
    world.outlet(1, [domain.NodeDied(GcsNodeInfo(node_id=NODE, state=GcsNodeInfo.DEAD))])
    assert [each.key_id for each in poll.reply.pub_messages] == [NODE]
    assert len(world.control) == 0


def test_a_dead_worker_is_dropped_by_both_publishers() -> None:
    world = World()
    world.control.subscribe(ANNA, WORKER, JOB_CHANNEL)
    world.observability.subscribe(ANNA, WORKER, ERROR_CHANNEL)
    world.outlet(1, [domain.WorkerDied(dead_worker())])
    assert len(world.control) == len(world.observability) == 0


def test_an_event_is_a_line_with_ids_in_hex() -> None:
    world = World()
    world.outlet(7, [domain.JobFinished(job(), again=True), domain.WorkerDied(dead_worker())])
    assert list(world.lines()) == [
        {"event": "JobFinished", "revision": 7, "job": "01000000", "state": "RUNNING", "again": True},
        {"event": "WorkerDied", "revision": 7, "worker": WORKER.hex(), "node": NODE.hex(), "state": "99", "why": ""},
    ]


def test_with_the_level_off_no_line_is_put_together() -> None:
    world = World(logging.WARNING)
    world.outlet(7, [domain.JobFinished(job())])
    assert list(world.lines()) == []


def test_every_event_has_its_line() -> None:
    events = {kind for kind in vars(domain).values() if isinstance(kind, type) and kind.__module__ == domain.__name__}
    assert events == set(LINES)
