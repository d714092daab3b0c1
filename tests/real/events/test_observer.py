"""trio_gcs.v1.Observer on the port of Ray's services: the same stream, the tree, stories and stats."""

import grpc
import pytest

from tests.real.events.daemon import running
from trio_gcs.generated.ray import gcs_service_pb2 as ray
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo
from trio_gcs.generated.trio_gcs.v1 import events_pb2 as events
from trio_gcs.generated.trio_gcs.v1 import observer_pb2 as pb

OBSERVER = "trio_gcs.v1.Observer"
NODE = b"o" * 28


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    with running(tmp_path_factory.mktemp("daemon")) as each:
        yield each


@pytest.fixture
def stream(daemon):
    """Begin a stream; calls of one test end with it."""
    with grpc.insecure_channel(daemon.address) as channel:
        yield channel.unary_stream(
            f"/{OBSERVER}/Events",
            request_serializer=events.EventsRequest.SerializeToString,
            response_deserializer=events.StreamMessage.FromString,
        )


def request(begins="now", **wanted):
    return events.EventsRequest(filter=events.EventFilter(**wanted), **{"from": begins})


def test_the_stream_over_grpc_is_the_same(daemon, stream):
    heard = stream(request("snapshot", kinds=["node"]), timeout=20)
    assert next(heard).hello.epoch
    while not (message := next(heard)).HasField("synced"):
        assert message.row.kind == "node"
    daemon.add_node(NODE)
    event = next(heard).event
    assert (event.row.kind, event.row.id, event.row.state) == ("node", NODE.hex(), "ALIVE")
    assert GcsNodeInfo.FromString(event.row.message.raw).node_id == NODE
    heard.cancel()
    daemon.remove_node(NODE)
    again = stream(request(event.token, kinds=["node"]), timeout=20)
    assert next(again).hello.HasField
    assert next(again).event.row.state == "DEAD"
    assert next(again).HasField("synced")


@pytest.mark.parametrize("wrong", [request("then"), request(kinds=["nodes"])])
def test_what_makes_no_sense_is_an_invalid_argument(stream, wrong):
    with pytest.raises(grpc.RpcError) as refused:
        next(stream(wrong, timeout=20))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_token_of_another_life_is_compacted(stream):
    heard = list(stream(request("abcd-12.1.1"), timeout=20))
    assert heard[1].compacted.reason == "other_epoch"


def tasks_of(task):
    yield task
    for nursery in task.nurseries:
        for child in nursery.tasks:
            yield from tasks_of(child)


def test_the_tree_shows_what_every_task_waits_for(daemon):
    tree = daemon.call(OBSERVER, "Tree", pb.TreeRequest(), pb.TreeReply)
    tasks = list(tasks_of(tree.root))
    assert len(tasks) == tree.tasks
    assert tree.omitted == 0
    waits = [line for task in tasks for line in task.waits_in]
    assert any("Ledger.serve (trio_gcs/store/ledger.py:" in line for line in waits)
    few = daemon.call(OBSERVER, "Tree", pb.TreeRequest(tasks_max=3), pb.TreeReply)
    assert len(list(tasks_of(few.root))) == 3
    assert few.omitted == few.tasks - 3


def test_a_story_tells_what_happened_to_an_id_and_why(daemon):
    node = b"s" * 28
    daemon.add_node(node)
    gone = ray.UnregisterNodeRequest(node_id=node)
    gone.node_death_info.reason_message = "it was enough"
    daemon.call("ray.rpc.NodeInfoGcsService", "UnregisterNode", gone, ray.UnregisterNodeReply)
    story = daemon.call(OBSERVER, "Story", pb.StoryRequest(id=node.hex()[:8]), pb.StoryReply)
    first, last = story.lines
    assert (first.was, first.state, "NodeAdded" in first.what) == ("", "ALIVE", True)
    assert (last.was, last.state, last.why) == ("ALIVE", "DEAD", "it was enough")
    with pytest.raises(grpc.RpcError):
        daemon.call(OBSERVER, "Story", pb.StoryRequest(), pb.StoryReply)


def test_stats_count_rows_and_bytes_per_table_and_job(daemon):
    daemon.add_job(b"\7\0\0\0")
    daemon.put_key(b"stats", b"x" * 1000)
    stats = daemon.call(OBSERVER, "Stats", pb.StatsRequest(), pb.StatsReply)
    tables = {table.name: table for table in stats.tables}
    assert tables["KV"].bytes >= 1000
    assert tables["JOB"].rows == 1
    assert tables["JOB"].kept
    (job,) = [each for each in stats.jobs if each.job == "07000000"]
    assert (job.kind, job.rows, job.bytes) == ("job", 1, tables["JOB"].bytes)
    assert stats.events.revision >= stats.events.oldest_revision > 0


def test_whoever_lacks_the_token_sees_nothing(tmp_path):
    (tmp_path / "token").write_text("secret\n")
    with running(tmp_path, f"--auth-token-file={tmp_path / 'token'}") as daemon:
        with pytest.raises(grpc.RpcError) as refused:
            daemon.call(OBSERVER, "Tree", pb.TreeRequest(), pb.TreeReply)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert daemon.call(OBSERVER, "Tree", pb.TreeRequest(), pb.TreeReply, "secret").tasks
