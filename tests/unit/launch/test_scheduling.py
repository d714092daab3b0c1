"""Who chooses the nodes of actors, as the environment says."""

from __future__ import annotations

import pytest

from trio_gcs.config import GcsConfig
from trio_gcs.errors import StartError
from trio_gcs.launch.scheduling import scheduling_of_environment


@pytest.mark.parametrize(
    ("environ", "by_daemon"),
    [
        ({}, False),
        ({"TRIO_GCS_ACTOR_SCHEDULING": "gcs"}, True),
        ({"TRIO_GCS_ACTOR_SCHEDULING": "raylet"}, False),
        ({"RAY_gcs_actor_scheduling_enabled": "true"}, True),
        ({"RAY_gcs_actor_scheduling_enabled": "0"}, False),
        ({"RAY_gcs_actor_scheduling_enabled": "1", "TRIO_GCS_ACTOR_SCHEDULING": "raylet"}, False),
    ],
)
def test_our_name_comes_before_rays_old_one(environ: dict[str, str], by_daemon: bool) -> None:
    assert scheduling_of_environment(GcsConfig(), environ).gcs_actor_scheduling is by_daemon


@pytest.mark.parametrize("environ", [{"TRIO_GCS_ACTOR_SCHEDULING": "yes"}, {"TRIO_GCS_ACTOR_POLICY": "no_such_policy"}])
def test_what_means_nothing_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(StartError):
        scheduling_of_environment(GcsConfig(), environ)
