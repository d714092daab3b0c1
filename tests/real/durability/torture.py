"""``make torture``: kill the daemon thousands of times, and check after each time that nothing acknowledged is lost.

Each store lives through some dozens of kills, then a new one begins. A failure prints the seed that leads to the same choice
of failpoints; what the clients had under way when the kill came is not for a seed to repeat.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from random import Random, SystemRandom

import click
import trio

from tests.fakes.redis_server import RedisServer
from tests.real.durability.lives import Cluster, mother

LIVES_PER_STORE = 50


async def torture(kills: int, seed: int, folder: Path, redis_url: str | None) -> None:
    began = time.monotonic()
    acknowledged = unanswered = 0
    async with mother(folder) as mothers:
        for first in range(0, kills, LIVES_PER_STORE):
            home = folder / str(first)
            url = redis_url or f"sqlite:///{home}/gcs.sqlite"
            cluster = Cluster(mothers, url, Random(seed + first), namespace=f"torture-{first}")
            for _ in range(min(LIVES_PER_STORE, kills - first)):
                await cluster.live_and_die()
                unanswered += cluster.history.unanswered_count
            await cluster.look()
            acknowledged += cluster.history.acknowledged_count
            shutil.rmtree(home, ignore_errors=True)
            took_s = time.monotonic() - began
            done = min(first + LIVES_PER_STORE, kills)
            click.echo(f"{done} kills, {acknowledged} acknowledged, {unanswered} cut off, {took_s:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=SystemRandom().getrandbits(30))
    parser.add_argument("--store", choices=["sqlite", "redis"], default="sqlite")
    chosen = parser.parse_args()
    click.echo(f"seed {chosen.seed}")
    with tempfile.TemporaryDirectory(prefix="trio-gcs-torture-") as folder:
        if chosen.store == "sqlite":
            trio.run(torture, chosen.kills, chosen.seed, Path(folder), None)
            return
        server = RedisServer(Path(folder, "redis"), "--appendonly", "yes")
        server.start()
        try:
            trio.run(torture, chosen.kills, chosen.seed, Path(folder), server.url)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
