"""Follow the nodes of a cluster: first those that there are, then each that comes or goes, across restarts of its GCS.

python examples/follow_nodes.py [HOST:PORT] [HOW_MANY]
"""

import sys

import trio

from trio_gcs.client import open_client


async def main(address: str | None, count: int) -> None:
    """Print so many changes."""
    async with open_client(address) as client, client.nodes.subscribe() as nodes:
        async for node in nodes:
            why = node.death_info.reason_message if node.death_info else ""
            print(f"{node.node_id.hex()[:8]} {node.state.name} {node.node_manager_address} {why}".rstrip(), flush=True)
            count -= 1
            if not count:
                return


if __name__ == "__main__":
    trio.run(main, *(sys.argv[1:2] or [None]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
