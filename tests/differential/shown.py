"""Messages as text that can be compared: all that is said, less what must differ between two servers.

Presence is kept: an empty message that is there is shown as ``{}``. Names given by the case stand for its ids and ports,
ids that a server made are numbered as they appear, times are only told to be times, and of texts that are the server's
to word only those fragments are shown that clients look for. A case's own texts, which must arrive to the letter, stand
in «these».
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

FRAGMENTS = (
    "The actor is dead because it was killed by `ray.kill`.",
    "The actor is dead because all references to the actor were removed",
    "The actor is dead because its owner has died.",
    "Owner Id:",
    "The actor is dead because its worker process has died.",
    "Worker exit type:",
    "Worker exit detail:",
    "The actor died because its node has died.",
    "Node Id:",
    "the actor's node was terminated expectedly: ",
    "the actor's node was terminated unexpectedly: ",
    "the actor's node was preempted: ",
    "already exists",
    "was not found",
    "Could not find actor with ID",
    "permanently dead",
    "creation cancelled",
    "Failed to find the key",
    "is removed",
    "is removed before it is created",
    "missing too many heartbeats",
    "The node with node id: ",
    "has been marked dead because the detector",
    "WrongClusterID",
    "InvalidAuthToken",
    "Missing authorization header",
    "Invalid bearer token",
    "received -",
    "but got ",
    "got ",
    "is not alive",
    "client is shut down",
    "Unknown filter predicate",
    "Invalid channel type",
    "service name unknown",
    "SYSTEM_ERROR",
    "INTENDED_SYSTEM_EXIT",
    "INTENDED_USER_EXIT",
    "USER_ERROR",
    "NODE_OUT_OF_MEMORY",
)
OWN_WORDS = re.compile("«[^»]*»")
WORDED = frozenset({"message", "error_message", "reason_message", "rejection_reason_message"})
MADE_BY_SERVERS = frozenset({"lease_id", "publisher_id", "event_id", "cluster_id"})
TIMES = ((1.6e18, 2.5e18, "ns"), (1.6e15, 2.5e15, "us"), (1.6e12, 2.5e12, "ms"), (1.6e9, 2.5e9, "s"))


class Names:
    """What the things of one case are called, instead of the octets and ports that they have."""

    def __init__(self) -> None:
        self._octets: dict[bytes, str] = {}
        self._texts: dict[str, str] = {}
        self._ports: dict[int, str] = {}
        self._numbered: dict[tuple[str, bytes], str] = {}

    def give(self, octets: bytes, name: str) -> bytes:
        """Call an id so; returns the id."""
        self._octets[octets] = name
        self._texts[octets.hex()] = f"{name} in hex"
        return octets

    def give_port(self, port: int, name: str) -> None:
        self._ports[port] = f"port of {name}"

    def knows(self, key: bytes) -> bool:
        """Whether something of this case is published under the key, as octets or in hex."""
        return key in self._octets or key.decode(errors="replace") in self._texts

    def octets(self, field: str, value: bytes) -> str:
        if field in MADE_BY_SERVERS and value and value not in self._octets:
            count = sum(known == field for known, _ in self._numbered)
            return self._numbered.setdefault((field, value), f"<{field} {count + 1}>")
        if value and set(value) == {0xFF}:
            return f"<nil of {len(value)}>"
        text = value.decode(errors="replace")
        return self._octets.get(value) or self._texts.get(text) or repr(value)

    def text(self, field: str, value: str) -> str:
        if field not in WORDED:
            return self._texts.get(value) or repr(value)
        found = [fragment for fragment in FRAGMENTS if fragment in value]
        found += [name for octets, name in self._texts.items() if octets in value]
        return repr([*found, *OWN_WORDS.findall(value)]) if value else repr("")

    def number(self, field: str, value: float) -> str:
        if field.endswith("port") and value in self._ports:
            return self._ports[int(value)]
        return next((f"<time in {unit}>" for low, high, unit in TIMES if low < value < high), repr(value))

    def shown(self, message: Message) -> str:
        """The message as indented text."""
        return "\n".join(self._lines(message, "")) or "{}"

    def _lines(self, message: Message, indent: str) -> Iterator[str]:
        for field, value in sorted(message.ListFields(), key=lambda found: found[0].number):
            for label, item in self._items(field, value):
                if isinstance(item, Message):
                    inner = list(self._lines(item, indent + "  "))
                    yield f"{indent}{label}:" + ("" if inner else " {}")
                    yield from inner
                else:
                    yield f"{indent}{label}: {self._scalar(field, item)}"

    def _items(self, field: FieldDescriptor, value) -> Iterator[tuple[str, object]]:
        if not field.is_repeated:
            yield field.name, value
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            for key in sorted(value):
                yield f"{field.name}[{self._key(key)}]", value[key]
        else:
            yield from ((f"{field.name} -", item) for item in value)

    def _key(self, key: object) -> str:
        return self.text("", key) if isinstance(key, str) else str(key)

    def _scalar(self, field: FieldDescriptor, value: object) -> str:
        if field.message_type is not None:  # the value of a map
            field = field.message_type.fields_by_name["value"]
        if isinstance(value, bytes):
            return self.octets(field.name, value)
        if isinstance(value, str):
            return self.text(field.name, value)
        if field.enum_type is not None and value in field.enum_type.values_by_number:
            return field.enum_type.values_by_number[value].name
        return self.number(field.name, value) if not isinstance(value, bool) else str(value)
