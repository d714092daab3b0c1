"""Wait until an actor of a name is alive, then say where it is. Other calls would go on beside it.

python examples/wait_for_actor.py NAME [NAMESPACE] [HOST:PORT]
"""

import sys

import trio

from trio_gcs.client import DeadlineExceeded, Gone, NotFound, open_client


async def main(name: str, namespace: str = "", address: str | None = None) -> int:
    """Returns the exit code."""
    async with open_client(address) as client:
        try:
            found = await client.actors.by_name(name, namespace)
            actor = await client.actors.wait(found.actor.actor_id, timeout_s=30)
        except (NotFound, Gone, DeadlineExceeded) as error:
            print(error)
            return 1
    print(f"{name} is on node {actor.address.node_id.hex()[:8]}, restarted {actor.num_restarts} times")
    return 0


if __name__ == "__main__":
    sys.exit(trio.run(main, *sys.argv[1:]))
