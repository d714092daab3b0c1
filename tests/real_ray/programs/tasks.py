"""Tasks: results, errors, a worker's death, and retries."""

import os
import tempfile

import ray

ray.init(num_cpus=2, include_dashboard=False)


@ray.remote
def square(number: int) -> int:
    return number * number


@ray.remote
def total(*numbers: int) -> int:
    return sum(numbers)


@ray.remote(max_retries=0)
def fail() -> None:
    raise ValueError("asked to")


@ray.remote(max_retries=0)
def die() -> None:
    os._exit(3)


@ray.remote(max_retries=2)
def die_once(path: str) -> str:
    if not os.path.exists(path):
        open(path, "w").close()
        os._exit(4)
    return "second attempt"


print("|", "squares", ray.get([square.remote(number) for number in range(6)]))
print("|", "total", ray.get(total.remote(*[square.remote(number) for number in range(4)])))
try:
    ray.get(fail.remote())
except ValueError as error:
    print("|", "failed", type(error).__name__, "asked to" in str(error))
try:
    ray.get(die.remote())
except ray.exceptions.WorkerCrashedError as error:
    print("|", "died", type(error).__name__)
print("|", "retried", ray.get(die_once.remote(os.path.join(tempfile.mkdtemp(), "mark"))))
big = ray.put(b"x" * 5_000_000)
print("|", "object", len(ray.get(big)))
ready, waiting = ray.wait([square.remote(1), square.remote(2)], num_returns=2)
print("|", "wait", len(ready), len(waiting))
print("|", "cpus", ray.cluster_resources()["CPU"])
ray.shutdown()
print("|", "end")
