"""The generated stubs on asyncio, with grpclib's own channel: nothing of Trio, nothing of our transport.

python examples/asyncio_stubs.py [HOST:PORT]
"""

import asyncio
import sys

from grpclib.client import Channel

from trio_gcs.client.generated.ray.rpc import (
    GetAllNodeInfoRequest,
    GetClusterIdRequest,
    InternalKvGcsServiceStub,
    InternalKvGetRequest,
    InternalKvPutRequest,
    NodeInfoGcsServiceStub,
)


async def main(address: str) -> None:
    """Greet the cluster as its clients do, then list nodes, and store a key."""
    host, _, port = address.rpartition(":")
    async with Channel(host, int(port)) as channel:
        nodes = NodeInfoGcsServiceStub(channel, timeout=10)
        cluster_id = (await nodes.get_cluster_id(GetClusterIdRequest())).cluster_id
        # From here on, each call names the cluster; where a token is wanted, "authorization": "Bearer TOKEN" goes here too.
        metadata = {"ray_cluster_id": cluster_id.hex()}
        reply = await nodes.get_all_node_info(GetAllNodeInfoRequest(), metadata=metadata)
        print(f"{len(reply.node_info_list)} nodes in cluster {cluster_id.hex()[:8]}")

        kv = InternalKvGcsServiceStub(channel, timeout=10, metadata=metadata)
        await kv.internal_kv_put(
            InternalKvPutRequest(key=b"asyncio", value=b"works", overwrite=True, namespace=b"demo")
        )
        print((await kv.internal_kv_get(InternalKvGetRequest(key=b"asyncio", namespace=b"demo"))).value.decode())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:6379"))
