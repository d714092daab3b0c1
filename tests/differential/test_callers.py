"""Who may call what: clusters' ids, tokens, unknown methods, octets that are no messages, and what the server tells of itself."""

from __future__ import annotations

import grpc

from tests.differential.claims import holds, ours
from tests.differential.gcs import SERVICES
from tests.differential.servers import TOKEN
from trio_gcs.generated.grpc import reflection_v1alpha_pb2 as reflection

READING = (
    "nodes.CheckAlive",
    "nodes.GetAllNodeInfo",
    "nodes.GetAllNodeAddressAndLiveness",
    "kv.InternalKVKeys",
    "kv.GetInternalConfig",
    "kv.InternalKVMultiGet",
    "resources.GetAllAvailableResources",
    "resources.GetAllTotalResources",
    "resources.GetAllResourceUsage",
    "resources.GetDrainingNodes",
    "jobs.GetAllJobInfo",
    "workers.GetAllWorkerInfo",
    "actors.GetAllActorInfo",
    "actors.ListNamedActors",
    "groups.GetAllPlacementGroup",
    "env.PinRuntimeEnvURI",
    "tasks.GetTaskEvents",
    "tasks.AddTaskEventData",
    "events.AddEvents",
    "control.GcsSubscriberCommandBatch",
    "observability.GcsSubscriberCommandBatch",
    "observability.GcsPublish",
    "autoscaler.GetClusterStatus",
    "autoscaler.ReportAutoscalingState",
)


def each_method(gcs):
    for name in READING:
        service, method = name.split(".")
        yield name, getattr(getattr(gcs, service), method)


def call(gcs, name: str, method, metadata, what: str) -> None:
    # Only whether it is let in is seen; what is answered is the claim of others.
    pending = method.start(metadata=metadata, label=f"{name} with {what}")
    if pending.result(show=False) is not None:
        gcs.note(f"{name} with {what}: let in")


def cluster_id(gcs) -> str:
    return gcs.nodes.GetClusterId.quiet().cluster_id.hex()


@holds()
def test_a_clusters_id_need_not_be_sent_but_must_be_right(gcs):
    right = cluster_id(gcs)
    for name, method in each_method(gcs):
        for what, value in {
            "the right id": right,
            "another id": "ab" * 28,
            "the nil id": "ff" * 28,
            "an empty id": "",
            "upper case": right.upper(),
            "no hex": "nonsense",
            "half of it": right[:28],
        }.items():
            call(gcs, name, method, [("ray_cluster_id", value)], what)
        call(gcs, name, method, [], "nothing")


@holds()
def test_who_asks_for_the_clusters_id_must_not_know_it(gcs):
    right = cluster_id(gcs)
    for what, value in {"right": right, "wrong": "ab" * 28, "nil": "ff" * 28, "upper nil": "FF" * 28, "": ""}.items():
        call(gcs, "GetClusterId", gcs.nodes.GetClusterId, [("ray_cluster_id", value)], repr(what))
    gcs.note(f"{len(right)} {right == cluster_id(gcs)}")
    gcs.nodes.GetClusterId()


@holds()
def test_the_clusters_id_sent_twice(gcs):
    right = cluster_id(gcs)
    for what, values in {
        "both right": (right, right),
        "right, wrong": (right, "aa"),
        "wrong, right": ("aa", right),
    }.items():
        metadata = [("ray_cluster_id", value) for value in values]
        call(gcs, "CheckAlive", gcs.nodes.CheckAlive, metadata, what)


@holds(token=True)
def test_each_method_wants_the_token(gcs):
    for name, method in each_method(gcs):
        for what, value in {
            "the token": f"Bearer {TOKEN}",
            "a wrong token": "Bearer nonsense",
            "another scheme": f"bearer {TOKEN}",
            "no scheme": TOKEN,
            "spaces": f"Bearer  {TOKEN}",
            "an empty token": "Bearer ",
            "a space after it": f"Bearer {TOKEN} ",
            "a space before it": f" Bearer {TOKEN}",
            "nothing at all": "",
        }.items():
            call(gcs, name, method, [("authorization", value)], what)
        call(gcs, name, method, [], "no token")


@holds(token=True)
def test_the_token_is_asked_for_before_the_cluster(gcs):
    wrong = ("ray_cluster_id", "ab" * 28)
    right = ("authorization", f"Bearer {TOKEN}")
    call(gcs, "CheckAlive", gcs.nodes.CheckAlive, [wrong], "a wrong cluster")
    call(gcs, "CheckAlive", gcs.nodes.CheckAlive, [wrong, right], "a wrong cluster and the token")
    call(gcs, "GetClusterId", gcs.nodes.GetClusterId, [], "nothing")
    call(gcs, "GetClusterId", gcs.nodes.GetClusterId, [right], "the token")
    call(gcs, "CheckAlive", gcs.nodes.CheckAlive, [right, right], "the token twice")
    call(gcs, "CheckAlive", gcs.nodes.CheckAlive, [right, ("authorization", "Bearer x")], "the token, and a wrong one")
    call(gcs, "CheckAlive", gcs.nodes.CheckAlive, [("authorization", "Bearer x"), right], "a wrong one, and the token")


@holds()
def test_without_tokens_any_authorization_is_fine(gcs):
    call(gcs, "CheckAlive", gcs.nodes.CheckAlive, [("authorization", "Bearer nonsense")], "a token")


@holds(token=True)
def test_raylets_are_sent_the_token(gcs):
    raylet = gcs.node("a")
    gcs.nodes.DrainNode.quiet(drain_node_data=[{"node_id": raylet.node_id}])
    sent = raylet.take("ShutdownRaylet").metadata
    gcs.note(f"{sent.get('authorization')} {sent.get('ray_cluster_id')}")


@holds()
def test_raylets_are_sent_no_cluster_id(gcs):
    raylet = gcs.node("a")
    gcs.nodes.DrainNode.quiet(drain_node_data=[{"node_id": raylet.node_id}])
    sent = raylet.take("ShutdownRaylet").metadata
    gcs.note(f"{sent.get('authorization')} {sent.get('ray_cluster_id')}")


@holds()
def test_unknown_methods_are_unimplemented(gcs):
    for path in (
        "/ray.rpc.NodeInfoGcsService/Nonsense",
        "/ray.rpc.Nonsense/GetClusterId",
        "/ray.rpc.NodeInfoGcsService/getclusterid",
        "/ray.rpc.JobInfoGcsService/ReportJobError",
        "/ray.rpc.InternalPubSubGcsService/GcsSubscriberPoll",
        "/ray.rpc.NodeManagerService/GetResourceLoad",
        "/nonsense",
        "/",
    ):
        for metadata in ([], [("ray_cluster_id", "wrong")]):
            try:
                gcs.channel.unary_unary(path)(b"", metadata=metadata, timeout=5)
            except grpc.RpcError as error:
                gcs.note(f"{path}: {error.code().name}")


@holds()
def test_every_method_is_served(gcs):
    for name in SERVICES:
        for method in getattr(gcs, name).methods.values():
            try:
                gcs.channel.unary_unary(method.path)(b"", metadata=[("ray_cluster_id", "wrong")], timeout=5)
            except grpc.RpcError as error:
                gcs.note(f"{method.path}: {error.code().name}")


@holds()
def test_octets_that_are_no_message_are_refused(gcs):
    for name, method in each_method(gcs):
        for octets in (b"\xff\xff\xff", b"\x0a\x05a"):
            pending = method.raw(octets, label=f"{name} of {octets!r}")
            if pending.result(show=False) is not None:
                gcs.note(f"{name} of {octets!r}: taken")


@holds()
def test_fields_that_are_not_known_are_no_trouble(gcs):
    unknown = b"\xfa\x3f\x03abc"
    for name, method in each_method(gcs):
        if method.raw(unknown, label=name).result(show=False) is not None:
            gcs.note(f"{name}: taken")


@holds()
def test_text_that_is_not_unicode_is_refused(gcs):
    for name, method, octets in (
        ("node name", gcs.nodes.GetAllNodeInfo, b"\x12\x04\x12\x02\xff\xfe"),
        ("job", gcs.jobs.GetAllJobInfo, b"\x12\x02\xff\xfe"),
        ("actor", gcs.actors.GetNamedActorInfo, b"\x0a\x02\xff\xfe"),
        ("uri", gcs.env.PinRuntimeEnvURI, b"\x0a\x02\xff\xfe"),
    ):
        pending = method.raw(octets, label=name)
        if pending.result(show=False) is not None:
            gcs.note(f"{name}: taken")


def reflected(gcs, *questions):
    talk = gcs.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        reflection.ServerReflectionRequest.SerializeToString,
        reflection.ServerReflectionResponse.FromString,
    )
    return list(talk(iter(questions), timeout=5))


@holds()
def test_reflection_lists_the_services(gcs):
    (reply,) = reflected(gcs, reflection.ServerReflectionRequest(list_services=""))
    names = sorted(found.name for found in reply.list_services_response.service)
    gcs.note(str([name for name in names if name.startswith(("ray", "grpc.health"))]))


@holds()
def test_reflection_describes_a_service(gcs):
    replies = reflected(
        gcs,
        reflection.ServerReflectionRequest(file_containing_symbol="ray.rpc.NodeInfoGcsService"),
        reflection.ServerReflectionRequest(file_containing_symbol="ray.rpc.Nonsense"),
        reflection.ServerReflectionRequest(file_by_filename="nonsense.proto"),
    )
    for reply in replies:
        gcs.note(f"{reply.WhichOneof('message_response')} {reply.error_response.error_code}")


@holds(token=True)
def test_reflection_needs_no_token(gcs):
    gcs.note(str(len(reflected(gcs, reflection.ServerReflectionRequest(list_services="")))))


@ours()
def test_a_request_of_the_wrong_size_of_id_never_ends_the_server(gcs):
    for name in SERVICES:
        for method in getattr(gcs, name).methods.values():
            descriptor = method.request_type.DESCRIPTOR
            ids = [
                field for field in descriptor.fields if field.name.endswith("_id") and field.type == field.TYPE_BYTES
            ]
            for field in ids:
                request = method.request_type()
                setattr(request, field.name, b"abc")
                method.start(request, timeout_s=0.5).result()
    assert gcs.server.is_running
