"""Where news come from: Ray's pubsub, which every GCS has, or the event stream of trio-gcs where it is offered."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from trio_gcs.client.calls import Calls
from trio_gcs.client.errors import Unsupported
from trio_gcs.client.event_stream import SNAPSHOT
from trio_gcs.client.following import Following, Hearing, Message, PubSubFollowing, Row, Source
from trio_gcs.client.generated.ray.rpc import (
    ChannelType,
    ControlPlanePubSubGcsServiceStub,
    ObservabilityPubSubServiceStub,
    PubMessage,
)
from trio_gcs.client.observer import Observer
from trio_gcs.client.pubsub import Subscriber
from trio_gcs.client.stream_following import StreamFollowing


@dataclass(frozen=True, kw_only=True)
class Topics:
    """What a subscription is about: a kind of the event stream, a channel of Ray's, and one id or all."""

    kind: str
    channel: ChannelType | None  # None: Ray publishes nothing about it
    key: bytes = b""


class Feeds:
    """Both subscribers of a client. Their tasks live in the client's nursery."""

    def __init__(self, calls: Calls, nursery: trio.Nursery, *, use_stream: bool | None) -> None:
        """``use_stream``: whether to follow rows over the event stream; None finds out whether there is one."""
        self._calls = calls
        self._observer = Observer(calls)
        self._use_stream = use_stream
        self._control = Subscriber(calls, calls.stub(ControlPlanePubSubGcsServiceStub), nursery)
        self._observability = Subscriber(calls, calls.stub(ObservabilityPubSubServiceStub), nursery)

    async def have_stream(self) -> bool:
        """Whether rows are followed over the event stream."""
        if self._use_stream is None:
            self._use_stream = await self._observer.is_there()
        return self._use_stream

    @asynccontextmanager
    async def following(self, topics: Topics, source: Source[Row]) -> AsyncIterator[Following[Row]]:
        """Follow rows of the control plane for the length of the block."""
        if await self.have_stream():
            ids = [topics.key.hex()] if topics.key else []
            async with self._observer.events(begin=SNAPSHOT, kinds=[topics.kind], ids=ids) as stream:
                yield StreamFollowing(source, stream)
            return
        if topics.channel is None:
            raise Unsupported(f"{self._calls.address} publishes nothing about {topics.kind.replace('_', ' ')}s")
        following = PubSubFollowing(source)
        async with self._control.listening((topics.channel, topics.key), following):
            yield following

    @asynccontextmanager
    async def hearing(
        self, channel: ChannelType, key: bytes, unwrap: Callable[[PubMessage], Message | None]
    ) -> AsyncIterator[Hearing[Message]]:
        """Hear messages that nobody keeps for the length of the block."""
        hearing = Hearing(unwrap)
        async with self._observability.listening((channel, key), hearing):
            yield hearing
