"""The commands, through click and as processes, against trio-gcs and stock Ray's own server."""

from __future__ import annotations

import json
import os
import subprocess
import time

import pytest
from click.testing import CliRunner

from tests.client.world import actor_spec, group_spec, id_of, new, node_row, worker_row
from tests.differential.servers import TOKEN
from tests.real.process.processes import TRIO_GCS, environment, started
from trio_gcs.cli import main
from trio_gcs.client import GlobalState
from trio_gcs.client.messages import Job, TaskEventData
from trio_gcs.ids import NodeID, TaskID

OFFERED = "trio-gcs"


@pytest.fixture
def address(server):
    return f"127.0.0.1:{server.port}"


@pytest.fixture
def state(address):
    with GlobalState(address) as state:
        yield state


@pytest.fixture
def call(address, tmp_path):
    """Run a command in this process; returns what click saw of it."""

    def call(*arguments, **options):
        environ = {"TRIO_GCS_ADDRESS": address, "HOME": str(tmp_path), "RAY_AUTH_TOKEN": "", "RAY_ADDRESS": ""}
        return CliRunner().invoke(main, arguments, env=environ, **options)

    return call


def well(result):
    assert (result.exit_code, result.stderr) == (0, ""), result.exception
    return result.stdout


def as_json(result):
    return json.loads(well(result))


def one_line(result, code, *words):
    assert result.exit_code == code, result.output
    assert result.stderr.startswith("trio-gcs: ")
    assert result.stderr.count("\n") == 1
    for word in words:
        assert word in result.stderr


def test_the_status_counts(call, state):
    state.nodes.register(node_row())
    told = as_json(call("status", "-o", "json"))
    assert told["nodes"]["ALIVE"] >= 1
    assert told["resources_total"]["CPU"] >= 4.0
    assert told["cluster_id"] == state.cluster_id.hex()
    text = well(call("status"))
    assert "nodes    " in text
    assert "CPU 0 of " in text
    assert "speaks Ray 2.60.0" in text


def test_watching_is_the_status_again_and_again(call):
    lines = well(call("watch", "--every", "0.1", "--count", "3", "-o", "json")).splitlines()
    assert [sorted(json.loads(line)) for line in lines] == [sorted(json.loads(lines[0]))] * 3
    assert "cluster" in well(call("watch", "--count", "1"))


def test_each_kind_is_listed(call, state):
    node, worker = node_row(), worker_row(pid=7)
    state.nodes.register(node)
    job_id = state.jobs.next_id()
    state.jobs.add(Job(job_id=job_id, entrypoint="me.py"))
    state.workers.add(worker)
    actor, group = actor_spec(job_id, name="n" + os.urandom(3).hex()), group_spec(job_id, cpus=1000.0)
    state.actors.register(actor)
    state.placement_groups.create(group)
    task_id = new(TaskID, bytes(job_id))
    from tests.client.test_accessors import attempt  # noqa: PLC0415

    state.tasks.add(TaskEventData(events_by_task=[attempt(job_id, "t", task_id)], job_id=job_id))
    for kind, thing_id, field, told in (
        ("nodes", node.node_id, "node_id", "ALIVE"),
        ("jobs", job_id, "job_id", "me.py"),
        ("workers", worker.worker_address.worker_id, "worker_address", "WORKER"),
        ("actors", id_of(actor), "actor_id", actor.actor_creation_task_spec.name),
        ("placement-groups", group.placement_group_id, "placement_group_id", "CPU 1000"),
        ("tasks", task_id, "task_id", "FINISHED"),
    ):
        found = [row[field] for row in as_json(call("list", kind, "-o", "json"))]
        assert thing_id.hex() in [row["worker_id"] if isinstance(row, dict) else row for row in found]
        (line,) = [line for line in well(call("list", kind)).splitlines() if thing_id.hex() in line]
        assert told in line
    assert len(as_json(call("list", "nodes", "--limit", "1", "-o", "json"))) == 1
    dead = as_json(call("list", "nodes", "--state", "dead", "-o", "json"))
    assert node.node_id.hex() not in [row["node_id"] for row in dead]


def test_keys_and_values(call):
    namespace = ("-n", os.urandom(4).hex())
    one_line(call("kv", "get", "k", *namespace), 3, "no key 'k'")
    assert well(call("kv", "put", "k", "v", *namespace)) == ""
    assert well(call("kv", "get", "k", *namespace)) == "v"
    one_line(call("kv", "put", "k", "w", "--no-overwrite", *namespace), 1, "already")
    assert well(call("kv", "put", "octets", *namespace, input=b"\0\xff")) == ""
    assert call("kv", "get", "octets", *namespace).stdout_bytes == b"\0\xff"
    assert as_json(call("kv", "get", "octets", "-o", "json", *namespace))["value_hex"] == "00ff"
    assert as_json(call("kv", "get", "k", "-o", "json", *namespace))["value"] == "v"
    assert well(call("kv", "keys", *namespace)) == "k\noctets\n"
    assert as_json(call("kv", "keys", "o", "-o", "json", *namespace)) == ["octets"]
    assert well(call("kv", "del", "k", *namespace)) == ""
    one_line(call("kv", "del", "k", *namespace), 3, "no key")
    assert as_json(call("kv", "del", "", "--prefix", "-o", "json", *namespace)) == {"deleted": 1}
    one_line(call("kv", "get", "@namespace_x"), 2, "@namespace_")


def test_a_server_that_is_well_says_so(call, address):
    assert well(call("health-check")).startswith(f"{address} is well")
    assert as_json(call("health-check", "-o", "json"))["healthy"]


def test_what_happened_is_told_where_it_is_kept(call, state, server):
    if server.name == "stock":
        for command in (("events", "--count", "1"), ("story", "ab"), ("tree",)):
            one_line(call(*command), 6)
        return
    row = node_row()
    state.nodes.register(row)
    state.nodes.unregister(row.node_id)
    assert [line["state"] for line in as_json(call("story", row.node_id.hex()[:16], "-o", "json"))["lines"]] == [
        "ALIVE",
        "DEAD",
    ]
    assert "ALIVE -> DEAD" in well(call("story", row.node_id.hex()))
    one_line(call("story", new(NodeID).hex()), 3, "nothing is kept")
    assert " tasks" in well(call("tree"))
    assert as_json(call("tree", "--tasks", "3", "-o", "json"))["omitted"] > 0


def test_events_are_printed_from_a_token_on(call, state, server):
    if server.name == "stock":
        return
    row = node_row()
    state.nodes.register(row)

    async def marked(client):
        async with client.observer.events() as stream:
            async for _ in stream:
                if stream.token:
                    return stream.token
        return ""

    token = state.with_client(marked)
    state.nodes.unregister(row.node_id)
    text = well(call("events", "--from", token, "--kind", "node", "--count", "1"))
    assert f"node            {row.node_id.hex()[:16]} ALIVE -> DEAD" in text
    lines = well(call("events", "--from", token, "--kind", "node", "--count", "1", "-o", "json")).splitlines()
    messages = [json.loads(line) for line in lines]
    assert messages[0]["type"] == "hello"
    event = next(message for message in messages if message["type"] == "event")
    assert (event["op"], event["row"]["body"]["node_id"], event["was"]) == ("put", row.node_id.hex(), "ALIVE")
    one_line(call("events", "--from", "0123456789ab-0123.1.1"), 1, "other_epoch")


def test_nobody_there_is_one_line(call):
    for command in ("status", "health-check", "watch", "events"):
        one_line(call(command, "--address", "127.0.0.1:1"), 4, "127.0.0.1:1", "refused")
    one_line(call("status", "--address", "nonsense"), 2, "HOST:PORT")
    assert call("list", "nonsense").exit_code == 2


def test_the_token_is_asked_for(guarded, tmp_path):
    base = ["health-check", "--address", f"127.0.0.1:{guarded.port}"]
    environ = {"HOME": str(tmp_path), "RAY_AUTH_TOKEN": ""}
    one_line(CliRunner().invoke(main, base, env=environ), 5)
    assert CliRunner().invoke(main, [*base, "--token", TOKEN], env=environ).exit_code == 0
    assert CliRunner().invoke(main, base, env={**environ, "RAY_AUTH_TOKEN": TOKEN}).exit_code == 0


def test_as_a_process(server, tmp_path):
    environ = environment(tmp_path, TRIO_GCS_ADDRESS=f"127.0.0.1:{server.port}")
    done = subprocess.run(
        [TRIO_GCS, "health-check"], env=environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    environ["TRIO_GCS_ADDRESS"] = "127.0.0.1:1"
    done = subprocess.run([TRIO_GCS, "status"], env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (4, "", 1)


def test_following_as_a_process_ends_quietly(server, state, tmp_path):
    if server.name == "stock":
        return
    environ = environment(tmp_path, TRIO_GCS_ADDRESS=f"127.0.0.1:{server.port}", PYTHONUNBUFFERED="1")
    with started([TRIO_GCS, "events"], environ, "from here on", stderr=subprocess.PIPE) as process:
        row = node_row()
        state.nodes.register(row)
        assert row.node_id.hex()[:16] in process.stdout.readline()
        process.send_signal(2)
        assert process.wait(10) == 130
        assert process.stderr.read() == ""


def test_the_help_imports_no_command(tmp_path):
    program = "import sys; from trio_gcs.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    program += (
        "sys.exit(str([name for name in sys.modules if name.startswith(('trio.', 'rich.', 'betterproto2'))] or ''))"
    )
    began = time.monotonic()
    python = TRIO_GCS.parent / "python"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert "health-check" in done.stdout
    assert "Show the tasks of the daemon" in done.stdout
    assert done.stderr.strip() == ""
    assert time.monotonic() - began < 20


def test_the_demo_tells_its_story_to_the_end(tmp_path):
    done = subprocess.run(
        [TRIO_GCS, "demo", "--pause", "0"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for line in ("ALIVE -> RESTARTING  ActorMoved  because of NodeDied", "CREATED -> REMOVED", "keeper is still there"):
        assert line in done.stdout
