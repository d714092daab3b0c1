"""A token is good for one history only: that of the stores as they are now."""

from __future__ import annotations

import trio
import trio.testing

from tests.fakes.event_world import HeldStore, World, position, pulled
from trio_gcs.events.epoch import LIVES_MAX
from trio_gcs.events.hub import HubLimits
from trio_gcs.events.journal import JournalLimits

Stores = tuple[HeldStore, HeldStore]


def stores() -> Stores:
    made = HeldStore(), HeldStore()
    for store in made:
        store.held = False
    return made


def backup_of(kept: Stores) -> Stores:
    copies = kept[0].copy(), kept[1].copy()
    for store in copies:
        store.held = False
    return copies


class Life:
    """A daemon on stores, which may be asked while it serves."""

    def __init__(self, kept: Stores, seed: int, limits: HubLimits | None = None) -> None:
        self.world = World(*kept, limits, seed=seed)

    async def change(self, *texts: str) -> list[str]:
        """Serve while there are changes; the tokens of their events."""
        world = self.world
        async with trio.open_nursery() as nursery:
            await nursery.start(world.ledger.serve)
            await nursery.start(world.kv_ledger.serve)
            feed = world.open(kinds=["job", "kv"])
            pulled(feed)
            for text in texts:
                world.put_job(1, text)
                world.put_pair("k", len(text))
                await trio.testing.wait_all_tasks_blocked()
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        return [message["token"] for message in pulled(feed)]

    def after(self, token: str) -> list[tuple[int, int]] | str:
        """What comes after a token, or why that cannot be said."""
        _, *rest = pulled(self.world.open(token, kinds=["job", "kv"]))
        if rest[0]["type"] == "compacted":
            return str(rest[0]["reason"])
        return [position(message) for message in rest[:-1]]


async def begun(kept: Stores, seed: int, limits: HubLimits | None = None) -> Life:
    life = Life(kept, seed, limits)
    await life.world.start()
    return life


async def test_a_token_of_changes_that_a_backup_took_back_never_fits_those_that_came_instead() -> None:
    kept = stores()
    first = await begun(kept, 1)
    tokens = await first.change("a", "b")
    backup = backup_of(kept)
    undone = await first.change("c", "d", "e")
    second = await begun(backup, 2)
    assert {second.after(token) for token in undone} == {"ahead"}
    news = await second.change(*"uvwxyz")
    third = await begun(backup, 3)
    for life in (second, third):
        assert {life.after(token) for token in undone} == {"ahead"}, "revisions have caught up"
        assert len(life.after(tokens[-1])) == len(news)
        assert len(life.after(news[0])) == len(news) - 1


async def test_a_backup_that_is_put_back_twice_has_two_histories() -> None:
    kept = stores()
    tokens = await (await begun(kept, 1)).change("a")
    backup = backup_of(kept)
    undone = await (await begun(kept, 2)).change("b", "c")
    other = await begun(backup, 3)
    await other.change("x", "y", "z")
    assert {other.after(token) for token in undone} == {"ahead"}
    assert len(other.after(tokens[-1])) == 6


async def test_lives_are_forgotten_when_all_their_tokens_are_too_old() -> None:
    kept, limits = stores(), HubLimits(journal=JournalLimits(entries_max=3), keys_journal=JournalLimits(entries_max=3))
    (old, *_) = await (await begun(kept, 1, limits)).change("a", "b")
    for seed in range(2, 20):
        life = await begun(kept, seed, limits)
        await life.change("c", "d")
    assert life.after(old) == "too_old"
    assert len([key for table, key in kept[0].rows if table == "EVENT_LIVES"]) < 6


async def test_so_many_starts_without_a_change_are_remembered_and_no_more() -> None:
    kept = stores()
    (token, last) = await (await begun(kept, 1)).change("a")
    life = await begun(kept, 2)
    await life.change()
    for number in range(LIVES_MAX + 5):
        kept[0].rows["EVENT_LIVES", (10 + number).to_bytes(8, "big")] = kept[0].rows[
            "EVENT_LIVES", (1).to_bytes(8, "big")
        ]
    life = await begun(kept, 3)
    await life.change()
    assert life.after(token) == life.after(last) == "ahead"
    assert len([key for table, key in kept[0].rows if table == "EVENT_LIVES"]) == LIVES_MAX
