"""The fan-out: one task that sends what happened to all websockets.

A task per subscriber that wakes for each event would cost more than the event. So one task goes round: who follows the
same and stands at the same place is sent the same octets, put together once, by one call of the kernel each. It
rests after each round for as long as the round took, so that many subscribers get larger portions instead of the whole
processor; but not for long, since on a busy machine a round takes time that is not ours. A socket that is full is passed over, and its own task says when it has room again.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

import trio

from trio_gcs.events.feed import Feed, Stand
from trio_gcs.events.hub import Hub
from trio_gcs.events.pipe import Pipe

_TURN: Final = 64  # subscribers between two looks at whatever else there is to do
_REST_MIN_S: Final = 0.0005
_REST_MAX_S: Final = 0.01


class Subscriber:
    """A websocket with its feed."""

    def __init__(self, pipe: Pipe, feed: Feed, stall_timeout_s: float) -> None:
        self.pipe = pipe
        self.feed = feed
        self.call = trio.Event()  # set when its own task has something to do
        self._stall_timeout_s = stall_timeout_s
        self._patience = trio.CancelScope()

    async def attend(self, hub: Hub) -> bool:
        """Be the subscriber's own task, until the stream has ended and was sent. False if it was not taken in time."""
        while self.feed.ended is None:
            await self.call.wait()
            self.call = trio.Event()
            with trio.CancelScope() as self._patience:
                await self.pipe.flush()
            if self._patience.cancelled_caught:
                return False
            hub.wake()
        with trio.move_on_after(self._stall_timeout_s) as scope:
            await self.pipe.flush()
        return not scope.cancelled_caught

    def lose_patience(self) -> None:
        """It has lagged, and its socket is full: it is told so if it reads, and is cut off if it does not."""
        if self._patience.deadline == float("inf"):
            self._patience.deadline = trio.current_time() + self._stall_timeout_s


class FanOut:
    """Sends to all subscribers that were added."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._subscribers: dict[Subscriber, None] = {}

    def add(self, subscriber: Subscriber) -> None:
        """Begin to send."""
        self._subscribers[subscriber] = None
        self._hub.wake()

    def remove(self, subscriber: Subscriber) -> None:
        """Send no more."""
        self._subscribers.pop(subscriber, None)

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Go round, until cancelled."""
        task_status.started()
        while True:
            if not any(each.feed.is_behind and not each.pipe.is_full for each in self._subscribers):
                await self._hub.news.park()
            began_at = trio.current_time()
            await self._go_round()
            took_s = trio.current_time() - began_at
            await trio.sleep(min(max(_REST_MIN_S, took_s), _REST_MAX_S))

    async def _go_round(self) -> None:
        portions: dict[Hashable, tuple[bytes, Stand]] = {}
        for number, subscriber in enumerate(tuple(self._subscribers), 1):
            if number % _TURN == 0:
                await trio.lowlevel.checkpoint()
            if subscriber.feed.is_behind:
                self._send(subscriber, portions)

    def _send(self, subscriber: Subscriber, portions: dict[Hashable, tuple[bytes, Stand]]) -> None:
        feed, pipe = subscriber.feed, subscriber.pipe
        if pipe.is_full:
            if feed.has_lagged():
                subscriber.lose_patience()
            return
        key = feed.shared_key()
        portion = portions.get(key) if key is not None else None
        if portion is None:
            octets = b"".join(feed.pull())
            if key is not None and feed.may_share:
                portions[key] = octets, feed.stand()
        else:
            octets, stand = portion
            feed.leap(stand)
        if octets:
            pipe.offer(octets)
        if pipe.is_full or feed.ended is not None:
            subscriber.call.set()
