"""Fixtures that tests in more than one folder use."""

from tests.fakes.redis_server import redis_server  # noqa: F401
