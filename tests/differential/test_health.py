"""Health: the standard service of the server itself, and the watching of raylets through theirs."""

from __future__ import annotations

import time

import grpc

from tests.differential.claims import holds
from trio_gcs.generated.grpc.health_pb2 import HealthCheckRequest, HealthCheckResponse

FAST = {
    "health_check_initial_delay_ms": 100,
    "health_check_period_ms": 150,
    "health_check_timeout_ms": 200,
    "health_check_failure_threshold": 3,
}


def check(gcs, service: str, metadata=None) -> None:
    call = gcs.channel.unary_unary(
        "/grpc.health.v1.Health/Check", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
    )
    try:
        reply = call(HealthCheckRequest(service=service), metadata=metadata, timeout=5)
        gcs.note(f"{service!r}", reply)
    except grpc.RpcError as error:
        gcs.note(f"{service!r} -> {error.code().name} {gcs.names.text('message', error.details())}")


@holds()
def test_the_server_serves_and_knows_no_other_service(gcs):
    for service in ("", "x", "ray.rpc.NodeInfoGcsService"):
        check(gcs, service)
    check(gcs, "", [("ray_cluster_id", "ff")])


@holds()
def test_a_watch_of_health_tells_at_once(gcs):
    for service in ("", "x"):
        call = gcs.channel.unary_stream(
            "/grpc.health.v1.Health/Watch", HealthCheckRequest.SerializeToString, HealthCheckResponse.FromString
        )
        replies = call(HealthCheckRequest(service=service), timeout=5)
        gcs.note(f"{service!r}", next(iter(replies)))
        replies.cancel()


@holds(token=True)
def test_health_needs_no_token(gcs):
    check(gcs, "")


@holds(**FAST)
def test_a_raylet_is_asked_for_its_own_name(gcs):
    raylet = gcs.node("a")
    raylet.take("Check")
    raylet.take("Check")
    gcs.nodes.CheckAlive(node_ids=[raylet.node_id])


@holds(**FAST)
def test_a_raylet_that_is_gone_is_dead_after_its_last_chance(gcs):
    raylet = gcs.node("a", node_name="name")
    subscriber, errors = gcs.subscriber(4, 9), gcs.subscriber(service="observability")
    raylet.take("Check")
    raylet.stop()
    subscriber.take(2)
    errors.take(1)
    reply = gcs.nodes.GetAllNodeInfo.quiet(node_selectors=[{"node_id": raylet.node_id}])
    gcs.note("listed", reply.node_info_list[0])


@holds(**FAST)
def test_each_answer_but_serving_is_a_failure(gcs):
    for status in (
        HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING),
        HealthCheckResponse(),
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNIMPLEMENTED,
    ):
        raylet = gcs.raylet(str(status)[:12])
        raylet.script("Check", status)
        gcs.nodes.RegisterNode(node_info=gcs.node_row(raylet))
        gcs.subscriber(4).take(1)
        gcs.note(f"asked {raylet.count('Check')} times")


@holds(**FAST)
def test_a_success_between_failures_makes_up_for_them(gcs):
    raylet = gcs.raylet("a")
    asked = []

    def answer(_call):
        asked.append(1)
        return HealthCheckResponse(status=1 if len(asked) % 3 == 0 else 2)

    raylet.script("Check", answer)
    gcs.nodes.RegisterNode(node_info=gcs.node_row(raylet))
    gcs.until(lambda: len(asked) > 7, "eight checks")
    gcs.nodes.CheckAlive(node_ids=[raylet.node_id])
    gcs.lose_node(raylet)


@holds(**FAST)
def test_a_raylet_that_never_answers_is_dead_in_the_end(gcs):
    raylet = gcs.raylet("a")
    raylet.script("Check", lambda _call: None)
    gcs.nodes.RegisterNode(node_info=gcs.node_row(raylet))
    gcs.subscriber(4).take(1)
    gcs.note(f"asked {raylet.count('Check')} times")


@holds(**FAST)
def test_nobody_asks_a_node_that_has_left(gcs):
    raylet = gcs.node("a")
    raylet.take("Check")
    gcs.lose_node(raylet)
    time.sleep(0.2)
    asked = raylet.count("Check")
    time.sleep(0.5)
    gcs.note(f"asked {raylet.count('Check') - asked} times more")
