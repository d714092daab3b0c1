"""What peers say is logged, and must stay what they said."""

import io
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from trio_gcs.launch.logs import start_logs
from trio_gcs.launch.ray_lines import TEXT_LENGTH_MAX

FORGED = "no\n[2026-01-01 00:00:00,000 C 1 1] (gcs_server) all is lost\x1b[31m"


@pytest.fixture
def restored() -> Iterator[None]:
    before, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    yield
    structlog.configure(**before)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.mark.parametrize("form", ["ray", "console", "json"])
def test_what_a_peer_says_forges_no_line_and_steers_no_terminal(form: str, restored: None) -> None:
    output = io.StringIO()
    start_logs(form, "info", output)
    structlog.get_logger("pubsub").warning("a peer spoke", said=FORGED)
    logging.getLogger("trio_gcs.x").warning("a peer spoke: %s", FORGED)
    lines = output.getvalue().splitlines()
    assert len(lines) == 2
    assert all("all is lost" in line for line in lines)
    assert "\x1b[31m" not in output.getvalue()


def test_what_a_peer_says_at_length_is_cut(restored: None) -> None:
    output = io.StringIO()
    start_logs("ray", "info", output)
    structlog.get_logger("pubsub").warning("a peer spoke", said="x" * 1_000_000)
    assert len(output.getvalue()) < TEXT_LENGTH_MAX + 200
    assert "(1000000 characters)" in output.getvalue()


def test_a_traceback_keeps_its_lines(restored: None) -> None:
    output = io.StringIO()
    start_logs("ray", "info", output)
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger("x").exception("a bug")
    assert "\nValueError: broken" in output.getvalue()


@pytest.mark.parametrize("value", ["text", b"\xff\x00", 7, True, None, "a\nb", "x" * 5000])
def test_a_line_that_is_written_at_once_looks_as_any_other(value: object, restored: None) -> None:
    output = io.StringIO()
    start_logs("ray", "info", output)
    structlog.get_logger("x").info("it happened", id="ab", value=value)
    structlog.get_logger("x").bind(id="ab").info("it happened", value=value)
    quick, usual = (re.sub(r"^\[\S+ \S+", "[now", line) for line in output.getvalue().splitlines())
    assert quick == usual
    assert re.fullmatch(r"\[now I \d+ \d+\] \(gcs_server\) it happened id=ab value=.*", quick)


def test_a_plain_line_below_the_level_is_not_written(restored: None) -> None:
    output = io.StringIO()
    start_logs("ray", "warning", output)
    structlog.get_logger("x").info("it happened")
    assert not output.getvalue()
