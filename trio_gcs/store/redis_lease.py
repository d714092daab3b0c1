"""The lease: one daemon at a time on a namespace of Redis, and one that has lost it falls silent.

What keeps the rows right is the epoch in each lane, which every transaction watches. The lease is about being told in
time. Its holder renews a key that lives for ``redis_lease_s``; who starts beside it sees that and gives up. Nobody waits
for one that is known to be dead: its process is gone from this machine. Otherwise the key must run out first.

The hard thing is a holder that was stopped, by a signal or with its machine, and does not know: so what it reads from memory
is told only within the time of its last renewal, by a clock that goes on meanwhile. While Redis itself refuses everybody,
nobody can succeed us and reads go on; where it is silent we cannot know, and they wait.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import trio

from trio_gcs.config import GcsConfig, clock_that_never_stops_s
from trio_gcs.errors import StartError, StoreError
from trio_gcs.store.redis_layout import PAIRS, TABLES, Layout
from trio_gcs.store.redis_link import Link
from trio_gcs.store.redis_patience import Patience

RENEWALS_PER_LEASE: Final = 5
LOOK_PERIOD_S: Final = 0.05


def new_epoch() -> bytes:
    """A name for one daemon's time on a store."""
    return os.urandom(16).hex().encode()


def revision_in(lane: list[bytes | None], ours: bytes, name: str) -> int:
    """The revision in a lane's hash, of which ``lane`` is epoch and revision. Raises if the epoch is not ours."""
    epoch, revision = lane
    if epoch == ours and revision is not None:
        return int(revision)
    if epoch is None or revision is None:
        raise StoreError(f"the store {name} has lost its rows: somebody has emptied it")
    raise StoreError(f"the store {name} is in use by another daemon that started later")


class Lease:
    """One daemon's hold on a namespace. :meth:`take` it, then run :meth:`serve` as long as the stores are open."""

    def __init__(self, url: str, config: GcsConfig, clock: Callable[[], float] = clock_that_never_stops_s) -> None:
        self.epoch = new_epoch()
        self._link = Link(url)
        layouts = [Layout(config.redis_namespace, lane, config.store_batch_rows_max) for lane in (TABLES, PAIRS)]
        self._key = layouts[0].lease_key
        self._ask_lanes = [("HMGET", layout.lane_key, "epoch", "revision") for layout in layouts]
        self._revisions = [0 for _ in layouts]
        self._patience = Patience(self._link, config, self._go_on_while_refused)
        self._config = config
        self._clock = clock
        self._sure_until = 0.0
        self._renewals = 0
        self._renewed = trio.Event()
        self._holder = {**_this_process(), "epoch": self.epoch.decode()}

    # What the witness asks, for which this is a lane like a ledger.

    @property
    def revision(self) -> int:
        """One more than :attr:`durable`: whoever waits for this lane waits to be sure."""
        return 1

    @property
    def durable(self) -> int:
        """Whether we are sure, as a lane says it."""
        return int(self.is_sure)

    @property
    def is_sure(self) -> bool:
        """Whether what is read from memory may be told: nobody can have succeeded us yet."""
        return self._clock() <= self._sure_until

    async def settled(self, revision: int) -> None:
        """Wait until we are sure. If we were succeeded, that is never, and :meth:`serve` ends the daemon."""
        while self.durable < revision:
            await self._renewed.wait()

    def promise(self, revision: int, word: Callable[[], None]) -> bool:
        """Leave it to the one who waits."""
        return False

    # Beginning, going on, ending.

    async def take(self) -> None:
        """Wait until nobody else can hold the lease, and take it; raises :class:`StartError` if its holder lives."""
        limit_s = self._config.redis_connect_attempts_max * self._config.redis_connect_retry_s
        first: bytes | None = None
        try:
            while True:
                there = await self._patience.answer(self._look, limit_s)
                if there is None or _is_dead(json.loads(there)):
                    if await self._patience.answer(lambda there=there: self._set(there)):  # type: ignore[misc]
                        return
                elif first is not None and there != first:
                    holder = json.loads(there)
                    raise StartError(
                        f"the store {self._link.name} is in use by another daemon: process {holder['pid']} on {holder['host']}"
                    )
                else:
                    first = there
                    await trio.sleep(LOOK_PERIOD_S)
        except StoreError as error:
            raise StartError(str(error)) from error

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Renew the lease until cancelled; raises :class:`StoreError` when the lanes are another's, or gone."""
        task_status.started()
        while True:
            if await self._patience.answer(self._renew):
                self._renewed.set()
                self._renewed = trio.Event()
            await trio.sleep(self._config.redis_lease_s / RENEWALS_PER_LEASE)

    async def aclose(self) -> None:
        """Let the next one begin at once, if Redis is there to hear it, and hang up."""
        with trio.CancelScope(shield=True):
            with suppress(StoreError):  # it runs out by itself
                await self._patience.answer(self._release, 0)
            await self._patience.aclose()

    def _go_on_while_refused(self) -> None:
        now = self._clock()
        if now <= self._sure_until:
            self._sure_until = now + self._config.redis_lease_s

    # What blocks: in a worker thread. Raises Away to be called again.

    def _look(self) -> bytes | None:
        """The lease as it is, watched from now on."""
        if not self._link.is_connected:
            self._link.connect()
        there: bytes | None = self._link.ask(("WATCH", self._key), ("GET", self._key))[1]
        return there

    def _set(self, there: bytes | None) -> bool:
        """Hold the lease, if it is still as it was seen last."""
        if self._look() != there and not self._is_ours(there):
            return False
        sent_at = self._clock()
        self._renewals += 1
        value = json.dumps({**self._holder, "renewals": self._renewals})
        lease_ms = int(self._config.redis_lease_s * 1000)
        if self._link.ask(("MULTI",), ("SET", self._key, value, "PX", lease_ms), ("EXEC",))[-1] is None:
            return False
        self._sure_until = sent_at + self._config.redis_lease_s
        return True

    def _renew(self) -> bool:
        there = self._look()
        # The lanes are what counts: a lease that has run out, or that another has taken without them, is ours to renew.
        for number, lane in enumerate(self._link.ask(*self._ask_lanes)):
            revision = revision_in(lane, self.epoch, self._link.name)
            if 0 <= revision < self._revisions[number]:
                raise StoreError(
                    f"the store {self._link.name} has lost rows: it is back at revision {revision} from {self._revisions[number]}"
                )
            self._revisions[number] = revision
        return self._set(there)

    def _release(self) -> None:
        if self._is_ours(self._look()):
            self._link.ask(("MULTI",), ("DEL", self._key), ("EXEC",))

    def _is_ours(self, there: bytes | None) -> bool:
        return self.epoch in (there or b"")


def _this_process() -> dict[str, Any]:
    """What tells a process from all others that ever were."""
    pid = os.getpid()
    return {
        "pid": pid,
        "born": _birth(pid),
        "pids": _pid_namespace(),
        "boot": _boot(),
        "host": socket.gethostname(),
    }


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether we can see that there is no such process any more. If it is on another machine, we cannot."""
    if (holder["boot"], holder["pids"]) != (_boot(), _pid_namespace()):
        return False
    born: int = holder["born"]
    return _birth(holder["pid"]) != born


def _birth(pid: int) -> int | None:
    """When a process began, in ticks since the machine did; None if it is not there, or only its parent has not looked."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _pid_namespace() -> str:
    return str(Path("/proc/self/ns/pid").readlink())
