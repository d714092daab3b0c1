"""What the tour does, on stock Ray alone: tasks, actors, restarts, owners, and raylets that come, go and are killed.

It runs in Ray's own Python, which need not be the one of trio-gcs, so it imports nothing of ours.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import ray
from ray.cluster_utils import Cluster

# Raylets that fall silent are noticed within seconds instead of a minute: a tour is short.
HEALTH = {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500, "health_check_failure_threshold": 3}

FIRST_DRIVER = """
import ray
ray.init(address={address!r}, namespace="tour", log_to_driver=False)

@ray.remote(num_cpus=0)
class Keeper:
    def __init__(self): self.kept = []
    def keep(self, word): self.kept.append(word)
    def recall(self): return self.kept

keeper = Keeper.options(name="keeper", lifetime="detached").remote()
ray.get(keeper.keep.remote("a word from a driver that is gone"))
"""


def say(what: str, *found: object) -> None:
    print(f"demo: {what:<58}", *found, flush=True)


def until(done: Callable[[], bool], timeout_s: float = 60.0) -> None:
    end = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > end:
            raise TimeoutError("the cluster did not get there")
        time.sleep(0.1)


def alive() -> int:
    return sum(node["Alive"] for node in ray.nodes())


@ray.remote(num_cpus=0)
class Counter:
    def __init__(self) -> None:
        self.value = 0

    def add(self) -> int:
        self.value += 1
        return self.value

    def pid(self) -> int:
        return os.getpid()


@ray.remote(num_cpus=0)
class Owner:
    def make(self) -> object:
        self.child = Counter.remote()
        ray.get(self.child.add.remote())
        return self.child

    def die(self) -> None:
        os._exit(1)


@ray.remote
def square(number: int) -> int:
    return number * number


@ray.remote(num_cpus=0)
def where() -> str:
    return str(ray.get_runtime_context().get_node_id())


def tasks_and_actors() -> None:
    say("tasks: the squares of 0 to 5", ray.get([square.remote(number) for number in range(6)]))
    named = Counter.options(name="counter", max_restarts=1, max_task_retries=-1).remote()
    ray.get(named.add.remote())
    say("a named actor, found by its name, counts to", ray.get(ray.get_actor("counter").add.remote()))
    first = ray.get(named.pid.remote())
    os.kill(first, signal.SIGKILL)
    say("its process is killed; restarted, it counts from", ray.get(named.add.remote()))
    os.kill(ray.get(named.pid.remote()), signal.SIGKILL)
    say("killed once more, it has no restart left:", fate(named))


def owners() -> None:
    keeper = ray.get_actor("keeper")
    say("a detached actor outlived its driver and recalls", ray.get(keeper.recall.remote()))
    owner = Owner.remote()
    child = ray.get(owner.make.remote())
    owner.die.remote()
    say("an actor whose owner died:", fate(child))


def fate(actor: object) -> str:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            ray.get(actor.add.remote(), timeout=10)
            time.sleep(0.1)
        except ray.exceptions.ActorDiedError as error:
            return type(error).__name__
        except ray.exceptions.RayError:
            time.sleep(0.1)
    return "still alive"


def raylets(cluster: Cluster) -> None:
    second = cluster.add_node(num_cpus=1, resources={"second": 1})
    until(lambda: alive() == 2)
    ran_on = ray.get(where.options(resources={"second": 0.1}).remote())
    say("a second raylet joins and runs a task:", ran_on == second.node_id)
    started = time.monotonic()
    os.kill(second.all_processes["raylet"][0].process.pid, signal.SIGKILL)
    until(lambda: alive() == 1)
    say("it is killed with -9; noticed after", f"{time.monotonic() - started:.1f} s")


def main() -> None:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "_system_config": HEALTH})
    say("stock Ray", ray.__version__, "runs on the control plane at", cluster.address)
    subprocess.run([sys.executable, "-c", FIRST_DRIVER.format(address=cluster.address)], check=True)
    ray.init(address=cluster.address, namespace="tour", log_to_driver=False)
    tasks_and_actors()
    owners()
    raylets(cluster)
    print("session:", cluster.head_node.get_session_dir_path(), flush=True)
    ray.shutdown()
    cluster.shutdown()


if __name__ == "__main__":
    main()
