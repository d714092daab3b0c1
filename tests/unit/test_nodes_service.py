"""NodeInfoGcsService: what a caller sends and what it gets, message by message."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.fakes.asking import ask
from tests.fakes.nodes_world import NodesWorld, node_id, node_record
from trio_gcs.errors import Invalid
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import NodeDeathInfo
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.ids import ClusterID
from trio_gcs.services.nodes import NodeInfoService

CLUSTER = ClusterID(b"c" * 28)


class Caller:
    """Calls the plain functions behind the handlers, as the server does."""

    def __init__(self) -> None:
        self.world = NodesWorld()
        self.service = NodeInfoService(self.world.nodes, CLUSTER)

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        return partial(ask, self.service, name)

    def register(self, number: int) -> None:
        assert self.RegisterNode(pb.RegisterNodeRequest(node_info=node_record(number))) == pb.RegisterNodeReply()


@pytest.fixture
def gcs() -> Caller:
    return Caller()


def test_a_client_learns_which_cluster_this_is(gcs: Caller) -> None:
    assert gcs.GetClusterId(pb.GetClusterIdRequest()).cluster_id == CLUSTER


def test_alive_is_answered_in_the_order_of_the_question(gcs: Caller) -> None:
    gcs.register(1)
    gcs.register(2)
    gcs.world.nodes.fail(node_id(2))
    reply = gcs.CheckAlive(pb.CheckAliveRequest(node_ids=[node_id(2), node_id(1), node_id(3), b"", node_id(1)]))
    assert list(reply.raylet_alive) == [False, True, False, False, True]
    assert reply.ray_version == "2.60.0"
    assert reply.is_leader


def test_a_ping_without_nodes_is_answered(gcs: Caller) -> None:
    assert gcs.CheckAlive(pb.CheckAliveRequest()) == pb.CheckAliveReply(ray_version="2.60.0", is_leader=True)


def test_a_node_goes_for_the_reason_that_it_sends(gcs: Caller) -> None:
    gcs.register(1)
    death = NodeDeathInfo(reason=NodeDeathInfo.EXPECTED_TERMINATION, reason_message="received SIGTERM")
    gcs.UnregisterNode(pb.UnregisterNodeRequest(node_id=node_id(1), node_death_info=death))
    reply = gcs.GetAllNodeInfo(pb.GetAllNodeInfoRequest())
    assert [(node.state, node.death_info) for node in reply.node_info_list] == [(GcsNodeInfo.DEAD, death)]


def test_unregistering_an_unknown_node_is_answered(gcs: Caller) -> None:
    request = pb.UnregisterNodeRequest(node_id=node_id(1))
    assert gcs.UnregisterNode(request) == pb.UnregisterNodeReply()


def test_the_list_says_how_many_it_leaves_out(gcs: Caller) -> None:
    for number in (1, 2, 3):
        gcs.register(number)
    gcs.world.nodes.fail(node_id(3))
    reply = gcs.GetAllNodeInfo(pb.GetAllNodeInfoRequest(state_filter=GcsNodeInfo.ALIVE, limit=1))
    assert (len(reply.node_info_list), reply.total, reply.num_filtered) == (1, 3, 2)
    reply = gcs.GetAllNodeInfo(pb.GetAllNodeInfoRequest())
    assert (len(reply.node_info_list), reply.total, reply.num_filtered) == (3, 3, 0)


def test_little_records_are_listed(gcs: Caller) -> None:
    gcs.register(1)
    reply = gcs.GetAllNodeAddressAndLiveness(pb.GetAllNodeAddressAndLivenessRequest())
    assert [node.node_manager_port for node in reply.node_info_list] == [1001]


async def test_shutting_down_is_answered_for_each_entry_and_asked_of_the_living(
    gcs: Caller, autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    await nursery.start(gcs.world.ledger.serve)
    gcs.register(1)
    entries = [pb.DrainNodeData(node_id=node_id(number)) for number in (2, 1)]
    reply = gcs.DrainNode(pb.DrainNodeRequest(drain_node_data=entries))
    assert [status.node_id for status in reply.drain_node_status] == [node_id(2), node_id(1)]
    assert gcs.world.nodes.is_alive(node_id(1))
    await trio.sleep(1)
    assert gcs.world.raylets.told == [("shut down", node_id(1))]


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("RegisterNode", pb.RegisterNodeRequest(node_info=GcsNodeInfo(node_id=b"abc"))),
        ("UnregisterNode", pb.UnregisterNodeRequest(node_id=b"abc")),
        ("DrainNode", pb.DrainNodeRequest(drain_node_data=[pb.DrainNodeData(node_id=b"abc")])),
        ("CheckAlive", pb.CheckAliveRequest(node_ids=[b"abc"])),
        ("GetAllNodeAddressAndLiveness", pb.GetAllNodeAddressAndLivenessRequest(node_ids=[b"abc"])),
    ],
)
def test_an_id_of_a_wrong_length_is_refused(gcs: Caller, method: str, request_: object) -> None:
    with pytest.raises(Invalid, match="Expected NodeID to be 28 bytes, but got 3 bytes"):
        getattr(gcs, method)(request_)


def test_a_listing_follows_every_change_of_a_record(gcs: Caller) -> None:
    def listed() -> list[tuple[bytes, int]]:
        reply = gcs.GetAllNodeInfo(pb.GetAllNodeInfoRequest())
        return sorted((node.node_id, node.state) for node in reply.node_info_list)

    for number in range(3):
        gcs.register(number)
    one = pb.GetAllNodeInfoRequest(limit=1)
    assert listed() == listed() == [(node_id(number), GcsNodeInfo.ALIVE) for number in range(3)]
    assert len(gcs.GetAllNodeInfo(one).node_info_list) == 1
    gcs.UnregisterNode(pb.UnregisterNodeRequest(node_id=node_id(1)))
    states = [GcsNodeInfo.ALIVE, GcsNodeInfo.DEAD, GcsNodeInfo.ALIVE]
    assert listed() == [(node_id(number), state) for number, state in enumerate(states)]
