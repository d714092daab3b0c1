"""Ray's pubsub as a subscriber: one long poll per service, shared by all that listen.

The hard idea: a publisher keeps no history, and a restarted one knows nobody. So whoever listens is told whenever
messages may be missing, after the subscriptions were sent again, and fetches then what it follows. That is the case when
the publisher is another one, and already when the connection is: between the two, a poll that the new publisher holds
for ever would look like silence.
"""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import trio

from trio_gcs.client.calls import Calls
from trio_gcs.client.errors import ClientError, DeadlineExceeded, Unavailable
from trio_gcs.client.generated.ray.rpc import (
    ChannelType,
    Command,
    ControlPlanePubSubGcsServiceStub,
    GcsSubscriberCommandBatchRequest,
    GcsSubscriberPollReply,
    GcsSubscriberPollRequest,
    ObservabilityPubSubServiceStub,
    PubMessage,
    SubMessage,
    UnsubscribeMessage,
)

SUBSCRIBER_ID_SIZE = 28
Topic = tuple[ChannelType, bytes]  # no key: the whole channel
PubSubStub = ControlPlanePubSubGcsServiceStub | ObservabilityPubSubServiceStub


class Listener(Protocol):
    """Somebody who follows a topic. None of these waits."""

    def hear(self, message: PubMessage) -> None:
        """A message was published."""

    def doubt(self) -> None:
        """Messages may be missing from here on back; later ones are heard."""

    def fail(self, error: ClientError) -> None:
        """Nothing will be heard any more."""


class Subscriber:
    """All subscriptions of one client to one of the two services, polling in the client's nursery."""

    def __init__(self, calls: Calls, stub: PubSubStub, nursery: trio.Nursery) -> None:
        self._calls = calls
        self._stub = stub
        self._nursery = nursery
        self._subscriber_id = os.urandom(SUBSCRIBER_ID_SIZE)
        self._listeners: dict[Topic, list[Listener]] = {}
        self._is_polling = False
        self._commands = trio.Lock()  # so that a subscription is not overtaken by the end of the one before
        self._publisher_id = b""
        self._processed = 0
        self._link: object = None  # the connection that the subscriptions were sent on

    @asynccontextmanager
    async def listening(self, topic: Topic, listener: Listener) -> AsyncIterator[None]:
        """Have the listener told of a topic, for the length of the block; what is published within it is heard."""
        here = self._listeners.setdefault(topic, [])
        here.append(listener)
        try:
            await self._begin(topic)
            yield
        finally:
            here.remove(listener)
            if not here and self._listeners.get(topic) is here:
                del self._listeners[topic]
                self._nursery.start_soon(self._unsubscribe_soon, topic)

    async def _begin(self, topic: Topic) -> None:
        deadline_s = trio.current_time() + self._calls.patience.call_timeout_s
        if self._is_polling:
            await self._send([topic], self._subscribe)
            return
        link = await self._calls.link(deadline_s)
        await self._send([topic], self._subscribe)
        if not self._is_polling:
            self._is_polling = True
            # Were the subscription sent on a newer connection, then the loop finds out, and subscribes once more.
            self._link = link
            self._nursery.start_soon(self._listen)

    # Listening.

    async def _listen(self) -> None:
        try:
            await self._poll_on()
        except ClientError as error:
            self._fail(error)
        finally:
            self._is_polling = False

    async def _poll_on(self) -> None:
        """Poll until nobody listens any more. Raises ClientError when there is no point in going on."""
        pauses = self._calls.patience.pauses()
        silent_since_s = trio.current_time()
        while self._listeners:
            try:
                await self._follow_connection()
                reply = await self._poll()
            except DeadlineExceeded:
                continue
            except Unavailable:
                pause_s = next(pauses)
                if trio.current_time() + pause_s - silent_since_s > self._calls.patience.unavailable_s:
                    raise
                await trio.sleep(pause_s)
                continue
            pauses = self._calls.patience.pauses()
            silent_since_s = trio.current_time()
            if reply.publisher_id != self._publisher_id:
                self._publisher_id, self._processed = reply.publisher_id, 0
            self._deliver(reply)

    async def _follow_connection(self) -> None:
        """Where the connection is another one than before, subscribe again and raise doubts."""
        link = await self._calls.link(trio.current_time() + self._calls.patience.call_timeout_s)
        if link is self._link:
            return
        await self._send(list(self._listeners), self._subscribe)
        self._link = link
        for listener in self._all():
            listener.doubt()

    async def _poll(self) -> GcsSubscriberPollReply:
        request = GcsSubscriberPollRequest(
            subscriber_id=self._subscriber_id,
            max_processed_sequence_id=self._processed,
            publisher_id=self._publisher_id,
        )
        return await self._calls.attempt(
            self._stub.gcs_subscriber_poll, request, trio.current_time() + self._calls.patience.poll_s
        )

    def _deliver(self, reply: GcsSubscriberPollReply) -> None:
        for message in reply.pub_messages:
            if message.sequence_id <= self._processed:
                continue
            self._processed = message.sequence_id
            channel = message.channel_type
            for topic in ((channel, b""), (channel, message.key_id)) if message.key_id else ((channel, b""),):
                for listener in tuple(self._listeners.get(topic, ())):
                    listener.hear(message)

    def _all(self) -> list[Listener]:
        return [listener for listeners in self._listeners.values() for listener in listeners]

    def _fail(self, error: ClientError) -> None:
        listeners = self._all()
        self._listeners.clear()
        for listener in listeners:
            listener.fail(error)

    # Commands.

    async def _send(self, topics: list[Topic], command: Callable[[Topic], Command]) -> None:
        async with self._commands:
            await self._command([command(topic) for topic in topics])

    async def _unsubscribe_soon(self, topic: Topic) -> None:
        """Tell the publisher, if it can be told; what it still sends is heard by nobody."""
        async with self._commands:
            if topic not in self._listeners:
                with suppress(ClientError):
                    await self._command([self._unsubscribe(topic)])

    async def _command(self, commands: list[Command]) -> None:
        request = GcsSubscriberCommandBatchRequest(
            subscriber_id=self._subscriber_id, sender_id=self._subscriber_id, commands=commands
        )
        await self._calls.call(self._stub.gcs_subscriber_command_batch, request)

    @staticmethod
    def _subscribe(topic: Topic) -> Command:
        channel, key = topic
        return Command(channel_type=channel, key_id=key, subscribe_message=SubMessage())

    @staticmethod
    def _unsubscribe(topic: Topic) -> Command:
        channel, key = topic
        return Command(channel_type=channel, key_id=key, unsubscribe_message=UnsubscribeMessage())
