"""docs/events.schema.json and the code say the same, and the binary form says what the JSON form says."""

import json
from pathlib import Path

import jsonschema
import pytest

from tests.fakes.event_world import memory_world, pulled
from trio_gcs.events.entry import KEY, KINDS, TASK_SUMMARY, Entry, Thing, Told, key_body
from trio_gcs.events.feed import LAGGED, SHUTDOWN
from trio_gcs.events.forms import Binary, Json
from trio_gcs.events.things import KEY_TABLES, KINDS_OF_TABLES, TABLES
from trio_gcs.generated.ray.gcs_pb2 import (
    ActorTableData,
    GcsNodeInfo,
    JobTableData,
    PlacementGroupTableData,
    WorkerTableData,
)
from trio_gcs.generated.trio_gcs.v1.events_pb2 import Cause, StreamMessage, TaskSummaryBody
from trio_gcs.managers.placement_groups.group import group_of

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = json.loads((DOCS / "events.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)

NODE = GcsNodeInfo(node_id=b"n" * 28, resources_total={"CPU": 2.5, "odd": float("inf")}, state=GcsNodeInfo.DEAD)
ACTOR = ActorTableData(actor_id=b"a" * 16, job_id=b"\1\0\0\0", state=ActorTableData.ALIVE, ray_namespace="default")
ACTOR.function_descriptor.python_function_descriptor.class_name = "Counter"
THINGS = [
    TABLES["NODE"](b"n" * 28, NODE),
    TABLES["JOB"](b"\1\0\0\0", JobTableData(job_id=b"\1\0\0\0")),
    TABLES["ACTOR"](b"a" * 16, ACTOR),
    TABLES["WORKERS"](b"w" * 28, WorkerTableData(is_alive=True, worker_info={"k": b"\xff"})),
    TABLES["PLACEMENT_GROUP"](b"p" * 18, group_of(PlacementGroupTableData(state=77))),
    KEY_TABLES["KV"](b"@namespace_a:b:c", b"value"),
    KEY_TABLES["KV"](b"\xff\x00", b""),
    Thing(TASK_SUMMARY, b"\1\0\0\0", "", "01000000", "", TaskSummaryBody(attempts_by_state={"RUNNING": 3})),
]
CAUSE = Cause(what="NodeDied", kind="node", id="aa")


def entry(revision, index, told):
    return Entry(revision, index, 5, 10, lambda: told)


def said():
    form = Json()
    yield form.hello("now", "ab12", 1000)
    yield form.synced("ab12-34.1.0")
    yield form.bookmark("ab12-34.1.0.2.3", 5)
    yield from (
        form.compacted(reason, "ab12", "ab12-34.0.0") for reason in ("too_old", "other_epoch", "ahead", "unkeyed")
    )
    yield from (form.end(reason, token) for reason in (LAGGED, SHUTDOWN) for token in ("", "ab12-34.1.0"))
    for thing in THINGS:
        yield form.row(thing)
        yield form.event(entry(1, 1, Told(thing, "", ("ActorMoved",), CAUSE)), "ab12-34.1.1")
        yield form.event(entry(1, 2, Told(thing._replace(body=None), "ALIVE")), "ab12-34.1.2")


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("raw", list(said()))
def test_every_message_fits_the_schema(raw):
    VALIDATOR.validate(json.loads(raw))


@pytest.mark.parametrize("raw", list(said()))
def test_the_schema_lets_no_field_be_left_out_or_added(raw):
    message = json.loads(raw)
    for name in message:
        assert not VALIDATOR.is_valid({key: value for key, value in message.items() if key != name}), name
    assert not VALIDATOR.is_valid(message | {"more": 1})


async def test_what_a_feed_says_fits_the_schema():
    world = await memory_world()
    feed = world.open("snapshot", kinds=list(KINDS))
    world.put_job(1, "x")
    world.put_pair("k", 1)
    for message in pulled(feed):
        VALIDATOR.validate(message)


def test_every_kind_of_row_is_known_everywhere():
    assert set(SCHEMA["$defs"]["kind"]["enum"]) == set(KINDS)
    assert {thing.kind for thing in THINGS} == set(KINDS)
    assert {*KINDS_OF_TABLES.values(), TASK_SUMMARY} == set(KINDS)
    page = (DOCS / "events.md").read_text()
    assert all(f"`{kind}`" in page for kind in KINDS)


@pytest.mark.parametrize("thing", THINGS, ids=lambda thing: thing.kind)
def test_the_binary_form_says_the_same(thing):
    made = entry(7, 2, Told(thing, "ALIVE", ("ActorMoved",), CAUSE))
    plain = json.loads(Json().event(made, "ab.7.2"))
    event = StreamMessage.FromString(Binary().event(made, "ab.7.2")).event
    assert (event.token, event.revision, event.index, event.time_ms) == ("ab.7.2", 7, 2, 5)
    assert (event.was, list(event.what), event.cause) == (plain["was"], plain["what"], CAUSE)
    row = event.row
    assert [row.kind, row.id, row.state, row.job, row.namespace] == list(plain["row"].values())[:5]
    if thing.kind not in {KEY, TASK_SUMMARY}:
        assert type(thing.body).FromString(row.message.raw) == thing.body


def test_bodies_are_as_people_read_them():
    body = json.loads(Json().row(THINGS[2]))["row"]["body"]
    assert body == {
        "actor_id": "61" * 16,
        "job_id": "01000000",
        "state": "ALIVE",
        "ray_namespace": "default",
        "function_descriptor": {"python_function_descriptor": {"class_name": "Counter"}},
    }
    assert json.loads(Json().row(THINGS[0]))["row"]["body"]["resources_total"] == {"CPU": 2.5, "odd": "inf"}
    assert json.loads(Json().row(THINGS[4]))["row"]["state"] == "77"
    assert key_body(b"@namespace_a:b:c", 1).key == b"b:c"
