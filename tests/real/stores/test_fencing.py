"""One daemon at a time on a store: a second one is told so, and one that was stopped and succeeded says nothing more."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trio
from grpclib.exceptions import GRPCError

from tests.fakes.redis_server import RedisServer
from tests.real.durability import clients
from tests.real.durability.lives import Life, Mother, mother
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.gcs_service_grpc import InternalKVGcsServiceStub
from trio_gcs.generated.trio_gcs.v1.events_pb2 import EventsRequest
from trio_gcs.generated.trio_gcs.v1.observer_grpc import ObserverStub
from trio_gcs.rpc.channel import open_channel

SHORT = {"redis_lease_s": 0.5, "redis_retry_min_s": 0.02, "redis_retry_max_s": 0.1}
FOR_EVER = {"redis_lease_s": 3600}
END_TIMEOUT_S = 20
REFUSED = 1


class Daemons:
    """Daemons on one store, each with a process of its own to be the child of."""

    def __init__(self, url: str, childless: list[Mother]) -> None:
        self.url = url
        self._childless = childless
        self._mothers: dict[int, Mother] = {}

    async def start(self, **knobs: float) -> Life:
        each = self._childless.pop()
        life = await each.start(self.url, knobs=knobs)
        self._mothers[life.pid] = each
        return life

    async def end_of(self, life: Life) -> tuple[int, str]:
        """Wait for its end; returns its exit code and its last words."""
        each = self._mothers[life.pid]
        with trio.fail_after(END_TIMEOUT_S):
            code = await each.end(life)
        return code, each.told().splitlines()[-1]


@asynccontextmanager
async def daemons(url: str, folder: Path) -> AsyncIterator[Daemons]:
    async with AsyncExitStack() as stack:
        mothers = []
        for number in range(2):
            (folder / str(number)).mkdir()
            mothers.append(await stack.enter_async_context(mother(folder / str(number))))
        yield Daemons(url, mothers)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    RedisServer.skip_if_absent()
    server = RedisServer(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    yield server
    server.kill()


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "redis":
        return str(request.getfixturevalue("redis").url)
    return f"sqlite:///{tmp_path}/gcs.sqlite"


async def put(life: Life, value: bytes) -> None:
    async with open_channel(*life.address) as channel:
        request = pb.InternalKVPutRequest(namespace=b"f", key=b"k", value=value, overwrite=True)
        await channel.stub(InternalKVGcsServiceStub).InternalKVPut(request, timeout=10)


async def get(life: Life) -> bytes:
    async with open_channel(*life.address) as channel:
        request = pb.InternalKVGetRequest(namespace=b"f", key=b"k")
        reply = await channel.stub(InternalKVGcsServiceStub).InternalKVGet(request, timeout=10)
        return bytes(reply.value)


async def test_a_second_daemon_beside_one_that_lives_is_refused_and_the_first_goes_on(url: str, tmp_path: Path) -> None:
    async with daemons(url, tmp_path) as on:
        first = await on.start(**SHORT)
        await put(first, b"1")
        code, told = await on.end_of(await on.start(**SHORT))
        assert code == REFUSED
        assert "is in use by another daemon" in told
        await put(first, b"2")
        assert await get(first) == b"2"


async def test_one_that_was_killed_is_succeeded_without_waiting(url: str, tmp_path: Path) -> None:
    async with daemons(url, tmp_path) as on:
        first = await on.start(**FOR_EVER)
        await put(first, b"1")
        first.kill()
        second = await on.start(**FOR_EVER)  # its parent has not even looked yet
        assert await get(second) == b"1"


async def test_one_that_has_ended_in_order_leaves_no_lease(redis: RedisServer, tmp_path: Path) -> None:
    async with daemons(redis.url, tmp_path) as on:
        first = await on.start(**FOR_EVER)
        with redis.client() as client:
            assert client.exists("RAYdefault@trio_gcs:lease")
            os.kill(first.pid, signal.SIGTERM)
            assert (await on.end_of(first))[0] == 0
            assert not client.exists("RAYdefault@trio_gcs:lease")


async def test_one_that_was_stopped_and_succeeded_answers_nobody_when_it_wakes(
    redis: RedisServer, tmp_path: Path
) -> None:
    async with daemons(redis.url, tmp_path) as on:
        first = await on.start(**SHORT)
        await put(first, b"old")
        async with open_channel(*first.address) as to_first:
            kv = to_first.stub(InternalKVGcsServiceStub)
            read, heard = pb.InternalKVGetRequest(namespace=b"f", key=b"k"), []
            await kv.InternalKVGet(read, timeout=10)
            os.kill(first.pid, signal.SIGSTOP)

            async def ask(call: object, request: object) -> None:
                try:
                    heard.append(await call(request, timeout=30))
                except clients.LOST:
                    heard.append(None)

            async def follow() -> None:
                hello = None
                try:
                    async with to_first.stub(ObserverStub).Events.open(timeout=30) as stream:
                        await stream.send_message(EventsRequest(**{"from": "snapshot"}), end=True)
                        hello = await stream.recv_message()
                except clients.LOST:
                    pass
                heard.append(hello)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(follow)
                for _ in range(20):
                    nursery.start_soon(ask, kv.InternalKVGet, read)
                change = pb.InternalKVPutRequest(namespace=b"f", key=b"k", value=b"late", overwrite=True)
                nursery.start_soon(ask, kv.InternalKVPut, change)
                second = await on.start(**SHORT)
                await put(second, b"new")
                os.kill(first.pid, signal.SIGCONT)
        assert heard == [None] * 22
        code, told = await on.end_of(first)
        assert code == REFUSED
        assert "in use by another daemon that started later" in told
        assert await get(second) == b"new"


async def test_one_that_was_stopped_and_has_no_successor_goes_on(redis: RedisServer, tmp_path: Path) -> None:
    async with daemons(redis.url, tmp_path) as on:
        only = await on.start(**SHORT)
        await put(only, b"1")
        os.kill(only.pid, signal.SIGSTOP)
        with redis.client() as client, trio.fail_after(10):
            left_ms = client.pttl("RAYdefault@trio_gcs:lease")
            await trio.sleep(left_ms / 1000 + 0.1)
            assert not client.exists("RAYdefault@trio_gcs:lease")
        os.kill(only.pid, signal.SIGCONT)
        assert await get(only) == b"1"
        await put(only, b"2")
        assert (await on.end_of(await on.start(**SHORT)))[0] == REFUSED


async def test_on_sqlite_one_that_is_stopped_keeps_its_store(tmp_path: Path) -> None:
    async with daemons(f"sqlite:///{tmp_path}/gcs.sqlite", tmp_path) as on:
        first = await on.start()
        await put(first, b"1")
        os.kill(first.pid, signal.SIGSTOP)
        assert (await on.end_of(await on.start()))[0] == REFUSED
        os.kill(first.pid, signal.SIGCONT)
        await put(first, b"2")
        assert await get(first) == b"2"


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB"])
async def test_an_idle_daemon_notices_that_its_redis_was_emptied(
    command: str, redis: RedisServer, tmp_path: Path
) -> None:
    async with daemons(redis.url, tmp_path) as on:
        idle = await on.start(**SHORT)
        with redis.client() as client:
            client.execute_command(command)
            code, told = await on.end_of(idle)
            assert client.dbsize() == 0
        assert code == 1
        assert "has lost its rows" in told


async def test_reads_go_on_while_redis_refuses_everybody(redis: RedisServer, tmp_path: Path) -> None:
    async with daemons(redis.url, tmp_path) as on:
        only = await on.start(**SHORT)
        await put(only, b"1")
        redis.kill()
        for _ in range(15):  # three leases long
            await trio.sleep(0.1)
            assert await get(only) == b"1"
        await trio.to_thread.run_sync(redis.start)
        await put(only, b"2")


async def test_reads_wait_while_redis_is_silent_since_another_may_hear_it(redis: RedisServer, tmp_path: Path) -> None:
    read = pb.InternalKVGetRequest(namespace=b"f", key=b"k")
    async with daemons(redis.url, tmp_path) as on:
        only = await on.start(**SHORT)
        await put(only, b"1")
        async with open_channel(*only.address) as channel:
            kv = channel.stub(InternalKVGcsServiceStub)
            redis.signal(signal.SIGSTOP)
            with pytest.raises(GRPCError, match="DEADLINE"), trio.fail_after(10):
                while True:
                    await kv.InternalKVGet(read, timeout=0.3)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(get, only)
                redis.signal(signal.SIGCONT)
        assert await get(only) == b"1"


async def test_an_idle_daemon_does_not_outlive_its_redis_for_long(redis: RedisServer, tmp_path: Path) -> None:
    async with daemons(redis.url, tmp_path) as on:
        idle = await on.start(**SHORT, redis_outage_max_s=0.5)
        redis.kill()
        code, told = await on.end_of(idle)
        assert code == 1
        assert "was away for 0.5 s" in told
