"""A driver of Ray whose actor lives, restarts and dies, while a subscriber that Ray knows nothing of follows it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import ray

ray.init(num_cpus=2, log_to_driver=False)
url = f"ws://127.0.0.1:{os.environ['TRIO_GCS_EVENTS_PORT']}/v1/events"
token = Path("~/.ray/auth_token").expanduser().read_text().strip()
command = [*json.loads(os.environ["FOLLOWER"]), url, token]
follower = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
assert follower.stdout.readline() == "synced\n"


@ray.remote(max_restarts=1)
class Followed:
    def pid(self):
        return os.getpid()


actor = Followed.options(name="followed").remote()
os.kill(ray.get(actor.pid.remote()), 9)
while True:
    try:
        ray.get(actor.pid.remote())
        break
    except ray.exceptions.ActorUnavailableError:
        continue
ray.kill(actor)
sys.stdout.write(follower.communicate(timeout=60)[0])
sys.exit(follower.returncode)
