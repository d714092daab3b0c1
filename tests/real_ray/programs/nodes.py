"""Nodes: one joins, leaves in peace, dies by SIGKILL, and one falls silent by SIGSTOP."""

import os
import signal
import time

import ray
from ray.cluster_utils import Cluster

HEALTH = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}

cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "_system_config": HEALTH})
ray.init(address=cluster.address)


@ray.remote(num_cpus=1, max_retries=0)
def where() -> str:
    return ray.get_runtime_context().get_node_id()


@ray.remote(num_cpus=0, max_restarts=1, max_task_retries=-1, resources={"spot": 0.1})
class Nomad:
    def where(self) -> str:
        return ray.get_runtime_context().get_node_id()


def alive() -> int:
    return sum(node["Alive"] for node in ray.nodes())


def until(count: int) -> int:
    end = time.monotonic() + 60
    while alive() != count and time.monotonic() < end:
        time.sleep(0.1)
    return alive()


def raylet_pid(node) -> int:
    return node.all_processes["raylet"][0].process.pid


print("|", "head", until(1))
second = cluster.add_node(num_cpus=1, resources={"spot": 1})
print("|", "joined", until(2))
print("|", "ran on the second", ray.get(where.options(resources={"spot": 0.1}).remote()) == second.node_id)
print("|", "resources", ray.cluster_resources()["CPU"])
cluster.remove_node(second, allow_graceful=True)
print("|", "left", until(1))

third = cluster.add_node(num_cpus=1, resources={"spot": 1})
until(2)
nomad = Nomad.remote()
print("|", "on the third", ray.get(nomad.where.remote()) == third.node_id)
os.kill(raylet_pid(third), signal.SIGKILL)
print("|", "killed", until(1))
fourth = cluster.add_node(num_cpus=1, resources={"spot": 1})
until(2)
print("|", "moved to the fourth", ray.get(nomad.where.remote(), timeout=60) == fourth.node_id)

os.kill(raylet_pid(fourth), signal.SIGSTOP)
print("|", "stopped", until(1))
try:
    ray.get(nomad.where.remote(), timeout=60)
except ray.exceptions.ActorDiedError as error:
    print("|", "nomad", "died" in str(error))
os.kill(raylet_pid(fourth), signal.SIGCONT)
time.sleep(2)
print("|", "stays dead", alive())
reasons = sorted(node["DeathReasonMessage"] or "" for node in ray.nodes() if not node["Alive"])
print("|", "reasons", [("SIGTERM" in reason) or ("heartbeats" in reason) for reason in reasons])
ray.shutdown()
cluster.shutdown()
print("|", "end")
