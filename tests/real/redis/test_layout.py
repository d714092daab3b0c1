"""What lies where in Redis: stock Ray's rows where stock Ray looks for them, ours where it does not."""

from __future__ import annotations

import pytest

from tests.fakes.redis_server import RedisServer
from trio_gcs.config import GcsConfig
from trio_gcs.errors import StartError, StoreError
from trio_gcs.store.base import Write
from trio_gcs.store.redis import PAIRS, TABLES, RedisStore


async def rows(store: RedisStore, table: str) -> dict[bytes, bytes]:
    return {key: value async for page in store.load(table) for key, value in page}


async def test_rows_of_rays_tables_lie_where_ray_has_them(redis_server: RedisServer) -> None:
    store = await RedisStore.open(redis_server.url, TABLES, GcsConfig(redis_namespace="lay[out]"))
    await store.commit(
        [Write("ACTOR", b"\0\xff", b"row"), Write("PLAN", b"p", b"ours"), Write("JobCounter", b"", b"7")], 3
    )
    with redis_server.client() as client:
        assert client.hgetall("RAYlay[out]@ACTOR") == {b"\0\xff": b"row"}
        assert client.get("RAYlay[out]@JobCounter") == b"7"
        assert client.incrby("RAYlay[out]@JobCounter", 1) == 8
        assert client.hgetall("RAYlay[out]@trio_gcs:table:tables:PLAN") == {b"p": b"ours"}
        assert client.hget("RAYlay[out]@trio_gcs:lane:tables", "revision") == b"3"
    await store.aclose()
    again = await RedisStore.open(redis_server.url, TABLES, GcsConfig(redis_namespace="lay[out]"))
    assert await rows(again, "JobCounter") == {b"": b"8"}
    assert await rows(again, "PLAN") == {b"p": b"ours"}
    await again.commit([Write("JobCounter", b"", None)], 4)
    assert await rows(again, "JobCounter") == {}
    await again.aclose()


async def test_namespaces_and_lanes_are_apart(redis_server: RedisServer) -> None:
    stores = [
        await RedisStore.open(redis_server.url, lane, GcsConfig(redis_namespace=namespace))
        for namespace in ("one", "two")
        for lane in (TABLES, PAIRS)
    ]
    for revision, store in enumerate(stores, start=10):
        await store.commit([Write("NODE", b"%d" % revision, b"x")], revision)
    assert [await store.last_revision() for store in stores] == [10, 11, 12, 13]
    assert sorted(await rows(stores[0], "NODE")) == [b"10", b"11"]  # as Ray's table, where it is in both of ours
    for revision, store in enumerate(stores, start=14):
        await store.commit([Write("EVENTS", b"%d" % revision, b"x")], revision)
    assert [sorted(await rows(store, "EVENTS")) for store in stores] == [[b"14"], [b"15"], [b"16"], [b"17"]]
    for store in stores:
        await store.aclose()


@pytest.mark.parametrize(
    ("last_daemon", "is_kept"), [(None, True), (b"077", True), (b"77", False)], ids=["none", "ours", "stock"]
)
async def test_what_we_were_about_is_forgotten_once_stock_rays_server_ran(
    last_daemon: bytes | None, is_kept: bool, redis_server: RedisServer
) -> None:
    config = GcsConfig(redis_namespace=f"after-{last_daemon!r}")
    store = await RedisStore.open(redis_server.url, TABLES, config)
    await store.commit([Write("PLAN", b"p", b"1"), Write("ACTOR", b"a", b"2")], 1)
    await store.aclose()
    with redis_server.client() as client:
        if last_daemon is not None:
            client.hset(f"RAY{config.redis_namespace}@KV", "gcs_pid", last_daemon)
    store = await RedisStore.open(redis_server.url, TABLES, config)
    assert bool(await rows(store, "PLAN")) is is_kept
    assert await rows(store, "ACTOR") == {b"a": b"2"}
    assert await store.last_revision() == 1
    await store.aclose()


async def test_a_newer_layout_is_refused_by_name(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.hset("RAYnewer@trio_gcs:lane:tables", "schema", 99)
    with pytest.raises(StartError, match=r"newer trio-gcs \(schema 99"):
        await RedisStore.open(redis_server.url, TABLES, GcsConfig(redis_namespace="newer"))


async def test_a_key_of_another_kind_is_an_error_and_not_an_empty_table(redis_server: RedisServer) -> None:
    with redis_server.client() as client:
        client.set("RAYkinds@NODE", "x")
    store = await RedisStore.open(redis_server.url, TABLES, GcsConfig(redis_namespace="kinds"))
    with pytest.raises(StoreError, match="wrong kind of value"):
        await rows(store, "NODE")
    await store.aclose()


@pytest.mark.parametrize("namespace", ["", "a@b"])
async def test_a_namespace_that_could_be_mistaken_for_another_is_refused(
    namespace: str, redis_server: RedisServer
) -> None:
    with pytest.raises(StartError, match="external_storage_namespace"):
        await RedisStore.open(redis_server.url, TABLES, GcsConfig(redis_namespace=namespace))
