"""Workers: what is kept of them, and what their ends do."""

from __future__ import annotations

from tests.differential.claims import holds, ours

SYSTEM_ERROR, INTENDED_SYSTEM, USER_ERROR, INTENDED_USER, OOM = range(5)


def row(gcs, name: str, **fields):
    address = {"node_id": gcs.id("node", 28), "ip_address": "1.2.3.4", "port": 5, "worker_id": gcs.id(name, 28)}
    return {"worker_address": address, **fields}


@holds()
def test_a_worker_is_kept_as_it_came(gcs):
    worker_id = gcs.id("w", 28)
    gcs.workers.GetWorkerInfo(worker_id=worker_id)
    gcs.workers.AddWorkerInfo(
        worker_data=row(
            gcs,
            "w",
            is_alive=True,
            timestamp=3,
            worker_type=1,
            worker_info={"k": b"v"},
            pid=4,
            start_time_ms=5,
            worker_launch_time_ms=6,
            worker_launched_time_ms=7,
            debugger_port=8,
            num_paused_threads=0,
            job_id=gcs.job_id("job"),
        )
    )
    gcs.workers.GetWorkerInfo(worker_id=worker_id)
    gcs.workers.AddWorkerInfo(worker_data=row(gcs, "w", pid=9))
    gcs.workers.GetWorkerInfo(worker_id=worker_id)
    gcs.workers.GetWorkerInfo(worker_id=b"")
    gcs.workers.GetWorkerInfo()


@holds(fresh=True)
def test_a_worker_without_an_address_is_kept_under_the_nil_id(gcs):
    gcs.workers.AddWorkerInfo(worker_data={"pid": 1})
    gcs.workers.GetWorkerInfo()
    gcs.workers.GetAllWorkerInfo()


@holds()
def test_a_failure_is_merged_into_the_row_and_published(gcs):
    subscriber = gcs.subscriber(5)
    gcs.workers.AddWorkerInfo.quiet(
        worker_data=row(gcs, "w", is_alive=True, pid=4, worker_info={"k": b"v"}, exit_detail="«before»", exit_type=3)
    )
    gcs.workers.ReportWorkerFailure(
        worker_failure=row(gcs, "w", is_alive=True, exit_type=0, end_time_ms=9, worker_info={"l": b"w"})
    )
    subscriber.take(1)
    gcs.workers.GetWorkerInfo(worker_id=gcs.id("w", 28))
    gcs.workers.ReportWorkerFailure(
        worker_failure=row(
            gcs,
            "w",
            exit_type=OOM,
            exit_detail="«late»",
            memory_used_bytes_at_death=7,
            creation_task_exception={"formatted_exception_string": "«raised»"},
        )
    )
    subscriber.take(1)
    gcs.workers.GetWorkerInfo(worker_id=gcs.id("w", 28))


@holds()
def test_the_failure_of_an_unknown_worker_makes_a_row(gcs):
    subscriber = gcs.subscriber(5)
    gcs.workers.ReportWorkerFailure(worker_failure=row(gcs, "w", exit_type=INTENDED_USER))
    subscriber.take(1)
    gcs.workers.GetWorkerInfo(worker_id=gcs.id("w", 28))
    gcs.workers.AddWorkerInfo(worker_data=row(gcs, "w", is_alive=True))
    gcs.workers.GetWorkerInfo(worker_id=gcs.id("w", 28))


@holds(fresh=True)
def test_the_failure_of_nobody_is_taken(gcs):
    gcs.workers.ReportWorkerFailure()
    gcs.workers.ReportWorkerFailure(worker_failure={"pid": 1})
    gcs.workers.GetAllWorkerInfo()


@holds()
def test_a_subscriber_of_one_worker_hears_of_that_one(gcs):
    subscriber = gcs.subscriber(5, keys=(gcs.id("a", 28),))
    gcs.workers.ReportWorkerFailure.quiet(worker_failure=row(gcs, "b"))
    gcs.workers.ReportWorkerFailure.quiet(worker_failure=row(gcs, "a"))
    subscriber.take(1)


@holds(fresh=True)
def test_workers_are_listed_by_limit_and_filters(gcs):
    gcs.workers.GetAllWorkerInfo()
    for name, fields in {
        "alive": {"is_alive": True},
        "paused": {"is_alive": True, "num_paused_threads": 2},
        "dead": {"is_alive": False},
        "dead and paused": {"is_alive": False, "num_paused_threads": 1},
        "zero": {"is_alive": True, "num_paused_threads": 0},
    }.items():
        gcs.workers.AddWorkerInfo.quiet(worker_data=row(gcs, name, **fields))
    for filters in (
        None,
        {},
        {"is_alive": True},
        {"is_alive": False},
        {"exist_paused_threads": True},
        {"exist_paused_threads": False},
        {"is_alive": True, "exist_paused_threads": True},
    ):
        reply = gcs.workers.GetAllWorkerInfo.quiet(**({} if filters is None else {"filters": filters}))
        names = sorted(gcs.names.octets("", found.worker_address.worker_id) for found in reply.worker_table_data)
        gcs.note(f"{filters}: {names} {reply.total} {reply.num_filtered}")
    for limit in (0, 1, 3, 5, 10, -1):
        reply = gcs.workers.GetAllWorkerInfo.quiet(limit=limit)
        gcs.note(f"{limit}: {len(reply.worker_table_data)} {reply.total} {reply.num_filtered}")


@holds()
def test_debugger_port_and_paused_threads_are_updated(gcs):
    worker_id = gcs.id("w", 28)
    gcs.workers.AddWorkerInfo.quiet(worker_data=row(gcs, "w", is_alive=True))
    gcs.workers.UpdateWorkerDebuggerPort(worker_id=worker_id, debugger_port=77)
    gcs.workers.GetWorkerInfo(worker_id=worker_id)
    for delta in (2, 1, -1, 0, -2):
        gcs.workers.UpdateWorkerNumPausedThreads(worker_id=worker_id, num_paused_threads_delta=delta)
        gcs.workers.GetWorkerInfo(worker_id=worker_id)
    gcs.workers.UpdateWorkerDebuggerPort(worker_id=worker_id)
    gcs.workers.GetWorkerInfo(worker_id=worker_id)


@holds()
def test_paused_threads_below_none_wrap_round(gcs):
    worker_id = gcs.id("w", 28)
    gcs.workers.AddWorkerInfo.quiet(worker_data=row(gcs, "w", is_alive=True))
    gcs.workers.UpdateWorkerNumPausedThreads(worker_id=worker_id, num_paused_threads_delta=-1)
    gcs.workers.GetWorkerInfo(worker_id=worker_id)


@ours()
def test_updates_of_unknown_workers_are_refused_and_stock_dies_of_them(gcs):
    unknown = gcs.id("unknown", 28)
    assert gcs.workers.UpdateWorkerDebuggerPort(worker_id=unknown, debugger_port=1).status.code == 17
    assert gcs.workers.UpdateWorkerNumPausedThreads(worker_id=unknown).status.code == 17
    assert gcs.workers.GetWorkerInfo(worker_id=b"abc").status.code == 4
    assert gcs.workers.AddWorkerInfo(worker_data={"worker_address": {"worker_id": b"abc"}}).status.code == 4
    assert gcs.workers.ReportWorkerFailure(worker_failure={"worker_address": {"worker_id": b"a"}}).status.code == 4


@holds(fresh=True)
def test_crashes_are_counted_among_the_usage_tags(gcs):
    for number, kind in enumerate((SYSTEM_ERROR, OOM, SYSTEM_ERROR, USER_ERROR, INTENDED_SYSTEM, INTENDED_USER)):
        gcs.workers.ReportWorkerFailure(worker_failure=row(gcs, f"w{number}", exit_type=kind))
    gcs.workers.ReportWorkerFailure(worker_failure=row(gcs, "w"))
    gcs.workers.ReportWorkerFailure(worker_failure=row(gcs, "w", exit_type=SYSTEM_ERROR))

    def count(tag: bytes) -> bytes:
        return gcs.kv.InternalKVGet.quiet(key=b"extra_usage_tag_" + tag, namespace=b"usage_stats").value

    gcs.until(lambda: count(b"worker_crash_system_error") == b"4", "four crashes are counted")
    gcs.until(lambda: count(b"worker_crash_oom") == b"1", "one lack of memory is counted")


@holds(fresh=True, maximum_gcs_dead_worker_cached_count=3)
def test_intended_ends_are_forgotten_before_failures(gcs):
    subscriber = gcs.subscriber(5)

    def left(what: str) -> None:
        rows = gcs.workers.GetAllWorkerInfo.quiet().worker_table_data
        gcs.note(f"{what}: {sorted(gcs.names.octets('', found.worker_address.worker_id) for found in rows)}")

    for name, kind in (
        ("error 1", SYSTEM_ERROR),
        ("intended 1", INTENDED_USER),
        ("error 2", USER_ERROR),
        ("intended 2", INTENDED_SYSTEM),
        ("error 3", OOM),
        ("intended 3", INTENDED_USER),
        ("error 4", SYSTEM_ERROR),
    ):
        gcs.workers.ReportWorkerFailure.quiet(worker_failure=row(gcs, name, exit_type=kind))
        subscriber.take(1)
        left(f"after {name}")
    gcs.workers.ReportWorkerFailure.quiet(worker_failure=row(gcs, "error 4", exit_type=INTENDED_USER))
    left("after a report once more")
    gcs.workers.AddWorkerInfo.quiet(worker_data=row(gcs, "alive", is_alive=True))
    left("with one alive")
