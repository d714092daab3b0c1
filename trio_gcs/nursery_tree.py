"""The daemon on one screen: what starts in which order, and what dies with what.

Layers lie around each other. Cancelling the daemon, which is how it is asked to stop, reaches the innermost first:
nobody new is let in and calls get a moment to end, then managers lose their duties, then the ledgers write what is left,
then the stores close. A failure anywhere ends everything: no part is restarted, since the way back up is start.
"""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Protocol

import structlog
import trio

from trio_gcs.assembly import Daemon
from trio_gcs.config import DaemonSettings, GcsConfig
from trio_gcs.generated import POOL
from trio_gcs.launch.listen import bind_first, bind_sockets, start_listening
from trio_gcs.managers.cluster import settle_cluster_id
from trio_gcs.rpc.dispatch import Dispatch
from trio_gcs.rpc.health import Health
from trio_gcs.rpc.heap import keep_heap
from trio_gcs.rpc.reflection import reflection
from trio_gcs.rpc.server import Server
from trio_gcs.store.opening import Stores, open_stores
from trio_gcs.wire.limits import Limits

DRAIN_TIMEOUT_S = 5.0
"""How long a stopping daemon waits for its store; whoever waits for a reply then was never told that it was done."""

PROGRESS_PERIOD_S = 1.0

log = structlog.get_logger(__name__)


class Serve(Protocol):
    """A service: runs until it is cancelled, and says when it has begun."""

    def __call__(self, *, task_status: trio.TaskStatus[None]) -> Awaitable[None]:
        """Run."""
        ...


class OpenStores(Protocol):
    """Opens a daemon's two stores, of the tables and of the key-value pairs, for the length of a block."""

    def __call__(self, url: str, config: GcsConfig) -> AbstractAsyncContextManager[Stores]:
        """Open what the url names."""
        ...


async def run_daemon(
    settings: DaemonSettings,
    *,
    open_stores: OpenStores = open_stores,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run until cancelled; tells its port once it listens. Raises what ends it: StartError, StoreError, or a bug."""
    bound = bind_sockets(settings.hosts, settings.port)
    events_bound: list[socket.socket] = []
    try:
        events_bound += bind_first(settings.hosts, settings.events_ports)
        async with open_stores(settings.store, settings.gcs_config) as stores:
            daemon = Daemon(settings, stores.tables, stores.pairs)
            if stores.lease is not None:
                daemon.witness.hold(stores.lease)
            managers = daemon.managers
            await load(daemon)
            await daemon.hub.tables.load(stores.tables)
            await daemon.hub.keys.load(stores.pairs)
            daemon.recover()
            cluster_id = settle_cluster_id(managers.kv, os.urandom)
            dispatch = Dispatch(settler=daemon.witness, token=settings.auth_token, cluster_id=cluster_id.hex)
            health = Health()
            about_itself = [health, *reflection([POOL], dispatch.service_names)]
            server = Server([*daemon.services(cluster_id), *about_itself], dispatch, limits_of(settings))
            async with (
                layer(
                    daemon.raylets.serve, daemon.workers.serve
                ),  # errands of the ledger call them, so they outlive it
                layer(daemon.agent.serve),
                layer(daemon.recorder.serve, daemon.reporter.serve),
                layer(daemon.outlet.serve),
                layer(daemon.ledger.serve, daemon.kv_ledger.serve),
                drained_at_end(daemon),
                layer(managers.nodes.serve, managers.resources.serve, managers.runtime_env.serve),
                layer(managers.placement_groups.serve, managers.actors.serve),
                layer(
                    managers.tasks.serve, daemon.load_puller.serve, daemon.usage_tags.serve, daemon.debug_state.serve
                ),
                layer(daemon.control_plane.serve, daemon.observability.serve),
                layer(daemon.hub.serve, daemon.task_counting().serve),
            ):
                # The cluster's id and the epoch of the stores are told to nobody before they are durable.
                await daemon.ledger.drained()
                await daemon.kv_ledger.drained()
                port = start_listening(bound)
                async with (
                    events_served(daemon, events_bound),
                    metrics_served(dispatch, settings),
                    layer(partial(server.serve, listeners_on(bound))),
                    stopped_at_end(server, health, settings),
                ):
                    settle_memory()
                    task_status.started(port)
                    await trio.sleep_forever()
    finally:
        for each in (*bound, *events_bound):
            each.close()


def listeners_on(bound: Sequence[socket.socket]) -> list[trio.SocketListener]:
    """Trio's listeners on sockets that listen already."""
    return [trio.SocketListener(trio.socket.from_stdlib_socket(each)) for each in bound]


@asynccontextmanager
async def metrics_served(dispatch: Dispatch, settings: DaemonSettings) -> AsyncIterator[None]:
    """Serve the counts of calls to Prometheus around a block, if there is a port for it."""
    if settings.metrics_port is None:
        yield
        return
    from trio_gcs.rpc.metrics_export import scraped  # noqa: PLC0415  # who is not scraped does not wait for it

    with scraped(dispatch.counts, settings.hosts[0], settings.metrics_port) as port:
        log.info("metrics", host=settings.hosts[0], port=port)
        yield


@asynccontextmanager
async def events_served(daemon: Daemon, bound: Sequence[socket.socket]) -> AsyncIterator[None]:
    """Serve the event stream over websocket around a block, if there is a port for it."""
    if not bound:
        yield
        return
    from trio_gcs.events.websocket import EventSockets  # noqa: PLC0415  # who has no such port does not wait for it

    port = start_listening(bound)
    log.info("events", url=f"ws://{bound[0].getsockname()[0]}:{port}/v1/events")
    sockets = EventSockets(daemon.hub, daemon.settings.auth_token)
    async with layer(partial(sockets.serve, listeners_on(bound))):
        yield


@asynccontextmanager
async def layer(*services: Serve) -> AsyncIterator[None]:
    """Run services around a block. Cancelling from outside ends the block first, and then them.

    A service is shielded only once it has begun, so that a failure elsewhere does not wait for one that never does.
    """
    async with trio.open_nursery() as nursery:
        scopes = []
        try:
            for serve in services:
                scope = trio.CancelScope()
                await nursery.start(_run_in, scope, serve)
                await trio.lowlevel.checkpoint_if_cancelled()  # nobody can be shielded who is being cancelled already
                scope.shield = True
                scopes.append(scope)
            yield
        finally:
            for scope in scopes:
                scope.cancel()


async def _run_in(scope: trio.CancelScope, serve: Serve, *, task_status: trio.TaskStatus[None]) -> None:
    with scope:
        await serve(task_status=task_status)


@asynccontextmanager
async def drained_at_end(daemon: Daemon) -> AsyncIterator[None]:
    """At the end of the block, wait until all that was decided is durable."""
    try:
        yield
    finally:
        with trio.move_on_after(DRAIN_TIMEOUT_S, shield=True):
            await daemon.ledger.drained()
            await daemon.kv_ledger.drained()


@asynccontextmanager
async def stopped_at_end(server: Server, health: Health, settings: DaemonSettings) -> AsyncIterator[None]:
    """At the end of the block, let calls end within the grace, and close their connections."""
    try:
        yield
    finally:
        health.serving = False
        with trio.CancelScope(shield=True):
            await server.stop(settings.gcs_config.shutdown_grace_s)


async def load(daemon: Daemon) -> None:
    """Read the stores, and say now and then how far it is."""
    told_at = trio.current_time()

    def tell(table: str, rows: int) -> None:
        nonlocal told_at
        if trio.current_time() - told_at >= PROGRESS_PERIOD_S:
            told_at = trio.current_time()
            log.info("loading", table=table, rows=rows)

    log.info("Loading job table data, and that of all other tables")  # readers of Ray's logs look for the beginning
    gc.disable()  # what is loaded stays: walking through it again and again while it grows finds nothing
    try:
        await daemon.ledger.load(tell)
        await daemon.kv_ledger.load(tell)
    finally:
        gc.enable()
    if daemon.ledger.revision:
        log.info("loaded", revision=daemon.ledger.revision, kv_revision=daemon.kv_ledger.revision)


def limits_of(settings: DaemonSettings) -> Limits:
    """What callers may do, as Ray's configuration has it."""
    config = settings.gcs_config
    return Limits(
        message_bytes_max=config.message_bytes_max,
        ping_period_min_s=config.client_ping_period_min_s,
        keepalive_period_s=config.server_keepalive_period_s,
        keepalive_timeout_s=config.server_keepalive_timeout_s,
    )


def settle_memory() -> None:
    """Take what exists by now out of the collector's rounds, make these rare, and keep the heap for large replies."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)  # little of ours is cyclic
    keep_heap()
