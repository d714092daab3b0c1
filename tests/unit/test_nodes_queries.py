"""What clients may ask about nodes: the three ways of GetAllNodeInfo, and the one of the little records."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.nodes_world import NodesWorld, node_id, node_record
from trio_gcs.errors import Invalid
from trio_gcs.events.projection import address_and_liveness
from trio_gcs.generated.ray.common_pb2 import NodeDeathInfo
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeAddressAndLiveness, GcsNodeInfo
from trio_gcs.generated.ray.gcs_service_pb2 import GetAllNodeAddressAndLivenessRequest, GetAllNodeInfoRequest

Selector = GetAllNodeInfoRequest.NodeSelector
ALIVE, DEAD = GcsNodeInfo.ALIVE, GcsNodeInfo.DEAD


def populated() -> NodesWorld:
    """Alive 1 (the head), 3 and 4; dead 2, 4 (in its life before) and 5 (the head before)."""
    world = NodesWorld()
    world.nodes.register(node_record(5, "old head", head=True))
    world.nodes.register(node_record(1, "head", head=True))
    for number in (2, 4):
        world.nodes.register(node_record(number, "gone"))
        world.nodes.fail(node_id(number))
    world.nodes.register(node_record(3, "worker"))
    world.nodes.register(node_record(4, "worker", address="10.9.9.9"))
    return world


@pytest.fixture(scope="module")
def world() -> NodesWorld:
    return populated()


Seen = list[tuple[int, bool]]  # the number of a node, and whether it is alive


def seen(records: Iterable[GcsNodeInfo | GcsNodeAddressAndLiveness]) -> Seen:
    return sorted((int.from_bytes(record.node_id, "big"), record.state == ALIVE) for record in records)


def select(world: NodesWorld, *selectors: Selector, limit: int = 0, state: int | None = None) -> Seen:
    request = GetAllNodeInfoRequest(node_selectors=selectors, limit=limit, state_filter=state)
    return seen(world.nodes.queries.select(request))


def by_id(number: int) -> Selector:
    return Selector(node_id=node_id(number))


EVERYONE = [(1, True), (2, False), (3, True), (4, False), (4, True), (5, False)]


def test_without_selectors_everyone_is_listed(world: NodesWorld) -> None:
    assert select(world) == EVERYONE
    assert world.nodes.queries.total() == 6


def test_a_filter_leaves_the_living_or_the_dead(world: NodesWorld) -> None:
    assert select(world, state=ALIVE) == [one for one in EVERYONE if one[1]]
    assert select(world, state=DEAD) == [one for one in EVERYONE if not one[1]]


@pytest.mark.parametrize("selectors", [[], [by_id(1)], [Selector(is_head_node=True)], [Selector(node_name="worker")]])
def test_a_filter_for_a_state_that_does_not_exist_leaves_nobody(world: NodesWorld, selectors: list[Selector]) -> None:
    assert select(world, *selectors, state=7) == []


def test_a_limit_counts_the_living_first_and_zero_or_less_is_none(world: NodesWorld) -> None:
    assert all(alive for _, alive in select(world, limit=3))
    assert len(select(world, limit=4)) == 4
    assert select(world, limit=-1) == EVERYONE


def test_ids_find_both_lives_of_a_node_each_once(world: NodesWorld) -> None:
    assert select(world, by_id(4), by_id(1), by_id(4)) == [(1, True), (4, False), (4, True)]
    assert select(world, by_id(4), state=DEAD) == [(4, False)]
    assert select(world, by_id(9)) == []


def test_ids_do_not_look_at_the_limit(world: NodesWorld) -> None:
    assert len(select(world, by_id(1), by_id(2), by_id(3), limit=1)) == 3


def test_a_selector_that_selects_nothing_still_counts_as_one(world: NodesWorld) -> None:
    assert select(world, Selector()) == []
    assert select(world, Selector(), by_id(1)) == [(1, True)]


def test_the_head_is_the_living_one_or_else_a_dead_one_and_only_one(world: NodesWorld) -> None:
    head = Selector(is_head_node=True)
    assert select(world, head) == [(1, True)]
    assert select(world, head, state=DEAD) == [(5, False)]
    later = populated()
    later.nodes.fail(node_id(1))
    assert len(select(later, head)) == 1
    assert select(later, head, state=ALIVE) == []


def test_selectors_add_up_and_look_at_the_limit(world: NodesWorld) -> None:
    worker, other = Selector(node_name="worker"), Selector(node_ip_address="10.0.0.2")
    assert select(world, worker, other) == [(2, False), (3, True), (4, True)]
    assert select(world, worker, other, by_id(1)) == [(1, True), (2, False), (3, True), (4, True)]
    assert select(world, worker, other, limit=1) in ([(3, True)], [(4, True)])


def test_not_being_the_head_is_a_general_question(world: NodesWorld) -> None:
    assert select(world, Selector(is_head_node=False)) == [(2, False), (3, True), (4, False), (4, True)]


def test_of_several_head_selectors_the_last_one_counts(world: NodesWorld) -> None:
    yes, no = Selector(is_head_node=True), Selector(is_head_node=False)
    assert select(world, no, yes) == [(1, True), (5, False)]
    assert select(world, yes, no) == select(world, no)


def test_an_id_of_a_wrong_length_is_refused_and_an_empty_one_is_nil(world: NodesWorld) -> None:
    for selectors in ([Selector(node_id=b"abc")], [Selector(node_id=b"abc"), Selector(node_name="worker")]):
        with pytest.raises(Invalid, match="28 bytes, but got 3"):
            select(world, *selectors)
    assert select(world, Selector(node_id=b"")) == []


# The little records.


def liveness(world: NodesWorld, *numbers: int, limit: int = 0, state: int | None = None) -> Seen:
    request = GetAllNodeAddressAndLivenessRequest(
        node_ids=[node_id(number) for number in numbers], limit=limit, state_filter=state
    )
    return seen(world.nodes.queries.select_liveness(request))


def test_little_records_of_everyone_look_at_limit_and_filter(world: NodesWorld) -> None:
    assert liveness(world) == EVERYONE
    assert liveness(world, state=DEAD) == [(2, False), (4, False), (5, False)]
    assert liveness(world, state=7) == []
    assert len(liveness(world, limit=4)) == 4


def test_little_records_by_id_look_at_the_limit_between_ids(world: NodesWorld) -> None:
    assert liveness(world, 1, 1, 9, 3) == [(1, True), (3, True)]
    assert liveness(world, 1, 3, limit=1) == [(1, True)]
    assert liveness(world, 4, 3, limit=1) == [(4, False), (4, True)]  # both lives of one id
    assert liveness(world, 4, state=ALIVE) == [(4, True)]


def test_a_little_record_has_addresses_and_a_reason_of_death_that_is_there(world: NodesWorld) -> None:
    request = GetAllNodeAddressAndLivenessRequest(node_ids=[node_id(3), node_id(2)])
    living, dead = map(address_and_liveness, world.nodes.queries.select_liveness(request))
    assert living == GcsNodeAddressAndLiveness(
        node_id=node_id(3),
        node_manager_address="10.0.0.3",
        node_manager_port=1003,
        object_manager_port=2003,
        death_info=NodeDeathInfo(),
    )
    assert living.HasField("death_info")
    assert (dead.state, dead.node_manager_address) == (DEAD, "10.0.0.2")
    assert dead.death_info.reason == NodeDeathInfo.UNEXPECTED_TERMINATION


# Any question.

numbers = st.integers(1, 6)
selectors = st.one_of(
    st.builds(by_id, numbers),
    st.builds(lambda name: Selector(node_name=name), st.sampled_from(["head", "worker", "gone", "nobody"])),
    st.builds(lambda number: Selector(node_ip_address=f"10.0.0.{number}"), numbers),
    st.builds(lambda head: Selector(is_head_node=head), st.booleans()),
    st.just(Selector()),
)
states = st.sampled_from([None, ALIVE, DEAD])
WORLD = populated()


def meant(record: GcsNodeInfo, wanted: list[Selector]) -> bool:
    heads = [one.is_head_node for one in wanted if one.HasField("is_head_node")]
    return (
        not wanted
        or (heads[-1:] == [record.is_head_node])
        or any(one.HasField("node_id") and one.node_id == record.node_id for one in wanted)
        or any(one.HasField("node_name") and one.node_name == record.node_name for one in wanted)
        or any(one.HasField("node_ip_address") and one.node_ip_address == record.node_manager_address for one in wanted)
    )


@given(st.lists(selectors, max_size=3), st.integers(-1, 3), states)
def test_any_question_is_answered_by_its_rule(wanted: list[Selector], limit: int, state: int | None) -> None:
    records = [*WORLD.alive.values(), *WORLD.dead.values()]
    expected = seen(record for record in records if state in (None, record.state) and meant(record, wanted))
    found = select(WORLD, *wanted, limit=limit, state=state)
    only_ids = bool(wanted) and all(one.WhichOneof("node_selector") in (None, "node_id") for one in wanted)
    one_head = len(wanted) == 1 and wanted[0].is_head_node
    assert set(found) <= set(expected)
    if one_head:
        assert len(found) == min(1, len(expected))
    elif limit > 0 and not only_ids:
        assert len(found) == min(limit, len(expected))
    else:
        assert found == expected
