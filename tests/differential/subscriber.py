"""A subscriber: keeps one poll open, as Ray's do, and writes down what is published about the things of its case."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import grpc

from trio_gcs.generated.ray.pubsub_pb2 import PubMessage

if TYPE_CHECKING:
    from tests.differential.gcs import Gcs

CHANNELS = {"control": (2, 3, 4, 5, 9), "observability": (6, 7, 8)}
PATIENCE_S = 8.0
QUIET_S = 0.4


class Subscriber:
    """Acknowledges what it reads. With ``everything``, it sees what other cases left behind, too."""

    def __init__(self, gcs: Gcs, service: str, channels: tuple[int, ...], *, keys: tuple[bytes, ...] = (b"",)) -> None:
        self._gcs = gcs
        self._service = getattr(gcs, service)
        self.subscriber_id = os.urandom(28)
        self._processed = 0
        self._publisher_id = b""
        self._poll: grpc.Future | None = None
        self._waiting: list[PubMessage] = []
        commands = [
            {"channel_type": channel, "key_id": key, "subscribe_message": {}}
            for channel in channels or CHANNELS[service]
            for key in keys
        ]
        self._service.GcsSubscriberCommandBatch.quiet(subscriber_id=self.subscriber_id, commands=commands)

    def take(self, count: int) -> list[PubMessage]:
        """Wait for so many messages, write them down, and then whatever else comes at once."""
        give_up_s = time.monotonic() + PATIENCE_S
        while len(self._waiting) < count and time.monotonic() < give_up_s:
            self._read(give_up_s - time.monotonic())
        return self._show()

    def rest(self) -> list[PubMessage]:
        """Write down what comes within a moment."""
        give_up_s = time.monotonic() + QUIET_S
        while (left_s := give_up_s - time.monotonic()) > 0:
            self._read(left_s)
        return self._show()

    def _show(self) -> list[PubMessage]:
        shown, self._waiting = self._waiting, []
        for message in shown:
            bare = PubMessage()
            bare.CopyFrom(message)
            bare.ClearField("sequence_id")
            self._gcs.note("published", bare)
        return shown

    def _read(self, timeout_s: float) -> None:
        if self._poll is None:
            method = self._service.GcsSubscriberPoll
            call = self._gcs.channel.unary_unary(method.path, None, method.reply_type.FromString)
            request = method.request_type(
                subscriber_id=self.subscriber_id,
                max_processed_sequence_id=self._processed,
                publisher_id=self._publisher_id,
            )
            self._poll = call.future(request.SerializeToString(), metadata=self._gcs.metadata)
        try:
            reply = self._poll.result(timeout_s)
        except grpc.FutureTimeoutError:
            return
        self._poll = None
        self._publisher_id = reply.publisher_id
        for message in reply.pub_messages:
            if message.sequence_id > self._processed:
                self._processed = message.sequence_id
                if self._gcs.names.knows(message.key_id):
                    self._waiting.append(message)

    def close(self) -> None:
        if self._poll is not None:
            self._poll.cancel()
