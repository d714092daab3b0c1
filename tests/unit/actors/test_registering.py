"""Registering: ids, names, and what is said of them."""

from __future__ import annotations

import pytest

from tests.fakes.actor_world import JOB, OWNER, ActorWorld, actor_id, actor_spec
from trio_gcs.errors import AlreadyExists, Code, Invalid, NotFound
from trio_gcs.events.domain import ActorForgotten, ActorMoved, ActorRegistered, ErrorRaised
from trio_gcs.generated.ray.common_pb2 import ActorDiedErrorContext as Reason
from trio_gcs.generated.ray.common_pb2 import Address, LabelSelectorOperator, TaskSpec, TaskType
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.managers.actors.queries import Filters

UNREADY, PENDING, ALIVE, RESTARTING, DEAD = range(5)
ANONYMOUS = "0a1b2c3d-0000-4abc-8def-0123456789ab"


def names(world: ActorWorld, namespace: str | None = "ns") -> list[tuple[str, str]]:
    return [(row.ray_namespace, row.name) for _, row in world.actors.queries.with_names(namespace)]


def test_a_registered_actor_is_what_its_task_spec_says() -> None:
    world = ActorWorld()
    spec = actor_spec(1, name="n", max_restarts=-1, resources={"CPU": 1, "memory": 0})
    spec.runtime_env_info.serialized_runtime_env = "{}"
    spec.labels["zone"] = "a"
    spec.call_site = "file.py:1"
    spec.scheduling_strategy.placement_group_scheduling_strategy.placement_group_id = b"p" * 18
    options = spec.fallback_strategy.options.add()
    for operator, key, values in (
        (LabelSelectorOperator.LABEL_OPERATOR_IN, "one", ["a"]),
        (LabelSelectorOperator.LABEL_OPERATOR_IN, "many", ["a", "b"]),
        (LabelSelectorOperator.LABEL_OPERATOR_NOT_IN, "not-one", ["a"]),
        (LabelSelectorOperator.LABEL_OPERATOR_NOT_IN, "not-many", ["a", "b"]),
    ):
        spec.label_selector.label_constraints.add(label_key=key, operator=operator, label_values=values)
    world.actors.register(spec)
    row = world.row()
    assert world.told == [ActorRegistered(row, spec)]
    assert (row.state, row.actor_id, row.job_id, row.name, row.ray_namespace) == (UNREADY, actor_id(1), JOB, "n", "ns")
    assert (row.max_restarts, row.num_restarts, row.class_name, row.is_detached) == (-1, 0, "A", False)
    assert row.address == Address(node_id=b"\xff" * 28, worker_id=b"\xff" * 28)
    assert row.owner_address == OWNER
    assert dict(row.required_resources) == {"CPU": 1}
    assert (row.serialized_runtime_env, dict(row.labels), row.call_site) == ("{}", {"zone": "a"}, "file.py:1")
    assert row.placement_group_id == b"p" * 18
    assert list(row.fallback_strategy.options) == [options]
    assert dict(row.label_selector) == {"one": "a", "many": "in(a,b)", "not-one": "!a", "not-many": "!in(a,b)"}
    assert (row.timestamp, row.HasField("node_id"), row.HasField("death_cause")) == (0, False, False)


def test_registering_again_is_no_news() -> None:
    world = ActorWorld()
    world.register(1, name="n")
    world.register(1, name="another", namespace="", max_restarts=7)
    assert len(world.told) == 1
    assert (world.row().name, world.row().max_restarts) == ("n", 0)


@pytest.mark.parametrize(
    "spec",
    [
        TaskSpec(),
        TaskSpec(type=TaskType.ACTOR_CREATION_TASK),
        TaskSpec(type=TaskType.NORMAL_TASK, actor_creation_task_spec=actor_spec().actor_creation_task_spec),
        actor_spec(namespace=""),
        actor_spec(owner=Address(node_id=b"short")),
        actor_spec(owner=Address(worker_id=b"short")),
    ],
)
def test_what_is_no_actor_is_refused(spec: TaskSpec) -> None:
    world = ActorWorld()
    with pytest.raises(Invalid):
        world.actors.register(spec)
    assert world.told == []
    assert world.ledger.revision == 0


def test_an_actor_id_of_another_length_is_refused() -> None:
    spec = actor_spec()
    spec.actor_creation_task_spec.actor_id = b"abc"
    with pytest.raises(Invalid, match="16 bytes"):
        ActorWorld().actors.register(spec)


def test_a_name_is_taken_until_its_actor_is_finally_dead() -> None:
    world = ActorWorld()
    world.register(1, name="n")
    with pytest.raises(AlreadyExists, match=r"^Actor with name 'n' already exists in the namespace ns$") as refusal:
        world.register(2, name="n")
    assert refusal.value.code == Code.ALREADY_EXISTS
    assert not world.is_registered(2)
    world.register(3, name="n", namespace="other")
    world.kill(1)
    world.register(2, name="n")
    assert world.actors.queries.named("ns", "n")[0].actor_id == actor_id(2)


def test_a_name_outlives_an_actor_that_may_be_called_back() -> None:
    world = ActorWorld()
    world.register(1, name="n", max_restarts=1)
    world.actors.report_out_of_scope(actor_id(1), 0)
    row, spec, _ = world.actors.queries.named("ns", "n")
    assert (row.state, spec.actor_creation_task_spec.name) == (DEAD, "n")
    assert names(world) == []
    world.kill(1)
    assert world.why().reason == Reason.OUT_OF_SCOPE, "a dead actor is not killed"
    with pytest.raises(AlreadyExists):
        world.register(2, name="n")


def test_a_name_outlives_an_actor_that_its_owner_still_holds() -> None:
    world = ActorWorld(nodes=1)
    world.begin(1, name="n")
    world.end_node(1)
    assert not world.is_registered(1), "its owner was on the node as well"
    world.add_node(2)
    owner = Address(node_id=b"o" * 28, worker_id=b"o" * 28)
    world.begin(2, name="n", owner=owner)
    world.end_node(2)
    assert world.actors.queries.named("ns", "n")[0].state == DEAD


def test_names_are_listed_by_namespace_or_all() -> None:
    world = ActorWorld()
    world.register(1, name="a")
    world.register(2, name="b", namespace="other")
    world.register(3)
    assert names(world) == [("ns", "a")]
    assert names(world, None) == [("ns", "a"), ("other", "b")]
    assert names(world, "") == []


@pytest.mark.parametrize(
    ("detached", "name", "namespace", "warned"),
    [
        (True, "n", ANONYMOUS, True),
        (False, "n", ANONYMOUS, False),
        (True, "", ANONYMOUS, False),
        (True, "n", ANONYMOUS.upper(), False),
        (True, "n", f"{ANONYMOUS}0", False),
    ],
)
def test_a_detached_actor_that_nobody_will_find_is_warned_of(
    detached: bool, name: str, namespace: str, warned: bool
) -> None:
    world = ActorWorld()
    world.register(1, name=name, namespace=namespace, detached=detached)
    errors = [event for event in world.told if isinstance(event, ErrorRaised)]
    assert bool(errors) == warned
    if warned:
        assert world.told[0] is errors[0]
        assert errors[0].key == b"01000000"
        assert (errors[0].error.job_id, errors[0].error.type) == (JOB, "detached_actor_anonymous_namespace")
        assert f"ray.init(namespace='{ANONYMOUS}')" in errors[0].error.error_message


def test_a_name_that_is_taken_is_not_warned_of() -> None:
    world = ActorWorld()
    world.register(1, name="n", namespace=ANONYMOUS, detached=True)
    with pytest.raises(AlreadyExists):
        world.register(2, name="n", namespace=ANONYMOUS, detached=True)
    assert len([event for event in world.told if isinstance(event, ErrorRaised)]) == 1


def test_an_id_that_is_finally_dead_gets_a_second_life_and_both_are_listed() -> None:
    world = ActorWorld()
    world.register(1, name="n")
    world.kill(1)
    world.register(1, name="n")
    found = world.actors.queries.search(Filters(), 0, stored=False)
    assert [row.state for row in found.rows] == [UNREADY, DEAD]
    assert found.total == 2
    assert world.state() == UNREADY
    assert [row.state for row in world.actors.queries.search(Filters(), 0, stored=True).rows] == [UNREADY]


def test_what_was_registered_is_killed_without_a_word_to_anybody() -> None:
    world = ActorWorld(nodes=1)
    world.register(1)
    world.now_ms = 5_000
    world.kill(1)
    row = world.row()
    assert (row.state, row.timestamp, row.end_time) == (DEAD, 5_000, 5_000)
    assert [type(event) for event in world.told] == [ActorRegistered, ActorMoved, ActorForgotten]
    assert world.why().never_started
    with pytest.raises(NotFound, match=f"^Could not find actor with ID {actor_id(1).hex()}.$"):
        world.kill(1)


def test_creating_what_is_not_registered_is_refused() -> None:
    world = ActorWorld()
    with pytest.raises(Invalid, match=r"^Actor may be already destroyed\.$"):
        world.create(1)
    with pytest.raises(Invalid):
        world.actors.create(TaskSpec(), None)
    world.register(1)
    world.kill(1)
    with pytest.raises(Invalid):
        world.create(1)


def test_creating_takes_the_resolved_spec_and_tells_all_of_the_actor() -> None:
    world = ActorWorld(nodes=1)
    world.register(1, max_restarts=1)
    resolved = actor_spec(1, max_restarts=1)
    resolved.args.add(data=b"resolved")
    world.now_ms = 7_000
    world.actors.create(resolved, None)
    pending = world.told[-1].actor
    assert (pending.state, pending.address.node_id) == (PENDING, b"\xff" * 28)
    assert isinstance(pending, ActorTableData)
    world.register(2, name="n")
    world.create(2, name="n")
    _, spec, _ = world.actors.queries.named("ns", "n")
    assert spec.dependency_resolution_timestamp_ms == 7_000
