"""A plan is read from the store as it was written, also by an older version, which kept its bundles whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.generated.ray.common_pb2 import Bundle
from trio_gcs.generated.ray.gcs_pb2 import PlacementGroupStats, PlacementGroupTableData
from trio_gcs.managers.placement_groups.plans import CODEC, Plan

GROUP = b"g" * 18
NODES = st.binary(min_size=28, max_size=28)
PLANS = st.builds(
    Plan,
    group_id=st.just(GROUP),
    attempt=st.integers(0, 2**31 - 1),
    nodes=st.dictionaries(st.integers(0, 1000), NODES, max_size=5),
    topology=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=1),
    is_prepared=st.booleans(),
)


@given(PLANS)
def test_what_is_read_is_what_was_written(plan: Plan) -> None:
    assert CODEC.decode(CODEC.encode(plan)) == plan


def test_a_plan_with_whole_bundles_is_read_too() -> None:
    bundle = Bundle(node_id=b"n" * 28, unit_resources={"CPU": 1.0}, label_selector={"zone": "a"})
    bundle.bundle_id.placement_group_id, bundle.bundle_id.bundle_index = GROUP, 3
    stored = PlacementGroupTableData(
        placement_group_id=GROUP,
        state=PlacementGroupTableData.PREPARED,
        stats=PlacementGroupStats(scheduling_attempt=7),
        bundles=[bundle],
    )
    plan = CODEC.decode(stored.SerializeToString())
    assert plan == Plan(GROUP, 7, {3: b"n" * 28}, {}, is_prepared=True)


def test_what_is_no_plan_is_refused() -> None:
    with pytest.raises(ValueError, match="not a PlacementGroupTableData"):
        CODEC.decode(b"\xff")


def test_bundles_are_found_by_their_nodes() -> None:
    plan = Plan(GROUP, 1, {0: b"a", 2: b"b", 5: b"a"}, {})
    assert plan.by_node() == {b"a": [0, 5], b"b": [2]}
    assert plan.on({b"b", b"c"}) == {b"b": [2]}
