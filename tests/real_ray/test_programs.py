"""Stock Ray's programs on trio-gcs say what they say on stock's own server.

Each program in ``programs/`` prints lines that begin with "| "; next to it stands what they are on stock Ray 2.60.
``TRIO_GCS_TEST_STOCK=1`` runs them on stock's server instead, which is how these texts were made and can be checked.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.real_ray import box
from trio_gcs.ray.install import environment_of_ray, find_server

HERE = Path(__file__).parent
PROGRAMS = sorted(path.stem for path in (HERE / "programs").glob("*.py"))
RAY_PYTHON = Path(os.environ.get("TRIO_GCS_RAY_PYTHON") or HERE.parents[1] / ".venv-ray" / "bin" / "python")
STOCK = os.environ.get("TRIO_GCS_TEST_STOCK") == "1"
TIMEOUT_S = 240.0

pytestmark = [pytest.mark.real_ray, pytest.mark.timeout(TIMEOUT_S + 30)]


@pytest.fixture(scope="session")
def environ() -> dict[str, str]:
    reason = box.reason_against()
    if reason is not None:
        pytest.skip(reason)
    if not RAY_PYTHON.exists():
        pytest.skip(f"there is no {RAY_PYTHON}: `make test` makes it")
    environ = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONUNBUFFERED": "1"}
    if not STOCK:
        environ |= environment_of_ray({}, find_server(os.environ))
    return environ


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("store", ["memory", "sqlite"] if not STOCK else ["memory"])
def test_a_program_says_what_it_says_on_stock(program: str, store: str, environ: dict[str, str]) -> None:
    if program == "takeover" and shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server")
    if store == "sqlite":
        if program != "actors":
            pytest.skip("one program is enough to show that Ray's switch for a durable store works")
        environ = {**environ, "RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": "/tmp/store"}
    command = [str(RAY_PYTHON), str(HERE / "programs" / f"{program}.py")]
    code, out, err = box.run(command, python=sys.executable, environ=environ, timeout_s=TIMEOUT_S)
    said = "".join(line + "\n" for line in box.said_in(out))
    assert said == (HERE / "programs" / f"{program}.txt").read_text(), f"exit code {code}\n{out[-4000:]}\n{err[-4000:]}"
    assert code == 0
