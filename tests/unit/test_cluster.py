"""The cluster's id: made once, kept for ever."""

from __future__ import annotations

import pytest

from trio_gcs.errors import StoreError
from trio_gcs.ids import ClusterID
from trio_gcs.managers.cluster import settle_cluster_id
from trio_gcs.managers.kv import KVManager
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore


def values() -> KVManager:
    return KVManager(Ledger(MemoryStore()))


def test_the_first_start_makes_an_id_and_keeps_it_where_clients_look() -> None:
    kv = values()
    made = settle_cluster_id(kv, lambda size: b"r" * size)
    assert made == ClusterID(b"r" * 28)
    assert kv.get(b"cluster", b"ray_cluster_id") == made


def test_a_later_start_adopts_the_id_that_is_stored() -> None:
    kv = values()
    made = settle_cluster_id(kv, lambda size: b"1" * size)
    assert settle_cluster_id(kv, lambda size: b"2" * size) == made


@pytest.mark.parametrize("stored", [b"short", b"", b"\xff" * 28])
def test_an_id_that_cannot_be_one_ends_the_start(stored: bytes) -> None:
    kv = values()
    kv.put(b"cluster", b"ray_cluster_id", stored)
    with pytest.raises(StoreError, match="cluster id"):
        settle_cluster_id(kv, lambda size: b"r" * size)
