"""A service whose only method is the function that the test brings; its reply has a status of its own."""

from grpclib.const import Cardinality, Handler

from tests.fakes.rpc_world import rpc_world
from trio_gcs.generated.ray.gcs_service_pb2 import InternalKVGetReply, InternalKVGetRequest
from trio_gcs.rpc.handlers import unary


class OneMethod:
    def __init__(self, function, reply_type=InternalKVGetReply):
        self._function = function
        self._reply_type = reply_type

    def __mapping__(self):
        kind = Cardinality.UNARY_UNARY
        handler = unary(self._function).__get__(self)
        return {"/kv.Store/Get": Handler(handler, kind, InternalKVGetRequest, self._reply_type)}


GET = "/kv.Store/Get"


async def get(function, *headers, **world):
    async with rpc_world(OneMethod(function), **world) as client:
        return await client.ask(GET, InternalKVGetRequest(key=b"k"), *headers)
