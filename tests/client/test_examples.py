"""Each example runs as its first lines say, and prints what it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.client.world import actor_spec, node_row
from trio_gcs.client import open_client
from trio_gcs.client.messages import Job
from trio_gcs.simulated.node import running_node

EXAMPLES = Path(__file__).parents[2] / "examples"
CASES = {
    "asyncio_stubs.py": (["ADDRESS"], ["nodes in cluster", "works"]),
    "follow_nodes.py": (["ADDRESS", "1"], ["ALIVE"]),
    "notebook.py": (["ADDRESS"], ["cluster ", "hello"]),
    "wait_for_actor.py": (["waited", "ns", "ADDRESS"], ["waited is on node", "restarted 0 times"]),
}


def run(name: str, arguments: list[str]) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_each_example_is_tested():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
async def test_an_example(name, ours):
    address = f"127.0.0.1:{ours.port}"
    arguments, wanted = CASES[name]
    async with open_client(address) as client, running_node() as node:
        await client.nodes.register(node_row(node.node_id, port=node.port))
        job_id = await client.jobs.next_id()
        await client.jobs.add(Job(job_id=job_id))
        spec = actor_spec(job_id, name="waited")
        await client.actors.register(spec)
        await client.actors.create(spec)
        told = await trio.to_thread.run_sync(run, name, [address if word == "ADDRESS" else word for word in arguments])
    for words in wanted:
        assert words in told
