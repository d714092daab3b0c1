"""Actors: anonymous, named, detached, killed, restarted, exhausted, infeasible, and failing to be made."""

import os
import signal
import time

import ray

ray.init(num_cpus=4, include_dashboard=False, namespace="here")


@ray.remote
class Counter:
    def __init__(self, start: int = 0) -> None:
        self.value = start

    def add(self, amount: int = 1) -> int:
        self.value += amount
        return self.value

    def pid(self) -> int:
        return os.getpid()


@ray.remote
class Broken:
    def __init__(self) -> None:
        raise RuntimeError("no such luck")

    def ping(self) -> None: ...


def eventually(what, timeout_s: float = 30.0):
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        try:
            return what()
        except ray.exceptions.RayActorError:
            time.sleep(0.2)
    return what()


def died(call) -> str:
    """Call until the actor is dead: a call that overtakes the end of its worker is still answered."""
    end = time.monotonic() + 40
    while time.monotonic() < end:
        try:
            ray.get(call(), timeout=40)
        except ray.exceptions.ActorDiedError as error:
            return str(error)
    return "alive"


anonymous = Counter.remote(5)
print("|", "anonymous", ray.get([anonymous.add.remote() for _ in range(3)]))

named = Counter.options(name="n").remote()
print("|", "named", ray.get(ray.get_actor("n").add.remote()))
try:
    Counter.options(name="n").remote()
except ValueError as error:
    print("|", "taken", "already exists" in str(error) or "already taken" in str(error))
print("|", "get_if_exists", ray.get(Counter.options(name="n", get_if_exists=True).remote().add.remote()))
elsewhere = Counter.options(name="n", namespace="there").remote(100)
print("|", "namespaces", ray.get(ray.get_actor("n", namespace="there").add.remote()))
print("|", "listed", sorted(entry["namespace"] for entry in ray.util.list_named_actors(all_namespaces=True)))
try:
    ray.get_actor("nobody")
except ValueError as error:
    print("|", "nobody", "nobody" in str(error))

detached = Counter.options(name="d", lifetime="detached").remote()
print("|", "detached", ray.get(detached.add.remote()))

ray.kill(named)
print("|", "killed", "killed by `ray.kill`" in died(named.add.remote))
again = Counter.options(name="n").remote()
print("|", "name free", ray.get(again.add.remote()))

restarting = Counter.options(max_restarts=1, max_task_retries=-1).remote()
first = ray.get(restarting.pid.remote())
ray.get(restarting.add.remote(10))
os.kill(first, signal.SIGKILL)
print("|", "restarted", eventually(lambda: ray.get(restarting.add.remote())), ray.get(restarting.pid.remote()) != first)
os.kill(ray.get(restarting.pid.remote()), signal.SIGKILL)
print("|", "exhausted", "died" in died(restarting.add.remote))

again_and_again = Counter.options(max_restarts=-1, max_task_retries=-1).remote()
before = ray.get(again_and_again.pid.remote())
ray.kill(again_and_again, no_restart=False)
while eventually(lambda: ray.get(again_and_again.pid.remote())) == before:
    time.sleep(0.1)
print("|", "kill with restart", ray.get(again_and_again.add.remote()))

infeasible = Counter.options(resources={"unobtainium": 1}).remote()
ready, waiting = ray.wait([infeasible.add.remote()], timeout=2)
print("|", "infeasible", len(ready), len(waiting))
ray.kill(infeasible)
print("|", "infeasible killed", died(lambda: waiting[0]) != "alive")

print("|", "broken", "no such luck" in died(Broken.remote().ping.remote))
ray.shutdown()
print("|", "end")
