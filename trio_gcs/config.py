"""Every knob of the daemon: what it means, its unit, its default and why; and the one wall clock.

``GcsConfig`` holds what managers, stores and transport use, already in our units, so nobody reads Ray's configuration
where it is used. A knob that Ray has too names Ray's key beside its default; ``from_ray`` fills it from there, and a test
holds the two defaults equal. ``DaemonSettings`` is everything that one run of the daemon is told from outside.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from trio_gcs.ray_config import RayConfig

__all__ = ["DaemonSettings", "GcsConfig", "clock_that_never_stops_s", "wall_clock_ms"]

MINUTE_S = 60.0
MIB = 1 << 20


def wall_clock_ms() -> int:
    """Milliseconds since 1970. The only reading of the wall clock: whoever needs the time is given a clock."""
    return time.time_ns() // 1_000_000


def clock_that_never_stops_s() -> float:
    """Seconds since the machine started, with those in which it or this process was stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _seconds_of(key: str) -> Callable[[RayConfig], float]:
    return lambda ray: float(ray.integer(key))


def _milliseconds_of(key: str) -> Callable[[RayConfig], float]:
    return lambda ray: ray.integer(key) / 1000


def _ray(default: Any, read: Callable[[RayConfig], object]) -> Any:
    """A knob that follows a key of Ray's configuration; ``Any``, as ``dataclasses.field`` itself is."""
    return field(default=default, metadata={"read": read})


def _s(key: str, default: float) -> Any:
    return _ray(default, _seconds_of(key))


def _ms(key: str, default: float) -> Any:
    return _ray(default, _milliseconds_of(key))


def _count(key: str, default: int) -> Any:
    return _ray(default, lambda ray: ray.integer(key))


def _flag(key: str, default: bool) -> Any:
    return _ray(default, lambda ray: ray.flag(key))


def _number(key: str, default: float) -> Any:
    return _ray(default, lambda ray: ray.fraction(key))


def _text(key: str, default: str) -> Any:
    return _ray(default, lambda ray: ray.text(key))


def _graceful_shutdown_timeout_s(ray: RayConfig) -> float | None:
    timeout_ms = ray.integer("actor_graceful_shutdown_timeout_ms")
    return None if timeout_ms < 0 else timeout_ms / 1000


@dataclass(frozen=True, kw_only=True)
class GcsConfig:
    """The knobs of managers, stores and transport. Defaults are Ray 2.60's wherever Ray has the knob."""

    # Health. A raylet that answers nothing is dead after about a minute, one whose port is closed after 17 s.
    health_check_initial_delay_s: float = _ms("health_check_initial_delay_ms", 5.0)
    health_check_period_s: float = _ms(
        "health_check_period_ms", 3.0
    )  # also how long a syncer batch counts as a sign of life
    health_check_timeout_s: float = _ms("health_check_timeout_ms", 10.0)
    health_check_failures_max: int = _count("health_check_failure_threshold", 5)  # in a row; the last one kills

    # The dead are kept for those who ask late; the oldest beyond these go, from memory and from the store.
    dead_nodes_max: int = _count("maximum_gcs_dead_node_cached_count", 1000)
    destroyed_actors_max: int = _count("maximum_gcs_destroyed_actor_cached_count", 100_000)
    dead_workers_max: int = _count("maximum_gcs_dead_worker_cached_count", 100_000)
    actor_incarnations_max: int = _count("maximum_actor_previous_incarnations", 10)  # death records kept per actor

    # Resource view and load.
    resource_load_pull_period_s: float = _ms("gcs_pull_resource_loads_period_milliseconds", 1.0)
    resource_view_refresh_s: float = _ms(
        "ray_syncer_message_refresh_interval_ms", 3.0
    )  # no report for this long: ask again
    syncer_batch_messages_max: int = _count("gcs_resource_broadcast_max_batch_size", 1)
    syncer_batch_delay_s: float = _ms("gcs_resource_broadcast_max_batch_delay_ms", 0.0)  # 0: at once, latency first
    placement_group_load_max: int = _count("max_placement_group_load_report_size", 1000)  # groups in one load report

    # Scheduling.
    scheduler_spread_threshold: float = _number("scheduler_spread_threshold", 0.5)  # pack nodes up to this utilisation
    scheduler_top_k_fraction: float = _number("scheduler_top_k_fraction", 0.2)
    scheduler_top_k_min: int = _count("scheduler_top_k_absolute", 1)
    scheduler_avoids_gpu_nodes: bool = _flag("scheduler_avoid_gpu_nodes", True)
    # Who chooses the node of an actor: a raylet (as Ray 2.60 does), or the daemon. Ray has no key for it any more; it is
    # chosen when the daemon is started, see launch/scheduling.
    gcs_actor_scheduling: bool = False
    actor_policy: str = "hybrid"  # where the daemon chooses: for actors without a strategy; may be a user's own

    # Actors.
    lease_retry_s: float = _ms("gcs_lease_worker_retry_interval_ms", 0.2)  # after a raylet refused a lease
    actor_push_retry_s: float = _ms(
        "gcs_create_actor_retry_interval_ms", 0.2
    )  # after a creation task could not be pushed
    # After a polite kill the worker has this long before it is killed for good; None waits for ever.
    actor_graceful_shutdown_timeout_s: float | None = _ray(30.0, _graceful_shutdown_timeout_s)
    job_pending_tasks_timeout_s: float = 1.0  # a driver that says within it how many tasks it has; fixed in Ray

    # Placement groups.
    placement_group_retry_min_s: float = _ms("gcs_create_placement_group_retry_min_interval_ms", 0.1)
    placement_group_retry_max_s: float = _ms("gcs_create_placement_group_retry_max_interval_ms", 1.0)
    placement_group_retry_factor: float = _number("gcs_create_placement_group_retry_multiplier", 1.5)
    bundle_release_retry_s: float = 1.0  # between attempts to give bundles back; fixed in Ray
    bundle_settle_s: float = 2.0  # for what was sent on a connection that broke: it may arrive until then

    # Pubsub.
    subscriber_timeout_s: float = _ms(
        "subscriber_timeout_ms", 300.0
    )  # a subscriber that polls nothing for so long is gone
    publish_batch_messages_max: int = _count("publish_batch_size", 5000)
    publisher_queue_bytes_max: int = _count("publisher_entity_buffer_max_bytes", 1024 * MIB)

    # Task events. All of this is memory, so all of it is bounded.
    task_attempts_max: int = _count("task_events_max_num_task_in_gcs", 100_000)
    task_profile_events_max: int = _count("task_events_max_num_profile_events_per_task", 1000)
    task_attempts_dropped_max: int = _count("task_events_max_dropped_task_attempts_tracked_per_job_in_gcs", 1_000_000)
    task_summary_sweep_period_s: float = _ms("task_events_gc_job_summary_interval_ms", 5.0)
    # Late reports of tasks that did finish get this long before what is still open counts as failed.
    task_fail_after_job_s: float = _ms("gcs_mark_task_failed_on_job_done_delay_ms", 15.0)
    task_fail_after_worker_s: float = _ms("gcs_mark_task_failed_on_worker_dead_delay_ms", 1.0)

    # Transport, inbound.
    message_bytes_max: int = _count("max_grpc_message_size", 512 * MIB)  # runtime_env packages travel as one KV value
    server_keepalive_period_s: float = _ms("grpc_keepalive_time_ms", 10.0)
    server_keepalive_timeout_s: float = _ms("grpc_keepalive_timeout_ms", 20.0)
    client_ping_period_min_s: float = _ray(
        MINUTE_S, lambda ray: min(MINUTE_S, ray.integer("grpc_client_keepalive_time_ms") / 1000)
    )  # clients that ping more often than this are told to calm down

    # Transport, outbound: our calls to raylets and workers.
    client_keepalive_period_s: float = _ms("grpc_client_keepalive_time_ms", 300.0)
    client_keepalive_timeout_s: float = _ms("grpc_client_keepalive_timeout_ms", 120.0)
    client_idle_timeout_s: float = _ms("grpc_client_idle_timeout_ms", 1800.0)
    peer_retry_period_s: float = _ms("grpc_client_check_connection_status_interval_milliseconds", 1.0)
    raylet_unavailable_min_s: float = _s("raylet_rpc_server_reconnect_timeout_base_s", 1.0)  # doubles up to the next
    raylet_unavailable_max_s: float = _s("raylet_rpc_server_reconnect_timeout_max_s", 60.0)
    worker_unavailable_min_s: float = _s("core_worker_rpc_server_reconnect_timeout_base_s", 1.0)
    worker_unavailable_max_s: float = _s("core_worker_rpc_server_reconnect_timeout_max_s", 60.0)
    peer_call_timeout_s: float = (
        60.0  # of a call that is heard to the end, so that a hung raylet cannot hold a duty for ever
    )

    # Store.
    store_batch_rows_max: int = _count("maximum_gcs_storage_operation_batch_size", 1000)
    redis_namespace: str = _text("external_storage_namespace", "default")
    redis_connect_attempts_max: int = _count("redis_db_connect_retries", 120)
    redis_connect_retry_s: float = _ms("redis_db_connect_wait_milliseconds", 0.5)
    # Ray's own server gives up after a few tries; ours lets replies wait, so that a failover or a restart is no outage.
    redis_outage_max_s: float = 60.0
    # Who starts beside a daemon whose end it cannot see waits so long; and so long one may speak that was stopped.
    redis_lease_s: float = 5.0
    redis_retry_min_s: float = _ms("redis_retry_base_ms", 0.1)
    redis_retry_max_s: float = _ms("redis_retry_max_ms", 1.0)
    redis_retry_factor: int = _count("redis_retry_multiplier", 2)

    # Events, metrics and the daemon's own health.
    ray_events: bool = _flag("enable_ray_event", False)  # publish definition and life cycle events to the aggregator
    ray_events_period_s: float = _ms("ray_events_report_interval_ms", 1.0)
    ray_events_queue_max: int = _count("ray_event_recorder_max_queued_events", 10_000)
    export_events: bool = _flag("enable_export_api_write", False)  # write event_EXPORT_*.log
    # Of these kinds only, where export_events is off; as EXPORT_ACTOR, EXPORT_NODE, EXPORT_DRIVER_JOB.
    export_events_kinds: tuple[str, ...] = _ray((), lambda ray: ray.names("enable_export_api_write_config"))
    metrics_period_s: float = _ms("metrics_report_interval_ms", 10.0)
    debug_state_period_s: float = _ms("event_stats_print_interval_ms", 60.0)

    # Autoscaler.
    autoscaler_v2: bool = _flag("enable_autoscaler_v2", False)
    infeasible_tasks_fail_early: bool = _flag("enable_infeasible_task_early_exit", False)

    # Ending. Ray's `ray stop` kills what lives longer than a third of its grace period; ours is far below.
    shutdown_grace_s: float = 0.5

    @classmethod
    def from_ray(cls, ray: RayConfig) -> "GcsConfig":
        """The knobs as this run's Ray configuration has them."""
        return cls(**{knob.name: knob.metadata["read"](ray) for knob in fields(cls) if "read" in knob.metadata})


@dataclass(frozen=True, kw_only=True)
class DaemonSettings:
    """What one run of the daemon is told from outside, checked already.

    The daemon binds ``hosts`` and ``port`` (0 picks one), and calls ``task_status.started(port)`` once it listens;
    whoever started it then writes ``port_file``, and cancels it to make it stop. ``store`` is ``memory:``, ``sqlite:///PATH`` or ``redis://...``.
    """

    ray_config: RayConfig
    gcs_config: GcsConfig
    hosts: tuple[str, ...] = ("127.0.0.1",)
    port: int = 0
    store: str = "memory:"
    node_id: str = ""  # hex of the head node, as Ray gave it; empty when a person started the daemon
    node_ip_address: str = ""
    session_name: str = ""
    session_dir: Path | None = None
    log_dir: Path | None = None
    port_file: Path | None = None
    metrics_agent_port: int = -1  # -1: there is no agent
    metrics_port: int | None = None  # of the page that Prometheus scrapes
    events_ports: tuple[int, ...] = ()  # of the event stream over websocket: the first that is free; empty: none
    auth_token: str | None = field(default=None, repr=False)  # None: everybody may call
    log_format: str = "ray"  # ray, console or json
