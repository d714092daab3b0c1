"""Every method of every service, as the daemon's own table has them, under octets that nobody should send.

Each call is answered in time, by a reply or an error, or ends when its caller gives up. Nothing of the daemon fails
meanwhile, and its neighbour is served.
"""

import os
from dataclasses import replace
from random import Random

import pytest
import trio
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from tests.hostile.liars import lying
from tests.hostile.nasty import Nasty, broken
from tests.hostile.seeds import KNOWN, PREFIX, cluster, honest, seeds
from tests.hostile.victim import IMPATIENT, victim
from trio_gcs.assembly import Daemon
from trio_gcs.config import DaemonSettings, GcsConfig
from trio_gcs.ids import ClusterID
from trio_gcs.ray_config import RayConfig
from trio_gcs.rpc.dispatch import Dispatch
from trio_gcs.store.memory import MemoryStore

COUNT = int(os.environ.get("HOSTILE_COUNT", "10"))
SEEDS = range(
    int(os.environ.get("HOSTILE_SEED", "1")),
    int(os.environ.get("HOSTILE_SEED", "1")) + int(os.environ.get("HOSTILE_SEEDS", "1")),
)
CREATE_ACTOR = PREFIX + "ActorInfoGcsService/CreateActor"
PATIENCE_S = 0.1
AT_ONCE = 60


def methods() -> dict[str, type]:
    """The paths of all unary methods, and the types of their requests."""
    daemon = Daemon(DaemonSettings(ray_config=RayConfig.read(), gcs_config=GcsConfig()), MemoryStore(), MemoryStore())
    dispatch = Dispatch()
    dispatch.add(daemon.services(ClusterID(bytes(28))))
    return {path.decode(): method.read.__self__ for path, method in dispatch.methods.items() if not method.streaming}


METHODS = methods()


async def attempt(caller, path, octets) -> None:
    """Send, and hear a reply, an error, or nothing until we give up."""
    with trio.move_on_after(PATIENCE_S):
        try:
            await caller.send(path, octets)
        except GRPCError as error:
            if error.status is Status.UNKNOWN:
                raise


def requests(path, kind, nasty, sensible):
    rng = nasty.rng
    yield b""
    for _ in range(COUNT):
        dice = rng.random()
        request = nasty.mutate(rng.choice(sensible)) if sensible and dice < 0.5 else nasty.message(kind)
        octets = request.SerializeToString()
        yield broken(octets, rng) if dice > 0.9 else octets


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_message_ends_the_daemon_or_keeps_it_from_its_neighbours(seed):
    await attack(seed)


@pytest.mark.parametrize("seed", SEEDS)
async def test_whoever_is_told_what_happens_hears_it_to_the_end(seed, tmp_path):
    everything = replace(IMPATIENT, export_events=True, ray_events=True, ray_events_period_s=0.05, metrics_period_s=0.1)
    await attack(seed + 2000, everything, log_dir=tmp_path, events_ports=(0,), metrics_agent_port=1, node_id="ab" * 28)


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_was_stored_the_daemon_starts_again(seed, tmp_path):
    store = f"sqlite:///{tmp_path}/gcs.sqlite"
    await attack(seed + 1000, store=store)
    async with victim(store=store) as it:
        await it.check()


async def attack(seed, config=IMPATIENT, **settings):
    rng = Random(seed)
    async with lying(rng, KNOWN) as liar, victim(config, **settings) as it:
        liar.honest = honest(liar.port, rng)
        nasty, sensible = Nasty(rng, {**KNOWN, "port": [liar.port]}), seeds(liar.port)
        callers = [await it.caller() for _ in range(3)]
        if it.events_port:
            for form in ("json", "binary"):
                await it.subscriber(form)
        todo = [
            (path, octets)
            for path, kind in METHODS.items()
            for octets in requests(path, kind, nasty, sensible.get(path, ()))
        ]
        rng.shuffle(todo)
        for start in range(0, len(todo), AT_ONCE):
            for path, request in cluster(liar.port):  # attacked clusters do not last
                await callers[0].send(PREFIX + path, request.SerializeToString(), 5.0)
            async with trio.open_nursery() as nursery:
                for request in sensible[CREATE_ACTOR]:
                    nursery.start_soon(attempt, callers[0], CREATE_ACTOR, request.SerializeToString())
                for path, octets in todo[start : start + AT_ONCE]:
                    nursery.start_soon(attempt, rng.choice(callers), path, octets)
            await it.check()
