"""The daemon is killed and started again, twice, on a durable store: Ray's processes go on as if nothing had been."""

import os
import signal
import time

# Ray's word for a durable store on the local disk is rocksdb.
os.environ.update({"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": "/tmp/restart-store"})

import ray
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 8})
cluster.add_node(num_cpus=2, resources={"second": 1})
ray.init(address=cluster.address, namespace="here")
cluster.wait_for_nodes()


@ray.remote(num_cpus=0.1)
class Counter:
    def __init__(self) -> None:
        self.value = 0

    def add(self) -> int:
        self.value += 1
        return self.value

    def pid(self) -> int:
        return os.getpid()


@ray.remote(num_cpus=0.1)
def double(value: int, after_s: float = 0) -> int:
    time.sleep(after_s)
    return 2 * value


def eventually(what, timeout_s: float = 60.0):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        try:
            return what()
        except ray.exceptions.RayActorError:
            time.sleep(0.2)
    return what()


def pids() -> list[int]:
    return ray.get([actor.pid.remote() for actor in actors])


def restart(outage_s: float) -> None:
    head = cluster.head_node
    head.kill_gcs_server()
    print("|", "during the outage", ray.get([actor.add.remote() for actor in actors], timeout=30))
    time.sleep(outage_s)
    head.start_gcs_server()


detached = Counter.options(name="d", lifetime="detached").remote()
named = Counter.options(name="n").remote()
far = Counter.options(resources={"second": 0.1}).remote()
group = placement_group([{"CPU": 1}, {"CPU": 1}], strategy="PACK")
ray.get(group.ready())
strategy = PlacementGroupSchedulingStrategy(placement_group=group)
in_group = Counter.options(scheduling_strategy=strategy).remote()
actors = [detached, named, far, in_group]
print("|", "before", ray.get([actor.add.remote() for actor in actors]))
first_pids = pids()

budgeted = Counter.options(max_restarts=2, max_task_retries=-1).remote()
os.kill(ray.get(budgeted.pid.remote()), signal.SIGKILL)
print("|", "first restart of two", eventually(lambda: ray.get(budgeted.add.remote())))
budgeted_pid = ray.get(budgeted.pid.remote())
job_id = ray.get_runtime_context().get_job_id()
slow = double.remote(21, after_s=8)

restart(outage_s=1)
print("|", "a task that was running", ray.get(slow, timeout=60))
print("|", "found by name", ray.get(ray.get_actor("d").add.remote()), ray.get(ray.get_actor("n").add.remote()))
print("|", "new tasks", ray.get([double.remote(number) for number in range(4)], timeout=60))
fresh = Counter.options(name="fresh").remote()
print("|", "a new actor", ray.get(fresh.add.remote(), timeout=60))
actors.append(fresh)
try:
    Counter.options(name="n").remote()
except ValueError:
    print("|", "a name is still taken")
on_second = Counter.options(resources={"second": 0.1}).remote()
print("|", "a new actor far away", ray.get(on_second.add.remote(), timeout=60))
again = Counter.options(scheduling_strategy=strategy).remote()
print("|", "a new actor in the old group", ray.get(again.add.remote(), timeout=60))
new_group = placement_group([{"CPU": 1}], strategy="PACK")
print("|", "a new group", new_group.wait(60))
remove_placement_group(new_group)
print("|", "no worker restarted", pids()[:4] == first_pids, ray.get(budgeted.pid.remote()) == budgeted_pid)
os.kill(budgeted_pid, signal.SIGKILL)
print("|", "second restart of two", eventually(lambda: ray.get(budgeted.add.remote())))
budgeted_pid = ray.get(budgeted.pid.remote())
ray.kill(named)

actors.remove(named)
restart(outage_s=5)
print("|", "new tasks", ray.get([double.remote(number) for number in range(4)], timeout=60))
os.kill(budgeted_pid, signal.SIGKILL)
try:
    eventually(lambda: ray.get(budgeted.add.remote()), timeout_s=10)
    print("|", "a third restart")
except ray.exceptions.ActorDiedError:
    print("|", "the budget is used up")
heir = Counter.options(name="n").remote()
print("|", "the killed one's name is free", ray.get(heir.add.remote(), timeout=60))
print("|", "no worker restarted", pids()[:3] == [first_pids[0], *first_pids[2:4]])
print("|", "the nodes", sorted(node["Alive"] for node in ray.nodes()))
print(
    "|",
    "the same job",
    ray.get_runtime_context().get_job_id() == job_id,
    sum(not j["IsDead"] for j in ray._private.state.jobs()),
)
print("|", "named", sorted(ray.util.list_named_actors()))
ray.shutdown()
cluster.shutdown()
print("|", "end")
