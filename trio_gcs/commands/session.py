"""What all commands share: where the server is, how results look, and how errors end a command.

Exit codes: 0 well, 1 another error, 2 usage, 3 not found, 4 unreachable or too late, 5 not let in, 6 not offered by this
server. An error is one line on standard error.
"""

import functools
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Concatenate, Literal, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from trio_gcs.client import GcsClient

Parameters = ParamSpec("Parameters")
Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Output = Literal["table", "json"]
ERROR, USAGE, NOT_FOUND, UNREACHABLE, KEPT_OUT, NOT_OFFERED = 1, 2, 3, 4, 5, 6
INTERRUPTED = 128 + signal.SIGINT


@dataclass(frozen=True, kw_only=True)
class Session:
    """How a command was asked to work."""

    address: str | None
    token: str | None
    timeout_s: float
    output: Output

    @asynccontextmanager
    async def client(self) -> "AsyncIterator[GcsClient]":
        """A client that does not wait for a server that is not there; once it was, it waits as the command does."""
        from trio_gcs.client import Patience, open_client  # noqa: PLC0415  # only who calls a server pays for it

        patience = Patience(call_timeout_s=self.timeout_s, unavailable_s=0)
        async with open_client(self.address, token=self.token, patience=patience) as client:
            yield client

    @asynccontextmanager
    async def patient_client(self) -> "AsyncIterator[GcsClient]":
        """A client for what goes on and on: restarts of the server are waited out, after it was there once."""
        from trio_gcs.client import Patience, open_client  # noqa: PLC0415

        async with self.client():
            pass
        patience = Patience(call_timeout_s=self.timeout_s)
        async with open_client(self.address, token=self.token, patience=patience) as client:
            yield client


def with_server(
    function: Callable[Concatenate[Session, Parameters], Awaitable[None]],
) -> Callable[..., None]:
    """Make an async function a command's body: with the options that find a server, on Trio, its errors told."""

    @click.option("--address", metavar="HOST:PORT", help="Default: $TRIO_GCS_ADDRESS, $RAY_ADDRESS, 127.0.0.1:6379.")
    @click.option("--token", help="Default: $RAY_AUTH_TOKEN, the file $RAY_AUTH_TOKEN_PATH, ~/.ray/auth_token.")
    @click.option("--timeout", "timeout_s", type=click.FloatRange(0, min_open=True), default=10.0, show_default=True)
    @click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
    @functools.wraps(function)
    def body(
        *args: Any, address: str | None, token: str | None, timeout_s: float, output: Output, **kwargs: Any
    ) -> None:
        import trio  # noqa: PLC0415

        session = Session(address=address, token=token, timeout_s=timeout_s, output=output)
        sys.exit(_told(lambda: trio.run(functools.partial(function, session, *args, **kwargs))))

    return body


def _told(run: Callable[[], None]) -> int:
    """Run it, tell of errors, and say how it ended."""
    from trio_gcs.client import ClientError  # noqa: PLC0415

    try:
        run()
    except ClientError as error:
        click.echo(f"trio-gcs: {' '.join(str(error).split())}", err=True)
        return exit_code_of(error)
    except BrokenPipeError:
        return 0  # whoever read our output has read enough
    except KeyboardInterrupt:
        return INTERRUPTED
    return 0


def exit_code_of(error: Exception) -> int:
    """How a command ends that an error has ended."""
    from trio_gcs import client  # noqa: PLC0415

    codes: dict[type[Exception] | tuple[type[Exception], ...], int] = {
        client.NotFound: NOT_FOUND,
        (client.Unavailable, client.DeadlineExceeded): UNREACHABLE,
        client.Unauthenticated: KEPT_OUT,
        client.Unsupported: NOT_OFFERED,
        client.InvalidRequest: USAGE,
    }
    return next((code for kinds, code in codes.items() if isinstance(error, kinds)), ERROR)
