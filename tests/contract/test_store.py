"""What every store that keeps its rows must hold; a third one passes by being added to ``STORES``."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trio_gcs.config import GcsConfig
from trio_gcs.errors import StartError, StoreError
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.store.base import Store, Write
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore
from trio_gcs.store.redis import TABLES, RedisStore
from trio_gcs.store.sqlite import SqliteStore
from trio_gcs.store.tables import BYTES, message_codec

Reopen = Callable[[], Awaitable[Store]]

STORES = ["sqlite", "redis"]


async def everything(store: Store, table: str) -> dict[bytes, bytes]:
    return {key: value async for page in store.load(table) for key, value in page}


async def open_store(kind: str, folder: Path, redis_url: str) -> Store:
    """A store that is another for each folder."""
    if kind == "redis":
        return await RedisStore.open(redis_url, TABLES, GcsConfig(redis_namespace=folder.name))
    return await SqliteStore.open(folder / "rows.sqlite")


@pytest.fixture(params=STORES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def redis_url(kind: str, request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("redis_server").url) if kind == "redis" else ""


@pytest.fixture
async def reopen(kind: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Reopen]:
    opened: list[Store] = []

    async def open_again() -> Store:
        if opened:
            await opened.pop().aclose()
        store = await open_store(kind, tmp_path, redis_url)
        opened.append(store)
        return store

    yield open_again
    for store in opened:
        await store.aclose()


async def test_a_new_store_is_empty(reopen: Reopen) -> None:
    store = await reopen()
    assert await store.last_revision() == 0
    assert await everything(store, "T") == {}


async def test_what_was_committed_is_there_after_opening_again(reopen: Reopen) -> None:
    store = await reopen()
    await store.commit([Write("T", b"a", b"1"), Write("U", b"a", b"2"), Write("T", b"b", b"")], 7)
    store = await reopen()
    assert await everything(store, "T") == {b"a": b"1", b"b": b""}
    assert await everything(store, "U") == {b"a": b"2"}
    assert await store.last_revision() == 7


async def test_within_a_batch_the_last_write_of_a_key_wins(reopen: Reopen) -> None:
    store = await reopen()
    await store.commit([Write("T", b"a", b"1"), Write("T", b"a", None), Write("T", b"a", b"2")], 1)
    await store.commit([Write("T", b"b", b"1"), Write("T", b"b", None)], 2)
    assert await everything(store, "T") == {b"a": b"2"}


async def test_keys_and_values_are_any_bytes(reopen: Reopen) -> None:
    store = await reopen()
    odd = {bytes([value]): bytes(range(256)) for value in range(256)} | {b"": b"\0" * 1_000_000}
    await store.commit([Write("T", key, value) for key, value in odd.items()], 1)
    store = await reopen()
    assert await everything(store, "T") == odd


async def test_many_rows_come_back_whole(reopen: Reopen) -> None:
    store = await reopen()
    rows = {number.to_bytes(4, "big"): b"%d" % number for number in range(12_345)}
    await store.commit([Write("T", key, value) for key, value in rows.items()], 1)
    assert await everything(store, "T") == rows


async def test_a_commit_that_is_cancelled_is_whole_or_absent(reopen: Reopen) -> None:
    store = await reopen()
    writes = [Write("T", number.to_bytes(2, "big"), b"x") for number in range(500)]
    with trio.move_on_after(0):
        await store.commit(writes, 1)
    assert len(await everything(store, "T")) == (500 if await store.last_revision() else 0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    batches=st.lists(
        st.lists(
            st.tuples(st.sampled_from("TU"), st.binary(max_size=2), st.none() | st.binary(max_size=8)), max_size=6
        ),
        max_size=6,
    )
)
def test_any_sequence_of_batches_reads_back_as_a_dictionary_would(
    batches: list[list[tuple[str, bytes, bytes | None]]],
    kind: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async def run() -> None:
        folder = tmp_path_factory.mktemp("store")
        store = await open_store(kind, folder, redis_url)
        model: dict[str, dict[bytes, bytes]] = {"T": {}, "U": {}}
        for revision, batch in enumerate(batches, start=1):
            await store.commit([Write(*write) for write in batch], revision)
            for table, key, value in batch:
                if value is None:
                    model[table].pop(key, None)
                else:
                    model[table][key] = value
        await store.aclose()
        store = await open_store(kind, folder, redis_url)
        assert {table: await everything(store, table) for table in model} == model
        assert await store.last_revision() == len(batches)
        await store.aclose()

    trio.run(run)


async def test_a_ledger_on_a_store_comes_back_with_its_rows_and_revision(reopen: Reopen, nursery: trio.Nursery) -> None:
    ledger = Ledger(await reopen())
    table = ledger.table("T", BYTES)
    await ledger.load()
    await nursery.start(ledger.serve)
    for number in range(100):
        with ledger.change() as change:
            change.put(table, b"%d" % number, b"v")
            change.delete(table, b"%d" % (number - 50))
    await ledger.drained()
    nursery.cancel_scope.cancel()
    again = Ledger(await reopen())
    rows = again.table("T", BYTES)
    await again.load()
    assert again.revision == 100
    assert sorted(rows.items()) == sorted(table.items())


async def test_a_second_daemon_on_the_same_file_is_refused(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "rows.sqlite")
    with pytest.raises(StartError, match="in use by another daemon"):
        await SqliteStore.open(tmp_path / "rows.sqlite")
    await store.aclose()
    await (await SqliteStore.open(tmp_path / "rows.sqlite")).aclose()


async def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "rows.sqlite")
    await store.aclose()
    connection = sqlite3.connect(tmp_path / "rows.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StartError, match="newer trio-gcs"):
        await SqliteStore.open(tmp_path / "rows.sqlite")


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to be looked at" * 30, b"SQLite format 3\0" + b"\xff" * 2000]
)
async def test_a_file_that_is_no_store_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rows.sqlite").write_bytes(content)
    with pytest.raises(StartError) as caught:
        await SqliteStore.open(tmp_path / "rows.sqlite")
    assert "\n" not in str(caught.value)
    assert (tmp_path / "rows.sqlite").read_bytes() == content


async def test_a_row_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "rows.sqlite")
    await store.commit([Write("N", b"\x01\x02", b"\xff\xff")], 1)

    ledger = Ledger(store)
    ledger.table("N", message_codec(GcsNodeInfo))
    with pytest.raises(StoreError, match="row 0102 of table N"):
        await ledger.load()
    await store.aclose()


async def test_the_memory_store_keeps_nothing() -> None:
    store = MemoryStore()
    await store.commit([Write("T", b"a", b"1")], 1)
    assert await everything(store, "T") == {}
    assert await store.last_revision() == 0
