"""The export files: which changes make a line, and what the line says."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from trio_gcs.config import GcsConfig
from trio_gcs.events import domain
from trio_gcs.events.exports import KINDS, Exports, kinds_of
from trio_gcs.generated.ray.common_pb2 import TaskSpec
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData, GcsNodeInfo, JobTableData

ALL = frozenset(KINDS)
NODE = GcsNodeInfo(node_id=b"n" * 28, node_manager_address="10.0.0.1", resources_total={"CPU": 2}, is_head_node=True)
ACTOR = ActorTableData(actor_id=b"a" * 16, state=ActorTableData.ALIVE, class_name="Counter", pid=7)


def lines(folder: Path, kind: str, *events: object, kinds: frozenset[str] = ALL) -> list[dict[str, Any]]:
    exports = Exports(folder, kinds, clock=lambda: 1_700_000_000_999, random_bytes=lambda size: b"\xab" * size)
    exports.write(events)
    path = folder / f"event_{kind}.log"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_line_has_an_id_a_kind_a_time_in_seconds_and_the_record(tmp_path: Path) -> None:
    (line,) = lines(tmp_path, "EXPORT_NODE", domain.NodeRegistered(NODE))
    record = line.pop("event_data")
    assert line == {"event_id": "ab" * 18, "source_type": "EXPORT_NODE", "timestamp": 1_700_000_000}
    assert base64.b64decode(record["node_id"]) == b"n" * 28
    assert record["resources_total"] == {"CPU": 2.0}


def test_fields_that_say_nothing_are_written_and_long_integers_are_texts(tmp_path: Path) -> None:
    (line,) = lines(tmp_path, "EXPORT_NODE", domain.NodeRegistered(NODE))
    record = line["event_data"]
    assert record["end_time_ms"] == "0"
    assert record["labels"] == {}
    assert "death_info" not in record, "it lives"


def test_a_death_of_a_node_says_why(tmp_path: Path) -> None:
    dead = GcsNodeInfo(node_id=b"n" * 28, state=GcsNodeInfo.DEAD)
    dead.death_info.reason_message = "unplugged"
    (line,) = lines(tmp_path, "EXPORT_NODE", domain.NodeDied(dead))
    assert line["event_data"]["state"] == "DEAD"
    assert line["event_data"]["death_info"]["reason_message"] == "unplugged"


def test_an_actor_is_exported_from_registration_to_death(tmp_path: Path) -> None:
    dead = ActorTableData(actor_id=b"a" * 16, state=ActorTableData.DEAD)
    dead.death_cause.actor_died_error_context.error_message = "killed"
    events = [
        domain.ActorRegistered(ActorTableData(actor_id=b"a" * 16), TaskSpec()),
        domain.ActorMoved(ACTOR, ACTOR),
        domain.ActorMoved(dead, dead),
    ]
    records = [line["event_data"] for line in lines(tmp_path, "EXPORT_ACTOR", *events)]
    assert [record["state"] for record in records] == ["DEPENDENCIES_UNREADY", "ALIVE", "DEAD"]
    assert records[0]["death_cause"] == {}
    assert records[2]["death_cause"]["actor_died_error_context"]["error_message"] == "killed"


def test_the_announced_loss_of_its_node_is_no_change_of_an_actor(tmp_path: Path) -> None:
    preempted = ActorTableData(actor_id=b"a" * 16, state=ActorTableData.ALIVE, preempted=True)
    assert lines(tmp_path, "EXPORT_ACTOR", domain.ActorMoved(preempted, preempted)) == []


def test_jobs_are_exported_except_those_of_ray_itself(tmp_path: Path) -> None:
    job = JobTableData(job_id=b"\1\0\0\0", driver_pid=5, entrypoint="python x.py")
    job.config.metadata["team"] = "a"
    job.config.runtime_env_info.uris.working_dir_uri = "gcs://w.zip"
    inner = JobTableData(job_id=b"\2\0\0\0")
    inner.config.ray_namespace = "_ray_internal_dashboard"
    (line,) = lines(tmp_path, "EXPORT_DRIVER_JOB", domain.JobAdded(job), domain.JobAdded(inner))
    record = line["event_data"]
    assert record["entrypoint"] == "python x.py"
    assert record["config"]["metadata"] == {"team": "a"}
    assert record["config"]["runtime_env_info"]["uris"]["working_dir_uri"] == "gcs://w.zip"


def test_only_the_kinds_asked_for_are_written(tmp_path: Path) -> None:
    assert lines(tmp_path, "EXPORT_NODE", domain.NodeRegistered(NODE), kinds=frozenset({"EXPORT_ACTOR"})) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (GcsConfig(), frozenset()),
        (GcsConfig(export_events=True), ALL),
        (GcsConfig(export_events_kinds=("EXPORT_NODE", "EXPORT_TASK")), frozenset({"EXPORT_NODE"})),
        (GcsConfig(export_events=True, ray_events=True), frozenset()),
    ],
)
def test_the_configuration_says_which_kinds(config: GcsConfig, expected: frozenset[str]) -> None:
    assert kinds_of(config) == expected


def test_whole_numbers_are_written_as_such(tmp_path: Path) -> None:
    node = GcsNodeInfo(node_id=b"n" * 28, resources_total={"CPU": 4.0, "half": 0.5, "much": 1e18})
    (line,) = lines(tmp_path, "EXPORT_NODE", domain.NodeRegistered(node))
    assert str(line["event_data"]["resources_total"]) == "{'CPU': 4, 'half': 0.5, 'much': 1e+18}"


def test_a_job_always_has_a_whole_runtime_environment(tmp_path: Path) -> None:
    (line,) = lines(tmp_path, "EXPORT_DRIVER_JOB", domain.JobAdded(JobTableData(job_id=b"job1")))
    assert set(line["event_data"]["config"]["runtime_env_info"]) == {
        "runtime_env_config",
        "serialized_runtime_env",
        "uris",
    }
