"""The key-value store, one claim per rule, and all of it against a dictionary."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import trio
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trio_gcs.errors import Code
from trio_gcs.managers.kv import KeyMissing, KVManager, ReservedKey, callers_key, stored_name
from trio_gcs.managers.sorted_keys import SortedKeys
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.memory import MemoryStore
from trio_gcs.store.sqlite import SqliteStore


@pytest.fixture
def kv() -> KVManager:
    return KVManager(Ledger(MemoryStore()))


def test_a_put_says_whether_the_key_is_new(kv: KVManager) -> None:
    assert kv.put(b"ns", b"k", b"1")
    assert not kv.put(b"ns", b"k", b"2")
    assert kv.get(b"ns", b"k") == b"2"


def test_a_put_without_overwrite_leaves_what_is_there(kv: KVManager) -> None:
    assert kv.put(b"ns", b"k", b"1", overwrite=False)
    assert not kv.put(b"ns", b"k", b"2", overwrite=False)
    assert kv.get(b"ns", b"k") == b"1"


def test_a_missing_key_is_an_error_with_rays_text_and_an_empty_value_is_none(kv: KVManager) -> None:
    with pytest.raises(KeyMissing, match="Failed to find the key") as caught:
        kv.get(b"", b"k")
    assert caught.value.code == Code.NOT_FOUND
    kv.put(b"", b"k", b"")
    assert kv.get(b"", b"k") == b""
    assert kv.exists(b"", b"k")


def test_an_empty_key_is_a_key(kv: KVManager) -> None:
    assert kv.put(b"", b"", b"v")
    assert kv.put(b"ns", b"", b"w")
    assert kv.get(b"", b"") == b"v"
    assert sorted(kv.keys_under(b"", b"")) == [b"", b""]


def test_namespaces_are_apart(kv: KVManager) -> None:
    kv.put(b"a", b"k", b"1")
    kv.put(b"b", b"k", b"2")
    kv.put(b"", b"k", b"3")
    assert [kv.get(ns, b"k") for ns in (b"a", b"b", b"")] == [b"1", b"2", b"3"]
    assert kv.delete_under(b"a", b"") == 1
    assert kv.exists(b"b", b"k")


def test_all_six_refuse_a_key_that_looks_stored(kv: KVManager) -> None:
    bad = b"@namespace_x:k"
    calls = (
        lambda: kv.get(b"ns", bad),
        lambda: kv.get_many(b"ns", [b"good", bad]),
        lambda: kv.put(b"ns", bad, b"v"),
        lambda: kv.delete(b"ns", bad),
        lambda: kv.delete_under(b"ns", bad),
        lambda: kv.exists(b"ns", bad),
        lambda: kv.keys_under(b"ns", bad),
    )
    for call in calls:
        with pytest.raises(ReservedKey, match="Key can't start with @namespace_") as caught:
            call()
        assert caught.value.code == Code.KEY_ERROR


def test_many_keys_are_read_at_once_each_found_one_once(kv: KVManager) -> None:
    kv.put(b"ns", b"a", b"1")
    kv.put(b"ns", b"b", b"")
    assert kv.get_many(b"ns", [b"a", b"b", b"a", b"missing"]) == {b"a": b"1", b"b": b""}
    assert kv.get_many(b"ns", []) == {}


def test_deleting_says_how_many(kv: KVManager) -> None:
    for key in (b"a1", b"a2", b"b"):
        kv.put(b"ns", key, b"v")
    assert kv.delete(b"ns", b"a1") == 1
    assert kv.delete(b"ns", b"a1") == 0
    assert kv.delete_under(b"ns", b"a") == 1
    assert kv.delete_under(b"ns", b"") == 1
    assert kv.delete_under(b"ns", b"") == 0


def test_a_prefix_is_taken_literally(kv: KVManager) -> None:
    for key in (b"a*", b"aXb", b"a*b", b"a?", b"[a"):
        kv.put(b"", key, b"v")
    assert kv.keys_under(b"", b"a*") == [b"a*", b"a*b"]
    assert kv.keys_under(b"", b"[") == [b"[a"]


def test_without_namespace_and_prefix_the_keys_of_all_namespaces_are_listed(kv: KVManager) -> None:
    kv.put(b"x", b"1", b"")
    kv.put(b"", b"2", b"")
    kv.put(b"y", b"3", b"")
    assert sorted(kv.keys_under(b"", b"")) == [b"1", b"2", b"3"]


def test_a_colon_in_a_namespace_gives_names_as_stock_ray_does(kv: KVManager) -> None:
    kv.put(b"n:s", b"kk", b"v")
    assert kv.keys_under(b"n:s", b"") == [b"s:kk"]
    assert kv.get(b"n:s", b"kk") == b"v"


def test_stored_names_are_those_of_stock_ray() -> None:
    assert stored_name(b"cluster", b"ray_cluster_id") == b"@namespace_cluster:ray_cluster_id"
    assert stored_name(b"", b"gcs_pid") == b"gcs_pid"
    assert callers_key(b"@namespace_fun:RemoteFunction:01000000:\xff:x") == b"RemoteFunction:01000000:\xff:x"


def test_a_prefix_among_100_000_keys_is_found_in_no_time(kv: KVManager) -> None:
    for number in range(100_000):
        kv.put(b"ns%d" % (number % 10), b"%06d" % number, b"v")
    kv.keys_under(b"ns3", b"")
    begin = time.process_time()
    for number in range(200):
        kv.put(b"fresh", b"%d" % number, b"v")
        assert len(kv.keys_under(b"ns3", b"00001")) == 1
    assert time.process_time() - begin < 0.5


async def test_a_put_and_a_refused_put_both_wait_for_the_row_to_be_durable() -> None:
    class Slow(MemoryStore):
        keeps = True

    ledger = Ledger(Slow())
    kv = KVManager(ledger)
    async with trio.open_nursery() as nursery:
        ledger.witness.begin()
        kv.put(b"", b"k", b"v")
        assert ledger.witness.unsettled() == {ledger: 1}
        kv.put(b"", b"k", b"w", overwrite=False)
        assert ledger.witness.unsettled() == {ledger: 1}
        kv.keys_under(b"", b"other")
        assert ledger.witness.unsettled() == {ledger: 1}
        await nursery.start(ledger.serve)
        await ledger.drained()
        kv.get(b"", b"k")
        assert ledger.witness.unsettled() is None
        nursery.cancel_scope.cancel()


async def test_values_and_their_order_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "kv.sqlite"
    keys = [b"b", b"\xff\x00", b"a", b"c"]
    for life in range(2):
        store = await SqliteStore.open(path)
        ledger = Ledger(store)
        kv = KVManager(ledger)
        await ledger.load()
        async with trio.open_nursery() as nursery:
            await nursery.start(ledger.serve)
            assert kv.keys_under(b"ns", b"") == (sorted(keys) if life else [])
            for key in keys:
                kv.put(b"ns", key, b"v")
            await ledger.drained()
            nursery.cancel_scope.cancel()
        await store.aclose()


def test_order_is_right_after_a_change_that_was_taken_back() -> None:
    present = {b"a": 1, b"b": 2}
    order = SortedKeys(present)
    assert order.under(b"") == [b"a", b"b"]
    order.touch(b"never came")
    order.touch(b"a")
    assert order.under(b"") == [b"a", b"b"]
    del present[b"a"]
    order.touch(b"a")
    assert order.under(b"") == [b"b"]


@pytest.mark.parametrize("edits", [1, 63, 64, 65, 300])
def test_order_is_right_after_few_edits_and_after_many(edits: int) -> None:
    present = {b"%d" % number: None for number in range(0, 1000, 2)}
    order = SortedKeys(present)
    order.under(b"")
    for number in range(edits):
        key = b"%d" % number
        if key in present:
            del present[key]
        else:
            present[key] = None
        order.touch(key)
    assert order.under(b"") == sorted(present)


KEYS = st.binary(max_size=3).map(lambda raw: raw.replace(b"@", b"\xff"))
NAMESPACES = st.sampled_from([b"", b"n", b"m"])


class KVAgainstADictionary(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.kv = KVManager(Ledger(MemoryStore()))
        self.model: dict[tuple[bytes, bytes], bytes] = {}

    @rule(ns=NAMESPACES, key=KEYS, value=st.binary(max_size=2), overwrite=st.booleans())
    def put(self, ns: bytes, key: bytes, value: bytes, overwrite: bool) -> None:
        new = (ns, key) not in self.model
        assert self.kv.put(ns, key, value, overwrite=overwrite) == new
        if new or overwrite:
            self.model[ns, key] = value

    @rule(ns=NAMESPACES, key=KEYS)
    def delete(self, ns: bytes, key: bytes) -> None:
        assert self.kv.delete(ns, key) == (self.model.pop((ns, key), None) is not None)

    @rule(ns=NAMESPACES, prefix=KEYS)
    def delete_under(self, ns: bytes, prefix: bytes) -> None:
        going = self._under(ns, prefix)
        assert self.kv.delete_under(ns, prefix) == len(going)
        for name in going:
            del self.model[name]

    @rule(ns=NAMESPACES, prefix=KEYS)
    def list_keys(self, ns: bytes, prefix: bytes) -> None:
        assert sorted(self.kv.keys_under(ns, prefix)) == sorted(key for _, key in self._under(ns, prefix))

    @rule(ns=NAMESPACES, keys=st.lists(KEYS, max_size=4))
    def read_many(self, ns: bytes, keys: list[bytes]) -> None:
        assert self.kv.get_many(ns, keys) == {key: self.model[ns, key] for key in keys if (ns, key) in self.model}

    @invariant()
    def every_value_is_the_models(self) -> None:
        for (ns, key), value in self.model.items():
            assert self.kv.get(ns, key) == value

    def _under(self, ns: bytes, prefix: bytes) -> list[tuple[bytes, bytes]]:
        # Without a namespace a prefix is compared with stored names, and an empty one is the start of them all.
        return [at for at in self.model if (at[0] == ns or not (ns or prefix)) and at[1].startswith(prefix)]


KVAgainstADictionary.TestCase.settings = settings(max_examples=100, deadline=None)
TestKVAgainstADictionary = KVAgainstADictionary.TestCase
