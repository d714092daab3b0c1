"""The diagrams in docs/states.md are those of the tables in the code."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_diagrams_are_up_to_date() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts" / "draw_states.py", "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0, "run `make diagrams`"
