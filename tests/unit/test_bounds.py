"""A number goes into a field as it is, or as the nearest one that the field holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.bounds import as_int32, as_int64, as_uint64
from trio_gcs.generated.ray.gcs_pb2 import ResourceDemand
from trio_gcs.generated.ray.gcs_service_pb2 import GetTaskEventsReply

NUMBERS = st.integers() | st.sampled_from([power + off for power in (2**31, 2**63, 2**64) for off in (-1, 0, 1)])


@given(NUMBERS)
def test_fields_take_what_was_bounded_for_them(number: int) -> None:
    GetTaskEventsReply(num_profile_task_events_dropped=as_int32(number), num_truncated=as_int64(number))
    ResourceDemand(num_ready_requests_queued=as_uint64(number))


@pytest.mark.parametrize(
    ("bound", "low", "high"),
    [(as_int32, -(2**31), 2**31 - 1), (as_int64, -(2**63), 2**63 - 1), (as_uint64, 0, 2**64 - 1)],
)
def test_what_fits_is_left_as_it_is(bound: Callable[[int], int], low: int, high: int) -> None:
    assert [bound(number) for number in (low - 1, low, 5, high, high + 1)] == [low, low, 5, high, high]
