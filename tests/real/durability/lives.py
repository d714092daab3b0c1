"""A cluster's store over many lives of its daemon, each ended by ``kill -9``, and what must be true after each."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random

import trio

from tests.real.durability import clients, syscalls
from tests.real.durability.failpoints import KILLS, KILLS_ANYWHERE, Failpoint
from tests.real.durability.history import History, Wrong
from trio_gcs.config import GcsConfig
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.ray_config import RayConfig
from trio_gcs.rpc.channel import open_channel
from trio_gcs.store.base import Store
from trio_gcs.store.opening import open_stores

ROOT = Path(__file__).resolve().parents[3]
CLIENTS = 8
LIFE_S = 0.12  # of those that are killed at a random moment; it begins when the daemon listens
# The nodes that clients register have no raylets, and must not be found dead on a slow machine.
NOBODY_IS_WATCHED = {"health_check_initial_delay_ms": 3_600_000}
LIFE_S_MAX = 30.0  # a failpoint that is not reached by then is not reached at all


@dataclass
class Life:
    """One life of the daemon, from birth on."""

    pid: int
    port: int = 0
    exit_code: int | None = None  # negative: the signal that ended it

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


class Mother:
    """The process whose forks are the lives."""

    def __init__(self, process: trio.Process, folder: Path) -> None:
        self._process = process
        self._said = b""
        self._folder = folder
        self.stderr = folder / "stderr"

    async def start(self, store: str, point: Failpoint | None = None, **more: object) -> Life:
        """Begin a life and come back when it listens, or is over."""
        wish = {
            "store": store,
            "port": 0,
            "stderr": str(self.stderr),
            "failpoint": asdict(point or Failpoint()),
            **more,
        }
        await self._process.stdin.send_all(json.dumps(wish).encode() + b"\n")
        life = Life(pid=(await self._hear())["pid"])
        self._note(life, await self._hear())
        return life

    async def end(self, life: Life) -> int:
        """Wait until a life is over; returns its exit code, negative for a signal."""
        while life.exit_code is None:
            self._note(life, await self._hear())
        return life.exit_code

    def told(self) -> str:
        """What the last lives said on standard error."""
        return self.stderr.read_text() if self.stderr.exists() else ""

    def _note(self, life: Life, word: Mapping[str, int]) -> None:
        life.port = word.get("port", life.port)
        if "ended" in word:
            life.exit_code = os.waitstatus_to_exitcode(word["ended"])

    async def _hear(self) -> dict[str, int]:
        while b"\n" not in self._said:
            received = await self._process.stdout.receive_some()
            assert received, "the mother process is gone"
            self._said += received
        line, _, self._said = self._said.partition(b"\n")
        word: dict[str, int] = json.loads(line)
        return word


@asynccontextmanager
async def mother(folder: Path) -> AsyncIterator[Mother]:
    """A mother process for the length of a block; no life outlives it."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TRIO_GCS_"))}
    command = [sys.executable, "-m", "tests.real.durability.daemon"]
    async with trio.open_nursery() as nursery:
        run = partial(trio.run_process, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=environ)
        process = await nursery.start(partial(run, check=False, deliver_cancel=_kill))
        yield Mother(process, folder)
        nursery.cancel_scope.cancel()


async def _kill(process: trio.Process) -> None:
    process.kill()


class Cluster:
    """One store and its history."""

    def __init__(self, mother: Mother, url: str, rng: Random, namespace: str = "default") -> None:
        self.history = History()
        self.lives_count = 0
        self._ray_config = json.dumps({**NOBODY_IS_WATCHED, "external_storage_namespace": namespace})
        self._mother = mother
        self._url = url
        self._rng = rng

    async def live_and_die(self, point: Failpoint | None = None) -> None:
        """Check what the last life left, write until this one is killed, and look into the store now and then."""
        if point is None and self._rng.random() < 0.5:
            point = self._random_point()
        life = await self._mother.start(self._url, point, ray_config=self._ray_config)
        self.lives_count += 1
        if life.exit_code is None:
            await self._live(life, point)
        code = await self._mother.end(life)
        if code not in {-signal.SIGKILL, -signal.SIGSYS}:
            raise Wrong(f"the daemon ended with {code} by itself: {self._mother.told()}")
        if self._rng.random() < 0.3:
            await self.look()

    async def _live(self, life: Life, point: Failpoint | None) -> None:
        async with open_channel(*life.address) as channel:
            try:
                await self._check(channel)
            except clients.LOST:
                return  # a failpoint was reached early: what the last life left is checked in the next
            at_random = point is None or point.name in {"", "load", "early"}
            lasts_s = self._rng.uniform(0, LIFE_S) if at_random else LIFE_S_MAX
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._kill_after, lasts_s, life)
                async with trio.open_nursery() as writing:
                    for number in range(CLIENTS):
                        name = f"{number}.{self.lives_count}"
                        client = clients.Client(name, channel, self.history, Random(self._rng.random()))
                        writing.start_soon(client.write)
                nursery.cancel_scope.cancel()

    async def _kill_after(self, lasts_s: float, life: Life) -> None:
        await trio.sleep(lasts_s)
        life.kill()

    async def _check(self, channel: object) -> None:
        before = self.history.number_max
        self.history.identified(await clients.cluster_id(channel))
        there = await clients.everything(channel)
        number = await clients.next_number(channel)
        if number <= before:
            raise Wrong(f"job number {number} comes after {before}")
        self.history.numbered(number)
        self.history.found(there)

    async def look(self) -> None:
        """Read the store itself, while no daemon is on it: nothing is half there, and it has not gone back."""
        config = RayConfig.read(self._ray_config, {})
        async with open_stores(self._url, GcsConfig.from_ray(config)) as stores:
            self.history.at_revision("tables", await stores.tables.last_revision())
            self.history.at_revision("pairs", await stores.pairs.last_revision())
            actors = await _rows(stores.tables, "ACTOR")
            specs = await _rows(stores.tables, "ACTOR_TASK_SPEC")
        alive = {key for key, row in actors.items() if ActorTableData.FromString(row).state != ActorTableData.DEAD}
        if alive != specs.keys():
            raise Wrong(f"{len(alive ^ specs.keys())} actors are half there")

    def _random_point(self) -> Failpoint:
        inside = self._url.startswith("sqlite") and syscalls.reason_against() is None
        name = self._rng.choice(KILLS if inside else KILLS_ANYWHERE)
        commit = math.ceil(self._rng.random() ** 2 * 30)
        return Failpoint(name, commit, in_kv=self._rng.random() < 0.5)


async def _rows(store: Store, table: str) -> dict[bytes, bytes]:
    rows: dict[bytes, bytes] = {}
    async with aclosing(store.load(table)) as pages:
        async for page in pages:
            rows.update(page)
    return rows
