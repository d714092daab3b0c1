"""``trio-gcs ray ARGS...``: Ray's own command line, with the hook in place."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import click

from trio_gcs.errors import StartError
from trio_gcs.ray.install import environment_of_ray, find_server

PYTHON_VARIABLE = "TRIO_GCS_RAY_PYTHON"


def become_ray(arguments: Sequence[str]) -> NoReturn:
    """Replace this process by Ray's command, so that signals and the exit code are Ray's own."""
    try:
        ray = find_ray()
        environ = {**os.environ, **environment_of_ray(os.environ, find_server(os.environ))}
    except StartError as error:
        raise click.ClickException(str(error)) from error
    # Ray and the jobs that it starts look for python and ray there first, as in an activated environment.
    environ["PATH"] = f"{ray.parent}{os.pathsep}{environ.get('PATH', os.defpath)}"
    os.execve(ray, [str(ray), *arguments], environ)  # noqa: S606  # that is what this command is for


def find_ray() -> Path:
    """The command ``ray`` next to the Python that runs Ray, which is this one unless the environment names another."""
    named = os.environ.get(PYTHON_VARIABLE)
    ray = Path(named or sys.executable).parent / "ray"
    if not os.access(ray, os.X_OK):
        raise StartError(
            f"there is no {ray}: pip install 'ray[default]==2.60.0' there, "
            f"or let {PYTHON_VARIABLE} name the Python of an environment that has it"
        )
    return ray
