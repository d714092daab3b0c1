import signal

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_gcs.config import DaemonSettings, GcsConfig
from trio_gcs.errors import StartError
from trio_gcs.launch.failure import cause_in_one_line
from trio_gcs.launch.run import serve
from trio_gcs.ray_config import RayConfig


def settings(port_file=None):
    return DaemonSettings(ray_config=RayConfig.read(), gcs_config=GcsConfig(), port_file=port_file)


async def steady(_settings, *, task_status):
    task_status.started(6379)
    await trio.sleep_forever()


async def test_the_port_is_told_when_the_daemon_listens_and_not_before(tmp_path, autojump_clock):
    told = []

    async def slow(_settings, *, task_status):
        await trio.sleep(10)
        assert not (tmp_path / "port").exists()
        task_status.started(6379)
        await trio.sleep(10)
        return 3

    code = await serve(slow, settings(tmp_path / "port"), second_signal_ends=False, announce=told.append)
    assert (code, told, (tmp_path / "port").read_text()) == (3, [6379], "6379")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_daemon_with_0(number):
    async with trio.open_nursery() as nursery:

        async def send():
            await wait_all_tasks_blocked()
            signal.raise_signal(number)

        nursery.start_soon(send)
        assert await serve(steady, settings(), second_signal_ends=False, announce=lambda _port: None) == 0


async def test_a_signal_while_it_loads_ends_it_with_0_too():
    async def loading(_settings, *, task_status):
        signal.raise_signal(signal.SIGTERM)
        await trio.sleep_forever()

    assert await serve(loading, settings(), second_signal_ends=False, announce=lambda _port: None) == 0


async def test_what_ends_the_daemon_arrives_as_one_line(tmp_path):
    async def broken(_settings, *, task_status):
        raise StartError("the disk is full")

    with pytest.RaisesGroup(StartError, flatten_subgroups=True) as ended:
        await serve(broken, settings(), second_signal_ends=False, announce=lambda _port: None)
    assert cause_in_one_line(ended.value) == "the disk is full"

    with pytest.RaisesGroup(StartError, flatten_subgroups=True) as ended:
        await serve(steady, settings(tmp_path / "gone" / "port"), second_signal_ends=False, announce=lambda _port: None)
    assert "cannot write the port file" in (cause_in_one_line(ended.value) or "")
