"""The key-value store that Ray's processes share. Owns KV, in a ledger of its own: a package of 100 MB delays no node.

Names of all namespaces live in one table, as ``@namespace_<namespace>:<key>``, which is also how stock Ray stores them.
The hard thing is the price: this is the path that clients use most, so a read is one look-up and a write one change.
"""

from __future__ import annotations

from collections.abc import Iterable

from trio_gcs.errors import BadKey, NotFound
from trio_gcs.managers.sorted_keys import SortedKeys
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.tables import BYTES

RESERVED = b"@namespace_"


class KeyMissing(NotFound):
    """Nothing is stored under this key."""

    def __init__(self) -> None:
        super().__init__("Failed to find the key")


class ReservedKey(BadKey):
    """The key begins as only stored names may."""

    def __init__(self) -> None:
        super().__init__("Key can't start with @namespace_")


def stored_name(namespace: bytes, key: bytes) -> bytes:
    """The name in the table of a caller's key. Refuses keys that look like such a name themselves."""
    if key.startswith(RESERVED):
        raise ReservedKey
    return b"%b%b:%b" % (RESERVED, namespace, key) if namespace else key


def callers_key(name: bytes) -> bytes:
    """The caller's key of a stored name. With a colon in the namespace it comes out wrong, as stock Ray has it."""
    return name[name.find(b":") + 1 :] if name.startswith(RESERVED) else name


class KVManager:
    """Keeps values by namespace and key. All of it is decided at once, in one change each."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._values = ledger.table("KV", BYTES)
        self._order = SortedKeys(self._values)

    # Decisions.

    def put(self, namespace: bytes, key: bytes, value: bytes, *, overwrite: bool = True) -> bool:
        """Store ``value``, and say whether the key is new. Without ``overwrite`` a value that is there stays."""
        name = stored_name(namespace, key)
        known = name in self._values
        if known and not overwrite:
            return False
        self._ledger.put(self._values, name, value)
        if not known:
            self._order.touch(name)
        return not known

    def delete(self, namespace: bytes, key: bytes) -> int:
        """Remove one key, and say how many there were: 0 or 1."""
        return self._delete([stored_name(namespace, key)])

    def delete_under(self, namespace: bytes, prefix: bytes) -> int:
        """Remove every key of the namespace that begins with ``prefix``, and say how many there were."""
        return self._delete(self._names_under(namespace, prefix))

    def _delete(self, names: list[bytes]) -> int:
        there = [name for name in names if name in self._values]
        with self._ledger.change() as change:
            for name in there:
                change.delete(self._values, name)
                self._order.touch(name)
        return len(there)

    # Queries.

    def get(self, namespace: bytes, key: bytes) -> bytes:
        """The value of a key; raises :class:`KeyMissing` if there is none."""
        value = self._values.get(stored_name(namespace, key))
        if value is None:
            raise KeyMissing
        return value

    def get_many(self, namespace: bytes, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The values of those keys that have one, each once however often it was asked for."""
        found: dict[bytes, bytes] = {}
        for key in keys:
            name = stored_name(namespace, key)
            value = self._values.get(name)
            if value is not None:
                found[callers_key(name)] = value
        return found

    def exists(self, namespace: bytes, key: bytes) -> bool:
        """Whether a key has a value."""
        return stored_name(namespace, key) in self._values

    def keys_under(self, namespace: bytes, prefix: bytes) -> list[bytes]:
        """The keys that begin with ``prefix``. Without a namespace, an empty prefix lists those of all namespaces."""
        names = self._names_under(namespace, prefix)
        if not names or not namespace:
            return [callers_key(name) for name in names]
        start = len(names[0]) - len(callers_key(names[0]))  # all begin alike, so each is cut at the same place
        return [name[start:] for name in names]

    def _names_under(self, namespace: bytes, prefix: bytes) -> list[bytes]:
        self._values.items()  # notes what is not durable yet: the answer rests on rows that are gone, too
        return self._order.under(stored_name(namespace, prefix))
