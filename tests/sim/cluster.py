"""A whole cluster in one process: the real daemon, simulated raylets, workers, drivers and subscribers, one seed.

The daemon has its own assembly, its ledger on a store that crashes it, its dispatch and its wire over the simulated
network. It dies many times in a run; everybody else only if the dice say so.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import trio

from tests.sim import liveness
from tests.sim.clients import RayletClient, Subscriber
from tests.sim.drivers import Driver
from tests.sim.faults import Faults
from tests.sim.network import GCS, Network
from tests.sim.raylet import Raylet, SimWorker
from tests.sim.safety import Safety
from tests.sim.served import Served
from tests.sim.store import Crash, Disk, FaultyStore
from tests.sim.workers import Workers
from trio_gcs.assembly import Daemon
from trio_gcs.config import DaemonSettings, GcsConfig
from trio_gcs.generated.ray.common_pb2 import WorkerExitType
from trio_gcs.managers.cluster import settle_cluster_id
from trio_gcs.nursery_tree import layer
from trio_gcs.ray_config import RayConfig
from trio_gcs.rpc.channel import Channel
from trio_gcs.rpc.dispatch import Dispatch
from trio_gcs.rpc.server import Server
from trio_gcs.surroundings import Surroundings

TROUBLE_S = 30
PEACE_S = 60
NODES_MIN, NODES_MAX = 2, 5
BEGAN_MS = 1_700_000_000_000
# What is on its way when the daemon dies arrives before the next one asks; see README.
RESTART_AFTER_S = 7


class Cluster:
    """The world of one seed."""

    def __init__(self, seed: int, *, trouble_s: int = TROUBLE_S) -> None:
        self.seed = seed
        self.trouble_s = trouble_s
        self.faults = Faults(seed)
        self.rng = self.faults.rng
        self.tell = self.faults.tell
        self.safety = Safety(self)
        self.disk = Disk(self.faults, self.safety.written)
        self.workers = Workers(self)
        self.raylets: list[Raylet] = []
        self.clients: dict[Raylet, RayletClient] = {}
        self.drivers: list[Driver] = []
        self.subscribers: list[Subscriber] = []
        self.driver_ids: set[bytes] = set()
        self.groups = 0
        self.lives = 0
        self._workers_made = 0
        self.restarted = trio.Event()
        by_daemon = self.rng.random() < 0.4
        self.settings = DaemonSettings(
            ray_config=RayConfig.read(),
            gcs_config=GcsConfig(
                gcs_actor_scheduling=by_daemon,
                health_check_initial_delay_s=1.0,
                health_check_timeout_s=2.0,
                health_check_failures_max=3,
                resource_load_pull_period_s=1000.0,
                peer_call_timeout_s=15.0,
                bundle_settle_s=7.0,  # as long as words may be on their way
                client_keepalive_period_s=1000.0,
            ),
        )
        self.tell(f"actors are placed by {'the daemon' if by_daemon else 'raylets'}; {self.faults.likely}")

    async def run(self) -> None:
        """Live through trouble, then through peace, and judge what is left."""
        async with trio.open_nursery() as self.nursery:
            self.network = Network(self.faults, self.nursery)
            self.nursery.start_soon(self._daemons)
            await self.nursery.start(self.workers.served.run)
            self.add_node(16)
            for number in (1, 2):
                self._add_driver(number)
            for _ in range(self.rng.randint(NODES_MIN, NODES_MAX)):
                self.add_node(4)
            for name in ("subscriber 1", "subscriber 2"):
                self.subscribers.append(Subscriber(self, name))
                self._start(self.subscribers[-1])
            with trio.move_on_after(self.trouble_s):
                await self._misfortunes()
            self._heal()
            await trio.sleep(PEACE_S)
            liveness.judge(self)
            self.nursery.cancel_scope.cancel()

    # Parties.

    def _start(self, client) -> None:
        self.nursery.start_soon(client.run, client.live)

    def add_node(self, cpus: float) -> Raylet:
        raylet = Raylet(self, len(self.raylets) + 1, cpus)
        self.raylets.append(raylet)
        served = Served(raylet.services())
        self.nursery.start_soon(served.run)
        self.network.listen((raylet.ip, 1), raylet.name, served.serve)
        client = self.clients[raylet] = RayletClient(self, raylet)
        raylet.scope = trio.CancelScope()
        self.nursery.start_soon(self._live_in, raylet.scope, client)
        return raylet

    async def _live_in(self, scope: trio.CancelScope, client: RayletClient) -> None:
        with scope:
            await client.run(client.live)

    def _add_driver(self, number: int) -> None:
        worker = self.raylets[0].start_worker({}, b"")
        self.driver_ids.add(worker.at.worker_id)
        self.drivers.append(Driver(self, number, worker.at))
        self._start(self.drivers[-1])

    def hear_of_restart(self) -> None:
        self.restarted.set()
        self.restarted = trio.Event()

    def next_worker(self) -> int:
        self._workers_made += 1
        return self._workers_made

    def disconnect(self, raylet: Raylet, *, silently: bool) -> None:
        """A node is dead: nobody hears from it, and its machine says so or not."""
        self.network.close((raylet.ip, 1))
        raylet.scope.cancel()
        if silently:
            self.network.hold(raylet.name, "*")
        self.network.kill(raylet.name)

    async def report_death(self, raylet: Raylet, worker: SimWorker, exit_type: WorkerExitType, detail: str) -> None:
        with trio.CancelScope() as scope:
            client = self.clients[raylet]
            self.nursery.start_soon(self._end_with, raylet, scope)
            await client.report_death(worker, exit_type, detail)

    async def _end_with(self, raylet: Raylet, scope: trio.CancelScope) -> None:
        while raylet.alive:
            await raylet.changed.wait()
        scope.cancel()

    def room_for(self, need: dict[str, float], besides: Raylet) -> Raylet | None:
        fitting = [raylet for raylet in self.raylets if raylet.alive and raylet is not besides and raylet.fits(need)]
        return self.rng.choice(fitting) if fitting else None

    # The daemon.

    async def _daemons(self) -> None:
        while True:
            self.lives += 1
            scope = trio.CancelScope()
            try:
                with scope:
                    await self._daemon(scope)
            except* Crash:
                pass
            await trio.sleep(RESTART_AFTER_S)

    async def _daemon(self, scope: trio.CancelScope) -> None:
        stores: list[FaultyStore] = []

        def die(when: str) -> None:
            self.tell(f"the daemon died {when}")
            self.network.close(GCS)
            self.network.kill(GCS)
            for store in stores:
                store.lost = True

        stores.append(FaultyStore(self.disk, die))
        stores.append(FaultyStore(self.disk, die))
        around = Surroundings(
            clock=self.now_ms, rng=self.rng, random_bytes=self.rng.randbytes, open_channel=self._open_channel
        )
        daemon = Daemon(self.settings, *stores, around)
        managers = daemon.managers
        await daemon.ledger.load()
        await daemon.kv_ledger.load()
        daemon.recover()
        cluster_id = settle_cluster_id(managers.kv, self.rng.randbytes)
        dispatch = Dispatch(settler=daemon.witness, cluster_id=cluster_id.hex)
        server = Server(daemon.services(cluster_id), dispatch)
        self.daemon = daemon
        async with (
            layer(daemon.raylets.serve, daemon.workers.serve),
            layer(daemon.ledger.serve, daemon.kv_ledger.serve),
            layer(managers.nodes.serve, managers.resources.serve, managers.runtime_env.serve),
            layer(managers.placement_groups.serve, managers.actors.serve),
            layer(daemon.control_plane.serve),
            layer(partial(server.serve, [])),
        ):
            if not stores[0].lost:  # or it has died of its first commit, and nobody reaches it any more
                self.tell(f"daemon {self.lives} serves, from revision {daemon.ledger.revision}")
                self.network.listen(GCS, GCS, server.serve_stream)
            await trio.sleep_forever()

    def now_ms(self) -> int:
        return BEGAN_MS + round(trio.current_time() * 1000)

    def _open_channel(self, ip: str, port: int) -> Channel:
        async def dial() -> trio.abc.Stream:
            return await self.network.dial(GCS, (ip, port))

        return Channel(ip, port, dial=dial)

    # What befalls everybody else.

    async def _misfortunes(self) -> None:
        deeds: tuple[tuple[str, Callable[[], None]], ...] = (
            ("worker died", self._end_worker),
            ("node died", lambda: self._end_node(silently=False)),
            ("node silent", lambda: self._end_node(silently=True)),
            ("cut off one way", lambda: self._cut_off(both=False)),
            ("cut off", lambda: self._cut_off(both=True)),
        )
        while True:
            for kind, deed in deeds:
                if self.faults.strikes(kind):
                    deed()
            await trio.sleep(self.rng.choice((0, 1, 1, 2)))
            if self.rng.random() < 0.03:
                self.add_node(4)

    def _mortal(self) -> list[Raylet]:
        return [raylet for raylet in self.raylets[1:] if raylet.alive]

    def _end_worker(self) -> None:
        living = [
            (worker, raylet)
            for worker, raylet in self.workers.everyone.values()
            if worker.alive and worker.at.worker_id not in self.driver_ids
        ]
        if living:
            worker, raylet = self.rng.choice(living)
            raylet.end_worker(worker, WorkerExitType.SYSTEM_ERROR, "it fell")

    def _end_node(self, *, silently: bool) -> None:
        if self._mortal():
            self.rng.choice(self._mortal()).die(silently=silently)

    def _cut_off(self, *, both: bool) -> None:
        if self._mortal():
            raylet = self.rng.choice(self._mortal())
            pairs = [(raylet.name, GCS), (GCS, raylet.name)]
            pairs = pairs if both else [self.rng.choice(pairs)]
            self.nursery.start_soon(self._hold, pairs, self.rng.choice((1, 3, 8, 20)))

    async def _hold(self, pairs: list[tuple[str, str]], duration_s: int) -> None:
        self.tell(f"cut off: {pairs} for {duration_s} s")
        for pair in pairs:
            self.network.hold(*pair)
        with trio.move_on_after(duration_s):
            await self.faults.healed.wait()
        for pair in pairs:
            self.network.free(*pair)

    def _heal(self) -> None:
        """Peace: nothing goes wrong from now on, and there is room for all."""
        self.faults.heal()
        for _ in range(3):
            self.add_node(64)
