"""Somebody who read docs/events.md, and nothing else, follows the actors of a program of stock Ray."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from tests.real.events.node import node_command
from tests.real_ray import box
from trio_gcs.ray.install import environment_of_ray, find_server

HERE = Path(__file__).parent
RAY_PYTHON = Path(os.environ.get("TRIO_GCS_RAY_PYTHON") or HERE.parents[1] / ".venv-ray" / "bin" / "python")
TIMEOUT_S = 180.0

pytestmark = [pytest.mark.real_ray, pytest.mark.timeout(TIMEOUT_S + 30)]


def follower(client: str) -> list[str]:
    """How the subscriber is run, without the stream's url and token."""
    if client == "node":
        return [*node_command(), str(HERE / "following" / "follow.mjs")]
    return [sys.executable, str(HERE / "following" / "follow.py")]


@pytest.mark.parametrize("client", ["websockets", "node"])
def test_a_subscriber_follows_an_actor_of_ray_from_birth_to_death(client: str) -> None:
    reason = box.reason_against()
    if reason is not None:
        pytest.skip(reason)
    if not RAY_PYTHON.exists():
        pytest.skip(f"there is no {RAY_PYTHON}: `make test` makes it")
    environ = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONUNBUFFERED": "1", "FOLLOWER": json.dumps(follower(client))}
    environ |= environment_of_ray({}, find_server(os.environ)) | {"TRIO_GCS_EVENTS_PORT": "6390"}
    command = [str(RAY_PYTHON), str(HERE / "following" / "driver.py")]
    code, out, err = box.run(command, python=sys.executable, environ=environ, timeout_s=TIMEOUT_S)
    said = box.said_in(out)
    assert code == 0, f"{out[-4000:]}\n{err[-4000:]}"
    assert said == [
        "| unborn -> DEPENDENCIES_UNREADY",
        "| DEPENDENCIES_UNREADY -> PENDING_CREATION",
        "| PENDING_CREATION -> ALIVE",
        "| ALIVE -> RESTARTING",
        "| RESTARTING -> ALIVE",
        "| ALIVE -> DEAD",
    ]
