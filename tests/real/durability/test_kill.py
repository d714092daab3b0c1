"""No acknowledged write is lost, and none is half there, whenever the daemon is killed."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
import trio

from tests.fakes.redis_server import RedisServer
from tests.real.durability import clients, syscalls
from tests.real.durability.failpoints import KILLS, Failpoint
from tests.real.durability.history import History, Wrong
from tests.real.durability.lives import Cluster, mother
from trio_gcs.rpc.channel import open_channel

LIVES = 12


@pytest.mark.parametrize("store", ["sqlite", "redis"])
async def test_kills_at_random_moments_lose_nothing(store: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    server = request.getfixturevalue("redis_server") if store == "redis" else None
    url = server.url if server is not None else f"sqlite:///{tmp_path}/gcs.sqlite"
    async with mother(tmp_path) as mothers:
        cluster = Cluster(mothers, url, Random(1), namespace=tmp_path.name)
        for _ in range(LIVES):
            await cluster.live_and_die()
        await cluster.look()
    assert cluster.history.acknowledged_count > LIVES


@pytest.mark.parametrize("in_kv", [False, True], ids=["tables", "pairs"])
@pytest.mark.parametrize("name", KILLS)
async def test_a_kill_at_a_named_point_of_a_commit_loses_nothing(name: str, in_kv: bool, tmp_path: Path) -> None:
    if reason := syscalls.reason_against():
        pytest.skip(reason)
    async with mother(tmp_path) as mothers:
        cluster = Cluster(mothers, f"sqlite:///{tmp_path}/gcs.sqlite", Random(name))
        for commit in (1, 3, 20):
            await cluster.live_and_die(Failpoint(name, commit, in_kv=in_kv))
        await cluster.live_and_die(Failpoint())
        await cluster.look()


@pytest.mark.parametrize("name", ["early", "half"])
async def test_the_checker_notices_a_store_that_breaks_its_word(name: str, tmp_path: Path) -> None:
    with pytest.RaisesGroup(Wrong, flatten_subgroups=True, allow_unwrapped=True):
        async with mother(tmp_path) as mothers:
            cluster = Cluster(mothers, f"sqlite:///{tmp_path}/gcs.sqlite", Random(2))
            for _ in range(20):
                await cluster.live_and_die(Failpoint(name, 5))
                await cluster.look()
                await cluster.live_and_die(Failpoint())


async def test_a_redis_that_is_killed_again_and_again_loses_nothing_and_does_not_end_the_daemon(tmp_path: Path) -> None:
    RedisServer.skip_if_absent()
    server, history = RedisServer(tmp_path / "redis", "--appendonly", "yes", "--appendfsync", "always"), History()
    server.start()
    try:
        async with mother(tmp_path) as mothers:
            life = await mothers.start(server.url)
            async with open_channel(*life.address) as channel, trio.open_nursery() as nursery:
                for number in range(4):
                    nursery.start_soon(clients.Client(f"{number}", channel, history, Random(number)).write)
                for _ in range(4):
                    before = history.acknowledged_count
                    await trio.sleep(0.1)
                    server.kill()
                    await trio.sleep(0.1)
                    await trio.to_thread.run_sync(server.start)
                    with trio.fail_after(20):
                        await history.at_least(before + 20)
                nursery.cancel_scope.cancel()
            life.kill()
            await mothers.end(life)
            life = await mothers.start(server.url)
            async with open_channel(*life.address) as channel:
                history.found(await clients.everything(channel))
    finally:
        server.kill()


async def test_after_a_restart_the_publisher_is_another_one_and_its_sequence_begins_anew(tmp_path: Path) -> None:
    publishers = set()
    async with mother(tmp_path) as mothers:
        for _ in range(2):
            life = await mothers.start(f"sqlite:///{tmp_path}/gcs.sqlite")
            async with open_channel(*life.address) as channel:
                first = await clients.first_message(channel)
                assert first.pub_messages[0].sequence_id == 1
                publishers.add(first.publisher_id)
            life.kill()
            await mothers.end(life)
    assert len(publishers) == 2
