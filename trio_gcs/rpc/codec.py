"""How messages of either generator are read and written, and where a reply carries a status of its own.

The hard idea: which reply types have an in-band status is not a list of ours. It is read off the descriptors: a field
`status` with the number 1 that is a message with a code and a text.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from trio_gcs.errors import GcsError

STATUS_FIELD: Final = 1


def reader(message_type: Any) -> Callable[[bytes], Any]:
    """Return the function from octets to a message: of protobuf's classes, or of betterproto's."""
    if hasattr(message_type, "FromString"):
        read: Callable[[bytes], Any] = message_type.FromString
        return read
    parse: Callable[[bytes], Any] = message_type.parse
    return parse


def writer(message_type: Any) -> Callable[[Any], bytes]:
    """Return the function from a message to octets."""
    write: Callable[[Any], bytes] = getattr(message_type, "SerializeToString", bytes)
    return write


def has_status(reply_type: Any) -> bool:
    """Return whether replies of this type say in band how the call went."""
    descriptor = getattr(reply_type, "DESCRIPTOR", None)
    field = descriptor.fields_by_name.get("status") if descriptor is not None else None
    if field is None or field.number != STATUS_FIELD or field.message_type is None:
        return False
    return {"code", "message"} <= set(field.message_type.fields_by_name)


def status_reply(reply_type: Any, error: GcsError) -> Any:
    """Return an otherwise empty reply that tells of an error in band."""
    reply = reply_type()
    reply.status.code = int(error.code)
    reply.status.message = str(error)
    return reply
