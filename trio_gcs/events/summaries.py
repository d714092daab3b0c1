"""Summaries of tasks: counted, not committed, so they have no place in the rings and are not resumed.

The newest one of each job is kept, with the number of the count that brought it. A feed that knows up to which count it
has sent finds the rest by comparing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trio_gcs.events.entry import TASK_SUMMARY, Thing
from trio_gcs.generated.trio_gcs.v1.events_pb2 import TaskSummaryBody

FORGOTTEN_MAX: Final = 1000
"""How many jobs without tasks are remembered, so that those who follow hear that they are gone."""


class Summaries:
    """The newest summary of each job. ``version`` grows with each count that brought something new."""

    def __init__(self) -> None:
        self.version = 0
        self._things: dict[bytes, tuple[int, Thing]] = {}

    def show(self, counts: Mapping[bytes, Mapping[str, int]]) -> bool:
        """Take a count of all jobs: attempts by state. Says whether anything is new."""
        news: list[Thing] = []
        for job_id, by_state in counts.items():
            thing = _thing(job_id, TaskSummaryBody(attempts_by_state=by_state))
            _, known = self._things.get(job_id, (0, None))
            if thing != known:
                news.append(thing)
        gone = [job for job, (_, thing) in self._things.items() if thing.body is not None and job not in counts]
        news += [_thing(job_id, None) for job_id in gone]
        if not news:
            return False
        self.version += 1
        for thing in news:
            self._things.pop(thing.key, None)
            self._things[thing.key] = self.version, thing
        forgotten = [job for job, (_, thing) in self._things.items() if thing.body is None]
        for job_id in forgotten[:-FORGOTTEN_MAX]:
            del self._things[job_id]
        return True

    def now(self) -> list[Thing]:
        """The summaries that there are."""
        return [thing for _, thing in self._things.values() if thing.body is not None]

    def since(self, version: int) -> list[Thing]:
        """What counts after ``version`` brought; without a body where a job has no tasks any more."""
        return [thing for number, thing in self._things.values() if number > version]


def _thing(job_id: bytes, body: TaskSummaryBody | None) -> Thing:
    return Thing(TASK_SUMMARY, job_id, "", job_id.hex(), "", body)
