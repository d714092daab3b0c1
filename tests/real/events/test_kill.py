"""Killed at any moment and started again on its store, the daemon goes on for its subscribers where it was.

A checker follows with a token across all lives, and notes every event. At the end its notes are held against the log in
the store, which is the truth about what was committed and in which order, and its replica against a snapshot.
"""

import json
import os
import sqlite3
import threading
from random import Random

import grpc
import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import connect

from tests.real.events.daemon import running
from trio_gcs.generated.trio_gcs.v1.log_pb2 import LoggedChange

ROUNDS = int(os.environ.get("TRIO_GCS_TEST_KILLS", "6"))
KINDS = "node,job,actor,worker,placement_group,kv"


class Checker:
    """A subscriber that survives, in a thread of its own for each life of the daemon."""

    def __init__(self):
        self.token = "snapshot"
        self.known = {}
        self.events = []
        self.since = None

    def follow(self, url):
        """Follow until the daemon is gone."""
        try:
            with connect(f"{url}?from={self.token}&kinds={KINDS}") as stream:
                for text in stream:
                    self.hear(json.loads(text))
        except (OSError, ConnectionClosed, InvalidHandshake):
            pass

    def hear(self, message):
        assert message["type"] not in {"compacted", "end"}, message
        if message["type"] in {"row", "event"}:
            row = message["row"]
            at = row["kind"], row["id"]
            if message.get("op") == "delete":
                del self.known[at]
            else:
                self.known[at] = row
        if message["type"] == "event":
            self.events.append(message)
        if message["type"] == "synced" and self.since is None:
            self.since = [int(part) for part in message["token"].split(".")[1:]]
        self.token = message.get("token", self.token)

    def what_clients_wrote(self):
        """What there is, but for keys that the daemon writes by itself."""
        return {at: row for at, row in self.known.items() if at[0] != "kv" or row["namespace"] == "t"}


class Writer(threading.Thread):
    """Changes this and that until its calls fail."""

    def __init__(self, daemon, rng, life):
        super().__init__(daemon=True)
        self._daemon = daemon
        self._rng = rng
        self._life = life
        self.ready = threading.Event()

    def run(self):
        made = 0
        try:
            while True:
                made += 1
                unique = b"%02d-%06d" % (self._life, made)
                match self._rng.randrange(6):
                    case 0:
                        self._daemon.add_node(unique.ljust(28, b"n"))
                    case 1:
                        self._daemon.remove_node(unique.ljust(28, b"n"))
                    case 2:
                        self._daemon.add_job(made.to_bytes(4, "big"))
                    case 3:
                        self._daemon.add_worker(unique.ljust(28, b"w"))
                    case 4:
                        self._daemon.put_key(b"k%d" % self._rng.randrange(5), b"x" * made)
                    case _:
                        self._daemon.delete_key(b"k%d" % self._rng.randrange(5))
                if made == 3:
                    self.ready.set()
        except (grpc.RpcError, ValueError):
            self.ready.set()


def committed(path):
    """Every position in the log of a store, in order."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        rows = connection.execute("SELECT key, value FROM rows WHERE \"table\" = 'EVENTS'").fetchall()
    finally:
        connection.close()
    return sorted(
        (int.from_bytes(key, "big"), event.index) for key, raw in rows for event in LoggedChange.FromString(raw).events
    )


@pytest.mark.timeout(60 + 10 * ROUNDS)
def test_a_follower_of_a_daemon_that_is_killed_misses_nothing_and_hears_nothing_twice(tmp_path):
    rng = Random(ROUNDS)
    store, checker = tmp_path / "gcs.sqlite", Checker()
    for life in range(ROUNDS):
        with running(tmp_path, store=f"sqlite:///{store}") as daemon:
            reader = threading.Thread(target=checker.follow, args=(daemon.url,), daemon=True)
            writers = [Writer(daemon, Random(rng.random()), life * 3 + number) for number in range(3)]
            for thread in (reader, *writers):
                thread.start()
            for writer in writers:
                assert writer.ready.wait(20)
            threading.Event().wait(rng.uniform(0, 0.3))
            daemon.kill()
            for thread in (reader, *writers):
                thread.join(20)
    with running(tmp_path, store=f"sqlite:///{store}") as daemon:
        with connect(f"{daemon.url}?from={checker.token}&kinds={KINDS}") as stream:
            caught_up = False
            while not caught_up:
                message = json.loads(stream.recv(timeout=10))
                caught_up = message["type"] == "synced"
                checker.hear(message)
        fresh = Checker()
        with connect(f"{daemon.url}?from=snapshot&kinds={KINDS}") as stream:
            while fresh.since is None:
                fresh.hear(json.loads(stream.recv(timeout=10)))
        daemon.kill()
    tables_since, keys_since = tuple(checker.since[:2]), tuple(checker.since[2:])
    tables = [(e["revision"], e["index"]) for e in checker.events if e["row"]["kind"] != "kv"]
    keys = [(e["revision"], e["index"]) for e in checker.events if e["row"]["kind"] == "kv"]
    assert len(tables) > ROUNDS
    assert len(keys) > ROUNDS
    heard_to = [int(part) for part in checker.token.split(".")[1:]]
    assert tables == [at for at in committed(store) if tables_since < at <= tuple(heard_to[:2])]
    assert keys == [at for at in committed(f"{store}-kv") if keys_since < at <= tuple(heard_to[2:])]
    assert checker.what_clients_wrote() == fresh.what_clients_wrote()
