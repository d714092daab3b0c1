"""Who may call: tokens and cluster ids, in the words of the original."""

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.fakes.echo_service import Echo
from tests.fakes.rpc_world import rpc_world
from trio_gcs.rpc.verdict import Gatekeeper

CLUSTER = "ab" * 28
NIL = "ff" * 28
ANY, GET_ID, SYNC = b"/ray.rpc.X/Y", b"/ray.rpc.NodeInfoGcsService/GetClusterId", b"/ray.rpc.syncer.RaySyncer/StartSync"
HEALTH, REFLECTION = b"/grpc.health.v1.Health/Check", b"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
BAD_TOKEN = "InvalidAuthToken: Authentication token is missing or incorrect"
BAD_CLUSTER = "WrongClusterID: Perhaps the client is accessing GCS after it has restarted."


def judge(path, *fields):
    keeper = Gatekeeper("secret", lambda: CLUSTER)
    return keeper.objection(path, [(name.encode(), value.encode()) for name, value in fields])


GOOD = ("authorization", "Bearer secret")


@pytest.mark.parametrize("value", ["Bearer wrong", "bearer secret", "secret", "Bearer", "", "Bearer secret "])
def test_a_wrong_token_is_refused(value):
    assert judge(ANY, ("authorization", value)) == BAD_TOKEN


def test_a_missing_token_is_refused_in_the_same_words_and_before_the_cluster_is_looked_at():
    assert judge(ANY) == BAD_TOKEN
    assert judge(ANY, ("ray_cluster_id", "wrong")) == BAD_TOKEN


def test_the_right_token_is_let_in_alone_and_twice():
    assert judge(ANY, GOOD) is None
    assert judge(ANY, GOOD, GOOD) is None


def test_of_several_values_the_first_one_counts():
    wrong, other = ("authorization", "Bearer wrong"), ("ray_cluster_id", NIL)
    assert judge(ANY, GOOD, wrong) is None
    assert judge(ANY, wrong, GOOD) == BAD_TOKEN
    assert judge(ANY, GOOD, ("ray_cluster_id", CLUSTER), other) is None
    assert judge(ANY, GOOD, other, ("ray_cluster_id", CLUSTER)) == BAD_CLUSTER


def test_nobody_needs_a_token_where_there_is_none():
    assert Gatekeeper(None, lambda: CLUSTER).objection(ANY, []) is None


@pytest.mark.parametrize("sent", [CLUSTER.upper(), NIL, "", "malformed", CLUSTER[:-1]])
def test_another_cluster_id_is_refused(sent):
    assert judge(ANY, GOOD, ("ray_cluster_id", sent)) == BAD_CLUSTER


def test_the_right_cluster_id_or_none_is_let_in():
    assert judge(ANY, GOOD, ("ray_cluster_id", CLUSTER)) is None
    assert judge(ANY, GOOD) is None


@pytest.mark.parametrize(("sent", "objection"), [(None, None), (NIL, None), (CLUSTER, BAD_CLUSTER), ("", BAD_CLUSTER)])
def test_whoever_asks_for_the_cluster_id_must_not_send_one(sent, objection):
    assert judge(GET_ID, GOOD, *([("ray_cluster_id", sent)] if sent is not None else [])) == objection


@pytest.mark.parametrize("path", [HEALTH, REFLECTION])
def test_health_and_reflection_are_open(path):
    assert judge(path, ("ray_cluster_id", "wrong")) is None


def test_the_syncer_has_its_own_words_and_no_cluster_id():
    assert judge(SYNC) == "Missing authorization header"
    assert judge(SYNC, ("authorization", "Bearer wrong")) == "Invalid bearer token"
    assert judge(SYNC, GOOD, GOOD, ("ray_cluster_id", "wrong")) is None


async def test_the_verdict_is_passed_once_per_header_block():
    asked = []

    def cluster_id():
        asked.append(1)
        return CLUSTER

    async with rpc_world(Echo(), token="secret", cluster_id=cluster_id) as client:
        for _ in range(20):
            answer = await client.ask("/test.Echo/Now", StringValue(value="x"), GOOD, ("ray_cluster_id", CLUSTER))
            assert answer.status == 0
        answer = await client.ask("/test.Echo/Now", StringValue(value="x"), GOOD, ("ray_cluster_id", NIL))
        assert (answer.status, answer.headers["grpc-message"]) == (16, BAD_CLUSTER)
    assert len(asked) <= 4
