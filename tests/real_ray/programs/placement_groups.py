"""Placement groups: every strategy, what runs inside, names, lifetimes, what never fits, nodes that die, and a hundred."""

import subprocess
import sys
import time

import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import (
    get_current_placement_group,
    get_placement_group,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

FAST = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 3}
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "_system_config": FAST})
second = cluster.add_node(num_cpus=2, labels={"disk": "ssd"})
third = cluster.add_node(num_cpus=2)
ray.init(address=cluster.address, namespace="here", log_to_driver=False)
CPU = {"CPU": 1}


def until(done, timeout_s: float = 60.0) -> bool:
    end = time.monotonic() + timeout_s
    while not done() and time.monotonic() < end:
        time.sleep(0.1)
    return done()


def inside(group, index: int = -1):
    return PlacementGroupSchedulingStrategy(group, index, placement_group_capture_child_tasks=True)


def nodes(group) -> list[str]:
    return list(placement_group_table(group)["bundles_to_node_id"].values())


def state(group) -> str:
    return placement_group_table(group)["state"]


def gone(group) -> bool:
    """Removed, and all that it had is free again."""
    remove_placement_group(group)
    return until(lambda: state(group) == "REMOVED" and ray.available_resources().get("CPU") == 6.0)


def is_dead(actor) -> bool:
    """Told by a call. One right after the removal may be answered still: it is done before raylets are."""
    try:
        ray.get(actor.where.remote(), timeout=30)
    except ray.exceptions.ActorDiedError:
        return True
    return False


@ray.remote(num_cpus=1)
def where() -> str:
    return ray.get_runtime_context().get_node_id()


@ray.remote(num_cpus=1)
class Keeper:
    def where(self) -> str:
        return ray.get_runtime_context().get_node_id()

    def group(self) -> str:
        return get_current_placement_group().id.hex()

    def make(self):
        self.made = placement_group([{"CPU": 0.1}])
        return self.made.wait(30), self.made


for strategy, bundles in {"PACK": 3, "SPREAD": 3, "STRICT_PACK": 2, "STRICT_SPREAD": 3}.items():
    group = placement_group([CPU] * bundles, strategy=strategy)
    ray.get(group.ready(), timeout=30)
    print("|", strategy, len(set(nodes(group))), state(group), group.wait(1), gone(group))

group = placement_group([CPU, CPU], strategy="STRICT_SPREAD")
ran_on = [ray.get(where.options(scheduling_strategy=inside(group, index)).remote(), timeout=30) for index in (0, 1)]
print("|", "tasks run in their bundles", ran_on == nodes(group))
keeper = Keeper.options(scheduling_strategy=inside(group, 1)).remote()
print("|", "an actor lives in its bundle", ray.get(keeper.where.remote(), timeout=30) == nodes(group)[1])
print("|", "and knows its group", ray.get(keeper.group.remote()) == group.id.hex())
full = where.options(scheduling_strategy=inside(group, 1)).remote()
print("|", "a full bundle runs nothing", len(ray.wait([full], timeout=1)[0]))
remove_placement_group(group)
print("|", "an actor dies with its group", until(lambda: is_dead(keeper)))
try:
    ray.get(full, timeout=30)
except ray.exceptions.TaskPlacementGroupRemoved:
    print("|", "a task that waits dies with its group")

table = placement_group_table(placement_group([CPU, {"CPU": 2}], name="t"))
print("|", "table", sorted(table), table["name"], table["strategy"], table["bundles"], sorted(table["stats"]))
found = get_placement_group("t")
print("|", "named", found.id.hex() == table["placement_group_id"], found.bundle_specs == [CPU, {"CPU": 2}])
try:
    placement_group([CPU], name="t")
except ray.exceptions.RaySystemError as error:
    print("|", "taken", "already exists" in str(error))
print("|", "removed", gone(found))
try:
    get_placement_group("t")
except ValueError as error:
    print("|", "nobody", "Failed to look up placement group with name: t" in str(error))
print("|", "name free", placement_group([CPU], name="t").wait(30), gone(get_placement_group("t")))

labelled = placement_group([CPU], bundle_label_selector=[{"disk": "ssd"}])
print("|", "labels", labelled.wait(30), nodes(labelled) == [second.node_id], gone(labelled))

infeasible = placement_group([{"CPU": 3}])
print(
    "|",
    "infeasible",
    infeasible.wait(2),
    state(infeasible),
    placement_group_table(infeasible)["stats"]["scheduling_state"],
)
waiting = placement_group([CPU] * 6)
late = placement_group([CPU])
print("|", "no room", waiting.wait(30), late.wait(2), placement_group_table(late)["stats"]["scheduling_state"])
print("|", "room", remove_placement_group(waiting), late.wait(30), gone(late))
remove_placement_group(infeasible)
print("|", "infeasible removed", state(infeasible))

maker = Keeper.options(num_cpus=0).remote()
ready, made = ray.get(maker.make.remote(), timeout=30)
ray.kill(maker)
time.sleep(1)
print("|", "an actor's group outlives the actor", ready, state(made))
remove_placement_group(made)

OTHER = f"""
import ray
from ray.util.placement_group import placement_group
ray.init(address={cluster.address!r}, namespace="there", log_to_driver=False)
for name, lifetime in (("kept", "detached"), ("lost", None)):
    assert placement_group([{{"CPU": 1}}], name=name, lifetime=lifetime).wait(30)
"""
subprocess.run([sys.executable, "-c", OTHER], check=True, capture_output=True)
states = {entry["name"]: entry for entry in placement_group_table().values()}
print(
    "|",
    "detached",
    states["kept"]["state"],
    until(lambda: {e["name"]: e["state"] for e in placement_group_table().values()}["lost"] == "REMOVED"),
)
ray.shutdown()
ray.init(address=cluster.address, namespace="there", log_to_driver=False)
print("|", "found again", state(get_placement_group("kept")), gone(get_placement_group("kept")))

spread = placement_group([CPU, CPU, CPU], strategy="STRICT_SPREAD")
print("|", "spread", spread.wait(30), len(set(nodes(spread))))
before = nodes(spread)
cluster.remove_node(third, allow_graceful=False)
print("|", "a node died", until(lambda: state(spread) == "RESCHEDULING"))
fourth = cluster.add_node(num_cpus=2)
print("|", "and another came", until(lambda: state(spread) == "CREATED"), spread.wait(30))
after = nodes(spread)
print(
    "|",
    "only the lost bundle moved",
    [old == new for old, new in zip(before, after, strict=True)].count(False),
    fourth.node_id in after,
)
moved = after.index(fourth.node_id)
print(
    "|",
    "and runs tasks",
    ray.get(where.options(scheduling_strategy=inside(spread, moved)).remote(), timeout=30) == fourth.node_id,
)
print("|", "gone", gone(spread))

for _ in range(100):
    group = placement_group([CPU, CPU])
    assert group.wait(60)
    remove_placement_group(group)
print("|", "a hundred", until(lambda: ray.available_resources().get("CPU") == 6.0))
print("|", "left", sum(entry["state"] != "REMOVED" for entry in placement_group_table().values()))
ray.shutdown()
cluster.shutdown()
print("|", "end")
