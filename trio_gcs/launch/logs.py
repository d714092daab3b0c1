"""Structured logs: one event per line, with its keys, in one of three forms.

``ray`` looks as the other logs of a Ray session do, so that people and tools read all of them alike; ``console`` is for a
person at a terminal, ``json`` for machines. What libraries write with ``logging`` goes the same way.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from trio_gcs.errors import StartError
from trio_gcs.launch.ray_lines import TEXT_LENGTH_MAX, as_ray_writes, readable, timestamp, with_plain_lines

LogFormat = Literal["ray", "console", "json"]
LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
}


def ray_log_choice(environ: Mapping[str, str]) -> tuple[LogFormat, str]:
    """The form and the level that Ray's own variables ask every process of a session for."""
    form: LogFormat = "json" if environ.get("RAY_BACKEND_LOG_JSON", "").lower() in {"1", "true"} else "ray"
    level = environ.get("RAY_BACKEND_LOG_LEVEL", "").lower() or "info"
    return form, level if level in LEVELS else "info"


def start_logs(form: LogFormat, level: str, output: TextIO) -> None:
    """Send every event of this level and above to ``output``."""
    if level not in LEVELS:
        raise StartError(f"log level {level!r}: one of {', '.join(LEVELS)} was expected")
    wrapper = structlog.make_filtering_bound_logger(LEVELS[level])
    if form == "ray" and LEVELS[level] <= logging.INFO:
        wrapper = with_plain_lines(wrapper)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _add_time,
            _one_line,
            *_renderers(form, output),
        ],
        wrapper_class=wrapper,
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=True,
    )
    logging.root.handlers[:] = [_Forward()]
    logging.root.setLevel(max(LEVELS[level], logging.WARNING))


def _renderers(form: LogFormat, output: TextIO) -> list[Processor]:
    if form == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=readable)]
    if form == "console":
        return [structlog.dev.ConsoleRenderer(colors=output.isatty())]
    return [structlog.processors.format_exc_info, as_ray_writes]


def _add_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["timestamp"] = timestamp()
    return event


def _one_line(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Much of what is logged was said by peers: it shall forge no line, steer no terminal and fill no disk."""
    for key, value in event.items():
        if isinstance(value, str) and not (value.isprintable() and len(value) <= TEXT_LENGTH_MAX):
            event[key] = _escaped(value)
    return event


def _escaped(text: str) -> str:
    cut = text if len(text) <= TEXT_LENGTH_MAX else f"{text[:TEXT_LENGTH_MAX]}... ({len(text)} characters)"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)


class _Forward(logging.Handler):
    """Hands what libraries log to the one log."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


def output_to(standard: Literal["out", "err"]) -> TextIO:
    """Standard output or error as they are now; they may have been redirected since Python started."""
    return sys.stdout if standard == "out" else sys.stderr
