"""Both pubsub services: who gets what, how often, and until when."""

from __future__ import annotations

import os
import time

from tests.differential.claims import holds, ours

ERRORS, LOGS, USAGE = 6, 7, 8


def sequence(gcs, messages) -> str:
    """Keys, and sequence ids less the first."""
    first = messages[0].sequence_id if messages else 0
    return str([(message.channel_type, bytes(message.key_id), message.sequence_id - first) for message in messages])


def publish(gcs, *keys: bytes, channel: int = LOGS) -> None:
    inner = {LOGS: "log_batch_message", ERRORS: "error_info_message", USAGE: "node_resource_usage_message"}[channel]
    gcs.observability.GcsPublish.quiet(
        pub_messages=[{"channel_type": channel, "key_id": key, inner: {}} for key in keys]
    )


def subscribe(gcs, subscriber_id: bytes, channel: int = LOGS, key: bytes = b"", **fields) -> None:
    gcs.observability.GcsSubscriberCommandBatch.quiet(
        subscriber_id=subscriber_id,
        commands=[{"channel_type": channel, "key_id": key, "subscribe_message": {}}],
        **fields,
    )


@holds()
def test_what_clients_publish_arrives_as_it_was(gcs):
    subscriber = gcs.subscriber(service="observability")
    key = gcs.id("key", 9)
    gcs.observability.GcsPublish(
        pub_messages=[
            {
                "channel_type": ERRORS,
                "key_id": key,
                "error_info_message": {"job_id": b"1234", "type": "t", "error_message": "«m»", "timestamp": 5.0},
            },
            {
                "channel_type": LOGS,
                "key_id": key,
                "log_batch_message": {"ip": "1.2.3.4", "lines": ["a", "b"], "is_error": True, "pid": "5"},
            },
            {"channel_type": USAGE, "key_id": key, "node_resource_usage_message": {"json": "{}"}},
        ]
    )
    subscriber.take(3)
    gcs.observability.GcsPublish()


@holds()
def test_a_message_without_content_has_a_number_but_is_sent_to_nobody(gcs):
    subscriber_id = os.urandom(28)
    subscribe(gcs, subscriber_id)
    poll = gcs.observability.GcsSubscriberPoll.start(subscriber_id=subscriber_id)
    empty = {"channel_type": LOGS, "key_id": b"empty"}
    gcs.observability.GcsPublish(pub_messages=[empty])
    time.sleep(0.15)
    gcs.note(f"over: {poll.is_over}")
    publish(gcs, b"1")
    gcs.note(sequence(gcs, poll.result(show=False).pub_messages))
    gcs.observability.GcsPublish(pub_messages=[empty])
    publish(gcs, b"2")
    reply = gcs.observability.GcsSubscriberPoll.quiet(subscriber_id=subscriber_id)
    gcs.note(sequence(gcs, reply.pub_messages))


@holds()
def test_a_job_error_is_published_under_its_job_in_hex(gcs):
    subscriber = gcs.subscriber(ERRORS, service="observability")
    job_id = gcs.job_id("job")
    gcs.observability.ReportJobError(
        job_error={"job_id": job_id, "type": "t", "error_message": "«m»", "timestamp": 5.0}
    )
    subscriber.take(1)
    for wrong in (b"", b"abc", b"12345"):
        gcs.observability.ReportJobError(job_error={"job_id": wrong})
    gcs.observability.ReportJobError()


@holds()
def test_channels_belong_to_one_service(gcs):
    for service, channel in (
        ("control", 6),
        ("control", 7),
        ("observability", 2),
        ("observability", 9),
        ("control", 0),
    ):
        call = getattr(gcs, service).GcsSubscriberCommandBatch
        call(subscriber_id=os.urandom(28), commands=[{"channel_type": channel, "subscribe_message": {}}])
        call(subscriber_id=os.urandom(28), commands=[{"channel_type": channel, "unsubscribe_message": {}}])
    for channel in (77, -1):
        gcs.control.GcsSubscriberCommandBatch(
            subscriber_id=os.urandom(28), commands=[{"channel_type": channel, "subscribe_message": {}}]
        )


@holds()
def test_a_channel_of_another_service_may_be_unsubscribed_from(gcs):
    for channel in (2, 77):
        gcs.observability.GcsSubscriberCommandBatch(
            subscriber_id=os.urandom(28), commands=[{"channel_type": channel, "unsubscribe_message": {}}]
        )


@holds()
def test_a_command_without_a_verb_is_refused_and_those_before_it_stay(gcs):
    subscriber_id = os.urandom(28)
    gcs.observability.GcsSubscriberCommandBatch(
        subscriber_id=subscriber_id,
        commands=[{"channel_type": LOGS, "subscribe_message": {}}, {"channel_type": LOGS}],
    )
    publish(gcs, b"k")
    gcs.note(sequence(gcs, gcs.observability.GcsSubscriberPoll.quiet(subscriber_id=subscriber_id).pub_messages))
    gcs.observability.GcsSubscriberCommandBatch(subscriber_id=subscriber_id)
    gcs.observability.GcsSubscriberCommandBatch()


@holds(fresh=True)
def test_a_message_comes_again_until_it_is_acknowledged(gcs):
    subscriber_id = os.urandom(28)
    poll = gcs.observability.GcsSubscriberPoll
    subscribe(gcs, subscriber_id)
    publish(gcs, b"1", b"2", b"3")
    reply = poll(subscriber_id=subscriber_id)
    ours_is = reply.publisher_id
    for done, publisher in (
        (0, ours_is),
        (1, ours_is),
        (1, b""),
        (2, b"\xff" * 28),
        (2, b"x" * 28),
        (1, ours_is),
        (2, ours_is),
        (-1, ours_is),
    ):
        reply = poll.quiet(subscriber_id=subscriber_id, max_processed_sequence_id=done, publisher_id=publisher)
        gcs.note(f"{done}: {sequence(gcs, reply.pub_messages)} {reply.pub_messages[0].sequence_id}")
    waiting = poll.start(subscriber_id=subscriber_id, max_processed_sequence_id=99, publisher_id=ours_is)
    time.sleep(0.1)
    gcs.note(f"over: {waiting.is_over}")
    publish(gcs, b"4")
    gcs.note(sequence(gcs, waiting.result(show=False).pub_messages))


@holds()
def test_a_new_poll_releases_the_old_one(gcs):
    subscriber_id = os.urandom(28)
    first = gcs.observability.GcsSubscriberPoll.start(subscriber_id=subscriber_id)
    time.sleep(0.1)
    second = gcs.observability.GcsSubscriberPoll.start(subscriber_id=subscriber_id)
    first.result()
    subscribe(gcs, subscriber_id)
    gcs.note(f"over: {second.is_over}")
    publish(gcs, b"k")
    gcs.note(sequence(gcs, second.result(show=False).pub_messages))


@holds()
def test_keys_and_whole_channels_are_subscribed_to_apart(gcs):
    by_key, whole = os.urandom(28), os.urandom(28)
    subscribe(gcs, by_key, key=b"a")
    subscribe(gcs, by_key, key=b"b")
    subscribe(gcs, by_key, key=b"b")
    subscribe(gcs, whole)
    publish(gcs, b"a", b"c", b"b", b"")
    for subscriber_id in (by_key, whole):
        reply = gcs.observability.GcsSubscriberPoll.quiet(subscriber_id=subscriber_id)
        gcs.note(str([bytes(message.key_id) for message in reply.pub_messages]))


@holds()
def test_unsubscribing_ends_what_comes_but_not_what_came(gcs):
    subscriber_id = os.urandom(28)

    def unsubscribe(key: bytes) -> None:
        gcs.observability.GcsSubscriberCommandBatch(
            subscriber_id=subscriber_id,
            commands=[{"channel_type": LOGS, "key_id": key, "unsubscribe_message": {}}],
        )

    subscribe(gcs, subscriber_id, key=b"a")
    subscribe(gcs, subscriber_id, key=b"b")
    publish(gcs, b"a", b"b")
    unsubscribe(b"a")
    unsubscribe(b"never")
    unsubscribe(b"")
    publish(gcs, b"a", b"b")
    reply = gcs.observability.GcsSubscriberPoll.quiet(subscriber_id=subscriber_id)
    gcs.note(sequence(gcs, reply.pub_messages))
    subscribe(gcs, subscriber_id)
    publish(gcs, b"c")
    unsubscribe(b"")
    publish(gcs, b"d", b"b")
    reply = gcs.observability.GcsSubscriberPoll.quiet(subscriber_id=subscriber_id)
    gcs.note(sequence(gcs, reply.pub_messages))


@holds()
def test_who_polls_before_subscribing_hears_later(gcs):
    subscriber_id = os.urandom(28)
    waiting = gcs.observability.GcsSubscriberPoll.start(subscriber_id=subscriber_id)
    publish(gcs, b"lost")
    subscribe(gcs, subscriber_id, key=b"k")
    publish(gcs, b"k")
    gcs.note(sequence(gcs, waiting.result(show=False).pub_messages))


@holds(publish_batch_size=3)
def test_a_reply_has_only_so_many_messages(gcs):
    subscriber_id = os.urandom(28)
    subscribe(gcs, subscriber_id)
    publish(gcs, *(b"%d" % number for number in range(7)))
    done, publisher_id = 0, b""
    for _ in range(3):
        reply = gcs.observability.GcsSubscriberPoll.quiet(
            subscriber_id=subscriber_id, max_processed_sequence_id=done, publisher_id=publisher_id
        )
        gcs.note(sequence(gcs, reply.pub_messages))
        done, publisher_id = reply.pub_messages[-1].sequence_id, reply.publisher_id


@holds(publisher_entity_buffer_max_bytes=1000)
def test_old_messages_are_dropped_when_they_are_too_much(gcs):
    def tell(key: bytes, size: int, channel: int = LOGS) -> None:
        gcs.observability.GcsPublish.quiet(
            pub_messages=[{"channel_type": channel, "key_id": key, "log_batch_message": {"lines": ["x" * size]}}]
        )

    whole, by_key = os.urandom(28), os.urandom(28)
    subscribe(gcs, whole)
    for key in (b"a", b"b"):
        subscribe(gcs, by_key, key=key)
    for number in range(6):
        tell(b"ab"[number % 2 : number % 2 + 1], 300)
    for subscriber_id in (whole, by_key):
        reply = gcs.observability.GcsSubscriberPoll.quiet(subscriber_id=subscriber_id)
        gcs.note(sequence(gcs, reply.pub_messages))
    tell(b"a", 3000)
    for subscriber_id in (whole, by_key):
        reply = gcs.observability.GcsSubscriberPoll.quiet(subscriber_id=subscriber_id)
        gcs.note(str([(bytes(message.key_id), message.ByteSize()) for message in reply.pub_messages]))


@holds(subscriber_timeout_ms=400)
def test_a_poll_that_waits_for_long_is_answered_empty(gcs):
    subscriber_id = os.urandom(28)
    subscribe(gcs, subscriber_id)
    began_s = time.monotonic()
    gcs.observability.GcsSubscriberPoll(subscriber_id=subscriber_id)
    gcs.note(f"in time: {0.3 < time.monotonic() - began_s < 2}")
    publish(gcs, b"k")
    gcs.note(sequence(gcs, gcs.observability.GcsSubscriberPoll.quiet(subscriber_id=subscriber_id).pub_messages))


@holds(subscriber_timeout_ms=300)
def test_a_subscriber_that_is_silent_for_long_is_forgotten(gcs):
    subscriber_id = os.urandom(28)
    subscribe(gcs, subscriber_id)
    publish(gcs, b"before")
    time.sleep(1.5)
    publish(gcs, b"after")
    reply = gcs.observability.GcsSubscriberPoll.quiet(subscriber_id=subscriber_id)
    gcs.note(sequence(gcs, reply.pub_messages))


@holds()
def test_the_subscriptions_of_a_dead_worker_end_with_it(gcs):
    node = gcs.node("node")
    worker = gcs.worker("worker", node)
    for service, channel in (("control", 3), ("observability", LOGS)):
        first, second = os.urandom(28), os.urandom(28)
        call = getattr(gcs, service)
        for subscriber_id in (first, second):
            call.GcsSubscriberCommandBatch.quiet(
                subscriber_id=subscriber_id,
                sender_id=worker.worker_id,
                commands=[{"channel_type": channel, "subscribe_message": {}}],
            )
        poll = call.GcsSubscriberPoll.start(subscriber_id=first)
        time.sleep(0.05)
        gcs.fail_worker(worker)
        poll.result()
    publish(gcs, b"k")
    late = gcs.observability.GcsSubscriberPoll.start(subscriber_id=second, timeout_s=0.3)
    late.result()


@holds()
def test_a_subscriber_whose_own_id_died_is_forgotten(gcs):
    node = gcs.node("node")
    gcs.control.GcsSubscriberCommandBatch.quiet(
        subscriber_id=node.node_id, commands=[{"channel_type": 3, "subscribe_message": {}}]
    )
    poll = gcs.control.GcsSubscriberPoll.start(subscriber_id=node.node_id)
    time.sleep(0.05)
    gcs.lose_node(node)
    poll.result()


@holds(fresh=True)
def test_sequence_ids_count_over_all_channels_of_a_service(gcs):
    subscriber_id = os.urandom(28)
    for channel in (ERRORS, LOGS, USAGE):
        subscribe(gcs, subscriber_id, channel)
    publish(gcs, b"1")
    publish(gcs, b"2", channel=ERRORS)
    publish(gcs, b"3", channel=USAGE)
    gcs.observability.GcsSubscriberPoll(subscriber_id=subscriber_id)
    other = os.urandom(28)
    gcs.control.GcsSubscriberCommandBatch(subscriber_id=other, commands=[{"channel_type": 3, "subscribe_message": {}}])
    gcs.jobs.AddJob.quiet(data={"job_id": gcs.job_id("job")})
    gcs.control.GcsSubscriberPoll(subscriber_id=other)


@holds(fresh=True)
def test_both_publishers_have_ids_of_their_own(gcs):
    polls = [gcs.control.GcsSubscriberPoll, gcs.observability.GcsSubscriberPoll]
    ids = []
    for poll in polls:
        subscriber_id = os.urandom(28)
        first = poll.start(subscriber_id=subscriber_id)
        time.sleep(0.05)
        second = poll.start(subscriber_id=subscriber_id, timeout_s=0.1)
        ids.append(first.result(show=False).publisher_id)
        second.result()
    gcs.note(f"{[len(each) for each in ids]} {ids[0] != ids[1]}")


@ours()
def test_what_nobody_may_publish_is_refused_and_stock_dies_of_it(gcs):
    for channel in (2, 77):
        assert gcs.observability.GcsPublish(pub_messages=[{"channel_type": channel}]) is None
    numbered = {"channel_type": LOGS, "log_batch_message": {}, "sequence_id": 5}
    assert gcs.observability.GcsPublish(pub_messages=[numbered]) is None
    assert gcs.control.GcsSubscriberPoll(subscriber_id=b"abc") is None
    commands = [{"channel_type": 2, "subscribe_message": {}}]
    assert gcs.control.GcsSubscriberCommandBatch(subscriber_id=b"abc", commands=commands) is None
