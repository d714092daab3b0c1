"""Runtime environments: the packages that they refer to, kept while somebody may still fetch them. Owns who holds which.

Jobs and detached actors hold the packages of their environment, and a client may pin one for a time. Held by the holder's
id, so that a call that was repeated counts once. Memory only: stock Ray forgets holders when it starts anew, and then
removes packages that are in use; we put them together again from jobs and detached actors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import trio

from trio_gcs.events.domain import ActorForgotten, ActorRegistered, JobAdded, JobFinished
from trio_gcs.generated.ray.common_pb2 import TaskSpec
from trio_gcs.generated.ray.gcs_pb2 import JobTableData
from trio_gcs.generated.ray.public.runtime_environment_pb2 import RuntimeEnvInfo
from trio_gcs.ids import ActorID, JobID
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.tables import Owed, Table

PIN_SIZE = 28  # bytes of the id of a pin, which is nobody else's
NO_NAMESPACE = b""

log = logging.getLogger(__name__)


class Values(Protocol):
    """The part of the key-value store in which packages lie."""

    def delete(self, namespace: bytes, key: bytes) -> int:
        """Remove one key."""
        ...


@dataclass(frozen=True, slots=True)
class Holding:
    """What somebody holds; for ``pinned_s`` from now, where it is a pin."""

    uris: tuple[str, ...]
    pinned_s: float | None = None


class RuntimeEnvManager:
    """Removes a package once nobody holds it."""

    def __init__(self, ledger: Ledger, values: Values, random_bytes: Callable[[int], bytes]) -> None:
        self._ledger = ledger
        self._values = values
        self._random_bytes = random_bytes
        self._holdings: Table[Holding] = ledger.table(
            "package holders", None, indexes={"by_uri": lambda holding: holding.uris}, owes=self._owes
        )
        self.serve = self._holdings.serve

    def recover(self, jobs: Iterable[JobTableData], creation_tasks: Iterable[TaskSpec]) -> None:
        """Hold again what ``jobs`` that run hold, and the detached actors among those that ``creation_tasks`` made.

        Give the tasks of actors that are not forgotten.
        """
        with self._ledger.change() as change:
            for job in jobs:
                if not job.is_dead:
                    self._hold(change, JobID.parse(job.job_id), job.config.runtime_env_info)
            for task in creation_tasks:
                if task.actor_creation_task_spec.is_detached:
                    actor_id = ActorID.parse(task.actor_creation_task_spec.actor_id)
                    self._hold(change, actor_id, task.runtime_env_info)

    # Decisions.

    def pin(self, uri: str, duration_s: float) -> None:
        """Hold a package for a time, whoever else does. Each call is a pin of its own."""
        with self._ledger.change() as change:
            change.put(self._holdings, self._random_bytes(PIN_SIZE), Holding((uri,), duration_s))

    def _hold(self, change: Change, holder: bytes, env: RuntimeEnvInfo) -> None:
        working_dir = (env.uris.working_dir_uri,) if env.uris.working_dir_uri else ()
        uris = tuple(dict.fromkeys((*working_dir, *env.uris.py_modules_uris)))
        if uris:
            change.put(self._holdings, holder, Holding(uris))

    def _release(self, change: Change, holder: bytes) -> None:
        holding = self._holdings.get(holder)
        if holding is None:
            return
        change.delete(self._holdings, holder)
        for uri in holding.uris:
            if not self._holdings.count("by_uri", uri):
                change.errand(self._remove, uri)

    # Duties and errands.

    def _owes(self, key: bytes, holding: Holding) -> Iterable[Owed]:
        return (Owed(self._end_pin),) if holding.pinned_s is not None else ()

    async def _end_pin(self, key: bytes) -> None:
        await trio.sleep(max(0.0, self._holdings[key].pinned_s or 0.0))
        with self._ledger.change() as change:
            self._release(change, key)

    async def _remove(self, uri: str) -> None:
        scheme, separator, _ = uri.partition("://")
        if not separator:
            log.error("%r is no URI of a package", uri)
        elif scheme == "gcs":  # all others lie elsewhere, and are not ours to remove
            self._values.delete(NO_NAMESPACE, uri.encode())
        await trio.lowlevel.checkpoint()

    # Reactions.

    def begin_job(self, change: Change, event: JobAdded) -> None:
        """The job may fetch the packages of its environment."""
        self._hold(change, JobID.parse(event.job.job_id), event.job.config.runtime_env_info)

    def end_job(self, change: Change, event: JobFinished) -> None:
        """The job fetches nothing any more."""
        self._release(change, JobID.parse(event.job.job_id))

    def add_actor(self, change: Change, event: ActorRegistered) -> None:
        """A detached actor outlives its job; all others live by what their job holds."""
        if event.actor.is_detached:
            self._hold(change, ActorID.parse(event.actor.actor_id), event.task_spec.runtime_env_info)

    def forget_actor(self, change: Change, event: ActorForgotten) -> None:
        """The actor fetches nothing any more."""
        self._release(change, ActorID.parse(event.actor.actor_id))
