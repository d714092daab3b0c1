"""What a subscriber is sent, from its first message to its last."""

import json

import pytest

from tests.fakes.event_world import memory_world, position, pulled
from trio_gcs.events.domain import JobFinished, NodeDied
from trio_gcs.events.hub import HubLimits, TooManySubscribers
from trio_gcs.events.journal import JournalLimits
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, GcsNodeInfo, JobTableData


def types(messages):
    return [message["type"] for message in messages]


def entrypoints(messages):
    return [m["row"]["body"]["entrypoint"] for m in messages if m["type"] in {"row", "event"}]


async def test_from_now_begins_with_hello_and_synced_and_goes_on_with_what_happens():
    world = await memory_world()
    world.put_job(1, "before")
    feed = world.open()
    assert types(pulled(feed)) == ["hello", "synced"]
    world.put_job(1, "after")
    (event,) = pulled(feed)
    assert event["op"] == "put"
    assert event["row"]["id"] == "00000001"
    assert event["row"]["body"]["entrypoint"] == "after"
    assert event["was"] == "RUNNING"


async def test_a_snapshot_has_what_there_is_and_nothing_of_it_comes_again():
    world = await memory_world()
    world.put_job(1, "one")
    world.put_job(2, "two")
    world.delete_job(1)
    feed = world.open("snapshot")
    world.put_job(3, "three")
    messages = pulled(feed)
    assert types(messages) == ["hello", "row", "synced", "event"]
    assert entrypoints(messages) == ["two", "three"]


async def test_the_token_of_any_message_goes_on_with_exactly_what_came_after_it():
    world = await memory_world()
    feed = world.open()
    for number in range(5):
        with world.ledger.change() as change:
            for job in (b"\0\0\0\1", b"\0\0\0\2"):
                change.put(world.jobs, job, JobTableData(job_id=job, entrypoint=f"{number}"))
    messages = [m for m in pulled(feed) if "token" in m]
    events = [m for m in messages if m["type"] == "event"]
    assert len(events) == 10
    for message in messages:
        again = pulled(world.open(message["token"]))
        assert types(again)[0] == "hello"
        assert types(again)[-1] == "synced"
        after = position(message) if message["type"] == "event" else (0, 0)
        assert [position(m) for m in again[1:-1]] == [position(m) for m in events if position(m) > after]


async def test_a_token_that_is_too_old_is_answered_with_compacted_and_the_end():
    world = await memory_world(HubLimits(journal=JournalLimits(entries_max=3)))
    feed = world.open()
    token = pulled(feed)[-1]["token"]
    for number in range(4):
        world.put_job(number, "x")
    late = world.open(token)
    (hello, compacted) = pulled(late)
    assert hello["from"] == "token"
    assert compacted["reason"] == "too_old"
    assert late.ended == "compacted"
    assert types(pulled(world.open(compacted["oldest"]))) == ["hello", "event", "event", "event", "synced"]


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("ffff-{life.name}.1.1", "other_epoch"),
        ("{life.epoch}-{life.name}.99.1", "ahead"),
        ("{life.epoch}-{life.name}.2.9", "ahead"),
        ("{life.epoch}-ffff0000ffff0000.2.1", "ahead"),
        ("{life.epoch}-fff.2.1", "ahead"),
    ],
)
async def test_a_token_that_never_was_is_not_taken_for_one(token, reason):
    world = await memory_world()
    world.put_job(1, "x")
    feed = world.open(token.format(life=world.epoch.life))
    assert pulled(feed)[1]["reason"] == reason


async def test_a_text_that_is_no_token_is_refused():
    world = await memory_world()
    for text in ("then", "1", "zz.1.1", "a.1", "a.1.1", "a-b.1.1.1", "a-b.٣.1"):
        with pytest.raises(ValueError, match="no token"):
            world.open(text)


async def test_keys_are_sent_only_to_those_who_ask_and_resume_with_a_position_of_their_own():
    world = await memory_world()
    plain, keyed = world.open(), world.open(kinds=["job", "kv"])
    pulled(plain), pulled(keyed)
    world.put_pair("a", 3)
    world.put_job(1, "x")
    world.put_pair("@namespace_n s:b%", 5)
    assert types(pulled(plain)) == ["event"]
    messages = pulled(keyed)
    assert sorted(m["row"]["id"] for m in messages) == ["00000001", ":a", "n%20s:b%25"]
    for number, message in enumerate(messages):
        rest = pulled(world.open(message["token"], kinds=["job", "kv"]))
        assert rest[1:-1] == [
            m | {"token": r["token"]} for m, r in zip(messages[number + 1 :], rest[1:-1], strict=True)
        ]
    unkeyed = pulled(world.open("snapshot"))[-1]["token"]
    assert pulled(world.open(unkeyed, kinds=["kv"]))[1]["reason"] == "unkeyed"


async def test_an_event_says_what_happened_and_what_set_it_off():
    world = await memory_world()
    node, actor = GcsNodeInfo(node_id=b"n" * 28), ActorTableData(actor_id=b"a" * 16, state=ActorTableData.ALIVE)
    with world.ledger.change() as change:
        change.put(world.nodes, node.node_id, node)
        change.put(world.actors, actor.actor_id, actor)
    feed = world.open()
    pulled(feed)
    dead = GcsNodeInfo(node_id=b"n" * 28, state=GcsNodeInfo.DEAD)
    with world.ledger.change() as change:
        change.put(world.nodes, dead.node_id, dead)
        change.react(NodeDied(dead))
        change.put(world.actors, actor.actor_id, ActorTableData(actor_id=b"a" * 16, state=ActorTableData.DEAD))
    died, lost = pulled(feed)
    assert (died["what"], died["cause"], died["was"], died["row"]["state"]) == (["NodeDied"], None, "ALIVE", "DEAD")
    assert lost["cause"] == {"what": "NodeDied", "kind": "node", "id": "6e" * 28}
    assert (died["revision"], died["index"]) == (lost["revision"], lost["index"] - 1)


async def test_a_delete_says_where_it_belonged_and_filters_see_it():
    world = await memory_world()
    world.put_job(1, "x")
    feed, other = world.open(jobs=["00000001"]), world.open(jobs=["00000002"])
    pulled(feed), pulled(other)
    world.delete_job(1)
    (event,) = pulled(feed)
    assert (event["op"], event["row"]["state"], event["was"]) == ("delete", "RUNNING", "RUNNING")
    assert "body" not in event["row"]
    assert pulled(other) == []


async def test_what_leaves_a_state_that_was_asked_for_is_sent():
    world = await memory_world()
    world.put_job(1, "x")
    feed = world.open("snapshot", states=["RUNNING"])
    assert types(pulled(feed)) == ["hello", "row", "synced"]
    with world.ledger.change() as change:
        done = JobTableData(job_id=b"\0\0\0\1", is_dead=True)
        change.put(world.jobs, done.job_id, done)
        change.emit(JobFinished(done))
    (event,) = pulled(feed)
    assert (event["was"], event["row"]["state"], event["what"]) == ("RUNNING", "FINISHED", ["JobFinished"])
    world.put_job(1, "y", dead=True)
    assert pulled(feed) == []


async def test_a_bookmark_says_that_nothing_is_missing_though_nothing_was_let_through(autojump_clock):
    world = await memory_world(HubLimits(bookmark_period_s=10))
    feed = world.open(kinds=["node"])
    pulled(feed)
    world.put_job(1, "x")
    assert pulled(feed) == []
    world.hub._bookmarks_due += 1
    (bookmark,) = pulled(feed)
    assert pulled(world.open(bookmark["token"]))[1]["type"] == "synced"


async def test_one_that_falls_behind_ends_with_the_token_to_go_on_from():
    world = await memory_world(HubLimits(budget_bytes=2000))
    feed = world.open()
    pulled(feed)
    world.put_job(1, "first")
    (first,) = pulled(feed)
    for _ in range(10):
        world.put_job(1, "x" * 100)
    (end,) = pulled(feed)
    assert end == {"type": "end", "reason": "lagged", "token": first["token"]}
    assert feed.ended == "lagged"
    assert len(pulled(world.open(end["token"]))) == 12


async def test_one_that_coalesces_is_sent_the_newest_of_each_id_instead():
    world = await memory_world(HubLimits(budget_bytes=2000))
    feed = world.open(coalesce=True)
    pulled(feed)
    for number in range(20):
        world.put_job(number % 2, f"{number}")
    assert entrypoints(pulled(feed)) == ["18", "19"]
    world.put_job(1, "next")
    assert entrypoints(pulled(feed)) == ["next"]
    for number in range(40):
        world.put_job(number, "all different")
    assert types(pulled(feed)) == ["end"]


async def test_a_snapshot_that_takes_long_may_be_behind():
    world = await memory_world(HubLimits(budget_bytes=2000))
    for number in range(200):
        world.put_job(number, "old")
    feed = world.open("snapshot")
    rows = [json.loads(raw) for raw in feed.pull()]
    for number in range(50):
        world.put_job(number, "new")
    rows += pulled(feed)
    assert types(rows).count("row") == 200
    assert types(rows)[-1] == "event"
    assert set(entrypoints(rows[:201])) == {"old"}


async def test_there_is_a_limit_on_subscribers():
    world = await memory_world(HubLimits(subscribers_max=1))
    feed = world.open()
    with pytest.raises(TooManySubscribers):
        world.open()
    world.hub.close(feed)
    world.open()


async def test_a_change_that_is_undone_or_moves_nothing_is_no_event():
    world = await memory_world()
    feed = world.open()
    pulled(feed)
    with pytest.raises(RuntimeError), world.ledger.change() as change:
        change.put(world.jobs, b"\0\0\0\1", JobTableData())
        raise RuntimeError
    world.delete_job(7)
    assert pulled(feed) == []


async def test_task_summaries_are_rows_when_somebody_comes_and_events_when_they_change():
    world = await memory_world()
    jobs = [b"\1\0\0\0", b"\2\0\0\0"]
    world.hub.show_summaries({jobs[0]: {"RUNNING": 2}})
    feed, other = world.open(kinds=["task_summary", "job"]), world.open()
    assert world.hub.wants_summaries()
    assert types(pulled(feed)) == ["hello", "row", "synced"]
    pulled(other)
    world.put_job(1, "x")
    (before,) = pulled(feed)
    world.hub.show_summaries({jobs[0]: {"RUNNING": 1, "FINISHED": 1}, jobs[1]: {"RUNNING": 1}})
    world.hub.show_summaries({jobs[0]: {"RUNNING": 1, "FINISHED": 1}, jobs[1]: {"RUNNING": 1}})
    changed = pulled(feed)
    assert [(m["token"], m["revision"], m["index"]) for m in changed] == [(before["token"], before["revision"], 0)] * 2
    assert changed[0]["row"]["body"] == {"attempts_by_state": {"FINISHED": 1, "RUNNING": 1}}
    world.hub.show_summaries({jobs[0]: {"RUNNING": 1, "FINISHED": 1}})
    (gone,) = pulled(feed)
    assert (gone["op"], gone["row"]["id"]) == ("delete", "02000000")
    assert types(pulled(other)) == ["event"]
    again = pulled(world.open(gone["token"], kinds=["task_summary"]))
    assert types(again) == ["hello", "row", "synced"]
