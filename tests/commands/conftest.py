"""The servers that commands are run against; those of the client's tests."""

from tests.client.conftest import guarded, server  # noqa: F401 - fixtures
