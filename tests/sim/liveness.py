"""What must hold in the end, when nothing goes wrong any more: all that was asked for is there, and nothing else."""

from __future__ import annotations

from tests.sim.clients import rank
from tests.sim.faults import Violation
from tests.sim.raylet import COMMITTED
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, GcsNodeInfo, PlacementGroupTableData

STATES = ActorTableData.ActorState.Name
RESTING = {ActorTableData.ALIVE, ActorTableData.DEAD}


def judge(world) -> None:
    """Raise a :class:`Violation` for the first thing that is not as it should be."""
    _nodes(world)
    _groups(world)
    _actors(world)
    _workers(world)
    for subscriber in world.subscribers:
        _subscriber(world, subscriber)


def _nodes(world) -> None:
    rows = world.disk.rows.get("NODE", {})
    stored = {key for key, raw in rows.items() if GcsNodeInfo.FromString(raw).state == GcsNodeInfo.ALIVE}
    alive = {raylet.node_id for raylet in world.raylets if raylet.alive}
    if stored != alive:
        raise Violation(f"alive nodes are {_hex(alive)}, the daemon knows {_hex(stored)}")


def _groups(world) -> None:
    expected = _expected_bundles(world)
    for driver in world.drivers:
        left = {group_id for group_id in driver.removed if not world.safety.is_removed(group_id)}
        left &= world.safety.groups.keys()
        if left:
            raise Violation(f"groups {_hex(left)} were removed, and are there")
    for raylet in filter(_alive, world.raylets):
        held = set(raylet.bundles)
        if held != expected[raylet.node_id]:
            extra, missing = held - expected[raylet.node_id], expected[raylet.node_id] - held
            raise Violation(f"{raylet.name} holds {_bundles(extra)} in vain, and lacks {_bundles(missing)}")
        if not all(bundle.state == COMMITTED for bundle in raylet.bundles.values()):
            raise Violation(f"{raylet.name} holds a bundle that is not committed")


def _expected_bundles(world) -> dict[bytes, set[tuple[bytes, int]]]:
    """What each living node holds, as the daemon's disk has it."""
    expected: dict[bytes, set[tuple[bytes, int]]] = {raylet.node_id: set() for raylet in filter(_alive, world.raylets)}
    for group_id, row in world.safety.groups.items():
        if row.state == PlacementGroupTableData.REMOVED:
            continue
        if row.state != PlacementGroupTableData.CREATED:
            state = PlacementGroupTableData.PlacementGroupState.Name(row.state)
            raise Violation(f"group {group_id.hex()} is {state} at rest")
        for bundle in row.bundles:
            if bundle.node_id not in expected:
                raise Violation(f"group {group_id.hex()} has a bundle on a node that is not alive")
            expected[bundle.node_id].add((group_id, bundle.bundle_id.bundle_index))
    return expected


def _alive(raylet) -> bool:
    return raylet.alive


def _actors(world) -> None:
    for actor_id, row in world.safety.actors.items():
        state = STATES(row.state)
        if row.state not in RESTING and not _is_group_full(world, row):
            raise Violation(f"actor {actor_id.hex()} is {state} at rest")
        if row.state == ActorTableData.DEAD:
            if row.death_cause.WhichOneof("context") is None:
                raise Violation(f"actor {actor_id.hex()} is dead without a cause")
        elif actor_id not in world.disk.rows.get("ACTOR_TASK_SPEC", {}):
            raise Violation(f"actor {actor_id.hex()} is {state}, and not registered")
        elif actor_id in world.safety.dead_for_good or (not row.is_detached and _is_let_go(world, actor_id)):
            raise Violation(f"actor {actor_id.hex()} is killed or needed by nobody, and is {state}")
    for driver in world.drivers:
        for actor_id in driver.actors_made:
            if actor_id not in world.safety.actors:
                raise Violation(f"actor {actor_id.hex()} was registered, and is forgotten")


def _is_let_go(world, actor_id: bytes) -> bool:
    let_go = world.workers.wanted.get(actor_id)
    return let_go is not None and let_go.is_set()


def _is_group_full(world, row: ActorTableData) -> bool:
    """Whether the actor waits for room in its group, of which others use all."""
    group = world.safety.groups.get(row.placement_group_id)
    if group is None or group.state != PlacementGroupTableData.CREATED:
        return False
    rows = world.safety.actors.values()
    users = [
        each
        for each in rows
        if each.placement_group_id == row.placement_group_id and each.state == ActorTableData.ALIVE
    ]
    return len(users) >= len(group.bundles)


def _workers(world) -> None:
    used = {
        row.address.worker_id: actor_id
        for actor_id, row in world.safety.actors.items()
        if row.state == ActorTableData.ALIVE
    }
    for worker, raylet in world.workers.everyone.values():
        if worker.at.worker_id in world.driver_ids:
            continue
        owner = used.pop(worker.at.worker_id, None)
        number = worker.at.port - 10_000
        if worker.alive and owner != worker.runs:
            raise Violation(f"worker {number} of {raylet.name} lives for {worker.actor.hex()}, and nobody owns it")
        if not worker.alive and owner is not None:
            raise Violation(f"actor {owner.hex()} is said to live on worker {number}, which is dead")


def _subscriber(world, subscriber) -> None:
    for actor_id, row in world.safety.actors.items():
        seen = subscriber.seen.get(actor_id)
        if seen is None or rank(seen) != rank(row):
            saw = "nothing" if seen is None else rank(seen)
            raise Violation(f"{subscriber.name} saw {saw} of actor {actor_id.hex()}, which is at {rank(row)}")


def _hex(ids) -> list[str]:
    return sorted(each.hex().lstrip("0") for each in ids)


def _bundles(keys) -> list[str]:
    return sorted(f"{group.hex().lstrip('0')}[{index}]" for group, index in keys)
