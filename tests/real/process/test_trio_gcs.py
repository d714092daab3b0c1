"""``trio-gcs run`` as a person meets it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real.process.processes import TRIO_GCS, environment, started, stop

STUBBORN = Path(__file__).with_name("stubborn.py")


def run_to_the_end(home, *arguments, **env):
    return subprocess.run(
        [str(TRIO_GCS), *arguments],
        env=environment(home, **env),
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def running(home, *arguments, word="Ctrl-C", **env):
    return started([str(TRIO_GCS), "run", *arguments], environment(home, **env), word)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_banner_says_what_listens_where_and_a_signal_ends_it_well(tmp_path, number):
    with running(tmp_path, "--port=0") as daemon:
        banner = "".join(daemon.told)
        assert "127.0.0.1:" in banner
        assert f"sqlite:///{tmp_path}/state/trio-gcs/gcs.sqlite" in banner
        assert "auth   off" in banner
        assert stop(daemon, number)[0] == 0


def test_options_come_from_the_line_then_the_environment_then_the_file(tmp_path):
    config = tmp_path / "gcs.toml"
    config.write_text('port = 1\nlog-format = "console"\nstore = "memory:"\n[ray-config]\nhealth_check_period_ms = 7\n')
    environ = {"TRIO_GCS_PORT": "2", "TRIO_GCS_LOG_FORMAT": "json", "TRIO_GCS_CONFIG": str(config)}
    with running(tmp_path, "--port=0", word='"listening"', **environ) as daemon:
        told = json.loads(daemon.told[-1])
        assert told["store"] == "memory:"
        assert told["address"] not in {"127.0.0.1:1", "127.0.0.1:2"}


def test_a_token_file_is_announced_but_not_shown(tmp_path):
    (tmp_path / "token").write_text("secret\n")
    with running(tmp_path, "--port=0", "--store=memory:", f"--auth-token-file={tmp_path / 'token'}") as daemon:
        banner = "".join(daemon.told)
        assert "callers must show the token" in banner
        assert "secret" not in banner


@pytest.mark.parametrize(
    ("arguments", "exit_code", "complaint"),
    [
        (["--port=99999"], 2, "99999"),
        (["--nonsense"], 2, "--nonsense"),
        (["--config=none.toml"], 2, "none.toml"),
        (["--config=bad.toml"], 2, "bad.toml"),
        (["--config=unknown.json"], 2, "no such option: colour"),
        (["--store=postgres://x"], 1, "memory:, sqlite:///PATH or redis://HOST:PORT was expected"),
        (["--store=redis://u:secret@"], 1, "store 'redis://u@': redis://[[USER]:PASSWORD@]HOST[:PORT] was expected"),
        (["--ray-config={"], 1, "not JSON"),
        (['--ray-config={"nope": 1}'], 1, "no configuration key 'nope'"),
        (["--auth-token-file=none"], 1, "cannot read the auth token in none"),
        (["--host=192.0.2.1", "--store=memory:"], 1, "cannot listen on 192.0.2.1"),
    ],
)
def test_a_mistake_is_one_clear_line(tmp_path, arguments, exit_code, complaint):
    (tmp_path / "bad.toml").write_text("port = = 1")
    (tmp_path / "unknown.json").write_text('{"colour": "red"}')
    ended = run_to_the_end(tmp_path, "run", *arguments)
    assert ended.returncode == exit_code, ended.stderr
    last = ended.stderr.strip().splitlines()[-1]
    assert complaint in last
    assert "Traceback" not in ended.stderr


def test_without_assertions_it_does_not_run(tmp_path):
    ended = run_to_the_end(tmp_path, "run", PYTHONOPTIMIZE="1")
    assert ended.returncode == 1
    assert "python -O" in ended.stderr


def test_help_waits_for_nothing(tmp_path):
    shown = subprocess.run(
        [sys.executable, "-X", "importtime", str(TRIO_GCS), "run", "--help"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "TRIO_GCS_LOG_FORMAT" in shown.stdout
    assert "| trio\n" not in shown.stderr


def test_a_second_signal_ends_even_a_daemon_that_does_not_stop(tmp_path):
    command = [sys.executable, str(STUBBORN), "run", "--port=0", "--store=memory:"]
    with started(command, environment(tmp_path), "Ctrl-C") as daemon:
        daemon.send_signal(signal.SIGTERM)
        for line in daemon.stdout:
            if "I stay" in line:
                break
        assert stop(daemon)[0] == -signal.SIGTERM
