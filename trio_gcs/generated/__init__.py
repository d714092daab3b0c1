"""Generated code: ``ray`` (the wire of Ray), ``grpc`` (health, reflection), ``google.protobuf`` (what these need of it).

The subpackages are written by ``scripts/generate_protos.py`` and never edited; this file alone is by hand. Its one hard
idea: all of them are registered in a descriptor pool of our own. A descriptor pool takes each full name once, and Ray's
own Python package puts ``ray.rpc.*`` into the default pool; with our own pool, one process can import both. The price:
a message of ours is never an instance of Ray's class, nor of ``google.protobuf.timestamp_pb2.Timestamp``. Pass bytes.
"""

from google.protobuf.descriptor_pool import DescriptorPool

__all__ = ["POOL"]

POOL = DescriptorPool()
