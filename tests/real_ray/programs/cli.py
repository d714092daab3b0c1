"""The command line and the dashboard: start, status, a job, the lists, memory, pages, stop."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request

RAY = [os.environ["RAY_CLI"]] if "RAY_CLI" in os.environ else [os.path.join(os.path.dirname(sys.executable), "ray")]
DASHBOARD = "http://127.0.0.1:8265"


def ray(*arguments: str, timeout_s: float = 90.0) -> str:
    done = subprocess.run([*RAY, *arguments], capture_output=True, text=True, check=False, timeout=timeout_s)
    if done.returncode:
        print("|", "rc", done.returncode, arguments, done.stdout[-2000:], done.stderr[-2000:])
    lines = (done.stdout + done.stderr).splitlines()
    return "\n".join(line for line in lines if "network_util.cc" not in line)


def rows(kind: str, *options: str) -> list:
    text = ray("list", kind, "--format", "json", *options)
    return [] if text.startswith("No resource") else json.loads(text)


def eventually(what, wanted, timeout_s: float = 30.0):
    end = time.monotonic() + timeout_s
    while (got := what()) != wanted and time.monotonic() < end:
        time.sleep(0.5)
    return got


def token() -> str:
    path = os.path.expanduser("~/.ray/auth_token")
    return open(path).read().strip() if os.path.exists(path) else ""


def page(path: str, body: dict | None = None):
    request = urllib.request.Request(DASHBOARD + path, data=json.dumps(body).encode() if body else None)
    request.add_header("Content-Type", "application/json")
    if token():
        request.add_header("Authorization", f"Bearer {token()}")
    with urllib.request.urlopen(request, timeout=20) as reply:
        return reply.status, reply.read()


started = ray("start", "--head", "--num-cpus=4", "--port=6379", "--disable-usage-stats")
print("|", "started", "Ray runtime started" in started)
status = eventually(lambda: "4.0 CPU" in ray("status"), True)
print("|", "status", status)
print("|", "health", ray("health-check", "--address", "127.0.0.1:6379").strip() or "well")

JOB = """
import ray
ray.init()
@ray.remote
class Worker:
    def work(self): return 1
@ray.remote
def task(): return 2
workers = [Worker.options(name=f"w{n}", lifetime="detached").remote() for n in range(2)]
print("job says", sum(ray.get([w.work.remote() for w in workers])), ray.get(task.remote()))
"""
os.environ["RAY_ADDRESS"] = DASHBOARD
submitted = ray("job", "submit", "--submission-id", "first", "--", sys.executable, "-c", JOB)
print("|", "job", re.findall(r"job says.*", submitted)[-1:], "succeeded" in submitted)
print("|", "job status", "succeeded" in ray("job", "status", "first"))
print("|", "job list", "first" in ray("job", "list"))
failed = subprocess.run([*RAY, "job", "submit", "--", "false"], capture_output=True, text=True, check=False)
print(
    "|",
    "job that fails",
    failed.returncode != 0,
    "FAILED" in failed.stdout + failed.stderr or "failed" in failed.stdout + failed.stderr,
)
del os.environ["RAY_ADDRESS"]

print("|", "nodes", [(row["state"], row["is_head_node"]) for row in rows("nodes")])
print(
    "|",
    "actors",
    sorted((row["name"], row["state"], row["class_name"]) for row in rows("actors") if row["name"].startswith("w")),
)
print("|", "jobs", sorted((row["type"], row["status"]) for row in rows("jobs")))
print(
    "|",
    "tasks",
    eventually(
        lambda: sorted((row["name"], row["state"]) for row in rows("tasks") if row["name"] == "task"),
        [("task", "FINISHED")],
    ),
)
print("|", "workers", any(row["worker_type"] == "WORKER" for row in rows("workers")))
print("|", "placement groups", rows("placement-groups"))
print("|", "summary", "task" in ray("summary", "tasks"), "Worker" in ray("summary", "actors"))
print(
    "|",
    "get actor",
    "w0" in ray("get", "actors", next(row["actor_id"] for row in rows("actors") if row["name"] == "w0")),
)
print("|", "memory", "Aggregate object store stats" in ray("memory"))

for path in (
    "/",
    "/api/version",
    "/nodes?view=summary",
    "/api/cluster_status",
    "/api/jobs/",
    "/api/v0/actors",
    "/api/v0/nodes",
    "/logical/actors",
    "/api/gcs_healthz",
    "/api/component_activities",
):
    try:
        code, content = page(path)
        print("|", "page", path, code, bool(content))
    except urllib.error.HTTPError as error:
        print("|", "page", path, error.code)
summary = json.loads(page("/nodes?view=summary")[1])
print("|", "nodes page", [node["raylet"]["state"] for node in summary["data"]["summary"]])
actors = json.loads(page("/logical/actors")[1])["data"]["actors"]
print("|", "actors page", sorted(actor["name"] for actor in actors.values() if actor["name"].startswith("w")))
stopped = ray("stop", "-v")
print(stopped)  # which process lingered, where one did
print("|", "stopped", "Stopped all" in stopped, stopped.count("Stopped only"))
print("|", "end")
