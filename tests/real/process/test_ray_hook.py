"""The hook inside a Python that knows nothing of trio-gcs, with a package that looks like Ray where it must."""

import os
import subprocess
import sys

import pytest

from tests.real.process.processes import GCS_SERVER, TRIO_GCS, environment
from trio_gcs.errors import StartError
from trio_gcs.ray.install import HOOK_DIR, environment_of_ray, find_server

SHOW = "from ray._private import services; print(services.GCS_SERVER_EXECUTABLE)"


@pytest.fixture
def looks_like_ray(tmp_path):
    package = tmp_path / "site" / "ray" / "_private"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "services.py").write_text("GCS_SERVER_EXECUTABLE = 'stock'\n")
    return package.parent.parent


def python(*arguments, env, isolated=("-S",)):
    command = [sys.executable, *isolated, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)


def hooked(tmp_path, *paths):
    environ = environment(tmp_path, PYTHONPATH=os.pathsep.join(map(str, paths)))
    return {**environ, **environment_of_ray(environ, GCS_SERVER)}


def test_a_python_without_trio_gcs_starts_our_executable(tmp_path, looks_like_ray):
    # Without site there is no sitecustomize, so the file that a start of Python imports is imported by hand.
    shown = python("-c", f"import sitecustomize; {SHOW}", env=hooked(tmp_path, looks_like_ray))
    assert (shown.stdout.strip(), shown.stderr) == (str(GCS_SERVER), "")


def test_every_python_below_is_hooked_by_the_environment_alone(tmp_path, looks_like_ray):
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SHOW!r}])"
    shown = python("-c", child, env=hooked(tmp_path, looks_like_ray), isolated=())
    assert (shown.stdout.strip(), shown.stderr) == (str(GCS_SERVER), "")


def test_without_the_variable_ray_stays_as_it_is(tmp_path, looks_like_ray):
    environ = hooked(tmp_path, looks_like_ray)
    del environ["TRIO_GCS_SERVER"]
    assert python("-c", SHOW, env=environ, isolated=()).stdout == "stock\n"


def test_the_next_sitecustomize_still_has_its_say(tmp_path, looks_like_ray):
    (looks_like_ray / "sitecustomize.py").write_text("print('next')")
    shown = python("-c", SHOW, env=hooked(tmp_path, looks_like_ray), isolated=())
    assert shown.stdout == f"next\n{GCS_SERVER}\n"


def test_a_ray_without_the_name_is_refused_loudly(tmp_path, looks_like_ray):
    (looks_like_ray / "ray" / "_private" / "services.py").write_text("")
    shown = python("-c", "import ray._private.services", env=hooked(tmp_path, looks_like_ray), isolated=())
    assert "cannot take the place of this Ray's gcs_server" in shown.stderr


@pytest.mark.parametrize("before", ["", "import ray._private.services; "])
def test_install_works_before_and_after_ray_is_imported(tmp_path, looks_like_ray, before):
    program = f"{before}import trio_gcs.ray; trio_gcs.ray.install(); trio_gcs.ray.install(); {SHOW}"
    environ = environment(tmp_path, PYTHONPATH=str(looks_like_ray))
    shown = python("-c", program, env=environ, isolated=())
    assert (shown.stdout.strip(), shown.stderr) == (str(GCS_SERVER), "")


def test_the_hook_is_first_and_only_once_on_the_path():
    first = environment_of_ray({"PYTHONPATH": f"/a{os.pathsep}/b"}, GCS_SERVER)
    again = environment_of_ray(first, GCS_SERVER)
    assert first["PYTHONPATH"].split(os.pathsep) == [str(HOOK_DIR), "/a", "/b"]
    assert again == first


def test_an_executable_of_another_name_is_refused(tmp_path):
    assert find_server({}) == GCS_SERVER
    with pytest.raises(StartError, match="no executable named gcs_server"):
        find_server({"TRIO_GCS_SERVER": str(tmp_path / "gcs_server")})
    with pytest.raises(StartError, match="no executable named gcs_server"):
        find_server({"TRIO_GCS_SERVER": sys.executable})


def test_the_command_becomes_ray_of_the_environment_named(tmp_path):
    fake = tmp_path / "bin" / "ray"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\necho "$@"; echo "$TRIO_GCS_SERVER"; echo "$PYTHONPATH"; echo "$PATH"; exit 7\n')
    fake.chmod(0o755)
    environ = environment(tmp_path, TRIO_GCS_RAY_PYTHON=str(fake.with_name("python")))
    command = [str(TRIO_GCS), "ray", "start", "--head", "--help"]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)
    arguments, server, python_path, path = ended.stdout.splitlines()
    assert ended.returncode == 7
    assert (arguments, server, python_path) == ("start --head --help", str(GCS_SERVER), str(HOOK_DIR))
    assert path.startswith(f"{fake.parent}:")


def test_without_ray_the_command_says_where_it_looked(tmp_path):
    environ = environment(tmp_path, TRIO_GCS_RAY_PYTHON=str(tmp_path / "python"))
    ended = subprocess.run(
        [str(TRIO_GCS), "ray", "status"], env=environ, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 1
    assert f"there is no {tmp_path}/ray" in ended.stderr
