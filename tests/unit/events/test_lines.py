"""What is read from a line of the event log is what was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.errors import StoreError
from trio_gcs.events.entry import START, Entry, KeyEntry, Position, Told
from trio_gcs.events.lines import entries_in, line_of
from trio_gcs.events.things import KEY_TABLES, TABLES
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.generated.trio_gcs.v1.events_pb2 import Cause, Event
from trio_gcs.generated.trio_gcs.v1.log_pb2 import LoggedBatch

NODE = TABLES["NODE"](b"n" * 28, GcsNodeInfo(node_id=b"n" * 28, state=GcsNodeInfo.DEAD))
CAUSE = Cause(what="NodeDied", kind="node", id="aa")
NAMES = st.one_of(st.binary(min_size=1, max_size=20), st.binary(max_size=9).map(lambda key: b"@namespace_a:%b" % key))


def of_node(place, *, deleted):
    thing = NODE._replace(body=None) if deleted else NODE
    return Entry(*place, 7, 1, lambda: Told(thing, "ALIVE", ("NodeDied",), CAUSE))


ENTRIES = st.lists(
    st.one_of(
        st.booleans().map(lambda deleted: lambda place: of_node(place, deleted=deleted)),
        st.tuples(NAMES, st.one_of(st.none(), st.integers(0, 2**40))).map(
            lambda pair: lambda place: KeyEntry(*place, 9, *pair)
        ),
    ),
    min_size=1,
    max_size=6,
).map(lambda makers: [make((5 + number // 2, 1 + number % 2)) for number, make in enumerate(makers)])


@given(ENTRIES)
def test_a_line_is_read_as_the_entries_that_it_was_made_of(entries):
    before, read = entries_in(entries[-1].revision, line_of(Position(4, 2), entries))
    assert before == Position(4, 2)
    assert [entry.message("") for entry in read] == [entry.message("") for entry in entries]
    assert [entry.told for entry in read] == [entry.told for entry in entries]


@given(NAMES, st.binary(max_size=9))
def test_a_key_is_told_of_alike_in_a_snapshot_and_in_an_event(name, value):
    assert KeyEntry(1, 1, 0, name, len(value)).thing == KEY_TABLES["KV"](name, value)


@pytest.mark.parametrize(
    "line",
    [
        b"\xff\xff",
        LoggedBatch().SerializeToString(),
        line_of(START, [KeyEntry(8, 1, 0, b"key", 3)]),
        LoggedBatch(events=[Event(revision=9, row={"kind": "node", "id": "no hex"})]).SerializeToString(),
    ],
    ids=["garbage", "nothing", "of another revision", "an id that is none"],
)
def test_a_line_that_makes_no_sense_is_refused_with_its_number(line):
    with pytest.raises(StoreError, match="line 9 of the event log"):
        entries_in(9, line)
