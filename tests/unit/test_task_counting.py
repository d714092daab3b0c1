"""Attempts are counted by job and state, for those who ask, and only then."""

import trio

from trio_gcs.generated.ray.common_pb2 import FINISHED, RUNNING
from trio_gcs.generated.ray.gcs_pb2 import TaskEvents
from trio_gcs.managers.tasks.counting import TaskCounting
from trio_gcs.managers.tasks.storage import TaskStorage


def attempt(job, number, *states):
    events = TaskEvents(task_id=number.to_bytes(24, "big"), job_id=job)
    for state in states:
        events.state_updates.state_ts_ns[state] = 1
    return events


async def test_attempts_are_counted_by_job_and_state(autojump_clock):
    storage = TaskStorage(10_000, 10)
    for number in range(1200):
        storage.add(attempt(b"\1\0\0\0", number, RUNNING, *([FINISHED] if number % 3 == 0 else [])))
    storage.add(attempt(b"\2\0\0\0", 5000, RUNNING))
    counts = await TaskCounting(storage, lambda: True, print).count()
    assert counts == {b"\1\0\0\0": {"RUNNING": 800, "FINISHED": 400}, b"\2\0\0\0": {"RUNNING": 1}}


async def test_nothing_is_counted_while_nobody_asks(autojump_clock, nursery):
    shown, asked = [], [False]
    counting = TaskCounting(TaskStorage(10, 10), lambda: asked[0], shown.append)
    await nursery.start(counting.serve)
    await trio.sleep(10.5)
    assert shown == []
    asked[0] = True
    await trio.sleep(2)
    assert shown == [{}, {}]
    nursery.cancel_scope.cancel()
