"""The event stream as somebody meets it who has read nothing but docs/events.md."""

import base64
import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.sync.client import connect

from tests.real.events.daemon import running
from tests.real.events.node import node_command
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.trio_gcs.v1.events_pb2 import StreamMessage

NODE = b"n" * 28
NODE_SCRIPT = Path(__file__).with_name("follow.mjs")


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with running(tmp_path_factory.mktemp("daemon")) as each:
        yield each


def messages(stream, last):
    """Read until a message for which ``last`` holds."""
    heard = []
    while not heard or not last(heard[-1]):
        heard.append(json.loads(stream.recv(timeout=10)))
    return heard


def is_type(name):
    return lambda message: message["type"] == name


def test_a_subscriber_hears_of_nodes_and_jobs_as_they_come_and_go(daemon):
    with connect(f"{daemon.url}?kinds=node,job") as stream:
        assert [m["type"] for m in messages(stream, is_type("synced"))] == ["hello", "synced"]
        daemon.add_node(NODE)
        daemon.add_job(b"\1\0\0\0")
        daemon.remove_node(NODE)
        heard = messages(stream, lambda m: m.get("what") == ["NodeDied"])
    seen = [(m["row"]["kind"], m["was"], m["row"]["state"]) for m in heard]
    assert seen == [("node", "", "ALIVE"), ("job", "", "RUNNING"), ("node", "ALIVE", "DEAD")]
    revisions = [m["revision"] for m in heard]
    assert revisions == sorted(revisions)


def test_a_snapshot_then_what_follows_and_a_token_to_go_on_from(daemon):
    daemon.put_key(b"before", b"1")
    with connect(f"{daemon.url}?from=snapshot&kinds=kv&namespaces=t") as stream:
        heard = messages(stream, is_type("synced"))
        assert "t:before" in {m["row"]["id"] for m in heard if m["type"] == "row"}
    daemon.put_key(b"between", b"22")
    with connect(f"{daemon.url}?from={heard[-1]['token']}&kinds=kv&namespaces=t") as stream:
        _, event, synced = messages(stream, is_type("synced"))
        assert (event["row"]["id"], event["row"]["body"]) == ("t:between", {"size_bytes": 2})
        assert synced["token"] == event["token"]


def test_the_binary_form_is_protobuf(daemon):
    with connect(f"{daemon.url}?format=binary&from=snapshot") as stream:
        hello = StreamMessage.FromString(stream.recv(timeout=10))
        assert hello.hello.epoch
        while not (message := StreamMessage.FromString(stream.recv(timeout=10))).HasField("synced"):
            assert message.row.kind


@pytest.mark.parametrize(
    ("query", "status"),
    [("?from=then", 400), ("?kinds=nodes", 400), ("?more=1", 400), ("?from=now&from=now", 400), ("/more", 404)],
)
def test_what_makes_no_sense_is_refused_with_a_reason(daemon, query, status):
    with pytest.raises(InvalidStatus) as refused:
        connect(daemon.url + query)
    assert refused.value.response.status_code == status
    assert refused.value.response.body


def test_a_page_of_another_site_may_not_connect(daemon):
    with pytest.raises(InvalidStatus) as refused:
        connect(daemon.url, origin="http://elsewhere.example")
    assert refused.value.response.status_code == 403


def test_pings_are_answered_and_messages_are_not_taken(daemon):
    with connect(daemon.url) as stream:
        messages(stream, is_type("synced"))
        assert stream.ping(b"there?").wait(5)
        stream.send("hello")
        with pytest.raises(ConnectionClosedError) as closed:
            stream.recv(timeout=5)
    assert closed.value.rcvd.code == 1003


def test_a_message_that_is_too_large_ends_the_connection(daemon):
    with connect(daemon.url) as stream:
        stream.send("x" * 10_000)
        with pytest.raises(ConnectionClosedError) as closed:
            messages(stream, lambda _: False)
    assert closed.value.rcvd.code == 1009


@pytest.mark.parametrize(
    "garbage",
    [b"\x00" * 100, b"GET / HTTP/1.1\r\n\r\n", b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n", b"PRI * HTTP/2.0"],
)
def test_whoever_speaks_something_else_harms_nobody(daemon, garbage):
    host, port = daemon.url.removeprefix("ws://").partition("/")[0].split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(garbage)
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(10)
        while sock.recv(4096):
            pass
    with connect(daemon.url) as stream:
        messages(stream, is_type("synced"))


def test_a_daemon_that_stops_says_where_to_go_on(tmp_path):
    with running(tmp_path) as daemon, connect(daemon.url) as stream:
        token = messages(stream, is_type("synced"))[-1]["token"]
        daemon.process.send_signal(signal.SIGTERM)
        end = json.loads(stream.recv(timeout=5))
        assert end == {"type": "end", "reason": "shutdown", "token": token}
        with pytest.raises(ConnectionClosedOK):
            stream.recv(timeout=5)
        assert daemon.process.wait(5) == 0


def test_the_token_is_shown_in_a_header_or_in_a_subprotocol(tmp_path):
    (tmp_path / "token").write_text("geheim-✓\n", encoding="utf-8")
    with running(tmp_path, f"--auth-token-file={tmp_path / 'token'}") as daemon:
        encoded = base64.urlsafe_b64encode("geheim-✓".encode()).rstrip(b"=").decode()
        with connect(daemon.url, subprotocols=["trio-gcs.v1", f"bearer.{encoded}"]) as stream:
            assert stream.subprotocol == "trio-gcs.v1"
            messages(stream, is_type("synced"))
        wrong = base64.urlsafe_b64encode(b"wrong").rstrip(b"=").decode()
        for more in (
            {},
            {"additional_headers": {"Authorization": "Bearer wrong"}},
            {"subprotocols": [f"bearer.{wrong}"]},
        ):
            with pytest.raises(InvalidStatus) as refused:
                connect(daemon.url, **more)
            assert refused.value.response.status_code == 401


def test_nodes_own_websocket_follows(tmp_path):
    command = node_command()
    (tmp_path / "token").write_text("secret\n")
    with running(tmp_path, f"--auth-token-file={tmp_path / 'token'}") as daemon:
        follower = subprocess.Popen(
            [*command, str(NODE_SCRIPT), daemon.url, "secret"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert follower.stdout.readline() == "synced\n"
            request = pb.InternalKVPutRequest(namespace=b"t", key=b"k", value=b"123", overwrite=True)
            daemon.call("ray.rpc.InternalKVGcsService", "InternalKVPut", request, pb.InternalKVPutReply, "secret")
            assert follower.stdout.readline() == "event put t:k 3\n"
            assert follower.wait(20) == 0
        finally:
            follower.kill()
            follower.communicate(timeout=10)
