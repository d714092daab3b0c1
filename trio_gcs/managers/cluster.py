"""The cluster's identity: 28 random bytes, made at the very first start and kept in the key-value store ever after.

Every client is told it first and sends it with all that it says, so that nobody speaks to the wrong cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from trio_gcs.errors import Invalid, StoreError
from trio_gcs.ids import ClusterID

NAMESPACE = b"cluster"
KEY = b"ray_cluster_id"


class Values(Protocol):
    """The part of the key-value store that the identity needs."""

    def get(self, namespace: bytes, key: bytes) -> bytes:
        """The value of a key that is there."""
        ...

    def put(self, namespace: bytes, key: bytes, value: bytes, *, overwrite: bool) -> bool:
        """Store a value; without ``overwrite`` one that is there stays."""
        ...


def settle_cluster_id(values: Values, random_bytes: Callable[[int], bytes]) -> ClusterID:
    """The cluster's id: the stored one, or a new one that is stored. Tell it to nobody before it is durable.

    Raises :class:`StoreError` if what is stored is no id.
    """
    values.put(NAMESPACE, KEY, random_bytes(ClusterID.SIZE), overwrite=False)
    stored = values.get(NAMESPACE, KEY)
    try:
        cluster_id = ClusterID.parse(stored)
    except Invalid as error:
        raise StoreError(f"the stored cluster id cannot be read: {error}") from error
    if cluster_id.is_nil:
        raise StoreError("the stored cluster id is nil")
    return cluster_id
