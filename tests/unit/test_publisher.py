"""The publisher, one claim per rule, and all of it against a client that loses replies."""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from trio_gcs.errors import Invalid
from trio_gcs.events.publisher import Publisher, PublisherLimits, UnknownChannel
from trio_gcs.generated.ray.gcs_service_pb2 import GcsSubscriberPollReply
from trio_gcs.generated.ray.pubsub_pb2 import PubMessage

OURS = b"P" * 28
ANNA, BERT = b"a" * 28, b"b" * 28
JOBS, ERRORS = 3, 6


class Park:
    """A poll that waits, as the transport would keep it."""

    def __init__(self) -> None:
        self.gone = False
        self.reply: GcsSubscriberPollReply | None = None

    def answer(self, reply: bytes) -> None:
        assert self.reply is None
        self.reply = GcsSubscriberPollReply.FromString(reply)


def publisher_of(limits: PublisherLimits | None = None) -> Publisher[Park]:
    log = structlog.get_logger()
    return Publisher(OURS, {JOBS, 2, ERRORS}, log, bounded={ERRORS}, limits=limits, clock_s=lambda: 0.0)


@pytest.fixture
def publisher() -> Publisher[Park]:
    return publisher_of()


def message(key: bytes, text: str = "") -> PubMessage:
    made = PubMessage(channel_type=JOBS, key_id=key)
    made.error_info_message.error_message = text
    return made


def say(publisher: Publisher[Park], key: bytes, text: str = "", channel: int = JOBS) -> None:
    publisher.publish(channel, key, message(key, text))


def ask(publisher: Publisher[Park], who: bytes, processed: int = 0, quoting: bytes = OURS) -> Park:
    """A poll; one that is answered at once comes back answered."""
    asked = publisher.poll(who, processed, quoting, Park)
    if isinstance(asked, Park):
        return asked
    answered = Park()
    answered.answer(asked)
    return answered


def numbers(park: Park) -> list[int]:
    assert park.reply is not None
    return [each.sequence_id for each in park.reply.pub_messages]


def keys(park: Park) -> list[bytes]:
    assert park.reply is not None
    return [each.key_id for each in park.reply.pub_messages]


def test_a_poll_waits_and_is_answered_by_the_next_message(publisher: Publisher[Park]) -> None:
    publisher.subscribe(ANNA, b"", JOBS)
    poll = ask(publisher, ANNA)
    assert poll.reply is None
    say(publisher, b"k", "hello")
    assert numbers(poll) == [1]
    assert poll.reply.publisher_id == OURS
    assert not poll.reply.HasField("status")
    assert poll.reply.pub_messages[0].error_info_message.error_message == "hello"
    assert poll.reply.pub_messages[0].channel_type == JOBS


def test_messages_are_sent_again_until_they_are_acknowledged(publisher: Publisher[Park]) -> None:
    publisher.subscribe(ANNA, b"", JOBS)
    for key in (b"1", b"2", b"3"):
        say(publisher, key)
    assert numbers(ask(publisher, ANNA)) == [1, 2, 3]
    assert numbers(ask(publisher, ANNA)) == [1, 2, 3]
    assert numbers(ask(publisher, ANNA, 2)) == [3]
    assert ask(publisher, ANNA, 3).reply is None


def test_an_acknowledgement_to_another_publisher_counts_for_nothing(publisher: Publisher[Park]) -> None:
    publisher.subscribe(ANNA, b"", JOBS)
    say(publisher, b"k")
    assert numbers(ask(publisher, ANNA, 99, quoting=b"Q" * 28)) == [1]
    assert numbers(ask(publisher, ANNA, 99, quoting=b"")) == [1]
    assert ask(publisher, ANNA, 1).reply is None


def test_a_newer_poll_ends_the_older_one_with_nothing(publisher: Publisher[Park]) -> None:
    publisher.subscribe(ANNA, b"", JOBS)
    old, new = ask(publisher, ANNA), ask(publisher, ANNA)
    assert numbers(old) == []
    assert old.reply.publisher_id == OURS
    say(publisher, b"k")
    assert numbers(new) == [1]


def test_one_who_subscribed_to_a_key_hears_nothing_of_others(publisher: Publisher[Park]) -> None:
    publisher.subscribe(ANNA, b"", JOBS, b"k")
    publisher.subscribe(BERT, b"", JOBS)
    for key in (b"other", b"k"):
        say(publisher, key)
    assert keys(ask(publisher, ANNA)) == [b"k"]
    assert keys(ask(publisher, BERT)) == [b"other", b"k"]


def test_one_who_subscribed_to_both_hears_it_once(publisher: Publisher[Park]) -> None:
    publisher.subscribe(ANNA, b"", JOBS, b"k")
    publisher.subscribe(ANNA, b"", JOBS)
    publisher.subscribe(ANNA, b"", JOBS)
    say(publisher, b"k")
    assert numbers(ask(publisher, ANNA)) == [1]


def test_sequence_ids_count_all_channels_and_lost_messages(publisher: Publisher[Park]) -> None:
    publisher.subscribe(ANNA, b"", JOBS)
    say(publisher, b"k", channel=2)
    say(publisher, b"k", channel=ERRORS)
    say(publisher, b"k")
    assert numbers(ask(publisher, ANNA)) == [3]


def test_what_was_said_before_a_subscription_is_not_heard(publisher: Publisher[Park]) -> None:
    say(publisher, b"k")
    publisher.subscribe(ANNA, b"", JOBS)
    assert ask(publisher, ANNA).reply is None


def test_unsubscribing_leaves_what_is_in_the_mailbox(publisher: Publisher[Park]) -> None:
    publisher.subscribe(ANNA, b"", JOBS)
    publisher.subscribe(ANNA, b"", JOBS, b"k")
    say(publisher, b"1")
    publisher.unsubscribe(ANNA, JOBS)
    say(publisher, b"2")
    say(publisher, b"k")
    publisher.unsubscribe(ANNA, JOBS, b"k")
    publisher.unsubscribe(ANNA, JOBS, b"k")
    say(publisher, b"k")
    assert keys(ask(publisher, ANNA)) == [b"1", b"k"]


def test_another_publishers_channel_is_refused(publisher: Publisher[Park]) -> None:
    for call in (
        lambda: publisher.subscribe(ANNA, b"", 7),
        lambda: publisher.publish(7, b"k", message(b"k")),
    ):
        with pytest.raises(UnknownChannel, match="Invalid channel type: 7"):
            call()
    publisher.unsubscribe(ANNA, 7)  # there is nothing to end, wherever it is


def test_a_message_without_content_has_a_number_and_ends_polls_but_is_sent_to_nobody(
    publisher: Publisher[Park],
) -> None:
    publisher.subscribe(ANNA, b"", JOBS)
    poll = ask(publisher, ANNA)
    publisher.post(JOBS, b"k", None)
    publisher.flush()
    assert numbers(poll) == []
    say(publisher, b"k")
    assert numbers(ask(publisher, ANNA)) == [2]


def test_an_id_of_a_wrong_length_is_refused_and_an_empty_one_is_nil(publisher: Publisher[Park]) -> None:
    with pytest.raises(Invalid):
        ask(publisher, b"short")
    publisher.subscribe(b"", b"", JOBS)
    say(publisher, b"k")
    assert numbers(ask(publisher, b"\xff" * 28)) == [1]


def test_a_reply_carries_so_many_messages_and_no_more() -> None:
    publisher = publisher_of(PublisherLimits(batch_messages_max=5))
    publisher.subscribe(ANNA, b"", JOBS)
    for _ in range(12):
        say(publisher, b"k")
    assert numbers(ask(publisher, ANNA)) == [1, 2, 3, 4, 5]
    assert numbers(ask(publisher, ANNA, 5)) == [6, 7, 8, 9, 10]
    assert numbers(ask(publisher, ANNA, 10)) == [11, 12]


def test_a_reply_carries_so_many_bytes_and_no_more() -> None:
    publisher = publisher_of(PublisherLimits(reply_bytes_max=1000))
    publisher.subscribe(ANNA, b"", JOBS)
    for _ in range(4):
        say(publisher, b"k", "x" * 300)
    assert numbers(ask(publisher, ANNA)) == [1, 2, 3]
    say(publisher, b"k", "x" * 1000)
    assert numbers(ask(publisher, ANNA, 3)) == [4], "what fits into no reply is left out"


def test_the_oldest_of_a_bounded_channel_are_dropped_and_the_newest_never() -> None:
    publisher = publisher_of(PublisherLimits(topic_bytes_max=1000))
    publisher.subscribe(ANNA, b"", ERRORS)
    for _ in range(6):
        say(publisher, b"k", "x" * 300, ERRORS)
    assert numbers(ask(publisher, ANNA)) == [4, 5, 6]
    say(publisher, b"k", "x" * 3000, ERRORS)
    assert numbers(ask(publisher, ANNA)) == [7]


def test_an_unbounded_channel_keeps_everything() -> None:
    publisher = publisher_of(PublisherLimits(topic_bytes_max=1000))
    publisher.subscribe(ANNA, b"", JOBS)
    for _ in range(6):
        say(publisher, b"k", "x" * 300)
    assert len(numbers(ask(publisher, ANNA))) == 6


def test_what_everyone_has_read_counts_no_more() -> None:
    publisher = publisher_of(PublisherLimits(topic_bytes_max=1000))
    for who in (ANNA, BERT):
        publisher.subscribe(who, b"", ERRORS)
    publisher.subscribe(BERT, b"", ERRORS, b"k")
    for _ in range(3):
        say(publisher, b"k", "x" * 300, ERRORS)
    ask(publisher, ANNA, 3)
    ask(publisher, BERT, 2)
    for _ in range(2):
        say(publisher, b"k", "x" * 300, ERRORS)
    assert numbers(ask(publisher, BERT, 2)) == [3, 4, 5]
    assert numbers(ask(publisher, ANNA, 3)) == [4, 5]


def test_a_waiting_poll_is_not_answered_with_nothing_when_its_letters_were_blanked() -> None:
    publisher = publisher_of(PublisherLimits(topic_bytes_max=1000))
    publisher.subscribe(ANNA, b"", ERRORS, b"k")
    publisher.subscribe(BERT, b"", ERRORS)
    say(publisher, b"k", "x" * 300, ERRORS)
    for _ in range(4):
        say(publisher, b"other", "x" * 300, ERRORS)
    assert ask(publisher, ANNA).reply is None


def test_messages_of_one_change_travel_together(publisher: Publisher[Park]) -> None:
    publisher.subscribe(ANNA, b"", JOBS)
    poll = ask(publisher, ANNA)
    publisher.post(JOBS, b"1", message(b"1"))
    publisher.post(JOBS, b"2", message(b"2"))
    assert poll.reply is None
    publisher.flush()
    assert keys(poll) == [b"1", b"2"]


def test_the_death_of_a_sender_ends_its_subscribers(publisher: Publisher[Park]) -> None:
    node = b"n" * 28
    publisher.subscribe(ANNA, node, JOBS)
    publisher.subscribe(BERT, b"", JOBS)
    poll = ask(publisher, ANNA)
    publisher.drop_sender(node)
    publisher.drop_sender(node)
    assert numbers(poll) == []
    say(publisher, b"k")
    assert ask(publisher, ANNA).reply is None
    assert numbers(ask(publisher, BERT)) == [1]
    publisher.drop_sender(BERT)
    assert ask(publisher, BERT).reply is None


def test_removed_subscribers_leave_nothing_behind(publisher: Publisher[Park]) -> None:
    for key in (b"", b"k", b"l"):
        publisher.subscribe(ANNA, b"s", ERRORS, key)
    say(publisher, b"k", "text", ERRORS)
    publisher.drop_sender(b"s")
    assert len(publisher) == 0
    assert not publisher._topics
    assert not publisher._senders


CLIENTS = {ANNA: b"", BERT: b"1"}


class PublisherAgainstAClient(RuleBasedStateMachine):
    """Clients that lose replies, poll twice, forget to acknowledge, and filter by sequence id as Ray's do."""

    def __init__(self) -> None:
        super().__init__()
        self.publisher = publisher_of(PublisherLimits(batch_messages_max=3))
        self.published: list[tuple[int, bytes]] = []
        self.processed = dict.fromkeys(CLIENTS, 0)
        self.read: dict[bytes, list[tuple[int, bytes]]] = {who: [] for who in CLIENTS}
        self.polls: dict[bytes, Park] = {}
        for who, key in CLIENTS.items():
            self.publisher.subscribe(who, b"", JOBS, key)

    @rule(key=st.sampled_from([b"1", b"2"]), count=st.integers(1, 5))
    def publish(self, key: bytes, count: int) -> None:
        for _ in range(count):
            self.publisher.post(JOBS, key, message(key))
            self.published.append((self.publisher.sequence_id, key))
        self.publisher.flush()

    @rule(who=st.sampled_from(sorted(CLIENTS)), quoting=st.sampled_from([OURS, OURS, OURS, b"", b"x" * 28]))
    def poll(self, who: bytes, quoting: bytes) -> None:
        self.polls[who] = ask(self.publisher, who, self.processed[who], quoting)

    @rule(who=st.sampled_from(sorted(CLIENTS)))
    def receive(self, who: bytes) -> None:
        park = self.polls.pop(who, None)
        if park is None or park.reply is None:
            return
        arrived = [(each.sequence_id, each.key_id) for each in park.reply.pub_messages]
        assert arrived == sorted(arrived)
        for number, key in arrived:
            if number > self.processed[who]:
                self.read[who].append((number, key))
                self.processed[who] = number

    @rule(who=st.sampled_from(sorted(CLIENTS)))
    def lose_the_reply(self, who: bytes) -> None:
        self.polls.pop(who, None)

    @rule(who=st.sampled_from(sorted(CLIENTS)))
    def read_everything(self, who: bytes) -> None:
        for _ in range(len(self.published) // 3 + 2):
            self.poll(who, OURS)
            self.receive(who)
        assert self.read[who] == list(self._meant_for(who))

    @invariant()
    def each_client_read_a_prefix_of_what_was_meant_for_it(self) -> None:
        for who, read in self.read.items():
            assert read == list(self._meant_for(who))[: len(read)]

    def _meant_for(self, who: bytes) -> Iterator[tuple[int, bytes]]:
        return (each for each in self.published if CLIENTS[who] in (b"", each[1]))


PublisherAgainstAClient.TestCase.settings = settings(max_examples=100, deadline=None)
TestPublisherAgainstAClient = PublisherAgainstAClient.TestCase


def test_10_000_parked_polls_are_cheap(publisher: Publisher[Park]) -> None:
    ids = [random.Random(number).randbytes(28) for number in range(2000)]
    tracemalloc.start()
    for who in ids:
        publisher.subscribe(who, b"", JOBS, b"key" + who)
        publisher.poll(who, 0, OURS, Park)
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert size / len(ids) < 1500
