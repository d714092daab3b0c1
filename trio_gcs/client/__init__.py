"""A client of Ray's GCS on Trio, for trio-gcs and for stock Ray's own server.

    from trio_gcs.client import open_client

    async with open_client("127.0.0.1:6379") as client:
        print(await client.nodes.list())
        async with client.actors.subscribe() as actors:
            async for actor in actors:
                print(actor.actor_id.hex(), actor.state.name)

Scripts and notebooks use `GlobalState`, which needs no Trio. Messages are in `trio_gcs.client.messages`.
"""

from trio_gcs.client.address import Address
from trio_gcs.client.calls import Patience
from trio_gcs.client.client import GcsClient, open_client
from trio_gcs.client.errors import (
    AlreadyExists,
    ClientError,
    Compacted,
    CreationFailed,
    DeadlineExceeded,
    Gone,
    InvalidRequest,
    Lagged,
    NotFound,
    Passive,
    SchedulingCancelled,
    ServerError,
    Unauthenticated,
    Unavailable,
    Unsupported,
    WrongCluster,
)
from trio_gcs.client.following import Following, Hearing
from trio_gcs.client.global_state import GlobalState
from trio_gcs.client.node_cache import NodeCache

__all__ = [
    "Address",
    "AlreadyExists",
    "ClientError",
    "Compacted",
    "CreationFailed",
    "DeadlineExceeded",
    "Following",
    "GcsClient",
    "GlobalState",
    "Gone",
    "Hearing",
    "InvalidRequest",
    "Lagged",
    "NodeCache",
    "NotFound",
    "Passive",
    "Patience",
    "SchedulingCancelled",
    "ServerError",
    "Unauthenticated",
    "Unavailable",
    "Unsupported",
    "WrongCluster",
    "open_client",
]
