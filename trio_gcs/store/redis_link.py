"""One connection to Redis, and what its failures mean: wait and try again, or give up.

The server may be one that stands alone or a Sentinel, which is asked for the primary at every connect, so a failover is
an outage like any other. One of a cluster that says that somebody else has the keys is followed there. Everything here
blocks, and is called in a worker thread by one caller at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import redis
from redis.backoff import NoBackoff
from redis.connection import AbstractConnection, ConnectionPool, SSLConnection, parse_url
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel

from trio_gcs.errors import StartError, StoreError
from trio_gcs.store.urls import shown

Command: TypeAlias = tuple[str | bytes | int, ...]

CONNECT_TIMEOUT_S: Final = 5.0
REPLY_TIMEOUT_S: Final = 15.0  # a package of 100 MB has to pass in it

_parse_url: Any = parse_url  # these two of the package have no types
_Sentinel: Any = Sentinel

_GIVE_UP = (AuthenticationError, AuthorizationError)
_TRY_AGAIN = (
    redis.ConnectionError,  # refused, broken, no primary known to the Sentinels
    redis.TimeoutError,
    BusyLoadingError,
    ReadOnlyError,  # a primary that has just become a replica
    ClusterDownError,
    TryAgainError,
    OutOfMemoryError,
    OSError,
)
# Errors without a class of their own: it cannot write its snapshot, or has too few replicas.
_TRY_AGAIN_WORDS = ("MISCONF", "NOREPLICAS")
_UNTRUSTED = "certificate verify failed"


class Away(Exception):
    """Redis does not answer, or not now. What was asked may have been done."""


class NamedConnection(SSLConnection):
    """One that asks for a server by another name than that of the address."""

    def __init__(self, server_name: str, **options: Any) -> None:
        super().__init__(**options)
        self._server_name = server_name

    def _wrap_socket_with_ssl(self, sock: Any) -> Any:
        host, self.host = self.host, self._server_name
        try:
            return super()._wrap_socket_with_ssl(sock)  # type: ignore[no-untyped-call]
        finally:
            self.host = host


class Link:
    """Connects on demand. After any failure it is closed, and what it watched is forgotten."""

    def __init__(self, url: str) -> None:
        try:
            self._parsed: dict[str, Any] = dict(_parse_url(url))
            server_name = self._parsed.pop("ssl_server_name", None)
        except ValueError as error:
            raise StartError(f"the store {shown(url)} is no url of a Redis: {error}") from error
        self.name = shown(url)
        if server_name is not None:
            self._parsed |= {"connection_class": NamedConnection, "server_name": server_name}
        timeouts = {"socket_timeout": REPLY_TIMEOUT_S, "socket_connect_timeout": CONNECT_TIMEOUT_S}
        # We try again ourselves, in order; the client's own retries know nothing of what we watch.
        self._options = {**timeouts, "socket_keepalive": True, "retry": Retry(NoBackoff(), 0), "protocol": 2}
        self._pool: ConnectionPool | None = None
        self._elsewhere: ConnectionPool | None = None  # where a cluster says that the keys are
        self._connection: AbstractConnection | None = None

    @property
    def is_connected(self) -> bool:
        """Whether the connection of the last call still stands, as far as is known."""
        return self._connection is not None

    def connect(self) -> None:
        """Connect anew. Raises :class:`Away`, or :class:`StoreError` where trying again is no use."""
        self.close()
        try:
            if self._pool is None:
                self._pool = self._find()
            pool = self._pool if self._elsewhere is None else self._elsewhere
            connection: Any = pool.make_connection()
            connection.connect()
        except (RedisError, OSError) as error:
            self._elsewhere = None  # who had the keys is away: perhaps somebody else has them by now
            raise self._meaning(error) from error
        self._connection = connection

    def ask(self, *commands: Command) -> list[Any]:
        """Send all commands at once, and return the reply to each. Fails as :meth:`connect` does."""
        connection: Any = self._connection
        assert connection is not None, "nothing is asked before connecting"
        try:
            connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            replies = [connection.read_response() for _ in commands]
            for error in _errors_in(replies):
                raise error
        except MovedError as error:
            self.close()
            self._elsewhere = self._direct(host=error.host, port=error.port)
            raise Away(f"its keys are at {error.host}:{error.port}") from error
        except (RedisError, OSError) as error:
            self.close()
            raise self._meaning(error) from error
        return replies

    def keys(self, pattern: str) -> Iterator[list[bytes]]:
        """The keys that fit a pattern, some at a time. What was there all the while comes, perhaps twice."""
        cursor: Any = b"0"
        while True:
            ((cursor, found),) = self.ask(("SCAN", cursor, "MATCH", pattern, "COUNT", 1000))
            if found:
                yield found
            if cursor == b"0":
                return

    def close(self) -> None:
        """Hang up, if there is a connection."""
        connection: Any = self._connection
        self._connection = None
        if connection is not None:
            connection.disconnect()

    def _direct(self, **other: Any) -> ConnectionPool:
        return ConnectionPool(**{**self._parsed, **self._options, **other})

    def _find(self) -> ConnectionPool:
        """The way to the server that the url names, or to the primary of the Sentinel that it names."""
        direct = self._direct()
        connection: Any = direct.make_connection()
        connection.connect()
        try:
            mode = _asked(connection, "INFO", "server")
            if b"redis_mode:sentinel" not in mode:
                return direct
            if "server_name" in self._parsed:
                raise StoreError(
                    f"{self.name} is a Sentinel: its servers have names of their own, not REDIS_SERVER_NAME"
                )
            primaries = [_pairs(each) for each in _asked(connection, "SENTINEL", "MASTERS")]
            if len(primaries) != 1:
                raise StoreError(f"the Sentinel {self.name} knows {len(primaries)} primaries, one was expected")
            name = primaries[0][b"name"].decode()
            others = [_pairs(each) for each in _asked(connection, "SENTINEL", "SENTINELS", name)]
        finally:
            connection.disconnect()
        sentinels = [(self._parsed.get("host", "localhost"), self._parsed.get("port", 6379))]
        sentinels += [(other[b"ip"].decode(), int(other[b"port"])) for other in others]
        is_tls = "connection_class" in self._parsed
        kept = {key: value for key, value in self._parsed.items() if key not in {"host", "port", "connection_class"}}
        to_sentinels = {**{key: value for key, value in kept.items() if key != "db"}, **self._options, "ssl": is_tls}
        found = _Sentinel(sentinels, sentinel_kwargs=to_sentinels, **{**kept, **self._options, "ssl": is_tls})
        pool: ConnectionPool = found.master_for(name).connection_pool
        return pool

    def _meaning(self, error: Exception) -> Away | StoreError:
        told = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, OutOfMemoryError):
            told = f"OOM {told}"  # as Redis says it, and as people look for it; the client takes the code off
        hopeless = isinstance(error, _GIVE_UP) or _UNTRUSTED in told
        if not hopeless and (isinstance(error, _TRY_AGAIN) or told.startswith(_TRY_AGAIN_WORDS)):
            return Away(told)
        return StoreError(f"the store {self.name} failed: {told}")


def _asked(connection: Any, *command: str) -> Any:
    connection.send_command(*command)
    return connection.read_response()


def _pairs(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _errors_in(replies: list[Any]) -> Iterator[RedisError]:
    """Errors inside the reply to EXEC; the others were raised when they were read."""
    for reply in replies:
        if isinstance(reply, RedisError):
            yield reply
        elif isinstance(reply, list):
            yield from _errors_in(reply)
