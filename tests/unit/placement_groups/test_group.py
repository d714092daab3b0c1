"""A group is what Ray's row says, whatever form its table keeps it in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.group_world import group_id, group_spec
from trio_gcs.generated.ray.common_pb2 import Bundle
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats, PlacementGroupTableData
from trio_gcs.managers.placement_groups.group import CODEC, Group, born, group_of

Row = PlacementGroupTableData
NODES = st.sampled_from([b"", b"a" * 28, b"b" * 28])


@st.composite
def bundles(draw: st.DrawFn) -> list[Bundle]:
    found = []
    for index, node_id in enumerate(draw(st.lists(NODES, max_size=200))):
        bundle = Bundle(node_id=node_id, unit_resources=draw(st.sampled_from([{}, {"CPU": 1.5}, {"x" * 200: 2.0}])))
        bundle.bundle_id.placement_group_id, bundle.bundle_id.bundle_index = group_id(1), index
        found.append(bundle)
    return found


ROWS = st.builds(
    Row,
    placement_group_id=st.just(group_id(1)),
    name=st.text(max_size=5),
    state=st.sampled_from(Row.PlacementGroupState.values()),
    stats=st.builds(PlacementGroupStats, scheduling_attempt=st.integers(0, 9)),
    topology_assignments=st.dictionaries(st.just("zone"), st.just("z"), max_size=1),
    bundles=bundles(),
)


def copy_of(row: Row) -> Row:
    return Row.FromString(row.SerializeToString())


@given(ROWS)
def test_what_is_read_is_what_was_written(row: Row) -> None:
    group = CODEC.decode(row.SerializeToString())
    assert group.row() == row
    assert CODEC.decode(CODEC.encode(group)) == group


@given(ROWS)
def test_it_knows_where_its_bundles_are(row: Row) -> None:
    group = group_of(copy_of(row))
    placed = {index: bundle.node_id for index, bundle in enumerate(row.bundles) if bundle.node_id}
    assert group.unplaced() == [index for index in range(len(row.bundles)) if index not in placed]
    assert group.on_nodes() == set(placed.values())
    assert {index: node_id for node_id, indexes in group.by_node().items() for index in indexes} == placed
    assert group.is_placed == bool(placed)


@given(ROWS)
def test_its_size_is_that_of_the_row_but_for_an_octet_a_bundle(row: Row) -> None:
    size = group_of(copy_of(row)).ByteSize()
    assert row.ByteSize() - len(row.bundles) <= size <= row.ByteSize()


def test_bundles_move_and_the_group_before_stays_as_it_was() -> None:
    before = born(group_spec(1, {"CPU": 1}, {"CPU": 2}), "ns", 1)
    after = before.edited().placed({1: b"n" * 28})
    after.head.state = Row.PREPARED
    assert [bundle.node_id for bundle in after.row().bundles] == [b"", b"n" * 28]
    assert after.placed({1: b""}).nodes == before.nodes == (b"", b"")
    assert before.head.state == Row.PENDING
    assert after.need_of([0, 1]) == {"CPU": 30_000}


@pytest.mark.parametrize("raw", [b"\xff", Row(name="n").SerializeToString()])
def test_what_is_no_group_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"not a PlacementGroupTableData|whose ID is empty"):
        CODEC.decode(raw)


def test_a_node_of_all_ones_is_none() -> None:
    nil = Row(bundles=[Bundle(node_id=b"\xff" * 28)])
    assert group_of(nil).nodes == (b"",)


def test_a_stored_bundle_that_does_not_say_which_it_is_is_the_one_that_stands_there() -> None:
    bare = Row(
        placement_group_id=group_id(1), bundles=[Bundle(), Bundle(unit_resources={"CPU": 1}), Bundle(node_id=b"n" * 28)]
    )
    row = group_of(bare).row()
    assert [bundle.bundle_id.bundle_index for bundle in row.bundles] == [0, 1, 2]
    assert {bundle.bundle_id.placement_group_id for bundle in row.bundles} == {group_id(1)}
    assert [bundle.node_id for bundle in row.bundles] == [b"", b"", b"n" * 28]


def test_a_request_is_left_as_it_is_and_what_is_wrong_in_it_is_not_taken_over() -> None:
    spec = group_spec(1, {"CPU": 1}, {"CPU": 2})
    spec.bundles[0].node_id = b"n" * 28
    spec.bundles[1].bundle_id.bundle_index = 7
    sent = spec.SerializeToString()
    group = born(spec, "ns", 1)
    assert group.row().bundles == group_spec(1, {"CPU": 1}, {"CPU": 2}).bundles
    assert spec.SerializeToString() == sent
    assert isinstance(group, Group)
