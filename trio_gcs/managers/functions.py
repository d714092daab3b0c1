"""Functions: the code that drivers export, kept while somebody may still load it. Owns who holds the code of a job.

A job holds its own code while it runs, and every actor that it made does until it is forgotten. Held by the holder's id,
so that a call that was repeated counts once. Memory only: who holds what follows from jobs and actors.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import trio

from trio_gcs.events.domain import ActorForgotten, ActorRegistered, JobAdded, JobFinished
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, JobTableData
from trio_gcs.ids import JobID
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Table

NAMESPACE = b"fun"
KINDS = (b"RemoteFunction", b"ActorClass", b"FunctionsToRun")


class Values(Protocol):
    """The part of the key-value store in which the code lies."""

    def delete_under(self, namespace: bytes, prefix: bytes) -> int:
        """Remove all keys that begin with ``prefix``."""
        ...


class FunctionManager:
    """Removes the code of a job once nobody holds it."""

    def __init__(self, ledger: Ledger, values: Values) -> None:
        self._ledger = ledger
        self._values = values
        self._holders: Table[JobID] = ledger.table(
            "function holders", None, indexes={"by_job": lambda job_id: (job_id,)}
        )

    def recover(self, jobs: Iterable[JobTableData], actors: Iterable[ActorTableData]) -> None:
        """Hold again what ``jobs`` that run and ``actors`` that are not forgotten hold; remove what nobody does.

        The code of a job may have outlived it because we ended before it was removed.
        """
        ended: list[JobID] = []
        with self._ledger.change() as change:
            for actor in actors:
                change.put(self._holders, actor.actor_id, JobID.parse(actor.job_id))
            for job in jobs:
                job_id = JobID.parse(job.job_id)
                if job.is_dead:
                    ended.append(job_id)
                else:
                    change.put(self._holders, job_id, job_id)
            for job_id in ended:
                self._remove_unless_held(change, job_id)

    def _release(self, change: Change, holder: bytes) -> None:
        job_id = self._holders.get(holder)
        if job_id is not None:
            change.delete(self._holders, holder)
            self._remove_unless_held(change, job_id)

    def _remove_unless_held(self, change: Change, job_id: JobID) -> None:
        if not self._holders.count("by_job", job_id):
            change.errand(self._remove, job_id)

    async def _remove(self, job_id: JobID) -> None:
        for kind in KINDS:
            self._values.delete_under(NAMESPACE, b"%b:%b:" % (kind, job_id.hex().encode()))
        await trio.lowlevel.checkpoint()

    # Reactions.

    def begin_job(self, change: Change, event: JobAdded) -> None:
        """The job may load its own code."""
        job_id = JobID.parse(event.job.job_id)
        change.put(self._holders, job_id, job_id)

    def end_job(self, change: Change, event: JobFinished) -> None:
        """The job loads nothing any more."""
        self._release(change, JobID.parse(event.job.job_id))

    def add_actor(self, change: Change, event: ActorRegistered) -> None:
        """The actor may load code of its job, even when that has ended."""
        change.put(self._holders, event.actor.actor_id, JobID.parse(event.actor.job_id))

    def forget_actor(self, change: Change, event: ActorForgotten) -> None:
        """The actor loads nothing any more."""
        self._release(change, event.actor.actor_id)
