import pytest

from tests.real.process.processes import Session


@pytest.fixture
def session(tmp_path):
    return Session(tmp_path / "session_1")
