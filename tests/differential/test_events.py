"""Ray events: how those about tasks become task events."""

from __future__ import annotations

from tests.differential.claims import holds, ours
from trio_gcs.generated.ray.events_event_aggregator_service_pb2 import AddEventsRequest

DEFINITION, LIFECYCLE, ACTOR_DEFINITION, PROFILE = 1, 2, 3, 4


def task_id(gcs, name: str = "task") -> bytes:
    return gcs.names.give(gcs.id(f"{name}.", 20) + gcs.job_id("job"), name)


def add(gcs, *events, **metadata) -> None:
    request = AddEventsRequest()
    for fields in events:
        request.events_data.events.add(source_type=1, session_name="s", **fields)
    for attempt in metadata.get("dropped", ()):
        request.events_data.task_events_metadata.dropped_task_attempts.add(**attempt)
    gcs.events.AddEvents(request)


def told(gcs) -> None:
    reply = gcs.tasks.GetTaskEvents.quiet()
    for row in sorted(reply.events_by_task, key=lambda row: (row.task_id, row.attempt_number)):
        gcs.note("told", row)
    reply.ClearField("events_by_task")
    gcs.note("counts", reply)


@holds(fresh=True)
def test_nothing_is_taken_too(gcs):
    add(gcs)
    gcs.events.AddEvents()
    told(gcs)


@holds(fresh=True)
def test_a_definition_becomes_task_info(gcs):
    for number, kind in enumerate((0, 1, 3)):
        add(
            gcs,
            {
                "event_type": DEFINITION,
                "task_definition_event": {
                    "task_id": task_id(gcs, f"task {number}"),
                    "task_attempt": 2,
                    "task_type": kind,
                    "language": 0,
                    "task_func": {
                        "python_function_descriptor": {
                            "module_name": "m",
                            "class_name": "C" if kind == 1 else "",
                            "function_name": "f",
                            "function_hash": "h",
                        }
                    },
                    "task_name": "n",
                    "required_resources": {"CPU": 1.0},
                    "serialized_runtime_env": "{}",
                    "job_id": gcs.job_id("job"),
                    "parent_task_id": b"p" * 24,
                    "placement_group_id": b"g" * 18,
                    "ref_ids": {"k": b"v"},
                },
            },
        )
    told(gcs)


@holds(fresh=True)
def test_an_actors_task_is_one(gcs):
    add(
        gcs,
        {
            "event_type": ACTOR_DEFINITION,
            "actor_task_definition_event": {
                "task_id": task_id(gcs),
                "task_attempt": 0,
                "language": 0,
                "actor_func": {
                    "python_function_descriptor": {"module_name": "m", "class_name": "C", "function_name": "f"}
                },
                "actor_task_name": "C.f",
                "required_resources": {"CPU": 1.0},
                "serialized_runtime_env": "{}",
                "job_id": gcs.job_id("job"),
                "actor_id": b"a" * 16,
                "parent_task_id": b"p" * 24,
                "placement_group_id": b"g" * 18,
            },
        },
    )
    told(gcs)


@holds(fresh=True)
def test_a_life_becomes_states(gcs):
    transitions = [
        {"state": 1, "timestamp": {"seconds": 5, "nanos": 7}},
        {"state": 8, "timestamp": {"seconds": 6}},
        {"state": 12},
    ]
    add(
        gcs,
        {
            "event_type": LIFECYCLE,
            "task_lifecycle_event": {
                "task_id": task_id(gcs),
                "task_attempt": 1,
                "state_transitions": transitions,
                "ray_error_info": {"error_type": 3, "error_message": "«m»"},
                "node_id": b"n" * 28,
                "worker_id": b"w" * 28,
                "worker_pid": 9,
                "job_id": gcs.job_id("job"),
            },
        },
        {
            "event_type": DEFINITION,
            "task_definition_event": {"task_id": task_id(gcs), "task_attempt": 1, "job_id": gcs.job_id("job")},
        },
    )
    told(gcs)


@holds(fresh=True)
def test_a_bare_life_and_bare_definitions(gcs):
    ids = {"task_id": task_id(gcs), "job_id": gcs.job_id("job")}
    add(
        gcs,
        {"event_type": LIFECYCLE, "task_lifecycle_event": ids},
        {"event_type": DEFINITION, "task_definition_event": ids},
        {"event_type": ACTOR_DEFINITION, "actor_task_definition_event": {**ids, "task_attempt": 1}},
    )
    told(gcs)


@holds(fresh=True)
def test_profiles_become_profiles(gcs):
    add(
        gcs,
        {
            "event_type": PROFILE,
            "task_profile_events": {
                "task_id": task_id(gcs),
                "attempt_number": 0,
                "job_id": gcs.job_id("job"),
                "profile_events": {
                    "component_type": "worker",
                    "component_id": b"c",
                    "node_ip_address": "1.2.3.4",
                    "events": [{"event_name": "e", "start_time": 1, "end_time": 2, "extra_data": "x"}],
                },
            },
        },
        {
            "event_type": DEFINITION,
            "task_definition_event": {"task_id": task_id(gcs), "job_id": gcs.job_id("job")},
        },
    )
    told(gcs)


@holds(fresh=True)
def test_dropped_attempts_are_counted_with_their_jobs(gcs):
    ids = {"task_id": task_id(gcs), "job_id": gcs.job_id("job")}
    add(gcs, dropped=[{"task_id": task_id(gcs), "attempt_number": 0}, {"task_id": b"x" * 24, "attempt_number": 1}])
    told(gcs)
    add(gcs, {"event_type": DEFINITION, "task_definition_event": ids})
    told(gcs)


@ours()
def test_events_of_other_kinds_are_ignored_and_stock_dies_of_them(gcs):
    for kind in (0, 5, 9, 77):
        add(gcs, {"event_type": kind})
    assert "status" in gcs.observations[-1]
