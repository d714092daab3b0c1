"""Claims that hold in one way of scheduling actors only; see the fixture ``scheduling`` in tests/virtual/actors."""

from __future__ import annotations

import pytest

raylets_only = pytest.mark.parametrize("scheduling", ["by raylets"], indirect=True)
daemon_only = pytest.mark.parametrize("scheduling", ["by the daemon"], indirect=True)
