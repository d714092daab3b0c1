"""Who chooses the nodes of actors, as the environment says it: a raylet, or the daemon.

Older versions of Ray had a key for this, ``gcs_actor_scheduling_enabled``, which 2.60 knows no more: it refuses it in
``_system_config``, and so do we. In the environment, where unknown names hurt nobody, it still counts; a name of ours
says the same and comes first, so that one variable governs however the daemon is started.
"""

from collections.abc import Mapping
from dataclasses import replace

from trio_gcs.config import GcsConfig
from trio_gcs.errors import StartError
from trio_gcs.scheduling.registry import policy_named

CHOICE = "TRIO_GCS_ACTOR_SCHEDULING"
POLICY = "TRIO_GCS_ACTOR_POLICY"
OLD_KEY = "RAY_gcs_actor_scheduling_enabled"
RAYLET, DAEMON = "raylet", "gcs"


def scheduling_of_environment(config: GcsConfig, environ: Mapping[str, str]) -> GcsConfig:
    """The configuration with what the environment says; raises :class:`StartError` for what means nothing."""
    old = environ.get(OLD_KEY, "").lower() in {"1", "true"}
    chosen = environ.get(CHOICE) or (DAEMON if old else RAYLET)
    if chosen not in {RAYLET, DAEMON}:
        raise StartError(f"{CHOICE}={chosen}: {RAYLET} or {DAEMON} was expected")
    return with_scheduling(config, chosen == DAEMON, environ.get(POLICY) or config.actor_policy)


def with_scheduling(config: GcsConfig, by_daemon: bool, policy: str) -> GcsConfig:
    """The configuration with the choice made; raises :class:`StartError` where there is no such policy."""
    policy_named(policy)
    return replace(config, gcs_actor_scheduling=by_daemon, actor_policy=policy)
