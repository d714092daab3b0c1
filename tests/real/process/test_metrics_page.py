"""The page that Prometheus scrapes."""

import socket
import urllib.request

from tests.real.process.processes import TRIO_GCS, environment, started


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_calls_are_counted_on_a_page_of_their_own(tmp_path):
    port = free_port()
    command = [
        str(TRIO_GCS),
        "run",
        "--port",
        "0",
        "--store",
        "memory:",
        "--events-port",
        "-1",
        "--metrics-port",
        str(port),
    ]
    page = urllib.request.Request(f"http://127.0.0.1:{port}/metrics")
    with started(command, environment(tmp_path), "Ctrl-C"), urllib.request.urlopen(page, timeout=10) as reply:
        text = reply.read().decode()
    assert "trio_gcs_calls_total" in text
    assert "process_resident_memory_bytes" in text
