"""GetAllNodeInfo's reply, put together from records that were encoded before.

Every driver lists all nodes when it starts, and a record changes far less often than it is listed. Rows are frozen, so
the octets of a record are kept with it, and a list of a thousand nodes is one join instead of a thousand copies.
"""

from __future__ import annotations

from collections.abc import Iterable

from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.generated.ray.gcs_service_pb2 import GetAllNodeInfoReply

_LENGTH_DELIMITED = 2
_LOW_BITS = 0x7F


def varint(value: int) -> bytes:
    """A number as protobuf writes it: seven bits an octet, the lowest first."""
    octets = bytearray()
    while value > _LOW_BITS:
        octets.append(value & _LOW_BITS | _LOW_BITS + 1)
        value >>= 7
    octets.append(value)
    return bytes(octets)


_NODE_INFO_LIST = GetAllNodeInfoReply.DESCRIPTOR.fields_by_name["node_info_list"].number
_TAG = varint(_NODE_INFO_LIST << 3 | _LENGTH_DELIMITED)


class NodeListing:
    """Encodes replies; keeps the octets of the records of the last long one."""

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[GcsNodeInfo, bytes]] = {}

    def reply(self, found: Iterable[GcsNodeInfo], total: int) -> bytes:
        """The octets of a reply that lists ``found``, of ``total`` records that there are."""
        kept = self._kept
        listed: dict[bytes, tuple[GcsNodeInfo, bytes]] = {}
        parts = [b""]
        for record in found:
            node_id = record.node_id
            entry = kept.get(node_id)
            if entry is None or entry[0] is not record:
                octets = record.SerializeToString()
                entry = (record, _TAG + varint(len(octets)) + octets)
            listed[node_id] = entry
            parts.append(entry[1])
        if 2 * len(listed) >= len(kept):  # a glance at a few nodes must not cost what is kept of all
            self._kept = listed
        rest = GetAllNodeInfoReply(total=total, num_filtered=total - len(parts) + 1)
        rest.status.SetInParent()
        parts[0] = rest.SerializeToString()
        return b"".join(parts)
