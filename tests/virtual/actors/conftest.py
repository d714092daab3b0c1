"""What is claimed of actors holds whoever chooses their nodes: a raylet, or the daemon's own lease queue."""

from __future__ import annotations

import pytest

from tests.fakes.actor_world import ActorWorld


@pytest.fixture(autouse=True, params=["by raylets", "by the daemon"])
def scheduling(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(ActorWorld, "by_daemon", request.param == "by the daemon")
    return request.param
