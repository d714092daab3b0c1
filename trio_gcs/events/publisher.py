"""A publisher of Ray's pubsub: who subscribed to what, and long polls that are answered once there is something to say.

At least once on the wire, and in the order of publication: a letter is sent again until a later poll acknowledges it, and
clients drop what they have seen by sequence id. There are no snapshots, so clients subscribe first and fetch then. A
poll that waits is one small object and no task; there are tens of thousands of them in a large cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import trio
from structlog.typing import FilteringBoundLogger

from trio_gcs.errors import InvalidArgument
from trio_gcs.events.mailbox import Bound, Encodable, Letter, Poll, Subscriber, signature
from trio_gcs.ids import Id

P = TypeVar("P", bound=Poll)
ALL_KEYS = b""


class SubscriberID(Id):
    """A subscriber, named by itself."""

    __slots__ = ()
    SIZE = 28


class UnknownChannel(InvalidArgument):
    """The channel is another publisher's, or nobody's."""

    def __init__(self, channel_type: int) -> None:
        super().__init__(f"Invalid channel type: {channel_type}")


@dataclass(frozen=True, slots=True)
class PublisherLimits:
    """How much one reply carries, how much may lie unread, and how long a subscriber may be silent."""

    batch_messages_max: int = 5000
    reply_bytes_max: int = 512 << 20
    topic_bytes_max: int = 1 << 30
    subscriber_timeout_s: float = 300.0


class _Topic(Generic[P]):
    """A key of a channel, or the whole channel, with those who subscribed to it."""

    __slots__ = ("bound", "subscribers")

    def __init__(self, bound: Bound | None) -> None:
        self.subscribers: dict[bytes, Subscriber[P]] = {}
        self.bound = bound


class Publisher(Generic[P]):
    """Carries ``channels``; unread letters of ``bounded`` ones are limited. All methods but :meth:`serve` are immediate."""

    def __init__(
        self,
        publisher_id: bytes,
        channels: Iterable[int],
        log: FilteringBoundLogger,
        *,
        bounded: Iterable[int] = (),
        limits: PublisherLimits | None = None,
        clock_s: Callable[[], float] = trio.current_time,
    ) -> None:
        self.publisher_id = publisher_id
        self.sequence_id = 0
        self._channels = frozenset(channels)
        self._bounded = frozenset(bounded)
        self._limits = limits or PublisherLimits()
        self._clock_s = clock_s
        self._log = log
        self._topics: dict[tuple[int, bytes], _Topic[P]] = {}
        self._subscribers: dict[bytes, Subscriber[P]] = {}
        self._senders: dict[bytes, set[bytes]] = {}
        self._due: list[Subscriber[P]] = []
        self._signature = signature(publisher_id)

    def __len__(self) -> int:
        return len(self._subscribers)

    def carries(self, channel_type: int) -> bool:
        """Whether the channel is one of this publisher's."""
        return channel_type in self._channels

    # Publishing.

    def publish(self, channel_type: int, key: bytes, message: Encodable) -> None:
        """Send ``message``, which has no sequence id yet, to everyone who subscribed to the key or the whole channel."""
        self.post(channel_type, key, message)
        self.flush()

    def post(self, channel_type: int, key: bytes, message: Encodable | None) -> None:
        """Put a message into mailboxes, and answer no poll before :meth:`flush`: messages of one change travel together.

        None is a message without content: it has a number, and ends the polls of its subscribers, but is sent to nobody.
        """
        if channel_type not in self._channels:
            raise UnknownChannel(channel_type)
        self.sequence_id += 1
        keys = (ALL_KEYS, key) if key else (ALL_KEYS,)
        topics = [topic for each in keys if (topic := self._topics.get((channel_type, each)))]
        if not topics:
            return
        # Once to a subscriber of both the key and the whole channel.
        receivers = topics[0].subscribers if len(topics) == 1 else topics[0].subscribers | topics[1].subscribers
        if message is None:
            self._due += [subscriber for subscriber in receivers.values() if subscriber.poll is not None]
            return
        letter = Letter(message, self.sequence_id)
        if len(letter.wire) > self._limits.reply_bytes_max:
            self._log.warning("message_too_large", channel=channel_type, key=key, bytes=len(letter.wire))
            return
        for topic in topics:
            if topic.bound is not None:
                topic.bound.admit(letter)
        for subscriber in receivers.values():
            subscriber.deliver(letter)
            if subscriber.poll is not None:
                self._due.append(subscriber)

    def flush(self) -> None:
        """Answer the polls of all who got mail."""
        due, self._due = self._due, []
        for subscriber in due:
            if subscriber.poll is not None:
                self._answer(subscriber, self._batch(subscriber) + self._signature)

    # Subscribers.

    def subscribe(self, subscriber_id: bytes, sender_id: bytes, channel_type: int, key: bytes = ALL_KEYS) -> None:
        """Send messages from now on; without a key, those of the whole channel. ``sender_id``'s death ends it."""
        if channel_type not in self._channels:
            raise UnknownChannel(channel_type)
        subscriber = self._subscriber(subscriber_id)
        at = (channel_type, key)
        topic = self._topics.get(at)
        if topic is None:
            bound = Bound(self._limits.topic_bytes_max) if channel_type in self._bounded else None
            topic = self._topics[at] = _Topic(bound)
        topic.subscribers[subscriber.id] = subscriber
        subscriber.topics.add(at)
        sender_id = sender_id or subscriber.id
        if sender_id not in subscriber.senders:
            subscriber.senders += (sender_id,)
            self._senders.setdefault(sender_id, set()).add(subscriber.id)

    def unsubscribe(self, subscriber_id: bytes, channel_type: int, key: bytes = ALL_KEYS) -> None:
        """Send no more of these, whatever they are; what is in the mailbox already stays there."""
        subscriber = self._subscribers.get(SubscriberID.parse(subscriber_id))
        if subscriber is not None and (channel_type, key) in subscriber.topics:
            subscriber.topics.remove((channel_type, key))
            self._leave((channel_type, key), subscriber)

    def poll(self, subscriber_id: bytes, processed: int, publisher_id: bytes, park: Callable[[], P]) -> bytes | P:
        """Acknowledge letters up to ``processed`` and ask for more: an encoded reply, or what ``park`` makes, answered later.

        Someone who quotes another publisher's id has got none of our letters. A newer poll ends an older one.
        """
        subscriber = self._subscriber(subscriber_id)
        if subscriber.poll is not None:
            self._answer(subscriber, self._signature)
        subscriber.seen_s = self._clock_s()
        subscriber.acknowledge(processed if publisher_id == self.publisher_id else 0)
        if batch := self._batch(subscriber):
            return batch + self._signature
        subscriber.poll = park()
        return subscriber.poll

    def drop_sender(self, sender_id: bytes) -> None:
        """A node or worker died: forget whom it subscribed, with their mailboxes. A waiting poll ends with nothing."""
        for subscriber_id in tuple(self._senders.get(sender_id, ())):
            self._remove(self._subscribers[subscriber_id])

    # The silent.

    async def serve(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Look for silent subscribers, once in each timeout."""
        task_status.started()
        while True:
            await trio.sleep(self._limits.subscriber_timeout_s)
            self.sweep()

    def sweep(self) -> None:
        """Remove those who neither poll nor wait, and answer polls that waited too long, so that they come back."""
        silent_since_s = self._clock_s() - self._limits.subscriber_timeout_s
        for subscriber in [each for each in self._subscribers.values() if each.seen_s <= silent_since_s]:
            if subscriber.poll is None or subscriber.poll.gone:
                self._remove(subscriber)
            else:
                self._answer(subscriber, self._signature)

    # Steps.

    def _subscriber(self, subscriber_id: bytes) -> Subscriber[P]:
        known = SubscriberID.parse(subscriber_id)
        subscriber = self._subscribers.get(known)
        if subscriber is None:
            subscriber = self._subscribers[known] = Subscriber(known, self._clock_s())
        return subscriber

    def _batch(self, subscriber: Subscriber[P]) -> bytes:
        return subscriber.batch(self._limits.batch_messages_max, self._limits.reply_bytes_max)

    def _answer(self, subscriber: Subscriber[P], reply: bytes) -> None:
        poll, subscriber.poll = subscriber.poll, None
        subscriber.seen_s = self._clock_s()
        if poll is not None:
            poll.answer(reply)

    def _leave(self, at: tuple[int, bytes], subscriber: Subscriber[P]) -> None:
        topic = self._topics[at]
        del topic.subscribers[subscriber.id]
        if not topic.subscribers:
            del self._topics[at]

    def _remove(self, subscriber: Subscriber[P]) -> None:
        if subscriber.poll is not None:
            self._answer(subscriber, self._signature)
        for at in subscriber.topics:
            self._leave(at, subscriber)
        for sender_id in subscriber.senders:
            subscribed = self._senders[sender_id]
            subscribed.remove(subscriber.id)
            if not subscribed:
                del self._senders[sender_id]
        subscriber.close()
        del self._subscribers[subscriber.id]
