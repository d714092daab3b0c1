"""The executable as Ray meets it: started by exec, stopped by signals, judged by its files and exit code."""

import base64
import json
import os
import signal
import socket
import stat
import sys
import time
from pathlib import Path

import pytest

from tests.real.process.processes import GCS_SERVER, NODE, environment, started, stop


def encoded(text):
    return base64.b64encode(text.encode()).decode()


def test_it_listens_tells_its_port_and_ends_with_0_on_sigterm(session):
    with session.running() as server:
        port = int(session.port_file.read_text())
        with socket.create_connection(("127.0.0.1", port)):
            pass
        assert Path(f"/proc/{server.pid}/comm").read_text() == "gcs_server\n"
        exit_code, told = stop(server)
        assert exit_code == 0, told
        assert session.port_file.exists()


def test_it_takes_its_name_where_the_kernel_did_not_give_it(session):
    command = [sys.executable, str(GCS_SERVER), *session.flags]
    with started(command, environment(session.path), "listening") as server:
        assert Path(f"/proc/{server.pid}/comm").read_text() == "gcs_server\n"


def test_a_port_that_ray_chose_is_used_and_told_too(session):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with session.running(f"--gcs_server_port={port}"):
        assert session.port_file.read_text() == str(port)


def test_a_killed_daemon_frees_its_port_for_the_next(session):
    with session.running() as first:
        port = session.port_file.read_text()
        with socket.create_connection(("127.0.0.1", int(port))):
            stop(first, signal.SIGKILL)
    with session.running("--gcs_server_port", port) as second:
        assert stop(second)[0] == 0


def test_blocked_sigint_as_ray_leaves_it_does_no_harm(session):
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # the child inherits it
    try:
        with session.running() as server:
            server.send_signal(signal.SIGINT)
            assert stop(server)[0] == 0
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def test_more_signals_do_not_spoil_the_exit_code(session):
    with session.running() as server:
        until = time.monotonic() + 10
        while server.poll() is None and time.monotonic() < until:  # at every moment of its stopping
            server.send_signal(signal.SIGTERM)
            server.send_signal(signal.SIGINT)
            time.sleep(0.0005)
        server.communicate(timeout=10)
        assert server.returncode == 0


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--bogus=1"], "unknown command line flag '--bogus=1'"),
        (["--config_list=!!!"], "--config_list is not base64"),
        (["--config_list=" + encoded("{bad")], "config_list is not JSON"),
        (["--config_list=" + encoded('{"nope": 1}')], "no configuration key 'nope'"),
        (["--session_dir=/no/such"], "the session directory /no/such does not exist"),
        (["--gcs_server_port=99999"], "--gcs_server_port=99999"),
        (["--node-id=abc"], "--node-id=abc"),
        (["--redis_address=127.0.0.1", "--redis_username=u"], "--redis_username needs --redis_password"),
    ],
)
def test_a_bad_input_is_told_in_one_line_wherever_ray_looks(session, flags, complaint):
    ended = session.run_to_the_end(*flags)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", "")
    told = session.err.read_text()
    assert complaint in told
    assert told.count("\n") == 1
    assert complaint in session.out.read_text()
    event = json.loads((session.logs / "events" / "event_GCS.log").read_text())
    assert complaint in event["message"]
    assert not session.port_file.exists()


def test_a_taken_port_is_told(session):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = session.run_to_the_end(f"--gcs_server_port={port}")
    assert ended.returncode == 1
    assert session.err.read_text() == f"gcs_server: cannot listen on 127.0.0.1 port {port}: the port is taken\n"


def test_the_output_files_exist_whatever_goes_wrong_and_keep_what_they_had(session):
    os.umask(0o022)
    session.out.write_text("from the last run\n")
    session.run_to_the_end("--no_such_flag")
    assert session.out.read_text().startswith("from the last run\n")
    assert stat.S_IMODE(session.err.stat().st_mode) == 0o644


def test_an_output_file_that_cannot_be_opened_is_told_on_the_terminal(session):
    ended = session.run_to_the_end("--stderr_filepath=/no/such/dir/err")
    assert ended.returncode == 1
    assert ended.stderr == "gcs_server: cannot open /no/such/dir/err to append: No such file or directory\n"


def test_the_event_logs_exist_before_the_port_is_told(session):
    with session.running():
        names = {str(path.relative_to(session.logs)) for path in session.logs.rglob("event_*.log")}
    exported = {f"export_events/event_EXPORT_{kind}.log" for kind in ("ACTOR", "NODE", "DRIVER_JOB")}
    assert names == {"events/event_GCS.log", *exported}


def test_without_assertions_it_does_not_run(session):
    ended = session.run_to_the_end(command=(sys.executable, "-O", str(GCS_SERVER)))
    assert ended.returncode == 1
    assert "python -O" in session.err.read_text()


def test_modules_on_the_pythonpath_of_a_ray_program_are_not_ours(session, tmp_path):
    for name in ("trio", "google", "structlog", "grpclib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('not this one')")
    with session.running(env=environment(session.path, PYTHONPATH=str(tmp_path))) as server:
        assert stop(server)[0] == 0


def test_the_executable_is_found_by_its_name():
    first_line = GCS_SERVER.read_text().splitlines()[0]
    assert first_line.startswith("#!/")
    assert "env" not in Path(first_line.split()[0]).parts
    assert len(NODE) == 56
