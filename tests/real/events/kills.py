"""Many lives of a daemon on one store: who writes to it, who follows it, and what the store says was committed.

The log in the store is the truth about what was committed and in which order. It is read after each life, so what it has
forgotten by the end has been compared long before.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import grpc
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from tests.fakes.redis_server import RedisServer
from tests.real.events.daemon import Running
from trio_gcs.events.lines import entries_in
from trio_gcs.generated.trio_gcs.v1.events_pb2 import Event

KINDS = "node,job,actor,worker,placement_group,kv"
NOWHERE = (0, 0)
At = tuple[int, int]


class Line(NamedTuple):
    """An event, as it is compared."""

    at: At
    kind: str
    id: str
    op: str
    was: str
    state: str


Wants = Callable[[Line], bool]


def _logged(revision: int, raw: bytes) -> Iterator[Line]:
    for entry in entries_in(revision, raw)[1]:
        event = entry.message("")
        row, op = event.row, "delete" if event.op == Event.DELETE else "put"
        yield Line(entry.position, row.kind, row.id, op, event.was, row.state)


def _told(message: Any) -> Line:
    row = message["row"]
    at = message["revision"], message["index"]
    return Line(at, row["kind"], row["id"], message["op"], message["was"], row["state"])


class SqliteLog:
    """The logs of both ledgers in a pair of files."""

    def __init__(self, path: Path) -> None:
        self._paths = {"tables": path, "keys": Path(f"{path}-kv")}

    def after(self, lane: str, revision: int) -> dict[int, bytes]:
        """The lines of one ledger after a revision."""
        if not self._paths[lane].exists():
            return {}
        with closing(sqlite3.connect(f"file:{self._paths[lane]}?mode=ro", uri=True)) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'rows'").fetchone() is None:
                return {}
            rows = connection.execute(
                "SELECT key, value FROM rows WHERE \"table\" = 'EVENTS' AND key > ?", (revision.to_bytes(8, "big"),)
            )
            return {int.from_bytes(key, "big"): value for key, value in rows}


class RedisLog:
    """The logs of both ledgers in one namespace of Redis."""

    def __init__(self, server: RedisServer, namespace: str) -> None:
        own = f"RAY{namespace}@trio_gcs:table:"
        self._keys = {"tables": f"{own}tables:EVENTS", "keys": f"{own}pairs:EVENTS"}
        self._server = server

    def after(self, lane: str, revision: int) -> dict[int, bytes]:
        """The lines of one ledger after a revision."""
        with self._server.client() as client:
            fields = [field for field in client.hkeys(self._keys[lane]) if int.from_bytes(field, "big") > revision]
            values = client.hmget(self._keys[lane], fields) if fields else []
        return {int.from_bytes(field, "big"): value for field, value in zip(fields, values, strict=True)}


class Truth:
    """All that was ever committed, in order."""

    def __init__(self, log: SqliteLog | RedisLog) -> None:
        self.lines: dict[str, list[Line]] = {"tables": [], "keys": []}
        self._log = log

    def look(self) -> None:
        """Read what the last life has added."""
        for lane, lines in self.lines.items():
            found = self._log.after(lane, lines[-1].at[0] if lines else 0)
            for revision in sorted(found):
                lines.extend(_logged(revision, found[revision]))


class Stretch:
    """What was heard without a new snapshot, from ``since`` on. ``since`` None: it goes on where the last one ended."""

    def __init__(self) -> None:
        self.since: dict[str, At] | None = None
        self.lines: dict[str, list[Line]] = {"tables": [], "keys": []}


class Follower:
    """A subscriber that survives. One that is ``restless`` hangs up at random, and may begin with a new snapshot."""

    def __init__(
        self, name: str, rng: Random, *, restless: bool = False, query: str = f"kinds={KINDS}", wants: Wants = bool
    ) -> None:
        self.name = name
        self.token = "snapshot"
        self.known: dict[tuple[str, str], Any] = {}
        self.heard = 0
        self._restless = restless
        self._rng = rng
        self._query = query
        self._wants = wants
        self._stretches = [Stretch()]
        self._reached = {"tables": 0, "keys": 0}  # how much of the truth was heard
        self._gone = threading.Event()

    def follow(self, url: str) -> None:
        """Follow until the daemon is gone."""
        self._gone.clear()
        while not self._gone.is_set():
            try:
                with self._connect(url) as stream:
                    for text in stream:
                        self._hear(json.loads(text))
                        if self._restless and self._rng.random() < 0.02:
                            break
            except (OSError, ConnectionClosed, InvalidHandshake):
                return
            if self._restless and self._rng.random() < 0.1:
                self.token = "snapshot"

    def stop(self) -> None:
        """Do not connect again."""
        self._gone.set()

    def catch_up(self, url: str) -> None:
        """Hear all that there is by now."""
        with self._connect(url) as stream:
            while self._hear(json.loads(stream.recv(timeout=20))) != "synced":
                pass

    def _connect(self, url: str) -> ClientConnection:
        # This client does not hear the other's close while its own queue is full.
        return connect(f"{url}?from={self.token}&{self._query}", open_timeout=20, max_queue=None)

    def _hear(self, message: Any) -> str:
        kind: str = message["type"]
        assert kind not in {"compacted", "end"}, (self.name, message)
        if kind == "hello" and message["from"] == "snapshot":
            self.known.clear()
            self._stretches.append(Stretch())
        if kind in {"row", "event"}:
            row = message["row"]
            at = row["kind"], row["id"]
            if message.get("op") == "delete":
                self.known.pop(at, None)
            else:
                self.known[at] = row
        if kind == "event":
            line = _told(message)
            self._stretches[-1].lines["keys" if line.kind == "kv" else "tables"].append(line)
            self.heard += 1
        if kind == "synced" and self.token == "snapshot":
            self._stretches[-1].since = positions(message["token"])
        self.token = message.get("token", self.token)
        return kind

    def check(self, truth: Truth) -> None:
        """What was heard since the last check is what was committed: nothing more, nothing less, in that order."""
        for stretch in self._stretches:
            for lane, lines in stretch.lines.items():
                committed = truth.lines[lane]
                if stretch.since is not None:
                    at = stretch.since[lane]
                    self._reached[lane] = bisect_right(committed, at, key=lambda line: line.at)
                for line in lines:
                    assert line == self._next(committed, lane), f"{self.name}: not what was committed"
        self._stretches = [Stretch()]

    def check_that_nothing_is_missing(self, truth: Truth) -> None:
        """Who has caught up has heard all that was committed."""
        self.check(truth)
        for lane, committed in truth.lines.items():
            missing = self._next(committed, lane)
            assert missing is None, (
                f"{self.name} came to {self.token} and never heard of {missing}, of {committed[-5:]}"
            )

    def _next(self, committed: Sequence[Line], lane: str) -> Line | None:
        """The next line that this one is to hear."""
        while self._reached[lane] < len(committed):
            line = committed[self._reached[lane]]
            self._reached[lane] += 1
            if self._wants(line):
                return line
        return None


def positions(token: str) -> dict[str, At]:
    """How far a token is in each ledger. Only a checker may take one apart."""
    numbers = [int(part) for part in token.split(".")[1:]]
    return {"tables": (numbers[0], numbers[1]), "keys": (numbers[2], numbers[3]) if len(numbers) > 2 else NOWHERE}


class Writer(threading.Thread):
    """Changes this and that until its calls fail. ``there`` are nodes, jobs and actors that writers of all lives share."""

    def __init__(self, daemon: Running, rng: Random, there: dict[str, list[Any]]) -> None:
        super().__init__(daemon=True)
        self._daemon = daemon
        self._rng = rng
        self._there = there
        self.ready = threading.Event()

    def run(self) -> None:
        """Write until the daemon is gone."""
        deeds = (self._node, self._job, self._actor, self._group, self._worker, self._key, self._key)
        made = 0
        try:
            while True:
                self._rng.choice(deeds)()
                made += 1
                if made == 3:
                    self.ready.set()
        except (grpc.RpcError, ValueError):
            self.ready.set()

    def _node(self) -> None:
        if (node_id := self._one_of("node")) is not None:
            self._daemon.remove_node(node_id)
        else:
            node_id = self._rng.randbytes(28)
            self._daemon.add_node(node_id)
            self._there["node"].append(node_id)

    def _job(self) -> None:
        # A job takes its groups with it, in the same change.
        if (job_id := self._one_of("job")) is not None:
            self._daemon.finish_job(job_id)
        else:
            job_id = self._rng.randrange(1, 200).to_bytes(4, "big")
            self._daemon.add_job(job_id)
            self._there["job"].append(job_id)

    def _actor(self) -> None:
        if (actor_id := self._one_of("actor")) is not None:
            self._daemon.kill_actor(actor_id)
        else:
            self._there["actor"].append(self._daemon.add_actor(self._rng.getrandbits(90)))

    def _group(self) -> None:
        jobs = self._there["job"]
        job_id = self._rng.choice(jobs) if jobs else b"\0\0\0\1"
        self._daemon.add_group(self._rng.getrandbits(90), job_id)

    def _worker(self) -> None:
        self._daemon.add_worker(self._rng.randrange(500).to_bytes(28, "big"))

    def _key(self) -> None:
        key = b"k%d" % self._rng.randrange(5)
        if self._rng.random() < 0.3:
            self._daemon.delete_key(key)
        else:
            self._daemon.put_key(key, b"x" * self._rng.randrange(1000))

    def _one_of(self, kind: str) -> Any:
        """One that is there, to be ended now; None if another one is to be made."""
        there = self._there[kind]
        if len(there) < 3 or self._rng.random() < 0.5:
            return None
        try:
            return there.pop(self._rng.randrange(len(there)))
        except (IndexError, ValueError):  # another writer was faster
            return None
