"""Node, if it has a WebSocket of its own: since 22, and since 20.10 behind an option."""

from __future__ import annotations

import shutil
import subprocess

import pytest


def node_command() -> list[str]:
    """How a script is run; skips the test where that is impossible."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=True).stdout
    major, minor = map(int, version.strip().lstrip("v").split(".")[:2])
    if major >= 22:
        return [node]
    if (major, minor) >= (20, 10):
        return [node, "--experimental-websocket", "--no-warnings"]
    pytest.skip(f"node {version.strip()} has no WebSocket")
