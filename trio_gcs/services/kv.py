"""InternalKVGcsService: the key-value store on the wire, and the configuration that every process of Ray reads first."""

from __future__ import annotations

from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.gcs_service_grpc import InternalKVGcsServiceBase
from trio_gcs.managers.kv import KVManager
from trio_gcs.rpc.handlers import unary


class InternalKVService(InternalKVGcsServiceBase):
    """Speaks for :class:`KVManager`. ``config_json`` is told to everyone as it was given to the daemon."""

    def __init__(self, kv: KVManager, config_json: str) -> None:
        self._kv = kv
        self._config_json = config_json

    @unary
    def InternalKVGet(self, request: pb.InternalKVGetRequest) -> pb.InternalKVGetReply:
        """Read one value; an absent key is an error in the reply."""
        return pb.InternalKVGetReply(value=self._kv.get(request.namespace, request.key))

    @unary
    def InternalKVMultiGet(self, request: pb.InternalKVMultiGetRequest) -> pb.InternalKVMultiGetReply:
        """Read the values of those keys that are there."""
        found = self._kv.get_many(request.namespace, request.keys)
        return pb.InternalKVMultiGetReply(
            results=[pb.MapFieldEntry(key=key, value=value) for key, value in found.items()]
        )

    @unary
    def InternalKVPut(self, request: pb.InternalKVPutRequest) -> pb.InternalKVPutReply:
        """Store one value, and say whether its key is new."""
        added = self._kv.put(request.namespace, request.key, request.value, overwrite=request.overwrite)
        return pb.InternalKVPutReply(added=added)

    @unary
    def InternalKVDel(self, request: pb.InternalKVDelRequest) -> pb.InternalKVDelReply:
        """Remove one key, or all that begin with it, and say how many they were."""
        delete = self._kv.delete_under if request.del_by_prefix else self._kv.delete
        return pb.InternalKVDelReply(deleted_num=delete(request.namespace, request.key))

    @unary
    def InternalKVExists(self, request: pb.InternalKVExistsRequest) -> pb.InternalKVExistsReply:
        """Say whether a key is there."""
        return pb.InternalKVExistsReply(exists=self._kv.exists(request.namespace, request.key))

    @unary
    def InternalKVKeys(self, request: pb.InternalKVKeysRequest) -> pb.InternalKVKeysReply:
        """List the keys that begin with a prefix."""
        return pb.InternalKVKeysReply(results=self._kv.keys_under(request.namespace, request.prefix))

    @unary
    def GetInternalConfig(self, request: pb.GetInternalConfigRequest) -> pb.GetInternalConfigReply:
        """Hand out the configuration, verbatim."""
        return pb.GetInternalConfigReply(config=self._config_json)
