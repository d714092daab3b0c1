"""When Redis goes away, commits wait and are made once; what it has lost is noticed, and never passed over."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.fakes.redis_server import RedisServer
from tests.real.redis.proxy import proxy_to
from trio_gcs.config import GcsConfig
from trio_gcs.errors import StartError, StoreError
from trio_gcs.store.base import Write
from trio_gcs.store.redis import PAIRS, TABLES, RedisStore

SOON = GcsConfig(redis_outage_max_s=0.5, redis_connect_attempts_max=2, redis_connect_retry_s=0.1)
PATIENT = GcsConfig(redis_retry_min_s=0.02, redis_retry_max_s=0.05)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    RedisServer.skip_if_absent()
    server = RedisServer(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    yield server
    server.kill()


async def rows(store: RedisStore, table: str = "T") -> dict[bytes, bytes]:
    return {key: value async for page in store.load(table) for key, value in page}


async def test_a_commit_waits_while_redis_is_restarted(server: RedisServer) -> None:
    store = await RedisStore.open(server.url, TABLES, PATIENT)
    await store.commit([Write("T", b"a", b"1")], 1)
    server.kill()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.commit, [Write("T", b"a", None), Write("T", b"b", b"2")], 2)
        await trio.sleep(0.1)
        assert store._revision == 1
        await trio.to_thread.run_sync(server.start)
    assert await rows(store) == {b"b": b"2"}
    await store.aclose()


async def test_a_reply_that_was_lost_anywhere_means_neither_a_loss_nor_a_second_time(server: RedisServer) -> None:
    async with proxy_to(server.port) as proxy:
        store = await RedisStore.open(proxy.url, TABLES, PATIENT)
        model = {}
        for revision in range(1, 90):
            key, value = b"%d" % (revision % 7), b"%d" % revision
            proxy.answer_bytes_left = revision * 2  # the reply to a commit is about 150 bytes
            await store.commit([Write("T", key, value), Write("JobCounter", b"", value)], revision)
            model[key] = value
            proxy.answer_bytes_left = None
        assert proxy.breaks_count > 50
        assert await rows(store) == model
        assert await rows(store, "JobCounter") == {b"": b"89"}
        await store.aclose()


async def test_a_load_that_was_cut_off_begins_again(server: RedisServer) -> None:
    async with proxy_to(server.port) as proxy:
        store = await RedisStore.open(proxy.url, TABLES, PATIENT)
        model = {b"%d" % number: b"x" * 100 for number in range(5000)}
        await store.commit([Write("T", key, value) for key, value in model.items()], 1)
        proxy.answer_bytes_left = 300_000
        assert await rows(store) == model
        assert proxy.breaks_count == 1
        await store.aclose()


async def test_an_outage_that_does_not_end_is_told(server: RedisServer) -> None:
    store = await RedisStore.open(server.url, TABLES, SOON)
    server.kill()
    with pytest.raises(StoreError, match=r"was away for 0\.5 s: .*refused"):
        await store.commit([Write("T", b"a", b"1")], 1)
    await store.aclose()


async def test_a_redis_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    RedisServer.skip_if_absent()
    server = RedisServer(tmp_path / "redis")
    with pytest.raises(StartError, match="was away"):
        await RedisStore.open(server.url, TABLES, SOON)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, server.start)
            store = await RedisStore.open(server.url, TABLES, PATIENT)
        await store.aclose()
    finally:
        server.kill()


@pytest.mark.parametrize("command", ["FLUSHALL", "FLUSHDB"])
async def test_a_redis_that_was_emptied_is_noticed(command: str, server: RedisServer) -> None:
    store = await RedisStore.open(server.url, TABLES, PATIENT)
    await store.commit([Write("T", b"a", b"1")], 1)
    with server.client() as client:
        client.execute_command(command)
        with pytest.raises(StoreError, match="has lost its rows"):
            await store.commit([Write("T", b"b", b"2")], 2)
        assert client.dbsize() == 0
    await store.aclose()


async def test_a_redis_that_forgot_everything_at_its_restart_is_noticed(tmp_path: Path) -> None:
    RedisServer.skip_if_absent()
    server = RedisServer(tmp_path / "redis")
    server.start()
    store = await RedisStore.open(server.url, TABLES, PATIENT)
    server.kill()
    server.start()
    with pytest.raises(StoreError, match="has lost its rows"):
        await store.commit([Write("T", b"b", b"2")], 1)
    await store.aclose()
    server.kill()


async def test_a_redis_that_went_back_in_time_is_noticed(server: RedisServer) -> None:
    store = await RedisStore.open(server.url, TABLES, PATIENT)
    await store.commit([Write("T", b"a", b"1")], 1)
    await store.commit([Write("T", b"a", b"2")], 2)
    with server.client() as client:
        client.hset("RAYdefault@trio_gcs:lane:tables", "revision", 1)
        client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    with pytest.raises(StoreError, match="back at revision 1 from 2"):
        await store.commit([Write("T", b"a", b"3")], 3)
    await store.aclose()


async def test_a_daemon_that_was_succeeded_by_another_writes_nothing_more(server: RedisServer) -> None:
    old = await RedisStore.open(server.url, TABLES, PATIENT)
    pairs = await RedisStore.open(server.url, PAIRS, PATIENT)
    await old.commit([Write("T", b"a", b"1")], 1)
    new = await RedisStore.open(server.url, TABLES, PATIENT)
    for _ in range(2):
        with pytest.raises(StoreError, match="in use by another daemon"):
            await old.commit([Write("T", b"a", b"2")], 2)
    await new.commit([Write("T", b"b", b"2")], 2)
    await pairs.commit([Write("KV", b"k", b"v")], 1)
    assert await rows(new) == {b"a": b"1", b"b": b"2"}
    for store in (old, new, pairs):
        await store.aclose()


async def test_a_redis_that_is_full_is_waited_for(server: RedisServer) -> None:
    store = await RedisStore.open(server.url, TABLES, PATIENT)
    with server.client() as client:
        client.config_set("maxmemory", "1mb")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.commit, [Write("T", b"a", b"1" * 100), Write("U", b"a", b"1")], 1)
            await trio.sleep(0.1)
            assert store._revision == 0
            client.config_set("maxmemory", "0")
    assert await rows(store, "U") == {b"a": b"1"}
    await store.aclose()


async def test_a_redis_that_hangs_is_waited_for(server: RedisServer) -> None:
    store = await RedisStore.open(server.url, TABLES, PATIENT)
    async with trio.open_nursery() as nursery:
        server.signal(signal.SIGSTOP)
        nursery.start_soon(store.commit, [Write("T", b"a", b"1")], 1)
        await trio.sleep(0.1)
        server.signal(signal.SIGCONT)
    assert await rows(store) == {b"a": b"1"}
    await store.aclose()


async def test_a_full_redis_is_waited_for_and_told_of_among_the_errors(
    server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    store = await RedisStore.open(server.url, TABLES, PATIENT)
    with server.client() as client:
        client.config_set("maxmemory", 1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.commit, [Write("T", b"a", b"1")], 1)
            await trio.sleep(0.1)
            assert "OOM command not allowed when used" in capsys.readouterr().err
            client.config_set("maxmemory", 0)
    assert await rows(store) == {b"a": b"1"}
    await store.aclose()
