"""Killed at any moment and started again on its store, the daemon goes on for its subscribers where it was.

``make test-kills`` does it a thousand times on each store.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from random import Random
from typing import Any

import click
import pytest

from tests.real.events.daemon import command, running
from tests.real.events.kills import Follower, RedisLog, SqliteLog, Truth, Writer
from tests.real.process.processes import environment

KILLS = int(os.environ.get("TRIO_GCS_TEST_KILLS", "6"))
KILLS_BETWEEN_LOOKS = 20
# Nodes here have no raylets, and must not be found dead while they are looked at; what is over is forgotten soon, so that
# rows are deleted, too, and the last of a thousand lives starts as fast as the first.
CONFIG = {
    "health_check_initial_delay_ms": 3_600_000,
    "maximum_gcs_dead_node_cached_count": 30,
    "maximum_gcs_destroyed_actor_cached_count": 30,
}


class Lives:
    """The lives of a daemon on one store, and those who go on from one to the next."""

    def __init__(self, home: Path, store: str, namespace: str, truth: Truth) -> None:
        self.followers = [
            Follower("steady", Random(1)),
            Follower("restless", Random(2), restless=True),
            Follower(
                "choosy",
                Random(3),
                restless=True,
                query="kinds=job,actor&states=FINISHED,DEAD",
                wants=lambda line: (
                    line.kind in {"job", "actor"} and not {line.was, line.state}.isdisjoint({"FINISHED", "DEAD"})
                ),
            ),
        ]
        self.truth = truth
        self._home = home
        self._store = store
        self._arguments = [f"--ray-config={json.dumps({**CONFIG, 'external_storage_namespace': namespace})}"]
        self._rng = Random(KILLS)
        self._there: dict[str, list[Any]] = {"node": [], "job": [], "actor": []}

    def die_at_birth(self) -> None:
        """Kill one at any moment of its start."""
        started = command(self._store, *self._arguments)
        with subprocess.Popen(
            started, env=environment(self._home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            threading.Event().wait(self._rng.uniform(0, 1))
            process.kill()

    def live_and_die(self) -> None:
        """Write and follow, kill it, and compare."""
        with running(self._home, *self._arguments, store=self._store) as daemon:
            readers = [threading.Thread(target=each.follow, args=(daemon.url,)) for each in self.followers]
            writers = [Writer(daemon, Random(self._rng.random()), self._there) for _ in range(3)]
            for thread in (*readers, *writers):
                thread.start()
            for writer in writers:
                assert writer.ready.wait(20)
            threading.Event().wait(self._rng.uniform(0, 0.3))
            daemon.kill()
            for follower in self.followers:
                follower.stop()
            for thread in (*readers, *writers):
                thread.join(30)
                assert not thread.is_alive(), thread
        self.truth.look()
        for follower in self.followers:
            follower.check(self.truth)

    def look(self) -> None:
        """Who catches up knows what a new subscriber is told, and has heard of everything."""
        with running(self._home, *self._arguments, store=self._store) as daemon:
            for follower in self.followers:
                follower.catch_up(daemon.url)
            fresh = Follower("fresh", Random(4))
            fresh.catch_up(daemon.url)
            daemon.kill()
        self.truth.look()
        for follower in self.followers:
            follower.check_that_nothing_is_missing(self.truth)
        for follower in self.followers[:2]:
            assert _without_its_own(follower.known) == _without_its_own(fresh.known), follower.name


def _without_its_own(known: dict[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
    """What there is, but for keys that the daemon writes by itself when it starts."""
    return {at: row for at, row in known.items() if at[0] != "kv" or row["namespace"] == "t"}


@pytest.mark.timeout(120 + 10 * KILLS)
@pytest.mark.parametrize("store", ["sqlite", "redis"])
def test_a_follower_of_a_daemon_that_is_killed_misses_nothing_and_hears_nothing_twice(
    store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if store == "redis":
        server = request.getfixturevalue("redis_server")
        lives = Lives(tmp_path, server.url, tmp_path.name, Truth(RedisLog(server, tmp_path.name)))
    else:
        path = tmp_path / "gcs.sqlite"
        lives = Lives(tmp_path, f"sqlite:///{path}", tmp_path.name, Truth(SqliteLog(path)))
    for number in range(1, KILLS + 1):
        if number % 10 == 3:
            lives.die_at_birth()
        lives.live_and_die()
        if number % KILLS_BETWEEN_LOOKS == 0:
            lives.look()
            click.echo(f"{number} kills, {sum(map(len, lives.truth.lines.values()))} events")
    lives.look()
    steady, restless, choosy = lives.followers
    for lane in lives.truth.lines.values():
        assert len(lane) > KILLS
    assert min(steady.heard, restless.heard, choosy.heard) > KILLS
    assert any(line.at[1] > 1 for line in lives.truth.lines["tables"]), "no change of several things"
