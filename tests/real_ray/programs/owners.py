"""Ownership: a child dies with its owner, a detached actor outlives its job, and a name is found by the next driver."""

import os
import subprocess
import sys
import time

import ray
from ray.cluster_utils import Cluster

SECOND_DRIVER = """
import ray
ray.init(address={address!r}, namespace="here")
keeper = ray.get_actor("keeper")
print("|", "second driver", ray.get(keeper.recall.remote()))
try:
    ray.get_actor("ordinary")
except ValueError:
    print("|", "ordinary is gone")
"""
FIRST_DRIVER = """
import ray
ray.init(address={address!r}, namespace="here")

@ray.remote(num_cpus=0)
class Keeper:
    def __init__(self): self.kept = []
    def keep(self, what): self.kept.append(what)
    def recall(self): return self.kept

keeper = Keeper.options(name="keeper", lifetime="detached").remote()
ordinary = Keeper.options(name="ordinary").remote()
ray.get([keeper.keep.remote("kept"), ordinary.keep.remote("lost")])
print("|", "first driver", ray.get(keeper.recall.remote()))
"""


def run(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    print(done.stdout, end="", flush=True)
    if done.returncode:
        print(done.stderr)


cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 4})
run(FIRST_DRIVER.format(address=cluster.address))
run(SECOND_DRIVER.format(address=cluster.address))

ray.init(address=cluster.address, namespace="here")


@ray.remote(num_cpus=0)
class Child:
    def ping(self) -> str:
        return "pong"


@ray.remote(num_cpus=0)
class Owner:
    def make(self):
        self.child = Child.remote()
        ray.get(self.child.ping.remote())
        return self.child

    def die(self) -> None:
        os._exit(1)


owner = Owner.remote()
child = ray.get(owner.make.remote())
print("|", "child", ray.get(child.ping.remote()))
owner.die.remote()
end = time.monotonic() + 30
message = ""
while time.monotonic() < end and not message:
    try:
        ray.get(child.ping.remote(), timeout=5)
        time.sleep(0.2)
    except ray.exceptions.ActorDiedError as error:
        message = str(error)
print("|", "child died with its owner", "owner has died" in message)
del child, owner
ray.shutdown()
cluster.shutdown()
print("|", "end")
