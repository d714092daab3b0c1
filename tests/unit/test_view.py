"""How the view of one node changes."""

from __future__ import annotations

from trio_gcs.generated.ray.ray_syncer_pb2 import ResourceViewSyncMessage
from trio_gcs.scheduling.labels import parse_selector
from trio_gcs.scheduling.resources import UNITS
from trio_gcs.scheduling.view import NodeRow, NodeView, Request

CPU_4 = {"CPU": 4 * UNITS}


def report(
    cpu: float = 4, free: float = 4, draining: bool = False, deadline_ms: int = -1, **labels: str
) -> ResourceViewSyncMessage:
    return ResourceViewSyncMessage(
        resources_total={"CPU": cpu},
        resources_available={"CPU": free},
        labels=labels,
        is_draining=draining,
        draining_deadline_timestamp_ms=deadline_ms,
    )


def test_a_new_node_has_all_of_it_free() -> None:
    view = NodeRow().with_capacity(CPU_4, {"zone": "a"}, 0).view
    assert view.total == view.available == CPU_4
    assert view.labels == {"zone": "a"}


def test_capacity_that_moves_moves_what_is_free_and_neither_goes_below_nothing() -> None:
    row = NodeRow().with_capacity({"CPU": 4 * UNITS, "GPU": UNITS}, {}, 0)
    row = row.led(row.view.without({"CPU": 3 * UNITS}), 0)
    assert row.with_capacity({"CPU": 6 * UNITS}, {}, 0).view.available == {"CPU": 3 * UNITS, "GPU": UNITS}
    smaller = row.with_capacity({"CPU": 2 * UNITS, "GPU": -UNITS}, {}, 0).view
    assert smaller.total == {"CPU": 2 * UNITS}
    assert smaller.available == {}


def test_a_report_replaces_everything_that_it_does_not_mention_too() -> None:
    row = NodeRow().with_capacity({"CPU": 4 * UNITS, "GPU": UNITS}, {"zone": "a"}, 0)
    view = row.reported_as(report(cpu=4, free=1.5)).view
    assert view.total == CPU_4
    assert view.available == {"CPU": 15000}
    assert view.labels == {}


def test_a_reported_drain_stays_until_it_is_replaced_by_an_accepted_one() -> None:
    row = NodeRow().reported_as(report(draining=True, deadline_ms=7)).reported_as(report())
    assert (row.view.is_draining, row.view.draining_deadline_ms) == (True, 7)
    row = row.reported_as(report(draining=True, deadline_ms=9))
    assert row.view.draining_deadline_ms == 7
    assert row.drained(11, 0).view.draining_deadline_ms == 11


def test_what_was_taken_ahead_of_reports_is_put_back_when_none_follows() -> None:
    row = NodeRow().reported_as(report())
    ahead = row.led(row.view.without({"CPU": UNITS}), now_ms=1000)
    assert ahead.view.available == {"CPU": 3 * UNITS}
    assert ahead.refreshed(before_ms=1000) is ahead
    assert ahead.refreshed(before_ms=1001).view == row.view
    assert ahead.refreshed(before_ms=1001).modified_ms is None


def test_a_report_ends_the_lead() -> None:
    row = NodeRow().reported_as(report())
    row = row.led(row.view.without({"CPU": UNITS}), now_ms=1000).reported_as(report(free=2))
    assert row.refreshed(before_ms=9999).view.available == {"CPU": 2 * UNITS}


def test_a_node_that_never_reported_is_never_put_back() -> None:
    row = NodeRow().with_capacity(CPU_4, {}, 0)
    row = row.led(row.view.without(CPU_4), now_ms=0)
    assert row.refreshed(before_ms=9999) is row


def test_an_accepted_drain_outlives_the_refresh() -> None:
    row = NodeRow().reported_as(report()).drained(5, now_ms=0).refreshed(before_ms=9999)
    assert (row.view.is_draining, row.view.draining_deadline_ms) == (True, 5)


def test_the_last_totals_that_were_told_are_kept_for_the_usage() -> None:
    full, bare = report(cpu=8, free=1), ResourceViewSyncMessage(resources_available={"CPU": 2})
    row = NodeRow().reported_as(full).reported_as(bare)
    assert row.last_total is full
    assert row.last_report is bare
    assert row.view.total == {}


def test_a_request_fits_where_enough_is_free_and_is_feasible_where_enough_exists() -> None:
    view = NodeView(CPU_4, {"CPU": UNITS}, {"zone": "a"})
    assert view.feasible(Request(CPU_4))
    assert not view.fits(Request(CPU_4))
    assert view.fits(Request({"CPU": UNITS}))
    assert not view.feasible(Request({"GPU": 1}))
    assert not view.feasible(Request({}, parse_selector({"zone": "b"})))
    assert not view.fits(Request({}, parse_selector({"zone": "b"})))
    assert view.fits(Request({}, parse_selector({"zone": "a"})))


def test_a_request_that_stores_objects_does_not_fit_where_pulls_are_queued() -> None:
    view = NodeView(CPU_4, CPU_4, {}, object_pulls_queued=True)
    assert view.fits(Request(CPU_4))
    assert not view.fits(Request(CPU_4, stores_objects=True))
    assert view.feasible(Request(CPU_4, stores_objects=True))
