"""Tasks that serve one call after the other, so that a call that waits costs a wake-up and not a new task.

The hard idea: a worker keeps one cancel scope and lends it to call after call, with the deadline of each. Only a scope
that was cancelled is replaced. Whoever wants to end a call cancels the scope that the call holds at that moment.
"""

from __future__ import annotations

from math import inf
from typing import Final, Protocol

import trio
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_task_rescheduled

_IDLE_MAX: Final = 256


class Job(Protocol):
    """One call for a worker. `scope` is the worker's to set."""

    deadline: float
    scope: trio.CancelScope | None

    async def run(self) -> None:
        """Serve the call. What this raises ends the server."""
        ...

    def interrupted(self) -> None:
        """Hear that `run` was cancelled: the deadline passed, or somebody cancelled the scope."""
        ...


class _Worker:
    """A task, and the job that it wakes up for."""

    __slots__ = ("job", "task")

    def __init__(self, task: Task) -> None:
        self.task = task
        self.job: Job | None = None


class Pool:
    """The workers of one server; all of them live in one nursery."""

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._nursery: trio.Nursery | None = None

    def open(self, nursery: trio.Nursery) -> None:
        """Start workers in `nursery` from now on."""
        self._nursery = nursery

    def run(self, job: Job) -> None:
        """Have a worker run `job` soon."""
        if self._idle:
            worker = self._idle.pop()
            worker.job = job
            reschedule(worker.task)
        else:
            assert self._nursery is not None, "the pool was not opened"
            self._nursery.start_soon(self._work, job)

    async def _work(self, first: Job) -> None:
        worker = _Worker(current_task())
        job: Job | None = first
        while job is not None:
            with trio.CancelScope() as scope:
                while job is not None:
                    job.scope = scope
                    if job.deadline != inf:
                        scope.deadline = job.deadline
                    await job.run()
                    job.scope = None
                    if scope.cancel_called:
                        break
                    scope.deadline = inf
                    job = await self._next(worker)
            if job is not None:
                if job.scope is not None:
                    job.scope = None
                    job.interrupted()
                job = await self._next(worker)

    async def _next(self, worker: _Worker) -> Job | None:
        """Wait for another job; None when there are workers enough."""
        if len(self._idle) >= _IDLE_MAX:
            return None
        worker.job = None
        self._idle.append(worker)

        def forget(_: object) -> Abort:
            self._idle.remove(worker)
            return Abort.SUCCEEDED

        await wait_task_rescheduled(forget)
        return worker.job
