"""``trio-gcs store``: what is there arrives whole, beside a daemon that writes too; and what must not be touched is not."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import pytest
import trio
from click.testing import CliRunner, Result

from tests.fakes.redis_server import RedisServer
from tests.real.durability import clients
from tests.real.durability.history import History
from tests.real.durability.lives import mother
from trio_gcs.cli import main
from trio_gcs.config import GcsConfig
from trio_gcs.errors import StoreError
from trio_gcs.rpc.channel import open_channel
from trio_gcs.store.base import UNFINISHED, Write
from trio_gcs.store.copying import LANES, Row, Snapshot, fill
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.opening import open_stores
from trio_gcs.store.snapshots import snapshot_of

Rows = dict[tuple[str, str, bytes], bytes]

ROWS: Rows = {
    ("tables", "ACTOR", b"a\0\xff"): b"actor",
    ("tables", "NODE", b"n"): b"",
    ("tables", "JobCounter", b""): b"17",
    ("tables", "events", b"1"): b"of our own",
    ("pairs", "KV", b"gcs_pid"): b"4711",
    ("pairs", "KV", b"@namespace_fun:package"): bytes(200_000),
    ("pairs", "events", b"1"): b"of our own, too",
    **{("tables", "ACTOR_TASK_SPEC", b"%d" % number): b"spec %d" % number for number in range(2500)},
}
REVISIONS = {"tables": 41, "pairs": 7}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    RedisServer.skip_if_absent()
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def url_of(redis: RedisServer, tmp_path: Path) -> Callable[[str], str]:
    """A store of a kind that is empty; Redis by its database, SQLite by its file."""
    with redis.client() as client:
        client.flushall()
    return lambda name: (
        f"{redis.url}/{name[-1]}" if name.startswith("redis") else f"sqlite:///{tmp_path}/{name}/gcs.sqlite"
    )


def store(*arguments: object, **options: object) -> Result:
    return CliRunner().invoke(main, ["store", *map(str, arguments)], **options)


def well(result: Result) -> str:
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def refused(result: Result, words: str) -> None:
    assert result.exit_code == 1, result.output
    assert result.stderr.startswith("trio-gcs: ")
    assert result.stderr.count("\n") == 1
    assert words in result.stderr


def write(url: str, rows: Rows = ROWS, namespace: str = "default") -> None:
    async def run() -> None:
        async with open_stores(url, GcsConfig(redis_namespace=namespace)) as stores:
            for lane, opened in zip(LANES, stores[:2], strict=True):
                writes = [Write(table, key, value) for (of, table, key), value in rows.items() if of == lane]
                await opened.commit(writes, REVISIONS[lane])

    trio.run(run)


def read(url: str, namespace: str = "default") -> tuple[dict[str, int], Rows]:
    with snapshot_of(url, GcsConfig(redis_namespace=namespace)) as snapshot:
        rows = {(row.lane, row.table, row.key): row.value for page in snapshot.pages for row in page}
        return dict(snapshot.revisions), rows


PAIRS = [("sqlite1", "sqlite2"), ("sqlite1", "redis1"), ("redis1", "sqlite1"), ("redis1", "redis2")]


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_copy_is_equal_and_says_so(source: str, target: str, url_of: Callable[[str], str]) -> None:
    write(url_of(source))
    assert f"{len(ROWS)} rows" in well(store("copy", url_of(source), url_of(target)))
    assert read(url_of(target)) == read(url_of(source)) == (REVISIONS, ROWS)


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_a_backup_is_restored_into_any_store(
    source: str, target: str, url_of: Callable[[str], str], tmp_path: Path
) -> None:
    write(url_of(source))
    told = well(store("backup", url_of(source), tmp_path / "backup"))
    again = well(store("restore", tmp_path / "backup", url_of(target)))
    assert told.split()[-1] == again.split()[-1]  # the checksum
    assert read(url_of(target)) == (REVISIONS, ROWS)
    assert not list(tmp_path.glob("backup.*"))


@pytest.mark.parametrize("target", ["sqlite1", "redis1"])
def test_a_store_that_is_not_empty_is_not_overwritten_without_a_word(
    target: str, url_of: Callable[[str], str], tmp_path: Path
) -> None:
    write(url_of("sqlite2"))
    well(store("backup", url_of("sqlite2"), tmp_path / "backup"))
    write(url_of(target), there := {("tables", "NODE", b"other"): b"x", ("pairs", "events", b"9"): b"y"})
    for arguments in (("restore", tmp_path / "backup"), ("copy", url_of("sqlite2"))):
        refused(store(*arguments, url_of(target)), "is not empty")
        assert read(url_of(target))[1] == there
    well(store("restore", "--replace", tmp_path / "backup", url_of(target)))
    assert read(url_of(target)) == (REVISIONS, ROWS)


@pytest.mark.parametrize("kind", ["sqlite1", "redis1"])
def test_a_daemon_that_lives_is_left_alone(kind: str, url_of: Callable[[str], str], tmp_path: Path) -> None:
    write(url_of("sqlite2"))
    well(store("backup", url_of("sqlite2"), tmp_path / "backup"))

    async def run() -> None:
        async with mother(tmp_path) as mothers:
            life = await mothers.start(url_of(kind), knobs={"redis_lease_s": 1})
            for command in (
                ("restore", "--replace", tmp_path / "backup", url_of(kind)),
                ("copy", "--replace", url_of("sqlite2"), url_of(kind)),
                ("clean", "--yes", url_of(kind)),
            ):
                # A thread of its own: trio.run within trio.run.
                refused(await trio.to_thread.run_sync(partial(store, *command)), "is in use by another daemon")
            async with open_channel(*life.address) as channel:
                assert await clients.next_number(channel) == 1
            life.kill()
            await mothers.end(life)

    trio.run(run)


@pytest.mark.parametrize("kind", ["sqlite1", "redis1"])
def test_a_backup_beside_a_daemon_that_writes_is_of_one_moment(
    kind: str, url_of: Callable[[str], str], tmp_path: Path
) -> None:
    history, backups = History(), [tmp_path / f"backup{number}" for number in range(3)]

    async def run() -> None:
        async with mother(tmp_path) as mothers:
            life = await mothers.start(url_of(kind))
            async with open_channel(*life.address) as channel, trio.open_nursery() as nursery:
                for number in range(4):
                    nursery.start_soon(clients.Client(f"{number}", channel, history, Random(number)).write)
                for backup in backups:
                    await history.at_least(history.acknowledged_count + 50)
                    before = {subject for subject in history.there if subject[0] != "pair"}  # which are never deleted
                    done = await trio.to_thread.run_sync(partial(store, "backup", url_of(kind), backup))
                    assert done.exit_code == 0, done.output
                nursery.cancel_scope.cancel()
            life.kill()
            await mothers.end(life)
            # A daemon goes on with the last one, and has all that was acknowledged before it was begun.
            well(await trio.to_thread.run_sync(partial(store, "restore", backups[-1], url_of("sqlite3"))))
            life = await mothers.start(url_of("sqlite3"))
            async with open_channel(*life.address) as channel:
                assert before <= (await clients.everything(channel)).keys()
            life.kill()
            await mothers.end(life)

    trio.run(run)
    for backup in backups:
        rows = sqlite3.connect(backup).execute('SELECT "table", key FROM rows').fetchall()
        actors, specs = ({key for table, key in rows if table == name} for name in ("ACTOR", "ACTOR_TASK_SPEC"))
        assert specs <= actors


@pytest.mark.parametrize("kind", ["sqlite1", "redis1"])
async def test_no_daemon_starts_on_a_store_whose_restore_was_cut_off(kind: str, url_of: Callable[[str], str]) -> None:
    def pages() -> Iterator[list[Row]]:
        yield [Row("tables", "NODE", b"n", b"1")]
        raise StoreError("the disk is gone")

    async with open_stores(url_of(kind), GcsConfig()) as stores:
        with pytest.raises(StoreError, match="disk is gone"):
            await fill(dict(zip(LANES, stores[:2], strict=True)), Snapshot("s", REVISIONS, pages()), lambda _: None)
        assert await stores.pairs.last_revision() == UNFINISHED
        with pytest.raises(StoreError, match="restore it again"):
            await Ledger(stores.tables).load()


def test_clean_asks_and_deletes_the_keys_of_one_namespace(redis: RedisServer, url_of: Callable[[str], str]) -> None:
    others = {("pairs", "KV", b"theirs"): b"1"}
    write(url_of("redis0"), namespace="one[1]")
    for other in ("one", "one1", "one[1]more"):
        write(url_of("redis0"), others, namespace=other)
    with redis.client() as client:
        client.hset("RAYone[1]@A_TABLE_OF_ANOTHER_VERSION", "key", "value")
        before = client.dbsize()
        asked = store("clean", url_of("redis0"), "--namespace", "one[1]", input="n\n")
        assert asked.exit_code == 1
        assert client.dbsize() == before
        well(store("clean", url_of("redis0"), "--namespace", "one[1]", input="y\n"))
        assert not [key for key in client.scan_iter() if key.startswith(b"RAYone[1]@")]
    for other in ("one", "one1", "one[1]more"):
        assert read(url_of("redis0"), other)[1] == others
    assert "0 keys" in well(store("clean", url_of("redis0"), "--namespace", "one[1]"))


def test_clean_removes_the_files_of_sqlite(url_of: Callable[[str], str], tmp_path: Path) -> None:
    write(url_of("sqlite1"))
    well(store("clean", "--yes", url_of("sqlite1")))
    assert list((tmp_path / "sqlite1").iterdir()) == []


def test_after_stock_rays_server_only_its_tables_are_copied(redis: RedisServer, url_of: Callable[[str], str]) -> None:
    write(url_of("redis0"))
    with redis.client() as client:
        client.hset("RAYdefault@KV", "gcs_pid", "4712")
    well(store("copy", url_of("redis0"), url_of("sqlite1")))
    rows = read(url_of("sqlite1"))[1]
    assert rows == {at: row for at, row in ROWS.items() if at[1] != "events"} | {("pairs", "KV", b"gcs_pid"): b"4712"}


def test_namespaces_are_copied_beside_each_other(url_of: Callable[[str], str]) -> None:
    write(url_of("redis0"))
    refused_copy = store("copy", url_of("redis0"), url_of("redis0"))
    assert refused_copy.exit_code == 2
    well(store("copy", url_of("redis0"), url_of("redis0"), "--to-namespace", "two"))
    assert read(url_of("redis0"), "two") == read(url_of("redis0")) == (REVISIONS, ROWS)


def test_what_is_no_backup_or_not_whole_is_refused(url_of: Callable[[str], str], tmp_path: Path) -> None:
    backup, target = tmp_path / "backup", url_of("sqlite2")
    write(url_of("sqlite1"))
    well(store("backup", url_of("sqlite1"), backup))
    refused(store("restore", tmp_path / "nowhere", target), "there is no backup")
    (tmp_path / "text").write_text("text" * 1000)
    refused(store("restore", tmp_path / "text", target), "not a database")
    refused(store("restore", tmp_path / "sqlite1" / "gcs.sqlite", target), "is no backup of trio-gcs")
    for change, words in (
        ("DELETE FROM rows WHERE key = 'x' OR rowid = 5", "its rows are not those"),
        ("UPDATE rows SET value = x'00' WHERE rowid = 5", "its rows are not those"),
        ("PRAGMA user_version = 2", "written by a newer trio-gcs (schema 2"),
    ):
        shutil.copy(backup, tmp_path / "changed")
        with sqlite3.connect(tmp_path / "changed") as connection:
            connection.execute(change)
        refused(store("restore", tmp_path / "changed", target), words)
    assert not Path(target.removeprefix("sqlite:///")).exists()


def test_a_source_that_is_not_there_is_told_and_not_made(url_of: Callable[[str], str], tmp_path: Path) -> None:
    refused(store("backup", url_of("sqlite1"), tmp_path / "backup"), "there is no store")
    refused(store("backup", "redis://127.0.0.1:1", tmp_path / "backup"), "is away")
    for url in ("memory:", "mysql://x"):
        assert store("backup", url, tmp_path / "backup").exit_code == 2
    assert list(tmp_path.iterdir()) == []
