"""One server after the other on the same Redis, under a cluster that lives: stock Ray's own, ours, and back again."""

import os
import signal
import subprocess
import time

os.environ.update({"RAY_REDIS_ADDRESS": "127.0.0.1:6399", "RAY_external_storage_namespace": "takeover"})

import ray
from ray._private import services
from ray.cluster_utils import Cluster
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

redis = subprocess.Popen(["redis-server", "--port", "6399", "--save", ""], stdout=subprocess.DEVNULL)

# With trio-gcs in place its executable stands here; without, this is a restart of stock's own.
CHOSEN = services.GCS_SERVER_EXECUTABLE
STOCK = os.path.join(os.path.dirname(ray.__file__), "core", "src", "ray", "gcs", "gcs_server")

services.GCS_SERVER_EXECUTABLE = STOCK
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 16})
cluster.add_node(num_cpus=4, resources={"second": 1})
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
def double(value: int) -> int:
    return 2 * value


def eventually(what, timeout_s: float = 60.0):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        try:
            return what()
        except ray.exceptions.RayActorError:
            time.sleep(0.2)
    return what()


detached = Counter.options(name="d", lifetime="detached").remote()
far = Counter.options(resources={"second": 0.1}).remote()
group = placement_group([{"CPU": 1}, {"CPU": 1}], strategy="PACK")
ray.get(group.ready())
strategy = PlacementGroupSchedulingStrategy(placement_group=group)
in_group = Counter.options(scheduling_strategy=strategy).remote()
budgeted = Counter.options(max_restarts=4, max_task_retries=-1).remote()
actors = [detached, far, in_group]
waits = Counter.options(resources={"later": 1}).remote()  # until the last turn, when a node has what it wants
print("|", "before", ray.get([actor.add.remote() for actor in [*actors, budgeted]]))
pids = ray.get([actor.pid.remote() for actor in actors])
jobs = set()

for turn, server in enumerate([CHOSEN, STOCK, CHOSEN, CHOSEN], start=1):
    cluster.head_node.kill_gcs_server()
    print("|", turn, "during the outage", ray.get([actor.add.remote() for actor in actors], timeout=30))
    services.GCS_SERVER_EXECUTABLE = server
    cluster.head_node.start_gcs_server()
    print("|", turn, "new tasks", ray.get([double.remote(number) for number in range(4)], timeout=60))
    print("|", turn, "found by name", ray.get(ray.get_actor("d").pid.remote()) == pids[0])
    fresh = Counter.options(name=f"fresh-{turn}", resources={"second": 0.1}).remote()
    print("|", turn, "a new actor", ray.get(fresh.add.remote(), timeout=60))
    actors.append(fresh)
    pids.append(ray.get(fresh.pid.remote()))
    another = placement_group([{"CPU": 0.5}, {"CPU": 0.5}], strategy="SPREAD")
    print("|", turn, "a new group", another.wait(60))
    remove_placement_group(another)
    os.kill(ray.get(budgeted.pid.remote()), signal.SIGKILL)
    print("|", turn, "a restart", eventually(lambda: ray.get(budgeted.add.remote())))
    print("|", turn, "no worker restarted", ray.get([actor.pid.remote() for actor in actors]) == pids)
    print("|", turn, "the nodes", sorted(node["Alive"] for node in ray.nodes()))
    jobs |= {job["JobID"] for job in ray._private.state.jobs()}

again = Counter.options(scheduling_strategy=strategy).remote()
print("|", "a new actor in the old group", ray.get(again.add.remote(), timeout=60))
cluster.add_node(num_cpus=1, resources={"later": 1})
print("|", "the one that waited", ray.get(waits.add.remote(), timeout=60))
os.kill(ray.get(budgeted.pid.remote()), signal.SIGKILL)
try:
    eventually(lambda: ray.get(budgeted.add.remote()), timeout_s=10)
    print("|", "a fifth restart")
except ray.exceptions.ActorDiedError:
    print("|", "the budget is used up")
print("|", "one job", len(jobs))
print("|", "named", sorted(ray.util.list_named_actors()))
ray.shutdown()
cluster.shutdown()
redis.kill()
redis.wait()
print("|", "end")
