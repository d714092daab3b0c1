"""Any history, any pace, any crash: what a subscriber knows equals what there is, and it missed and repeated nothing."""

from __future__ import annotations

import json
from typing import Any

import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.event_world import HeldStore, World, pulled
from trio_gcs.events.feed import Feed
from trio_gcs.events.hub import HubLimits
from trio_gcs.events.journal import JournalLimits
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo, JobTableData
from trio_gcs.store.memory import MemoryStore

KINDS = (["job", "node"], ["job", "node", "kv"])
BUDGETS = (900, 3000, 1 << 20)

edits = st.lists(st.tuples(st.sampled_from("jn"), st.integers(0, 3), st.booleans()), min_size=1, max_size=4)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("change"), edits),
        st.tuples(st.just("pair"), st.integers(0, 3), st.booleans()),
        st.tuples(st.just("pull"), st.integers(0, 2), st.sampled_from([1, 700, 1 << 20])),
        st.tuples(st.just("lose"), st.integers(0, 2)),
        st.tuples(st.just("commit")),
        st.tuples(st.just("crash")),
        st.tuples(st.just("back up")),
        st.tuples(st.just("restore")),
    ),
    max_size=60,
)


class Follower:
    """A subscriber that does what docs/events.md says, and notes what it was sent."""

    def __init__(self, kinds: list[str], *, coalesce: bool) -> None:
        self.kinds = kinds
        self.coalesce = coalesce
        self.known: dict[tuple[str, str], Any] = {}
        self.token = "snapshot"
        self.feed: Feed | None = None
        self.gapless: list[dict[str, Any]] = []  # events since the last snapshot
        self.since: tuple[int, int] | None = None  # where that snapshot was
        self.reasons = {"too_old"}

    def pull(self, world: World, bytes_max: int) -> None:
        if self.feed is None:
            self.feed = world.open(self.token, coalesce=self.coalesce, kinds=self.kinds)
        for raw in self.feed.pull(bytes_max):
            self.hear(json.loads(raw))
        if self.feed.ended is not None:
            world.hub.close(self.feed)
            self.feed = None

    def hear(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "hello" and message["from"] == "snapshot":
            self.known = {}
            self.gapless = []
            self.since = None
        elif kind == "compacted":
            assert message["reason"] in self.reasons
            self.token = "snapshot"
        elif kind in {"row", "event"}:
            row = message["row"]
            at = row["kind"], row["id"]
            if message.get("op") == "delete":
                self.known.pop(at, None)
            else:
                self.known[at] = row["body"]
            if kind == "event":
                self.gapless.append(message)
        elif kind == "synced" and self.since is None:
            self.since = parts(message["token"])[0]
        self.token = message.get("token") or self.token


def parts(token: str) -> list[tuple[int, int]]:
    numbers = [int(part) for part in token.split(".")[1:]]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


class Run:
    def __init__(self, stores: tuple[Any, Any], limits: HubLimits, followers: list[Follower]) -> None:
        self.stores = stores
        self.limits = limits
        self.followers = followers
        self.number = 0
        self.lives = 0
        self.backup: tuple[Any, Any] | None = None

    async def live(self, todo: list[tuple[Any, ...]]) -> bool:
        """One life of the daemon: until there is nothing left to do, or, which is False, a crash."""
        done = False
        self.lives += 1
        world = World(*self.stores, self.limits, seed=self.lives)
        async with trio.open_nursery() as nursery:
            await world.start()
            await nursery.start(world.ledger.serve)
            await nursery.start(world.kv_ledger.serve)
            await self.until_durable(world)  # as the daemon does before it listens
            while todo:
                step = todo.pop(0)
                if step[0] == "restore" and self.backup is not None:
                    self.restore()
                    break
                if step[0] == "crash" and self.durable:
                    break
                await self.do(world, step)
            else:
                await self.settle(world)
                self.check(world)
                done = True
            nursery.cancel_scope.cancel()
        for follower in self.followers:
            follower.feed = None
        return done

    @property
    def durable(self) -> bool:
        return isinstance(self.stores[0], HeldStore)

    async def do(self, world: World, step: tuple[Any, ...]) -> None:
        match step:
            case ("change", edits):
                self.change(world, edits)
            case ("pair", number, True):
                self.number += 1
                world.put_pair(f"k{number}", self.number)
            case ("pair", number, False):
                with world.kv_ledger.change() as change:
                    change.delete(world.pairs, b"k%d" % number)
            case ("pull", number, bytes_max):
                self.followers[number].pull(world, bytes_max)
            case ("lose", number):
                self.followers[number].feed = None
            case ("commit",):
                self.let_go()
            case ("back up",) if self.durable:
                self.backup = (self.stores[0].copy(), self.stores[1].copy())
        await trio.testing.wait_all_tasks_blocked()

    def change(self, world: World, edits: list[tuple[str, int, bool]]) -> None:
        with world.ledger.change() as change:
            for table, number, there in edits:
                self.number += 1
                if table == "j":
                    key = number.to_bytes(4, "big")
                    row: Any = JobTableData(job_id=key, entrypoint=f"{self.number}") if there else None
                    change.put(world.jobs, key, row) if there else change.delete(world.jobs, key)
                else:
                    key = bytes([number]) * 28
                    row = GcsNodeInfo(node_id=key, node_name=f"{self.number}") if there else None
                    change.put(world.nodes, key, row) if there else change.delete(world.nodes, key)

    def let_go(self) -> None:
        for store in self.stores:
            if isinstance(store, HeldStore):
                store.let_go()

    def restore(self) -> None:
        """Revisions are given out again from here on, for other changes."""
        assert self.backup is not None, "there is a backup"
        self.stores = (self.backup[0].copy(), self.backup[1].copy())
        for follower in self.followers:
            follower.reasons.add("ahead")

    async def until_durable(self, world: World) -> None:
        for ledger in (world.ledger, world.kv_ledger):
            while ledger.durable < ledger.revision:
                self.let_go()
                await trio.testing.wait_all_tasks_blocked()

    async def settle(self, world: World) -> None:
        await self.until_durable(world)
        for follower in self.followers:
            for _ in range(1000):
                if follower.feed is not None and not follower.feed.is_behind:
                    break
                follower.pull(world, 700)
            else:
                raise AssertionError("a follower never catches up")

    def check(self, world: World) -> None:
        now = {}
        for message in pulled(world.open("snapshot", kinds=["job", "node", "kv"])):
            if message["type"] == "row":
                now[message["row"]["kind"], message["row"]["id"]] = message["row"]["body"]
        for follower in self.followers:
            assert follower.known == {at: body for at, body in now.items() if at[0] in follower.kinds}
            self.check_order(follower)

    def check_order(self, follower: Follower) -> None:
        lanes: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
        for event in follower.gapless:
            lanes[event["row"]["kind"] == "kv"].append((event["revision"], event["index"]))
        for seen in lanes.values():
            assert seen == sorted(set(seen)), "a duplicate, or out of order"
        if self.durable and not follower.coalesce and follower.since is not None:
            committed = self.stores[0].log
            assert lanes[False] == [at for at in committed if at > follower.since], "a gap"


@given(steps, st.booleans(), st.sampled_from(BUDGETS), st.sampled_from([3, 8, 1000]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_replica_equals_the_state_and_nothing_is_missed_or_repeated(
    todo: list[tuple[Any, ...]], durable: bool, budget: int, entries: int
) -> None:
    async def main() -> None:
        stores: tuple[Any, Any] = (HeldStore(), HeldStore()) if durable else (MemoryStore(), MemoryStore())
        journal = JournalLimits(entries_max=entries)
        limits = HubLimits(journal=journal, keys_journal=journal, budget_bytes=budget)
        followers = [
            Follower(KINDS[0], coalesce=False),
            Follower(KINDS[1], coalesce=False),
            Follower(KINDS[1], coalesce=True),
        ]
        run = Run(stores, limits, followers)
        left = list(todo)
        while not await run.live(left):
            pass

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
