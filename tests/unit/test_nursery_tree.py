"""Layers: what is inside ends before what is outside, and a failure anywhere ends everything."""

from __future__ import annotations

import pytest
import trio

from trio_gcs.nursery_tree import layer


class Service:
    def __init__(self, log: list[str], name: str, *, fails_after_s: float | None = None, begins: bool = True) -> None:
        self.log = log
        self.name = name
        self.fails_after_s = fails_after_s
        self.begins = begins

    async def __call__(self, *, task_status: trio.TaskStatus[None]) -> None:
        self.log.append(f"{self.name} begins")
        if self.begins:
            task_status.started()
        try:
            if self.fails_after_s is not None:
                await trio.sleep(self.fails_after_s)
                raise ValueError(self.name)
            await trio.sleep_forever()
        finally:
            self.log.append(f"{self.name} ends")


async def test_layers_end_from_the_inside_out(autojump_clock: trio.abc.Clock) -> None:
    log: list[str] = []
    with trio.move_on_after(1):
        async with layer(Service(log, "outer")), layer(Service(log, "inner")):
            try:
                await trio.sleep_forever()
            finally:
                log.append("block ends")
    assert log == ["outer begins", "inner begins", "block ends", "inner ends", "outer ends"]


@pytest.mark.parametrize("failing", ["outer", "inner"])
async def test_a_failure_ends_the_block_and_every_layer(failing: str, autojump_clock: trio.abc.Clock) -> None:
    log: list[str] = []
    outer, inner = (Service(log, name, fails_after_s=1 if name == failing else None) for name in ("outer", "inner"))
    with pytest.RaisesGroup(ValueError, flatten_subgroups=True), trio.fail_after(5):
        async with layer(outer), layer(inner):
            await trio.sleep_forever()
    assert {"outer ends", "inner ends"} <= set(log)


async def test_a_failure_does_not_wait_for_a_service_that_never_begins(autojump_clock: trio.abc.Clock) -> None:
    log: list[str] = []
    with pytest.RaisesGroup(ValueError, flatten_subgroups=True), trio.fail_after(5):
        async with layer(Service(log, "failing", fails_after_s=1)), layer(Service(log, "mute", begins=False)):
            raise AssertionError("never gets here")
    assert log[-1] == "failing ends" or "mute ends" in log


async def test_what_is_cancelled_while_it_starts_is_not_shielded_from_that() -> None:
    async def serve(task_status: trio.TaskStatus[None]) -> None:
        task_status.started()
        outer.cancel()
        await trio.lowlevel.checkpoint_if_cancelled()

    entered = False
    with trio.CancelScope() as outer:
        async with layer(serve):
            entered = True
    assert outer.cancelled_caught
    assert not entered
