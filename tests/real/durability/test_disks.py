"""Disks that are full, broken, read-only or torn: the daemon ends with one clear line, or recovers; it never answers wrongly."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from random import Random

import pytest
import trio

from tests.real.durability import clients, syscalls
from tests.real.durability.failpoints import Failpoint
from tests.real.durability.history import History
from tests.real.durability.lives import Life, mother
from trio_gcs.errors import StartError, StoreError
from trio_gcs.rpc.channel import open_channel
from trio_gcs.store.base import Write
from trio_gcs.store.sqlite import SqliteStore

needs_seccomp = pytest.mark.skipif(syscalls.reason_against() is not None, reason=str(syscalls.reason_against()))


async def write_until_it_ends(life: Life, history: History) -> None:
    async with open_channel(*life.address) as channel, trio.open_nursery() as nursery:
        for number in range(4):
            nursery.start_soon(clients.Client(f"{number}", channel, history, Random(number)).write)


async def check_what_is_left(life: Life, history: History) -> None:
    async with open_channel(*life.address) as channel:
        history.found(await clients.everything(channel))
        assert await clients.next_number(channel) > history.number_max


@needs_seccomp
@pytest.mark.parametrize("in_kv", [False, True], ids=["tables", "pairs"])
@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ("full", "database or disk is full"),
        ("quota", "disk I/O error"),
        ("broken", "disk I/O error"),
        ("broken-sync", "disk I/O error"),
        ("read-only", "disk I/O error"),
    ],
)
async def test_a_failing_disk_ends_the_daemon_and_loses_nothing(
    fault: str, complaint: str, in_kv: bool, tmp_path: Path
) -> None:
    store, history = f"sqlite:///{tmp_path}/gcs.sqlite", History()
    async with mother(tmp_path) as mothers:
        life = await mothers.start(store, Failpoint(fault, 15, in_kv=in_kv))
        began = trio.current_time()
        await write_until_it_ends(life, history)
        assert await mothers.end(life) == 1
        assert trio.current_time() - began < 5
        told = mothers.told()
        assert f"gcs.sqlite{'-kv' * in_kv} failed: {complaint}" in told.splitlines()[-1]
        assert "Traceback" not in told
        assert history.acknowledged_count > 5
        await check_what_is_left(await mothers.start(store), history)


async def test_a_file_that_may_not_grow_ends_the_daemon_and_loses_nothing(tmp_path: Path) -> None:
    store, history = f"sqlite:///{tmp_path}/gcs.sqlite", History()
    async with mother(tmp_path) as mothers:
        life = await mothers.start(store, file_bytes_max=300_000)
        await write_until_it_ends(life, history)
        assert await mothers.end(life) == 1
        assert "failed: disk I/O error" in mothers.told().splitlines()[-1]
        await check_what_is_left(await mothers.start(store), history)


async def a_killed_log(folder: Path) -> dict[int, dict[bytes, bytes]]:
    """A store whose log was not folded in, and what its table was at each revision."""
    path = folder / "rows.sqlite"
    store = await SqliteStore.open(path)
    rng, rows, at = Random(4), {}, {0: {}}
    for revision in range(1, 30):
        batch = [Write("T", b"%d" % rng.randrange(12), rng.choice([None, rng.randbytes(900)])) for _ in range(4)]
        await store.commit(batch, revision)
        for _, key, value in batch:
            if value is None:
                rows.pop(key, None)
            else:
                rows[key] = value
        at[revision] = dict(rows)
    for name in ("rows.sqlite", "rows.sqlite-wal"):
        shutil.copy(folder / name, folder / f"killed-{name}")
    await store.aclose()
    return at


async def read(path: Path) -> tuple[int, dict[bytes, bytes]]:
    store = await SqliteStore.open(path)
    try:
        rows = {key: value async for page in store.load("T") for key, value in page}
        return await store.last_revision(), rows
    finally:
        await store.aclose()


async def test_a_torn_log_is_recovered_to_a_revision_that_there_was(tmp_path: Path) -> None:
    at = await a_killed_log(tmp_path)
    whole = (tmp_path / "killed-rows.sqlite-wal").read_bytes()
    rng, seen = Random(5), set()
    for _ in range(60):
        cut = rng.randrange(len(whole))
        noise = rng.randbytes(rng.choice([0, 7, 5000]))
        shutil.copy(tmp_path / "killed-rows.sqlite", tmp_path / "torn.sqlite")
        (tmp_path / "torn.sqlite-wal").write_bytes(whole[:cut] + noise)
        try:
            revision, rows = await read(tmp_path / "torn.sqlite")
        except StartError:  # torn before even the schema was there: nothing was acknowledged
            continue
        assert rows == at[revision]
        seen.add(revision)
    assert len(seen) > 10


async def test_rubbish_behind_the_last_commit_takes_nothing_away(tmp_path: Path) -> None:
    at = await a_killed_log(tmp_path)
    shutil.copy(tmp_path / "killed-rows.sqlite", tmp_path / "torn.sqlite")
    whole = (tmp_path / "killed-rows.sqlite-wal").read_bytes()
    (tmp_path / "torn.sqlite-wal").write_bytes(whole + whole[32:1000] + b"\xff" * 10_000)
    assert await read(tmp_path / "torn.sqlite") == (29, at[29])


async def test_a_page_that_was_overwritten_is_found_at_start(tmp_path: Path) -> None:
    path = tmp_path / "rows.sqlite"
    store = await SqliteStore.open(path)
    await store.commit([Write("T", b"%d" % number, b"x" * 300) for number in range(1000)], 1)
    await store.aclose()
    octets = bytearray(path.read_bytes())
    middle = len(octets) // 2 // 4096 * 4096
    octets[middle : middle + 4096] = Random(1).randbytes(4096)
    path.write_bytes(octets)
    with pytest.raises((StartError, StoreError), match=r"rows\.sqlite") as caught:
        await SqliteStore.open(path)
    assert "\n" not in str(caught.value)
    assert "damaged" in str(caught.value)


async def test_a_store_without_its_revision_is_refused(tmp_path: Path) -> None:
    await (await SqliteStore.open(tmp_path / "rows.sqlite")).aclose()
    connection = sqlite3.connect(tmp_path / "rows.sqlite", isolation_level=None)
    connection.execute("DELETE FROM ledger")
    connection.close()
    with pytest.raises(StartError, match="has no revision"):
        await SqliteStore.open(tmp_path / "rows.sqlite")


async def test_a_daemon_on_a_damaged_store_says_so_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "gcs.sqlite").write_bytes(b"rubbish" * 1000)
    async with mother(tmp_path) as mothers:
        life = await mothers.start(f"sqlite:///{tmp_path}/gcs.sqlite")
        assert life.exit_code == 1
        assert mothers.told().count("\n") == 1
        assert "cannot open the store" in mothers.told()
