"""A whole daemon in this process, a neighbour that must be served whatever happens, and ways to attack both.

The daemon is the real one, with sockets, on a memory store. What its parts log is kept: a traceback in there is a bug,
however politely the caller was refused. Its ledgers are found in the tree of tasks, so that tables can be looked at.
"""

import gc
import json
import logging
import re
from collections.abc import Iterator
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog
import trio
from grpclib.const import Cardinality
from grpclib.exceptions import GRPCError
from trio_websocket import open_websocket_url

from trio_gcs.config import DaemonSettings, GcsConfig
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.nursery_tree import run_daemon
from trio_gcs.ray_config import RayConfig
from trio_gcs.rpc.channel import Channel
from trio_gcs.store.ledger import Ledger

CHECK_ALIVE = "/ray.rpc.NodeInfoGcsService/CheckAlive"
KV = "/ray.rpc.InternalKVGcsService/"
NEIGHBOUR_PERIOD_S = 0.02
NEIGHBOUR_PATIENCE_S = 10.0

# What a cluster waits for in seconds, an attack waits for in moments.
IMPATIENT = replace(
    GcsConfig(),
    lease_retry_s=0.02,
    actor_push_retry_s=0.02,
    resource_load_pull_period_s=0.05,
    resource_view_refresh_s=0.1,
    placement_group_retry_min_s=0.01,
    placement_group_retry_max_s=0.05,
    bundle_release_retry_s=0.05,
    task_fail_after_job_s=0.02,
    task_fail_after_worker_s=0.02,
    peer_retry_period_s=0.05,
    raylet_unavailable_min_s=0.05,
    worker_unavailable_min_s=0.05,
    peer_call_timeout_s=0.5,
    job_pending_tasks_timeout_s=0.1,
    actor_graceful_shutdown_timeout_s=0.05,
    shutdown_grace_s=0.05,
)


class Octets(bytes):
    """A message as the octets that it is: what is sent need not be a message at all."""

    @classmethod
    def FromString(cls, raw):
        return cls(raw)

    def SerializeToString(self):
        return bytes(self)


class Caller:
    """One connection to the daemon."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    async def send(self, path, octets, timeout_s=None) -> bytes:
        """Send octets to a unary method; raises GRPCError."""
        kind = Cardinality.UNARY_UNARY
        async with self._channel.request(path, kind, Octets, Octets, timeout=timeout_s) as stream:
            await stream.send_message(Octets(octets), end=True)
            reply = await stream.recv_message()
            await stream.recv_trailing_metadata()
        assert reply is not None, "a reply or an error"
        return reply

    async def ask(self, path, request, reply_type, timeout_s=5.0):
        """Send a message and read the reply."""
        return reply_type.FromString(await self.send(path, request.SerializeToString(), timeout_s))

    @asynccontextmanager
    async def syncing(self, node_id):
        """A syncer stream that the daemon has taken, and that is cut at the end."""
        async with self.sync(node_id=node_id.hex()) as stream:
            await stream.send_request()
            await stream.recv_initial_metadata()
            yield stream
            await stream.cancel()

    def sync(self, **metadata):
        kind = Cardinality.STREAM_STREAM
        return self._channel.request("/ray.rpc.syncer.RaySyncer/StartSync", kind, Octets, Octets, metadata=metadata)


class Victim:
    """A daemon that runs, and what was seen of it."""

    def __init__(self, port, config, ledgers, nursery) -> None:
        self.port = port
        self.config = config
        self.ledgers = ledgers
        self.tracebacks: list[str] = []
        self.logged: list[dict] = []
        self._served = trio.Event()
        self._nursery = nursery

    async def caller(self) -> Caller:
        """Open a connection of one's own."""
        channel = Channel("127.0.0.1", self.port)
        await self._nursery.start(channel.run)
        return Caller(channel)

    async def subscriber(self, form) -> None:
        """Follow everything over websocket, as long as the daemon runs; whoever is cut off raises."""
        url = f"ws://127.0.0.1:{self.events_port}/v1/events?from=snapshot&format={form}"

        async def read(task_status=trio.TASK_STATUS_IGNORED) -> None:
            async with open_websocket_url(url, max_message_size=1 << 30) as connection:
                task_status.started()
                while True:
                    message = await connection.get_message()
                    if form == "json":
                        json.loads(message, parse_constant=_no_constant)

        await self._nursery.start(read)

    def table(self, name):
        return next(tables[name] for ledger in self.ledgers if name in (tables := ledger._tables))

    async def neighbour(self, task_status=trio.TASK_STATUS_IGNORED) -> None:
        """Call as a polite client does, all the time. Raises when it is not answered in time."""
        caller = await self.caller()
        key = pb.InternalKVPutRequest(namespace=b"neighbour", key=b"k", value=b"v")
        await caller.ask(KV + "InternalKVPut", key, pb.InternalKVPutReply)
        task_status.started()
        get = pb.InternalKVGetRequest(namespace=b"neighbour", key=b"k")
        while True:
            alive = await caller.ask(CHECK_ALIVE, pb.CheckAliveRequest(), pb.CheckAliveReply, NEIGHBOUR_PATIENCE_S)
            assert alive.ray_version, "answered"
            found = await caller.ask(KV + "InternalKVGet", get, pb.InternalKVGetReply, NEIGHBOUR_PATIENCE_S)
            assert found.value == b"v" or found.status.code, "a value, or word that somebody deleted it"
            self._served.set()
            self._served = trio.Event()
            await trio.sleep(NEIGHBOUR_PERIOD_S)

    async def neighbour_served(self) -> None:
        """Wait until the neighbour has been served once more from beginning to end."""
        with trio.fail_after(NEIGHBOUR_PATIENCE_S):
            for _ in range(2):
                await self._served.wait()

    async def check(self) -> None:
        """The daemon is well: it answers, its indexes agree with its rows, and nothing of it failed."""
        caller = await self.caller()
        await caller.ask(CHECK_ALIVE, pb.CheckAliveRequest(), pb.CheckAliveReply)
        for ledger in self.ledgers:
            for table in ledger._tables.values():
                assert_indexes_agree(table)
        assert not self.tracebacks, "\n".join(self.tracebacks)


def _no_constant(name):
    raise AssertionError(f"{name} is no JSON")


def assert_indexes_agree(table) -> None:
    """Every index finds exactly the rows that say so of themselves."""
    for name, values_of in table._indexes.items():
        found = {(value, key) for value, keys in table._found[name].items() for key in keys}
        said = {(value, key) for key, row in table._rows.items() for value in values_of(row)}
        assert found == said, f"index {name} of table {table.name}"


def _ledgers() -> list[Ledger]:
    """The ledgers of the daemon that runs: what the tree's tasks hold in their hands."""
    tasks = [trio.lowlevel.current_root_task()]
    found: dict[int, Ledger] = {}
    while tasks:
        task = tasks.pop()
        for nursery in task.child_nurseries:
            tasks += nursery.child_tasks
        serve = task.coro.cr_frame.f_locals.get("serve") if getattr(task.coro, "cr_frame", None) else None
        owner = getattr(serve, "__self__", None)
        if isinstance(owner, Ledger):
            found[id(owner)] = owner
    return list(found.values())


class _Keep(logging.Handler):
    def __init__(self, victim_logged) -> None:
        super().__init__(logging.DEBUG)
        self._logged = victim_logged

    def emit(self, record) -> None:
        self._logged.append({"event": record.getMessage(), "exc_info": record.exc_info})


@asynccontextmanager
async def victim(config: GcsConfig = IMPATIENT, **more) -> Iterator[Victim]:
    """Run a daemon and its neighbour around an attack, and look at both afterwards."""
    logged: list[dict] = []
    tracebacks: list[str] = []

    def keep(_logger, _method, event):
        event = structlog.processors.format_exc_info(_logger, _method, dict(event))
        logged.append(event)
        if "exception" in event:
            tracebacks.append(
                f"{event.get('event')} {event.get('service')}.{event.get('method')}\n{event['exception']}"
            )
        raise structlog.DropEvent

    before, thresholds = structlog.get_config(), gc.get_threshold()
    structlog.configure(processors=[keep], cache_logger_on_first_use=False)
    forward = _Keep(logged)
    logging.root.addHandler(forward)
    settings = DaemonSettings(ray_config=RayConfig.read(), gcs_config=config, **more)
    try:
        async with trio.open_nursery() as nursery, trio.open_nursery() as callers:
            port = await nursery.start(run_daemon, settings)
            it = Victim(port, config, _ledgers(), callers)
            it.tracebacks, it.logged = tracebacks, logged
            urls = [event["url"] for event in logged if "url" in event]
            it.events_port = int(re.search(r":(\d+)/", urls[0])[1]) if urls else None
            await callers.start(it.neighbour)
            yield it
            await it.neighbour_served()
            await it.check()
            callers.cancel_scope.cancel()
            nursery.cancel_scope.cancel()
    finally:
        logging.root.removeHandler(forward)
        structlog.configure(**before)
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def told(error: GRPCError) -> str:
    """What a refusal said."""
    details = error.details.decode() if isinstance(error.details, bytes) else ""
    return f"{error.status.name} {error.message} {details}"
