"""Servers for the claims; all are skipped where stock Ray's server is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.differential.claims import Pairs
from tests.differential.servers import OURS, RAY_PYTHON, stock_executable

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.differential)


@pytest.fixture(scope="session")
def all_pairs() -> Iterator[Pairs]:
    if stock_executable() is None:
        pytest.skip(f"there is no Ray below {RAY_PYTHON.parent.parent}: `make test` installs it")
    if not OURS.exists():
        pytest.skip(f"there is no {OURS}: `make test` installs it")
    pairs = Pairs()
    yield pairs
    pairs.stop()


@pytest.fixture
def pairs(all_pairs: Pairs) -> Iterator[Pairs]:
    yield all_pairs
    all_pairs.stop_fresh()
