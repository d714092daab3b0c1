"""Where the event stream listens for websockets: on by itself for people, off for Ray, who knows nothing of it."""

from collections.abc import Mapping
from typing import Final

from trio_gcs.errors import StartError

FIRST_PORT: Final = 6380
TRIES: Final = 20
OFF: Final = -1
VARIABLE: Final = "TRIO_GCS_EVENTS_PORT"
PORT_MAX: Final = 65535


def ports_of_person(port: int | None) -> tuple[int, ...]:
    """The ports to try, the first one first: the one that was asked for, or 6380 and those that follow."""
    if port is None:
        return tuple(range(FIRST_PORT, FIRST_PORT + TRIES))
    return () if port == OFF else (port,)


def ports_of_environment(environ: Mapping[str, str]) -> tuple[int, ...]:
    """The port that the variable names; none without it, or with -1."""
    text = environ.get(VARIABLE, "").strip()
    if not text:
        return ()
    if not text.removeprefix("-").isdecimal() or not OFF <= int(text) <= PORT_MAX:
        raise StartError(f"{VARIABLE}={text!r}: 0 to {PORT_MAX} was expected, or -1 for no event stream")
    return ports_of_person(int(text))
