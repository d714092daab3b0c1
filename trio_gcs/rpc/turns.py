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
Key = tuple[bytes, bytes]


class Turns:
    """Turns at peers. Waiting for a turn can be cancelled; the call, once it has begun, cannot."""

    def __init__(self, call_timeout_s: float) -> None:
        self._call_timeout_s = call_timeout_s
        self._waiting: dict[Key, list[trio.Event]] = {}  # an entry is a call under way, and who comes after it
        self._calls: set[trio.CancelScope] = set()
        self._stopped = False

    async def take(self, peer: bytes, subject: bytes, call: Callable[[], Awaitable[Result]]) -> Result:
        """Make a call when nobody else's about this subject is under way at this peer.

        Raises what the call raises, and :class:`RemoteError` when it is not answered in time.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        key = (peer, subject)
        if key in self._waiting:
            await self._turn(key)
        else:
            self._waiting[key] = []
        try:
            return await self._heard(call)
        finally:
            self._pass_on(key)

    async def _turn(self, key: Key) -> None:
        turn = trio.Event()
        self._waiting[key].append(turn)
        came = False
        try:
            await turn.wait()
            came = True
        finally:
            if turn.is_set() and not came:  # it came to somebody who was being cancelled
                self._pass_on(key)
            elif not came:
                self._waiting[key].remove(turn)

    def _pass_on(self, key: Key) -> None:
        waiting = self._waiting[key]
        if waiting:
            waiting.pop(0).set()
        else:
            del self._waiting[key]

    def stop(self) -> None:
        """Stop hearing, as the daemon is ending: calls under way are given up now, and none begins."""
        self._stopped = True
        for scope in self._calls:
            scope.cancel()

    async def _heard(self, call: Callable[[], Awaitable[Result]]) -> Result:
        if self._stopped:
            await trio.sleep_forever()  # whoever calls is being cancelled
        with trio.move_on_after(self._call_timeout_s, shield=True) as scope:
            self._calls.add(scope)
            try:
                return await call()
            finally:
                self._calls.discard(scope)
        await trio.lowlevel.checkpoint()  # a caller that was cancelled meanwhile hears of that instead
        raise RemoteError(Status.DEADLINE_EXCEEDED.value, f"no answer within {self._call_timeout_s:g} s")
