"""Key-value pairs: what is answered, key by key and namespace by namespace."""

from __future__ import annotations

from tests.differential.claims import holds, ours

RESERVED = b"@namespace_x:key"


@holds()
def test_a_pair_is_put_once_and_replaced_only_if_asked(gcs):
    put, get = gcs.kv.InternalKVPut, gcs.kv.InternalKVGet
    put(key=b"k", value=b"1", namespace=b"put", overwrite=False)
    put(key=b"k", value=b"2", namespace=b"put", overwrite=False)
    get(key=b"k", namespace=b"put")
    put(key=b"k", value=b"3", namespace=b"put", overwrite=True)
    get(key=b"k", namespace=b"put")
    put(key=b"new", value=b"3", namespace=b"put", overwrite=True)
    get(key=b"k", namespace=b"put 2")


@holds()
def test_a_missing_key_is_not_found_and_an_empty_value_is(gcs):
    gcs.kv.InternalKVGet(key=b"k", namespace=b"missing")
    gcs.kv.InternalKVPut(key=b"k", namespace=b"missing")
    gcs.kv.InternalKVGet(key=b"k", namespace=b"missing")
    gcs.kv.InternalKVExists(key=b"k", namespace=b"missing")
    gcs.kv.InternalKVExists(key=b"other", namespace=b"missing")


@holds()
def test_keys_and_values_are_any_octets_and_a_key_may_be_empty(gcs):
    octets = bytes(range(256))
    for key in (octets, b"", b"\x00", b"a:b", b":"):
        gcs.kv.InternalKVPut(key=key, value=octets, namespace=b"octets")
        gcs.kv.InternalKVGet(key=key, namespace=b"octets")
    reply = gcs.kv.InternalKVKeys.quiet(namespace=b"octets")
    gcs.note(str(sorted(reply.results)))


@holds()
def test_a_large_value_comes_back_whole(gcs):
    value = bytes(range(256)) * 40_000
    gcs.kv.InternalKVPut(key=b"k", value=value, namespace=b"large")
    gcs.note(str(gcs.kv.InternalKVGet.quiet(key=b"k", namespace=b"large").value == value))


@holds()
def test_many_keys_are_asked_for_at_once_missing_and_repeated_ones_too(gcs):
    for key in (b"a", b"b", b"c"):
        gcs.kv.InternalKVPut.quiet(key=key, value=key * 2, namespace=b"many")
    for keys in ([b"a"], [b"a", b"missing", b"c"], [b"a", b"a", b"b"], [], [b"missing"], [b""]):
        reply = gcs.kv.InternalKVMultiGet.quiet(keys=keys, namespace=b"many")
        gcs.note(f"{keys}: {sorted((found.key, found.value) for found in reply.results)} {reply.HasField('status')}")


@holds()
def test_one_key_or_all_with_a_prefix_are_deleted(gcs):
    for key in (b"a", b"ab", b"abc", b"b", b"a*b", b"aXb"):
        gcs.kv.InternalKVPut.quiet(key=key, value=b"v", namespace=b"del")
    delete = gcs.kv.InternalKVDel
    delete(key=b"missing", namespace=b"del")
    delete(key=b"missing", namespace=b"del", del_by_prefix=True)
    delete(key=b"a*", namespace=b"del", del_by_prefix=True)
    delete(key=b"a", namespace=b"del")
    delete(key=b"a", namespace=b"del")
    delete(key=b"a", namespace=b"del", del_by_prefix=True)
    delete(key=b"", namespace=b"del", del_by_prefix=True)
    delete(key=b"", namespace=b"del", del_by_prefix=True)


@holds()
def test_keys_are_listed_by_prefix_within_their_namespace(gcs):
    for key in (b"a", b"ab", b"b"):
        gcs.kv.InternalKVPut.quiet(key=key, namespace=b"keys")
        gcs.kv.InternalKVPut.quiet(key=key + b"2", namespace=b"keys 2")
    for prefix in (b"", b"a", b"ab", b"x", b"*"):
        reply = gcs.kv.InternalKVKeys.quiet(prefix=prefix, namespace=b"keys")
        gcs.note(f"{prefix}: {sorted(reply.results)}")
    gcs.kv.InternalKVKeys(namespace=b"no such")


@holds(fresh=True)
def test_the_keys_of_no_namespace_are_those_of_all(gcs):
    gcs.kv.InternalKVPut.quiet(key=b"plain")
    gcs.kv.InternalKVPut.quiet(key=b"kept", namespace=b"n")
    gcs.kv.InternalKVPut.quiet(key=b"kk", namespace=b"n:s")
    for prefix in (b"", b"p", b"k", b"ray"):
        reply = gcs.kv.InternalKVKeys.quiet(prefix=prefix)
        gcs.note(f"{prefix}: {sorted(reply.results)}")
    gcs.note(str(sorted(gcs.kv.InternalKVKeys.quiet(namespace=b"n:s").results)))


@holds(fresh=True)
def test_the_server_keeps_pairs_of_its_own(gcs):
    gcs.kv.InternalKVGet(key=b"__autoscaler_v2_enabled", namespace=b"__autoscaler")
    pid = gcs.kv.InternalKVGet.quiet(key=b"gcs_pid").value
    gcs.note(f"gcs_pid is a number: {pid == b'%d' % int(pid)}")
    cluster_id = gcs.nodes.GetClusterId.quiet().cluster_id
    kept = gcs.kv.InternalKVGet.quiet(key=b"ray_cluster_id", namespace=b"cluster").value
    gcs.note(f"the cluster's id is kept: {kept == cluster_id}")
    for namespace in (b"cluster", b"__autoscaler", b"usage_stats"):
        gcs.note(f"{namespace}: {sorted(gcs.kv.InternalKVKeys.quiet(namespace=namespace).results)}")
    gcs.note(f"deletes all: {gcs.kv.InternalKVDel.quiet(del_by_prefix=True).deleted_num > 2}")


@holds()
def test_reserved_keys_are_refused(gcs):
    gcs.kv.InternalKVGet(key=RESERVED)
    gcs.kv.InternalKVGet(key=b"@namespace_", namespace=b"n")
    gcs.kv.InternalKVGet(key=b"@namespace", namespace=b"n")
    gcs.kv.InternalKVPut(key=RESERVED, value=b"v")
    gcs.kv.InternalKVDel(key=RESERVED)
    gcs.kv.InternalKVDel(key=RESERVED, del_by_prefix=True)
    gcs.kv.InternalKVKeys(prefix=RESERVED)
    gcs.kv.InternalKVMultiGet(keys=[b"a", RESERVED])


@ours()
def test_a_reserved_key_does_not_exist_and_stock_dies_of_the_question(gcs):
    assert gcs.kv.InternalKVExists(key=RESERVED).status.code == 2


@holds(automatic_object_spilling_enabled=True)
def test_the_configuration_is_told_to_the_letter(gcs):
    gcs.kv.GetInternalConfig()
