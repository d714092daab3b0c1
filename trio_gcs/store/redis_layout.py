"""Where rows lie in Redis. What stock Ray has, lies where it has it; what only we have, lies where it does not look.

Ray keeps each table as one hash, ``RAY<namespace>@<TABLE>``, with the row's key as field, and the counter of jobs as a
string. Our own keys begin alike, so that Ray's way to clear a namespace clears ours too; both lanes have tables of their
own, which may have the same names.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from trio_gcs.errors import StartError
from trio_gcs.store.base import Page, Write
from trio_gcs.store.redis_link import Command

TABLES: Final = "tables"
PAIRS: Final = "pairs"

OF_RAY: Final = frozenset({"JOB", "NODE", "ACTOR", "ACTOR_TASK_SPEC", "PLACEMENT_GROUP", "WORKERS", "KV"})
COUNTER: Final = "JobCounter"

# Who was there last? The row gcs_pid tells: ours has a leading zero in Redis, which is the same number to whoever reads it.
_PID: Final = ("KV", b"gcs_pid")
_PID_MARK: Final = b"0"


class Layout:
    """The keys of one namespace, for one lane. ``fields_max`` is how many rows one command may hold."""

    def __init__(self, namespace: str, lane: str, fields_max: int) -> None:
        if not namespace or "@" in namespace:
            raise StartError(f"external_storage_namespace={namespace!r}: a name without @ was expected")
        self.lane = lane
        self.namespace_pattern = f"RAY{escaped(namespace)}@*"
        self.lease_key = f"RAY{namespace}@trio_gcs:lease"
        lane_keys = {each: f"RAY{namespace}@trio_gcs:lane:{each}" for each in (TABLES, PAIRS)}
        self.lane_key = lane_keys[lane]
        self.keys_of_the_owner = frozenset({self.lease_key, *lane_keys.values()})
        self._own_prefix = f"RAY{namespace}@trio_gcs:table:{lane}:"
        self.own_keys_pattern = f"{escaped(self._own_prefix)}*"
        opening, closing = namespace.find("{"), namespace.find("}")
        self.is_in_one_slot = 0 <= opening < closing - 1  # a hash tag, as Redis Cluster reads it
        self.watch: tuple[Command, Command] = (("WATCH", self.lane_key), ("HMGET", self.lane_key, "epoch", "revision"))
        self.shared_tables = ("KV",) if lane == PAIRS else (*sorted(OF_RAY - {"KV"}), COUNTER)
        self._prefix = f"RAY{namespace}@"
        self._fields_max = fields_max

    def key(self, table: str) -> str:
        """The key of a table's hash, or of the counter."""
        if table in OF_RAY or self.is_counter(table):
            return f"{self._prefix}{table}"
        return f"{self._own_prefix}{table}"

    def table(self, own_key: bytes) -> str:
        """The table of one of the keys that match :attr:`own_keys_pattern`."""
        return own_key.decode().removeprefix(self._own_prefix)

    def is_counter(self, table: str) -> bool:
        """Whether this table is no hash but one number."""
        return table == COUNTER

    @property
    def who_was_last(self) -> Command:
        """Asks for what :meth:`was_ours` reads."""
        return ("HGET", self.key(_PID[0]), _PID[1])

    @staticmethod
    def was_ours(answer: bytes | None) -> bool:
        """Whether no server of stock Ray has been there since the last daemon of ours."""
        return answer is None or answer.startswith(_PID_MARK)

    @staticmethod
    def read(table: str, flat: Sequence[bytes]) -> Page:
        """The rows of a table, from fields and values in turn."""
        rows = list(zip(flat[::2], flat[1::2], strict=True))
        if table == _PID[0]:
            return [(key, value.removeprefix(_PID_MARK) if key == _PID[1] else value) for key, value in rows]
        return rows

    def commands(self, writes: Sequence[Write]) -> list[Command]:
        """What makes these writes, with one command for as many rows of a table as may be."""
        last = {(table, key): value for table, key, value in writes}
        commands: list[Command] = []
        fields: dict[str, list[tuple[bytes, bytes]]] = {}
        gone: dict[str, list[tuple[bytes]]] = {}
        for (table, key), value in last.items():
            if self.is_counter(table):
                commands.append(("DEL", self.key(table)) if value is None else ("SET", self.key(table), value))
            elif value is None:
                gone.setdefault(table, []).append((key,))
            elif (table, key) == _PID:
                fields.setdefault(table, []).append((key, _PID_MARK + value))
            else:
                fields.setdefault(table, []).append((key, value))
        for table, rows in fields.items():
            commands += self._in_parts("HSET", table, rows)
        for table, keys in gone.items():
            commands += self._in_parts("HDEL", table, keys)
        return commands

    def _in_parts(self, verb: str, table: str, rows: Sequence[tuple[bytes, ...]]) -> list[Command]:
        rest = iter(rows)
        parts: list[Command] = []
        while part := tuple(islice(rest, self._fields_max)):
            parts.append((verb, self.key(table), *(each for row in part for each in row)))
        return parts


def escaped(pattern: str) -> str:
    """A pattern of Redis that fits this text alone."""
    return "".join(f"\\{letter}" if letter in "[]?*^-\\" else letter for letter in pattern)
