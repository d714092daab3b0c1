"""Silent subscribers and long waits, in virtual time."""

from __future__ import annotations

import structlog
import trio

from trio_gcs.events.publisher import Publisher, PublisherLimits
from trio_gcs.generated.ray.gcs_service_pb2 import GcsSubscriberPollReply
from trio_gcs.generated.ray.pubsub_pb2 import PubMessage

OURS = b"P" * 28
ANNA, BERT = b"a" * 28, b"b" * 28
JOBS = 3


class Park:
    """A poll that waits, as the transport would keep it."""

    def __init__(self) -> None:
        self.gone = False
        self.reply: bytes | None = None

    def answer(self, reply: bytes) -> None:
        self.reply = reply


def ask(publisher: Publisher[Park], who: bytes, processed: int = 0) -> Park | bytes:
    return publisher.poll(who, processed, OURS, Park)


def numbers(reply: bytes) -> list[int]:
    decoded = GcsSubscriberPollReply.FromString(reply)
    return [each.sequence_id for each in decoded.pub_messages]


def say(publisher: Publisher[Park]) -> None:
    publisher.publish(JOBS, b"k", PubMessage(channel_type=JOBS, key_id=b"k"))


async def started(nursery: trio.Nursery) -> Publisher[Park]:
    publisher: Publisher[Park] = Publisher(
        OURS, {JOBS}, structlog.get_logger(), limits=PublisherLimits(subscriber_timeout_s=300)
    )
    await nursery.start(publisher.serve)
    return publisher


async def test_a_poll_that_waited_too_long_is_answered_with_nothing(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    publisher = await started(nursery)
    publisher.subscribe(ANNA, b"", JOBS)
    poll = ask(publisher, ANNA)
    await trio.sleep(299)
    assert poll.reply is None
    await trio.sleep(2)
    assert numbers(poll.reply) == []
    say(publisher)
    assert numbers(ask(publisher, ANNA)) == [1]


async def test_a_silent_subscriber_is_forgotten_within_two_periods(
    nursery: trio.Nursery, autojump_clock: trio.abc.Clock
) -> None:
    publisher = await started(nursery)
    await trio.sleep(150)
    publisher.subscribe(ANNA, b"", JOBS)
    await trio.sleep(155)
    assert len(publisher) == 1
    await trio.sleep(300)
    assert len(publisher) == 0
    say(publisher)
    assert isinstance(ask(publisher, ANNA), Park)


async def test_one_whose_poll_is_gone_is_silent(nursery: trio.Nursery, autojump_clock: trio.abc.Clock) -> None:
    publisher = await started(nursery)
    for who in (ANNA, BERT):
        publisher.subscribe(who, b"", JOBS)
    ask(publisher, ANNA).gone = True
    ask(publisher, BERT)
    await trio.sleep(301)
    assert len(publisher) == 1


async def test_one_who_polls_now_and_then_stays(nursery: trio.Nursery, autojump_clock: trio.abc.Clock) -> None:
    publisher = await started(nursery)
    publisher.subscribe(ANNA, b"", JOBS)
    for number in range(1, 8):
        await trio.sleep(200)
        say(publisher)
        assert numbers(ask(publisher, ANNA, number - 1)) == [number]
