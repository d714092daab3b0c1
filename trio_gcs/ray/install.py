"""Puts the hook in place: for this process, and through the environment for every Python that it starts."""

import importlib.util
import os
import sysconfig
from collections.abc import Mapping
from pathlib import Path

from trio_gcs.errors import StartError

HOOK_DIR = Path(__file__).with_name("hook")
SERVER_VARIABLE = "TRIO_GCS_SERVER"


def install(server: str | os.PathLike[str] | None = None) -> Path:
    """Make Ray in this process, and in its children, start our ``gcs_server``; returns the path of it.

    ``server`` is an executable of that name, if it is not the one that was installed with this package.
    """
    found = Path(server).absolute() if server is not None else find_server(os.environ)
    os.environ.update(environment_of_ray(os.environ, found))
    spec = importlib.util.spec_from_file_location("trio_gcs_ray_hook", HOOK_DIR / "trio_gcs_ray_hook.py")
    assert spec is not None, "the hook is part of this package"
    assert spec.loader is not None, "the hook is a Python file"
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    hook.activate()
    return found


def environment_of_ray(environ: Mapping[str, str], server: Path) -> dict[str, str]:
    """What to add to an environment so that Ray, started in it, starts this executable."""
    others = [entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != str(HOOK_DIR)]
    return {SERVER_VARIABLE: str(server), "PYTHONPATH": os.pathsep.join([str(HOOK_DIR), *others])}


def find_server(environ: Mapping[str, str]) -> Path:
    """The executable to start: the one that the environment names, else the one installed with this package."""
    named = environ.get(SERVER_VARIABLE)
    server = Path(named) if named else Path(sysconfig.get_path("scripts")) / "gcs_server"
    # Ray finds its processes by this name when it stops them.
    if server.name != "gcs_server" or not os.access(server, os.X_OK):
        raise StartError(
            f"{server} is no executable named gcs_server: install trio-gcs with pip, or set {SERVER_VARIABLE}"
        )
    return server
