"""What a person may choose for ``trio-gcs run``, and the file that may hold it."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from trio_gcs.store.urls import SQLITE

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """The options of one ``trio-gcs run``, as click has read them."""

    host: str
    port: int
    events_port: int | None
    metrics_port: int | None
    store: str
    redis_outage_max_s: float
    auth_token_file: Path | None
    ray_config: str
    actor_scheduling: Literal["raylet", "gcs"]
    actor_policy: str
    log_format: Literal["console", "json"]
    log_level: str


def option(name: str, **attributes: Any) -> Callable[[Decorated], Decorated]:
    """An option that the environment may set as well; its help says so, and what it is by default."""
    variable = f"TRIO_GCS_{name.removeprefix('--').replace('-', '_').upper()}"
    return click.option(name, envvar=variable, show_envvar=True, **{"show_default": True, **attributes})


def default_store() -> str:
    """A SQLite file where the user's programs keep their state, so that a restart from anywhere finds it."""
    state = os.environ.get("XDG_STATE_HOME") or Path("~/.local/state").expanduser()
    return f"{SQLITE}{Path(state, 'trio-gcs', 'gcs.sqlite')}"


def config_file(context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    """Take the options in the file as defaults of this run. A key that is no option is a mistake."""
    if path is None:
        return
    found = _read(path)
    known = {option.name for option in context.command.params if option.name != "config"}
    options = {key.replace("-", "_"): value for key, value in found.items()}
    if unknown := sorted(options.keys() - known):
        raise click.UsageError(f"{path}: no such option: {', '.join(unknown)}")
    if isinstance(options.get("ray_config"), dict):
        options["ray_config"] = json.dumps(options["ray_config"])
    context.default_map = {**(context.default_map or {}), **options}


def _read(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".toml":
            import tomllib  # noqa: PLC0415  # only who has such a file pays for it

            return tomllib.loads(text)
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise click.UsageError(f"{path}: not an object of options")
    return found
