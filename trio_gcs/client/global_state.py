"""The client without Trio: plain calls from scripts and notebooks, one at a time or from several threads.

The hard idea: Trio runs in a thread of our own, from the constructor to `close`. A call is handed over to it, so
subscriptions' polls and the connection live on between calls.
"""

import contextlib
import queue
import threading
import weakref
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import trio

from trio_gcs.client.address import Address
from trio_gcs.client.calls import Patience
from trio_gcs.client.client import GcsClient, open_client
from trio_gcs.client.errors import ClientError, Unavailable
from trio_gcs.ids import ClusterID

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class GlobalState:
    """What `GcsClient` offers, synchronously: ``state.nodes.list()``.

    Every accessor of `GcsClient` is here, with all methods that are plain calls; those that give a subscription need Trio.
    Use it in a ``with`` block, or call `close`: it ends the thread. A forgotten one ends with the program.
    """

    def __init__(
        self, address: str | None = None, *, token: str | None = None, patience: Patience | None = None
    ) -> None:
        """Connect; raises ClientErrors as `open_client` does."""
        self._thread = _ClientThread(address, token, patience)
        self._thread.start()
        self._client = self._thread.client()
        self._finalizer = weakref.finalize(self, self._thread.end)

    @property
    def client(self) -> GcsClient:
        """The client itself, for `call`."""
        return self._client

    def call(
        self,
        method: Callable[Parameters, Awaitable[Result]],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run a method of ``self.client`` on the client's Trio, and wait for it. As ``self.nodes.list()``, but typed."""
        return self._thread.run(method, *args, **kwargs)

    def with_client(
        self,
        function: Callable[Concatenate[GcsClient, Parameters], Awaitable[Result]],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run your own ``async def function(client, ...)`` on the client's Trio, and wait for it."""
        return self._thread.run(function, self._client, *args, **kwargs)

    @property
    def address(self) -> Address:
        """Where the server is."""
        return self._client.address

    @property
    def cluster_id(self) -> ClusterID:
        """The cluster that this client belongs to."""
        return self._client.cluster_id

    def __getattr__(self, name: str) -> "SyncAccessor":
        accessor = getattr(self._client, name, None) if not name.startswith("_") else None
        if accessor is None:
            raise AttributeError(name)
        return SyncAccessor(self._thread, accessor)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *(name for name in vars(self._client) if not name.startswith("_"))})

    def close(self) -> None:
        """End the connection and the thread. Calls that are under way end with Unavailable."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


class SyncAccessor:
    """One accessor of the client, with its methods made synchronous."""

    def __init__(self, thread: "_ClientThread", accessor: object) -> None:
        self._thread = thread
        self._accessor = accessor

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._accessor, name)
        if name.startswith(("_", "subscribe")):
            raise AttributeError(f"{name} needs Trio: use open_client, or GlobalState.with_client")

        def call(*args: Any, **kwargs: Any) -> Any:
            return self._thread.run(method, *args, **kwargs)

        call.__name__ = name
        call.__doc__ = method.__doc__
        return call

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._accessor) if not name.startswith(("_", "subscribe"))]


class _ClientThread:
    """A thread with a Trio and a client in it."""

    def __init__(self, address: str | None, token: str | None, patience: Patience | None) -> None:
        self._arguments = (address, token, patience)
        self._began: queue.SimpleQueue[GcsClient | BaseException] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._main, name="trio-gcs-client", daemon=True)
        self._trio: trio.lowlevel.TrioToken | None = None
        self._over: trio.CancelScope | None = None

    def start(self) -> None:
        self._thread.start()

    def client(self) -> GcsClient:
        """Wait until the client is connected; raises what kept it from that."""
        begun = self._began.get()
        if isinstance(begun, BaseException):
            self._thread.join()
            raise begun
        return begun

    def run(
        self,
        function: Callable[Parameters, Awaitable[Result]],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        async def call() -> Result:
            assert self._over is not None, "the client has begun"
            if self._over.cancel_called:
                raise Unavailable("this GlobalState is closed")
            return await function(*args, **kwargs)

        try:
            return trio.from_thread.run(call, trio_token=self._trio)
        except (trio.RunFinishedError, trio.Cancelled) as error:
            # It was another thread's Trio that was cancelled.
            raise Unavailable("this GlobalState is closed") from error  # noqa: ASYNC104

    def end(self) -> None:
        """Cancel everything, and wait for the thread."""
        over, token = self._over, self._trio
        if over is not None and token is not None:
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(over.cancel)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _main(self) -> None:
        try:
            trio.run(self._keep_client)
        except ClientError as error:
            self._began.put(error)
        except BaseException as error:
            self._began.put(error)
            raise

    async def _keep_client(self) -> None:
        address, token, patience = self._arguments
        self._trio = trio.lowlevel.current_trio_token()
        with trio.CancelScope() as self._over:
            async with open_client(address, token=token, patience=patience) as client:
                self._began.put(client)
                await trio.sleep_forever()
