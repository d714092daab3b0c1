"""Usage tags: there from the start, right within a period, and written only when they change."""

from __future__ import annotations

import trio

from trio_gcs.managers.usage import UsageTags


class Values:
    def __init__(self) -> None:
        self.puts: list[tuple[bytes, bytes, bytes]] = []

    def put(self, namespace: bytes, key: bytes, value: bytes, *, overwrite: bool = True) -> bool:
        assert overwrite
        self.puts.append((namespace, key, value))
        return True


async def test_a_count_is_written_at_start_and_when_it_has_changed(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    values = Values()
    count = 0
    tags = UsageTags(values, {"num_drivers": lambda: count, "pg_num_created": lambda: 7}, period_s=5)
    await nursery.start(tags.serve)
    assert values.puts == [
        (b"usage_stats", b"extra_usage_tag_num_drivers", b"0"),
        (b"usage_stats", b"extra_usage_tag_pg_num_created", b"7"),
    ]
    count = 3
    await trio.sleep(5.1)
    await trio.sleep(5.1)
    assert values.puts[2:] == [(b"usage_stats", b"extra_usage_tag_num_drivers", b"3")]
    nursery.cancel_scope.cancel()
