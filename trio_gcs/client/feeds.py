"""Where news come from: Ray's pubsub, which every GCS has, or the event stream of trio-gcs where it is offered."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from trio_gcs.client.calls import Calls
from trio_gcs.client.following import Following, Hearing, Message, PubSubFollowing, Row, Source
from trio_gcs.client.generated.ray.rpc import (
    ChannelType,
    ControlPlanePubSubGcsServiceStub,
    ObservabilityPubSubServiceStub,
    PubMessage,
)
from trio_gcs.client.pubsub import Subscriber


@dataclass(frozen=True, kw_only=True)
class Topics:
    """What a subscription is about: a kind of the event stream, a channel of Ray's, and one id or all."""

    kind: str
    channel: ChannelType
    key: bytes = b""


class Feeds:
    """Both subscribers of a client. Their tasks live in the client's nursery."""

    def __init__(self, calls: Calls, nursery: trio.Nursery) -> None:
        self._calls = calls
        self._control = Subscriber(calls, calls.stub(ControlPlanePubSubGcsServiceStub), nursery)
        self._observability = Subscriber(calls, calls.stub(ObservabilityPubSubServiceStub), nursery)

    @asynccontextmanager
    async def following(self, topics: Topics, source: Source[Row]) -> AsyncIterator[Following[Row]]:
        """Follow rows of the control plane for the length of the block."""
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
