"""The servers that the client is tested against: ours and stock Ray's, where that is installed; one each for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential.servers import OURS, RAY_PYTHON, Server, Setup, stock_executable

TOKEN_SETUP = Setup.of({}, token=True)


def start(name: str, setup: Setup) -> Server:
    executable = OURS if name.startswith("trio-gcs") else stock_executable()
    if executable is None:
        pytest.skip(f"there is no Ray below {RAY_PYTHON.parent.parent}: `make test` installs it")
    server = Server(name, executable, setup)
    server.wait_until_it_listens()
    return server


@pytest.fixture(scope="session", params=["trio-gcs", "trio-gcs by Ray's pubsub", "stock"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    server = start(request.param, Setup.of({}))
    yield server
    assert server.is_running, server.last_words()
    server.stop()


@pytest.fixture
def use_stream(server: Server) -> bool | None:
    """How rows are followed: as the client finds out itself, or never over the event stream."""
    return False if "pubsub" in server.name else None


@pytest.fixture(scope="session", params=["trio-gcs", "stock"])
def guarded(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server that wants a token."""
    server = start(request.param, TOKEN_SETUP)
    yield server
    server.stop()


@pytest.fixture
def address(server: Server) -> str:
    return f"127.0.0.1:{server.port}"


@pytest.fixture
def ours() -> Iterator[Server]:
    """A trio-gcs of the test's own."""
    server = start("trio-gcs", Setup.of({}))
    yield server
    server.stop()
