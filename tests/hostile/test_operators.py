"""What operators get wrong, and machines run out of: one clear line and an end, or a daemon that goes on."""

import re
import resource
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.real.process.processes import stop
from tests.real.process.test_trio_gcs import run_to_the_end, running
from trio_gcs.config import GcsConfig
from trio_gcs.errors import StartError
from trio_gcs.launch.storage import sqlite_at
from trio_gcs.store.opening import open_stores

FILES_MAX = 40


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda home: None, "/proc/1/nowhere/gcs.sqlite"),
        (lambda home: None, "/dev/null/gcs.sqlite"),
        (lambda home: (home / "file").write_text(""), "{home}/file/gcs.sqlite"),
        (lambda home: (home / "gcs.sqlite").mkdir(), "{home}/gcs.sqlite"),
        (lambda home: (home / "gcs.sqlite").symlink_to(home / "gcs.sqlite"), "{home}/gcs.sqlite"),
        (lambda home: (home / "gcs.sqlite").write_bytes(b"x" * 5000), "{home}/gcs.sqlite"),
        (lambda home: None, "{home}/" + "x" * 300),
        (lambda home: None, "/sys/gcs.sqlite"),
    ],
)
async def test_a_store_that_cannot_be_is_told_in_one_line(tmp_path, make, path):
    make(tmp_path)
    with pytest.raises(StartError) as refused:
        url = sqlite_at(Path(path.format(home=tmp_path)))
        async with open_stores(url, GcsConfig()):
            pass
    assert len(str(refused.value).splitlines()) == 1


def test_a_second_daemon_on_the_same_store_is_told_so_and_the_first_goes_on(tmp_path):
    store = f"--store=sqlite:///{tmp_path}/gcs.sqlite"
    with running(tmp_path, "--port=0", store) as first:
        second = run_to_the_end(tmp_path, "run", "--port=0", store)
        assert second.returncode == 1
        assert "Traceback" not in second.stderr
        assert "in use" in second.stderr or "another" in second.stderr, second.stderr
        code, _ = stop(first)
        assert code == 0


def port_of(daemon):
    return int(re.search(r"grpc +127\.0\.0\.1:(\d+)", "".join(daemon.told))[1])


def test_a_daemon_without_file_descriptors_serves_again_when_it_has_some(tmp_path):
    with running(tmp_path, "--port=0", f"--store=sqlite:///{tmp_path}/gcs.sqlite") as daemon:
        port = port_of(daemon)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))
        with ExitStack() as stack:
            for _ in range(2 * FILES_MAX):
                stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\4" + bytes(5))
            client.settimeout(5)
            assert client.recv(9), "greeted"
        code, _ = stop(daemon)
        assert code == 0
