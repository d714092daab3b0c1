"""The ledger's rules, one claim each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_gcs.errors import StoreError
from trio_gcs.store.base import Page, Write
from trio_gcs.store.ledger import Change, Ledger
from trio_gcs.store.memory import MemoryStore
from trio_gcs.store.tables import BYTES, Owed


class HeldStore:
    """A store that commits only when the test lets it."""

    keeps = True

    def __init__(self, rows: dict[str, dict[bytes, bytes]] | None = None) -> None:
        self.rows = rows or {}
        self.batches: list[list[Write]] = []
        self.revision = 0
        self.gate = trio.Semaphore(0)

    async def last_revision(self) -> int:
        return self.revision

    async def load(self, table: str) -> AsyncGenerator[Page, None]:
        yield list(self.rows.get(table, {}).items())

    async def commit(self, writes: Sequence[Write], revision: int) -> None:
        await self.gate.acquire()
        self.batches.append(list(writes))
        self.revision = revision

    async def aclose(self) -> None:
        pass


@dataclass(frozen=True)
class Happened:
    what: str


async def test_nothing_leaves_before_it_is_durable(nursery: trio.Nursery, autojump_clock: trio.abc.Clock) -> None:
    store = HeldStore()
    said: list[object] = []
    ran: list[str] = []
    started: list[bytes] = []

    async def duty(key: bytes) -> None:
        started.append(key)
        await trio.sleep_forever()

    async def errand(what: str) -> None:
        ran.append(what)

    ledger = Ledger(store, publish=lambda revision, events: said.extend(events))
    table = ledger.table("T", BYTES, owes=lambda key, row: (Owed(duty),))
    await nursery.start(ledger.serve)
    await nursery.start(table.serve)
    with ledger.change() as change:
        change.put(table, b"k", b"v")
        change.emit(Happened("put"))
        change.errand(errand, "ran")
    await trio.sleep(1)
    assert (table.get(b"k"), said, ran, started) == (b"v", [], [], [])
    store.gate.release()
    await ledger.settled(ledger.revision)
    await trio.sleep(1)
    assert (said, ran, started) == ([Happened("put")], ["ran"], [b"k"])
    nursery.cancel_scope.cancel()


async def test_a_store_that_keeps_nothing_settles_at_once() -> None:
    said: list[object] = []
    ledger = Ledger(MemoryStore(), publish=lambda revision, events: said.append((revision, list(events))))
    table = ledger.table("T", BYTES)
    with ledger.change() as change:
        change.put(table, b"k", b"v")
        change.emit(Happened("put"))
        assert said == []
    assert said == [(1, [Happened("put")])]
    assert ledger.witness.unsettled() is None


async def test_a_block_that_raises_puts_every_row_and_index_back() -> None:
    ledger = Ledger(MemoryStore())
    table = ledger.table("T", BYTES, indexes={"by_row": lambda row: (row,)})
    with ledger.change() as change:
        change.put(table, b"old", b"1")
    with pytest.raises(KeyError), ledger.change() as change:
        change.put(table, b"old", b"2")
        change.put(table, b"new", b"3")
        change.delete(table, b"old")
        raise KeyError
    assert dict(table.items()) == {b"old": b"1"}
    assert table.find("by_row", b"1") == [b"old"]
    assert table.find("by_row", b"2") == []
    assert ledger.revision == 1


async def test_reactions_run_in_their_declared_order_and_in_the_same_change() -> None:
    order: list[str] = []

    def first(change: Change, event: Happened) -> None:
        order.append("first")
        change.put(table, b"k", event.what.encode())

    def second(change: Change, event: Happened) -> None:
        order.append("second")
        assert table[b"k"] == b"x"

    ledger = Ledger(MemoryStore(), reactions={Happened: (first, second)})
    table = ledger.table("T", BYTES)
    with ledger.change() as change:
        change.react(Happened("x"))
    assert order == ["first", "second"]
    assert ledger.revision == 1


async def test_a_read_waits_for_the_rows_that_it_returns_and_for_no_others(nursery: trio.Nursery) -> None:
    store = HeldStore({"T": {b"old": b"1"}})
    ledger = Ledger(store)
    table = ledger.table("T", BYTES)
    await ledger.load()
    await nursery.start(ledger.serve)
    with ledger.change() as change:
        change.put(table, b"new", b"2")
    ledger.witness.begin()
    assert table.get(b"old") == b"1"
    assert ledger.witness.unsettled() is None
    assert table.get(b"new") == b"2"
    assert ledger.witness.unsettled() == {ledger: 1}
    assert list(table.values()) == [b"1", b"2"]
    assert ledger.witness.unsettled() == {ledger: 1}
    store.gate.release()
    await ledger.settled(1)
    assert table.get(b"new") == b"2"
    assert ledger.witness.unsettled() is None
    nursery.cancel_scope.cancel()


async def test_a_promise_is_kept_when_its_change_is_durable_and_not_before(nursery: trio.Nursery) -> None:
    store, said = HeldStore(), []
    ledger = Ledger(store, publish=lambda revision, events: said.extend(events))
    table = ledger.table("T", BYTES)
    await nursery.start(ledger.serve)
    for number in range(1, 4):
        with ledger.change() as change:
            change.put(table, b"%d" % number, b"")
            change.emit(number)
        if number == 1:
            await wait_all_tasks_blocked()  # the first is on its way, the others wait for it
    for revision in (3, 1, 2):
        assert ledger.witness.promise({ledger: revision}, partial(said.append, f"told {revision}"))
    assert not ledger.promise(4, said.clear)
    await wait_all_tasks_blocked()
    assert said == []
    store.gate.release()
    await wait_all_tasks_blocked()
    assert said == [1, "told 1"]
    assert not ledger.promise(1, said.clear)
    store.gate.release()
    await wait_all_tasks_blocked()
    assert said == [1, "told 1", 2, "told 2", 3, "told 3"]
    assert not ledger.witness.promise({ledger: 4, Ledger(store): 1}, said.clear)
    nursery.cancel_scope.cancel()


async def test_changes_of_one_round_are_one_batch_in_order(nursery: trio.Nursery) -> None:
    store = HeldStore()
    ledger = Ledger(store)
    table = ledger.table("T", BYTES)
    await nursery.start(ledger.serve)
    for value in (b"1", b"2", b"3"):
        with ledger.change() as change:
            change.put(table, b"k", value)
    store.gate.release()
    await ledger.drained()
    assert [[write.value for write in batch] for batch in store.batches] == [[b"1", b"2", b"3"]]
    assert store.revision == 3
    nursery.cancel_scope.cancel()


async def test_a_duty_runs_exactly_as_long_as_its_row_owes_it(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    log: list[str] = []

    async def duty(key: bytes) -> None:
        log.append(f"start {table[key]!r}")
        try:
            await trio.sleep_forever()
        finally:
            log.append("stop")

    ledger = Ledger(MemoryStore())
    table = ledger.table("T", BYTES, owes=lambda key, row: (Owed(duty, row[:1]),) if row else ())
    await nursery.start(table.serve)

    async def put(value: bytes) -> None:
        with ledger.change() as change:
            change.put(table, b"k", value)
        await trio.sleep(1)

    await put(b"a1")
    await put(b"a2")
    assert log == ["start b'a1'"]
    await put(b"b1")
    assert sorted(log) == ["start b'a1'", "start b'b1'", "stop"]
    await put(b"")
    assert log.count("stop") == 2
    nursery.cancel_scope.cancel()


async def test_a_duty_of_a_row_that_memory_has_moved_past_is_not_started(nursery: trio.Nursery) -> None:
    started: list[bytes] = []

    async def duty(key: bytes) -> None:
        started.append(table[key])
        await trio.sleep_forever()

    store = HeldStore()
    ledger = Ledger(store)
    table = ledger.table("T", BYTES, owes=lambda key, row: (Owed(duty, row),) if row != b"over" else ())
    await nursery.start(ledger.serve)
    await nursery.start(table.serve)
    with ledger.change() as change:
        change.put(table, b"k", b"on")
    with ledger.change() as change:
        change.put(table, b"k", b"over")
    store.gate.release()
    await ledger.drained()
    await trio.testing.wait_all_tasks_blocked()
    assert started == []
    nursery.cancel_scope.cancel()


async def test_rows_that_were_loaded_owe_their_duties(nursery: trio.Nursery) -> None:
    started: list[bytes] = []

    async def duty(key: bytes) -> None:
        started.append(key)
        await trio.sleep_forever()

    ledger = Ledger(HeldStore({"T": {b"a": b"1", b"b": b"2"}}))
    table = ledger.table("T", BYTES, owes=lambda key, row: (Owed(duty),))
    await ledger.load()
    await nursery.start(table.serve)
    await trio.testing.wait_all_tasks_blocked()
    assert sorted(started) == [b"a", b"b"]
    nursery.cancel_scope.cancel()


async def test_a_duty_that_returns_while_still_owed_is_a_bug() -> None:
    async def duty(key: bytes) -> None:
        await trio.lowlevel.checkpoint()

    ledger = Ledger(MemoryStore())
    table = ledger.table("T", BYTES, owes=lambda key, row: (Owed(duty),))
    with ledger.change() as change:
        change.put(table, b"k", b"v")
    with pytest.RaisesGroup(AssertionError):
        await table.serve()


class BrokenStore(HeldStore):
    """A store whose disk is gone."""

    async def commit(self, writes: Sequence[Write], revision: int) -> None:
        await trio.lowlevel.checkpoint()
        raise StoreError("the disk is gone")


async def test_who_drains_a_ledger_is_not_held_by_a_store_that_failed(autojump_clock: trio.abc.Clock) -> None:
    ledger = Ledger(BrokenStore())
    table = ledger.table("T", BYTES)
    with pytest.RaisesGroup(StoreError, flatten_subgroups=True), trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            await nursery.start(ledger.serve)
            with ledger.change() as change:
                change.put(table, b"a", b"1")
            with trio.CancelScope(shield=True):
                await ledger.drained()
    assert ledger.durable == 0
