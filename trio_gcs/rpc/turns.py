"""Effectful calls to raylets: one in flight per (peer, subject), heard to the end.

Cancelling a task does not cancel a message. A release that overtakes its own prepare leaks the bundle, so a call
whose caller has lost interest still occupies its turn until it is answered or its time is over.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio
from grpclib.const import Status

from trio_gcs.errors import RemoteError

Result = TypeVar("Result")


class Turns:
    """Turns at peers. Waiting for a turn can be cancelled; the call, once it has begun, cannot."""

    def __init__(self, call_timeout_s: float) -> None:
        self._call_timeout_s = call_timeout_s
        self._locks: dict[tuple[bytes, bytes], trio.Lock] = {}
        self._calls: set[trio.CancelScope] = set()

    async def take(self, peer: bytes, subject: bytes, call: Callable[[], Awaitable[Result]]) -> Result:
        """Make a call when nobody else's about this subject is under way at this peer.

        Raises what the call raises, and :class:`RemoteError` when it is not answered in time.
        """
        key = (peer, subject)
        lock = self._locks.setdefault(key, trio.Lock())
        try:
            async with lock:
                return await self._heard(call)
        finally:
            if not lock.locked() and not lock.statistics().tasks_waiting and self._locks.get(key) is lock:
                del self._locks[key]

    def stop(self) -> None:
        """Stop hearing, as the daemon is ending: calls under way are given up now."""
        for scope in self._calls:
            scope.cancel()

    async def _heard(self, call: Callable[[], Awaitable[Result]]) -> Result:
        with trio.move_on_after(self._call_timeout_s, shield=True) as scope:
            self._calls.add(scope)
            try:
                return await call()
            finally:
                self._calls.discard(scope)
        await trio.lowlevel.checkpoint()  # a caller that was cancelled meanwhile hears of that instead
        raise RemoteError(Status.DEADLINE_EXCEEDED.value, f"no answer within {self._call_timeout_s:g} s")
