"""Actors: who there is, what becomes of them, and what owners ask for."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import NamedTuple

from trio_gcs.client import messages
from trio_gcs.client.accessor import Accessor, AnyId, id_of
from trio_gcs.client.calls import Calls
from trio_gcs.client.errors import Gone, NotFound
from trio_gcs.client.feeds import Feeds, Topics
from trio_gcs.client.following import Following, Source
from trio_gcs.client.generated.ray import rpc
from trio_gcs.client.messages import Actor, ActorState, NamedActorInfo, TaskSpec
from trio_gcs.ids import ActorID, JobID

# What a publication after PENDING_CREATION holds; the rest is as it was.
PUBLISHED = (
    *("state", "death_cause", "address", "num_restarts", "num_restarts_due_to_node_preemption", "max_restarts"),
    *("timestamp", "pid", "start_time", "end_time", "repr_name", "preempted"),
)
# Within one life, in this order.
ORDER = (
    *(ActorState.DEPENDENCIES_UNREADY, ActorState.PENDING_CREATION, ActorState.RESTARTING),
    *(ActorState.ALIVE, ActorState.DEAD),
)


class Named(NamedTuple):
    """An actor that was found by its name, and what it takes to make a handle to it."""

    actor: Actor
    task_spec: TaskSpec | None


class Actors(Accessor):
    """``client.actors``."""

    def __init__(self, calls: Calls, feeds: Feeds) -> None:
        super().__init__(calls, feeds)
        self._stub = calls.stub(rpc.ActorInfoGcsServiceStub)

    async def get(self, actor_id: AnyId, *, timeout_s: float | None = None) -> Actor:
        """One actor, alive or dead; raises NotFound."""
        found = await self._find(id_of(ActorID, actor_id), timeout_s)
        if found is None:
            raise NotFound(f"actor {id_of(ActorID, actor_id).hex()} is not known")
        return found

    async def by_name(self, name: str, namespace: str = "", *, timeout_s: float | None = None) -> Named:
        """The actor that holds this name; raises NotFound."""
        request = rpc.GetNamedActorInfoRequest(name=name, ray_namespace=namespace)
        reply = await self._calls.call(self._stub.get_named_actor_info, request, timeout_s=timeout_s)
        if reply.actor_table_data is None:
            raise NotFound(f"no actor is named {name!r} in the namespace {namespace!r}")
        return Named(reply.actor_table_data, reply.task_spec)

    async def names(self, namespace: str | None = None, *, timeout_s: float | None = None) -> list[NamedActorInfo]:
        """Names of actors that are not dead, in one namespace or in all."""
        request = rpc.ListNamedActorsRequest(all_namespaces=namespace is None, ray_namespace=namespace or "")
        reply = await self._calls.call(self._stub.list_named_actors, request, timeout_s=timeout_s)
        return reply.named_actors_list

    async def list(
        self,
        *,
        job_id: AnyId | None = None,
        state: ActorState | None = None,
        limit: int | None = None,
        dead_jobs: bool = True,
        timeout_s: float | None = None,
    ) -> list[Actor]:
        """Actors that meet all of these, those of jobs that are over included unless ``dead_jobs`` is false."""
        filters = rpc.GetAllActorInfoRequestFilters(
            job_id=None if job_id is None else id_of(JobID, job_id), state=state
        )
        request = rpc.GetAllActorInfoRequest(show_dead_jobs=dead_jobs, limit=limit, filters=filters)
        return (await self._calls.call(self._stub.get_all_actor_info, request, timeout_s=timeout_s)).actor_table_data

    async def register(self, task_spec: TaskSpec, *, timeout_s: float | None = None) -> None:
        """Reserve an actor's id, and its name; raises AlreadyExists if that is taken."""
        await self._calls.call(
            self._stub.register_actor, rpc.RegisterActorRequest(task_spec=task_spec), timeout_s=timeout_s
        )

    async def create(self, task_spec: TaskSpec, *, timeout_s: float | None = None) -> rpc.CreateActorReply:
        """Have a registered actor created, and wait until it is alive.

        Raises CreationFailed or SchedulingCancelled if it dies before that.
        """
        request = rpc.CreateActorRequest(task_spec=task_spec)
        return await self._calls.call(self._stub.create_actor, request, timeout_s=timeout_s)

    async def kill(
        self, actor_id: AnyId, *, force: bool = True, restart: bool = False, timeout_s: float | None = None
    ) -> None:
        """End an actor; with ``restart`` only its worker, so that it starts again as far as its budget allows."""
        request = rpc.KillActorViaGcsRequest(
            actor_id=id_of(ActorID, actor_id), force_kill=force, no_restart=not restart
        )
        await self._calls.call(self._stub.kill_actor_via_gcs, request, timeout_s=timeout_s)

    async def report_out_of_scope(
        self, actor_id: AnyId, *, lineage_restarts: int = 0, timeout_s: float | None = None
    ) -> None:
        """Tell, as an owner, that nobody holds a handle any more; ``lineage_restarts`` as the owner has counted them."""
        request = rpc.ReportActorOutOfScopeRequest(
            actor_id=id_of(ActorID, actor_id), num_restarts_due_to_lineage_reconstruction=lineage_restarts
        )
        await self._calls.call(self._stub.report_actor_out_of_scope, request, timeout_s=timeout_s)

    async def restart_for_lineage(
        self, actor_id: AnyId, *, lineage_restarts: int, timeout_s: float | None = None
    ) -> None:
        """Call an actor back that went out of scope; ``lineage_restarts`` counts this one too."""
        request = rpc.RestartActorForLineageReconstructionRequest(
            actor_id=id_of(ActorID, actor_id), num_restarts_due_to_lineage_reconstruction=lineage_restarts
        )
        await self._calls.call(self._stub.restart_actor_for_lineage_reconstruction, request, timeout_s=timeout_s)

    @asynccontextmanager
    async def subscribe(self, actor_id: AnyId | None = None) -> AsyncIterator[Following[Actor]]:
        """Follow one actor, or all: first what there is, then each change, as whole rows."""
        key = id_of(ActorID, actor_id) if actor_id is not None else b""

        async def fetch() -> Iterable[Actor]:
            if not key:
                return await self.list()
            found = await self._find(ActorID(key), None)
            return [] if found is None else [found]

        source = Source(
            key=lambda row: row.actor_id,
            is_final=lambda _: False,  # one that is dead may be called back
            fetch=fetch,
            merge=_merged,
            supersedes=_supersedes,
            parse=Actor.parse,
        )
        topics = Topics(kind="actor", channel=messages.ChannelType.GCS_ACTOR_CHANNEL, key=key)
        async with self._following(topics, source) as following:
            yield following

    async def wait(self, actor_id: AnyId, *states: ActorState, timeout_s: float | None = None) -> Actor:
        """Wait until an actor is in one of these states (ALIVE, if none is said); also one that is not known yet.

        Raises Gone if it dies and DEAD is none of them, and DeadlineExceeded.
        """
        wanted = states or (ActorState.ALIVE,)
        over = (*wanted, ActorState.DEAD)
        timeout_s = self._calls.patience.call_timeout_s if timeout_s is None else timeout_s
        async with self.subscribe(actor_id) as following:
            row = await following.until(lambda actor: actor.state in over, timeout_s=timeout_s)
        if row.state not in wanted:
            raise Gone(f"actor {row.actor_id.hex()} is dead")
        return row

    async def _find(self, actor_id: ActorID, timeout_s: float | None) -> Actor | None:
        request = rpc.GetActorInfoRequest(actor_id=actor_id)
        reply = await self._calls.call(self._stub.get_actor_info, request, timeout_s=timeout_s)
        found = reply.actor_table_data
        return found if found is not None and found.actor_id else None


def _merged(message: rpc.PubMessage, known: Actor | None) -> Actor | None:
    news = message.actor_message
    if news is None or news.actor_id:
        return news
    if known is None:
        return None
    changes = {name: getattr(news, name) for name in PUBLISHED}
    if news.name:
        changes |= {"name": news.name, "ray_namespace": news.ray_namespace}
    return replace(known, **changes)


def _supersedes(old: Actor, new: Actor) -> bool:
    return _age(new) >= _age(old)


def _age(row: Actor) -> tuple[float, int, int]:
    return row.timestamp, row.num_restarts, ORDER.index(row.state) if row.state in ORDER else -1
