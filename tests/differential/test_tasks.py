"""Task events: what is merged, dropped, filtered and counted, and what jobs' and workers' ends do to them."""

from __future__ import annotations

from tests.differential.claims import holds, ours

NORMAL, CREATION, ACTOR, DRIVER = range(4)
RUNNING, FINISHED, FAILED, PINNING = 8, 11, 12, 13
EQUAL, NOT_EQUAL = 0, 1
QUICK = {"gcs_mark_task_failed_on_job_done_delay_ms": 100, "gcs_mark_task_failed_on_worker_dead_delay_ms": 100}


def task_id(gcs, name: str, job: str = "job") -> bytes:
    return gcs.names.give(gcs.id(f"{name}.", 20) + gcs.job_id(job), name)


def event(gcs, name: str, attempt: int = 0, *, job: str = "job", kind: int | None = NORMAL, states=(), **fields):
    """The events of one attempt; without a kind, there is no task info."""
    made: dict = {"task_id": task_id(gcs, name, job), "attempt_number": attempt, "job_id": gcs.job_id(job)}
    if kind is not None:
        made["task_info"] = {
            "type": kind,
            "name": f"task {name}",
            "job_id": gcs.job_id(job),
            "task_id": task_id(gcs, name, job),
            **fields.pop("info", {}),
        }
    if states:
        made["state_updates"] = {"state_ts_ns": {state: 1000 + state for state in states}, **fields.pop("updates", {})}
    return {**made, **fields}


def report(gcs, *events, **fields) -> None:
    gcs.tasks.AddTaskEventData.quiet(data={"events_by_task": events, "job_id": gcs.job_id("job"), **fields})


def ask(gcs, what: str = "", **fields) -> None:
    """Write down which tasks are told, and the counts. What an index finds comes in no order."""
    reply = gcs.tasks.GetTaskEvents.quiet(**fields)
    told = [f"{gcs.names.octets('', row.task_id)}/{row.attempt_number}" for row in reply.events_by_task]
    filters = fields.get("filters", {})
    if "job_filters" in filters or "task_filters" in filters:
        told = sorted(told) if "limit" not in fields else [str(len(told))]
    reply.ClearField("events_by_task")
    gcs.note(f"{what}: {told}", reply)


def one(gcs, name: str) -> None:
    """Write down all that is told of a task."""
    gcs.tasks.GetTaskEvents(filters={"task_filters": [{"task_id": task_id(gcs, name)}]})


@holds(fresh=True)
def test_nothing_is_told_of_nothing(gcs):
    gcs.tasks.GetTaskEvents()
    gcs.tasks.AddTaskEventData()
    gcs.tasks.AddTaskEventData(data={})
    gcs.tasks.GetTaskEvents()


@holds()
def test_events_of_one_attempt_are_merged(gcs):
    report(gcs, event(gcs, "a", states=[1], info={"required_resources": {"CPU": 1.0}}, updates={"node_id": b"n" * 28}))
    one(gcs, "a")
    report(gcs, event(gcs, "a", kind=None, states=[2, RUNNING], updates={"worker_pid": 5, "worker_id": b"w" * 28}))
    report(
        gcs,
        event(
            gcs,
            "a",
            kind=None,
            profile_events={"component_type": "worker", "events": [{"event_name": "e", "start_time": 1}]},
        ),
        event(
            gcs,
            "a",
            kind=None,
            states=[RUNNING],
            updates={"worker_pid": 6, "error_info": {"error_message": "«m»", "error_type": 1}},
            profile_events={"component_type": "other", "events": [{"event_name": "f"}]},
        ),
    )
    one(gcs, "a")


@holds(fresh=True)
def test_what_has_no_ids_is_ignored(gcs):
    whole = event(gcs, "a", states=[1])
    for field in ("task_id", "job_id"):
        report(gcs, {**whole, field: b""})
        report(gcs, {**whole, field: b"\xff" * len(whole[field])})
    report(gcs, {})
    ask(gcs)


@holds(fresh=True)
def test_a_task_without_info_is_counted_but_not_told(gcs):
    report(gcs, event(gcs, "a", kind=None, states=[1]), event(gcs, "b", states=[1]))
    ask(gcs, "all")
    ask(gcs, "one", filters={"task_filters": [{"task_id": task_id(gcs, "a")}]})
    report(gcs, event(gcs, "a"))
    ask(gcs, "all")


@holds(fresh=True)
def test_tasks_are_told_by_kind_and_the_newest_first(gcs):
    for name, kind, states in (
        ("n1", NORMAL, [1]),
        ("a1", ACTOR, [1]),
        ("f1", NORMAL, [FINISHED]),
        ("c1", CREATION, [1]),
        ("a2", ACTOR, [FINISHED]),
        ("x1", NORMAL, [FAILED]),
        ("n2", NORMAL, [RUNNING]),
        ("d1", DRIVER, [RUNNING]),
    ):
        report(gcs, event(gcs, name, kind=kind, states=states))
    ask(gcs, "all")
    report(gcs, event(gcs, "n1", kind=None, states=[FINISHED]))
    ask(gcs, "n1 is finished")
    report(gcs, event(gcs, "n2", kind=None, states=[2]))
    ask(gcs, "n2 went on")
    for limit in (0, 1, 3, 8, 100, -1, -7):
        ask(gcs, f"{limit}", limit=limit)


@holds(fresh=True)
def test_filters_are_all_to_be_met(gcs):
    actor = gcs.actor_id("actor", gcs.job_id("job"))
    report(
        gcs,
        event(gcs, "a", states=[RUNNING]),
        event(gcs, "a", 1, states=[FINISHED]),
        event(gcs, "b", job="other", states=[FINISHED]),
        event(gcs, "c", kind=ACTOR, states=[1, FAILED], info={"actor_id": actor, "name": "Task C"}),
        event(gcs, "d", kind=DRIVER, states=[RUNNING]),
        event(gcs, "e", states=[FINISHED, PINNING]),
        event(gcs, "f"),
        event(gcs, "g", kind=None, states=[RUNNING]),
    )
    jobs = {name: gcs.job_id(name) for name in ("job", "other")}

    def filtered(what: str, **filters) -> None:
        ask(gcs, what, filters=filters)

    filtered("none")
    filtered("no drivers", exclude_driver=True)
    filtered("drivers", exclude_driver=False)
    for predicate in (EQUAL, NOT_EQUAL):
        filtered(f"job {predicate}", job_filters=[{"predicate": predicate, "job_id": jobs["job"]}])
        filtered(f"unknown job {predicate}", job_filters=[{"predicate": predicate, "job_id": b"1234"}])
        filtered(f"task {predicate}", task_filters=[{"predicate": predicate, "task_id": task_id(gcs, "a")}])
        filtered(f"unknown task {predicate}", task_filters=[{"predicate": predicate, "task_id": b"1" * 24}])
        filtered(f"actor {predicate}", actor_filters=[{"predicate": predicate, "actor_id": actor}])
        filtered(f"no actor {predicate}", actor_filters=[{"predicate": predicate, "actor_id": b""}])
        for name in ("task a", "TASK A", "task c", "task", ""):
            filtered(f"name {name} {predicate}", task_name_filters=[{"predicate": predicate, "task_name": name}])
        for state in ("FINISHED", "finished", "GETTING_AND_PINNING_ARGS", "NIL", "FAILED", "nonsense", ""):
            filtered(f"state {state} {predicate}", state_filters=[{"predicate": predicate, "state": state}])
    both = [{"job_id": jobs["job"]}, {"job_id": jobs["other"]}]
    filtered("two jobs", job_filters=both)
    filtered("a job twice", job_filters=[both[0], both[0]])
    filtered("neither job", job_filters=[{"predicate": NOT_EQUAL, **each} for each in both])
    filtered("a job and not", job_filters=[both[0], {"predicate": NOT_EQUAL, **both[0]}])
    tasks = [{"task_id": task_id(gcs, name)} for name in ("a", "c")]
    filtered("two tasks", task_filters=tasks)
    filtered("a task twice", task_filters=[tasks[0], tasks[0]])
    filtered("a task, not another", task_filters=[tasks[0], {"predicate": NOT_EQUAL, **tasks[1]}])
    filtered("a task, not itself", task_filters=[tasks[0], {"predicate": NOT_EQUAL, **tasks[0]}])
    filtered("a task of a job", task_filters=[tasks[0]], job_filters=[both[0]])
    filtered("a task of another job", task_filters=[tasks[0]], job_filters=[both[1]])
    filtered("a job and a state", job_filters=[both[0]], state_filters=[{"state": "RUNNING"}], exclude_driver=True)
    filtered("two states", state_filters=[{"state": "RUNNING"}, {"state": "FAILED"}])
    ask(gcs, "limited", limit=1, filters={"job_filters": [both[0]], "state_filters": [{"state": "FINISHED"}]})
    ask(gcs, "limited to none", limit=0, filters={"job_filters": [both[0]]})


@holds()
def test_an_unknown_predicate_is_refused(gcs):
    report(gcs, event(gcs, "a", states=[1]))
    for filters in (
        {"job_filters": [{"predicate": 7, "job_id": gcs.job_id("job")}]},
        {"task_filters": [{"predicate": 7, "task_id": task_id(gcs, "a")}]},
        {"actor_filters": [{"predicate": -1}]},
        {"task_name_filters": [{"predicate": 2}]},
        {"state_filters": [{"predicate": 99, "state": "NIL"}]},
    ):
        gcs.tasks.GetTaskEvents(filters=filters)


@holds(fresh=True)
def test_dropped_attempts_are_gone_and_stay_so(gcs):
    report(gcs, event(gcs, "a", states=[1]), event(gcs, "b", states=[1]))
    report(gcs, dropped_task_attempts=[{"task_id": task_id(gcs, "a"), "attempt_number": 0}])
    ask(gcs, "dropped")
    report(gcs, event(gcs, "a", states=[2]), event(gcs, "a", 1, states=[2]))
    ask(gcs, "late")
    report(
        gcs,
        event(gcs, "c", states=[1]),
        dropped_task_attempts=[{"task_id": task_id(gcs, "c")}, {"task_id": task_id(gcs, "c"), "attempt_number": 3}],
        num_profile_events_dropped=4,
    )
    ask(gcs, "with profile events")
    ask(gcs, "of the job", filters={"job_filters": [{"job_id": gcs.job_id("job")}]})
    ask(gcs, "of another job", filters={"job_filters": [{"job_id": gcs.job_id("other")}]})
    ask(gcs, "of a task", filters={"task_filters": [{"task_id": task_id(gcs, "b")}]})
    report(gcs, dropped_task_attempts=[{"task_id": task_id(gcs, "x", "other")}] * 3, num_profile_events_dropped=1)
    ask(gcs, "all")
    ask(gcs, "of another job", filters={"job_filters": [{"job_id": gcs.job_id("other")}]})


@holds(fresh=True)
def test_what_is_beyond_a_limit_counts_as_lost(gcs):
    profile = {"events": [{"event_name": "e"}, {"event_name": "f"}]}
    report(
        gcs,
        event(gcs, "a", states=[1], profile_events=profile),
        event(gcs, "b"),
        event(gcs, "c", states=[2]),
        num_profile_events_dropped=10,
    )
    for limit in (0, 1, 2, 3):
        ask(gcs, f"{limit}", limit=limit)


@holds(fresh=True, task_events_max_num_profile_events_per_task=3)
def test_profile_events_are_cut_when_they_are_merged(gcs):
    def profile(*numbers: int) -> dict:
        return {"component_type": "w", "events": [{"event_name": f"e{number}"} for number in numbers]}

    report(gcs, event(gcs, "a", profile_events=profile(1, 2, 3, 4, 5)))
    one(gcs, "a")
    report(gcs, event(gcs, "a", profile_events=profile(6)))
    one(gcs, "a")
    ask(gcs, "all")
    report(gcs, event(gcs, "a", kind=None, states=[1]))
    one(gcs, "a")
    ask(gcs, "of the job", filters={"job_filters": [{"job_id": gcs.job_id("job")}]})


@holds(fresh=True, task_events_max_num_task_in_gcs=3)
def test_the_finished_go_first_then_actors_tasks_and_the_oldest_of_each(gcs):
    profile = {"events": [{"event_name": "e"}]}
    for name, kind, states in (
        ("n1", NORMAL, [1]),
        ("a1", ACTOR, [1]),
        ("f1", NORMAL, [FINISHED]),
        ("n2", NORMAL, [1]),
        ("a2", ACTOR, [1]),
        ("n3", NORMAL, [1]),
        ("a3", ACTOR, [1]),
        ("f2", NORMAL, [FINISHED]),
        ("x1", NORMAL, [FAILED]),
        ("n4", NORMAL, [1]),
        ("n5", NORMAL, [1]),
    ):
        report(gcs, event(gcs, name, kind=kind, states=states, profile_events=profile))
        ask(gcs, f"after {name}")
    report(gcs, event(gcs, "n1", states=[2]))
    ask(gcs, "a late event of one that went")
    ask(gcs, "of the job", filters={"job_filters": [{"job_id": gcs.job_id("job")}]})


@holds(fresh=True, **QUICK)
def test_the_end_of_a_job_fails_what_did_not_end(gcs):
    gcs.jobs.AddJob.quiet(data={"job_id": gcs.job_id("job")})
    report(
        gcs,
        event(gcs, "running", states=[RUNNING]),
        event(gcs, "finished", states=[FINISHED]),
        event(gcs, "failed", states=[FAILED]),
        event(gcs, "bare"),
        event(gcs, "other", job="other", states=[RUNNING]),
        event(gcs, "no info", kind=None, states=[RUNNING]),
    )
    report(gcs, dropped_task_attempts=[{"task_id": task_id(gcs, "lost")}])
    gcs.jobs.MarkJobFinished.quiet(job_id=gcs.job_id("job"))

    def failed() -> bool:
        reply = gcs.tasks.GetTaskEvents.quiet(filters={"state_filters": [{"state": "FAILED"}]})
        return len(reply.events_by_task) >= 3

    gcs.until(failed, "three have failed")
    for name in ("running", "finished", "failed", "bare"):
        one(gcs, name)
    ask(gcs, "all")
    report(gcs, event(gcs, "lost", states=[1]))
    ask(gcs, "with one that was lost before")
    report(gcs, dropped_task_attempts=[{"task_id": task_id(gcs, "lost again")}])
    ask(gcs, "after another loss")


@holds(fresh=True, **QUICK)
def test_the_end_of_a_worker_fails_its_tasks(gcs):
    worker = gcs.id("worker", 28)
    other = gcs.id("other worker", 28)
    report(
        gcs,
        event(gcs, "running", states=[RUNNING], updates={"worker_id": worker}),
        event(gcs, "finished", states=[FINISHED], updates={"worker_id": worker}),
        event(gcs, "elsewhere", states=[RUNNING], updates={"worker_id": other}),
        event(gcs, "nowhere", states=[RUNNING]),
    )
    gcs.workers.ReportWorkerFailure.quiet(
        worker_failure={
            "worker_address": {"worker_id": worker},
            "exit_type": 2,
            "exit_detail": "«it raised»",
            "end_time_ms": 7,
        }
    )

    def failed() -> bool:
        reply = gcs.tasks.GetTaskEvents.quiet(filters={"state_filters": [{"state": "FAILED"}]})
        return len(reply.events_by_task) >= 1

    gcs.until(failed, "one has failed")
    for name in ("running", "finished", "elsewhere", "nowhere"):
        one(gcs, name)


@ours()
def test_wrong_ids_are_refused_and_stock_dies_of_them(gcs):
    for data in (
        {"events_by_task": [{"task_id": b"abc", "job_id": b"1234"}]},
        {"events_by_task": [{"task_id": b"t" * 24, "job_id": b"1"}]},
        {"dropped_task_attempts": [{"task_id": b"abc"}]},
    ):
        assert gcs.tasks.AddTaskEventData(data=data) is not None
    gcs.tasks.GetTaskEvents(filters={"job_filters": [{"job_id": b"1"}]})
    gcs.tasks.GetTaskEvents(filters={"task_filters": [{"task_id": b"1"}]})
