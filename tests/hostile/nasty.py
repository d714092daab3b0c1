"""Messages that nobody should send, made from the descriptors: each field gets what is worst for its type.

Whole and valid in their octets, so that they pass the parser and meet the managers. Ids are drawn from those that exist,
as often as not, and so are names: an attack on what is not there ends too early.
"""

from random import Random

from google.protobuf.descriptor import FieldDescriptor as Field
from google.protobuf.message import Message

INF = float("inf")
DOUBLES = (0.0, -0.0, 1.0, -1.0, 0.57, 1e-5, 1e300, -1e300, 1.7e308, -1.7e308, 5e-324, INF, -INF, float("nan"))
STRINGS = (
    "",
    "a",
    "127.0.0.1",
    "localhost",
    "::1",
    "no.such.host.invalid",
    "a..b",
    "x" * 300,
    "ü" * 70,
    "\0",
    "a\0b",
    "\r\nx: y",
    "\x1b[31mred\n[2026-01-01 00:00:00,000 C 1 1] (gcs_server) forged",
    "\u202e\ufffe",
    "{" * 50,
    "in(" + "," * 100 + ")",
    "!in()",
    "gcs://_ray_pkg_x.zip",
    "gcs://",
    "@namespace_fun:x",
    "%s%n{0}{x}",
    "../../etc/passwd",
)
LENGTHS = (0, 1, 3, 4, 14, 16, 18, 20, 24, 27, 28, 29, 32, 1000)
FILLS = (b"\0", b"\xff", b"\x80", b"a", b"@namespace_")
OCTETS = [(fill * 1000)[:length] for fill in FILLS for length in LENGTHS]
INTEGERS = {
    Field.TYPE_INT32: (32, True),
    Field.TYPE_SINT32: (32, True),
    Field.TYPE_SFIXED32: (32, True),
    Field.TYPE_UINT32: (32, False),
    Field.TYPE_FIXED32: (32, False),
    Field.TYPE_INT64: (64, True),
    Field.TYPE_SINT64: (64, True),
    Field.TYPE_SFIXED64: (64, True),
    Field.TYPE_UINT64: (64, False),
    Field.TYPE_FIXED64: (64, False),
}


class Nasty:
    """Makes messages by a seed. ``known`` has, by the end of a field's name, values that mean something to the daemon."""

    def __init__(self, rng: Random, known: dict[str, list]) -> None:
        self.rng = rng
        self.known = known

    def message(self, kind: type[Message], depth: int = 0) -> Message:
        """A message of this kind."""
        made = kind()
        self.fill(made, depth)
        return made

    def fill(self, message: Message, depth: int = 0) -> None:
        """Give fields of a message new values."""
        # Sparse ones get far, since little in them is wrong; full ones are the ones that nobody has thought of.
        share = self.rng.choice((0.2, 0.5, 0.9))
        for field in message.DESCRIPTOR.fields:
            if self.rng.random() < share:
                self.set(message, field, depth)

    def mutate(self, message: Message) -> Message:
        """A copy of a message that made sense, with one to three fields of it, at any depth, made nasty."""
        new = type(message)()
        new.CopyFrom(message)
        for _ in range(self.rng.randint(1, 3)):
            at = new
            while True:
                inner = [field for field, _ in at.ListFields() if field.message_type is not None and not _is_map(field)]
                if not inner or self.rng.random() < 0.3:
                    break
                below = getattr(at, self.rng.choice(inner).name)
                at = self.rng.choice(below) if isinstance(below, list) or hasattr(below, "append") else below
            if at.DESCRIPTOR.fields:
                self.set(at, self.rng.choice(at.DESCRIPTOR.fields), 2)
        return new

    def set(self, message: Message, field: Field, depth: int) -> None:
        """Give one field a new value, or several."""
        if _is_map(field):
            self._set_map(getattr(message, field.name), field)
        elif field.is_repeated:
            self._set_repeated(getattr(message, field.name), field, depth)
        elif field.message_type is not None:
            inner = getattr(message, field.name)
            inner.SetInParent()
            if depth < 6:
                self.fill(inner, depth + 1)
        else:
            setattr(message, field.name, self.value(field))

    def _set_map(self, container, field: Field) -> None:
        key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        for _ in range(self.rng.choice((1, 2, 5))):
            if value.message_type is not None:
                self.fill(container[self.value(key)], 5)
            else:
                container[self.value(key)] = self.value(value)

    def _set_repeated(self, container, field: Field, depth: int) -> None:
        for _ in range(self.rng.choice((1, 1, 2, 3, 20))):
            if field.message_type is None:
                container.append(self.value(field))
            elif depth < 6:
                self.fill(container.add(), depth + 1)

    def _known_value(self, field: Field):
        for ending, values in self.known.items():
            if field.name.endswith(ending) and self.rng.random() < 0.6:
                chosen = self.rng.choice(values)
                if _fits(chosen, field):
                    return chosen
        return None

    def value(self, field: Field):
        """A value for a field that is no message."""
        chosen = self._known_value(field)
        return chosen if chosen is not None else self.rng.choice(_choices(field))


def broken(octets: bytes, rng: Random) -> bytes:
    """Octets that were a message: cut short, with bits turned over, or with noise in their midst."""
    kind = rng.randrange(4)
    if kind == 0 or not octets:
        return rng.randbytes(rng.choice((1, 2, 5, 17, 100, 1000)))
    if kind == 1:
        return octets[: rng.randrange(len(octets))]
    spoiled = bytearray(octets)
    for _ in range(rng.randint(1, 4)):
        spoiled[rng.randrange(len(spoiled))] ^= 1 << rng.randrange(8)
    if kind == 3:
        at = rng.randrange(len(spoiled))
        spoiled[at:at] = rng.randbytes(rng.randint(1, 8))
    return bytes(spoiled)


def _choices(field: Field):
    """What is worst for a type."""
    if field.type in INTEGERS:
        bits, signed = INTEGERS[field.type]
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
        odd = (low, low + 1, -1, 0, 1, 2, 5, 99, 70_000, 10**9, 1 << 31, high - 1, high)
        return [number for number in odd if low <= number <= high]
    if field.type == Field.TYPE_ENUM:
        known = list(field.enum_type.values_by_number)
        return [*known, *known, 99, -1, (1 << 31) - 1]
    return {
        Field.TYPE_DOUBLE: DOUBLES,
        Field.TYPE_FLOAT: DOUBLES,
        Field.TYPE_BOOL: (False, True),
        Field.TYPE_STRING: STRINGS,
        Field.TYPE_BYTES: OCTETS,
    }[field.type]


def _fits(value: object, field: Field) -> bool:
    if isinstance(value, int):
        return field.type in INTEGERS
    return field.type == (Field.TYPE_BYTES if isinstance(value, bytes) else Field.TYPE_STRING)


def _is_map(field: Field) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry
