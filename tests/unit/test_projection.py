"""What subscribers of Ray's pubsub are sent for each event, to the field."""

from __future__ import annotations

import pytest

from trio_gcs.events import domain
from trio_gcs.events.projection import project
from trio_gcs.generated.ray import pubsub_pb2 as pubsub
from trio_gcs.generated.ray.common_pb2 import Address, NodeDeathInfo, TaskSpec
from trio_gcs.generated.ray.gcs_pb2 import (
    ActorTableData,
    ErrorTableData,
    GcsNodeAddressAndLiveness,
    GcsNodeInfo,
    JobTableData,
    WorkerDeltaData,
    WorkerTableData,
)
from trio_gcs.generated.ray.pubsub_pb2 import PubMessage

NODE, WORKER, ACTOR, JOB = b"n" * 28, b"w" * 28, b"a" * 16, b"j" * 4


def record() -> GcsNodeInfo:
    return GcsNodeInfo(
        node_id=NODE, node_manager_address="10.0.0.1", node_manager_port=1, object_manager_port=2, labels={"k": "v"}
    )


def test_a_node_that_registered_is_published_whole_and_then_in_little() -> None:
    little = GcsNodeAddressAndLiveness(
        node_id=NODE,
        node_manager_address="10.0.0.1",
        node_manager_port=1,
        object_manager_port=2,
        death_info=NodeDeathInfo(),
    )
    whole, liveness = project(domain.NodeRegistered(record()))
    assert whole.message == PubMessage(
        channel_type=pubsub.GCS_NODE_INFO_CHANNEL, key_id=NODE, node_info_message=record()
    )
    assert liveness.message == PubMessage(
        channel_type=pubsub.GCS_NODE_ADDRESS_AND_LIVENESS_CHANNEL,
        key_id=NODE,
        node_address_and_liveness_message=little,
    )
    assert liveness.message.node_address_and_liveness_message.HasField("death_info")


def test_a_node_that_died_is_published_as_what_changed() -> None:
    death = NodeDeathInfo(reason=NodeDeathInfo.EXPECTED_TERMINATION, reason_message="bye")
    last = record()
    last.state, last.end_time_ms = GcsNodeInfo.DEAD, 9
    last.death_info.CopyFrom(death)
    delta, liveness = project(domain.NodeDied(last))
    assert delta.message.node_info_message == GcsNodeInfo(
        node_id=NODE, state=GcsNodeInfo.DEAD, end_time_ms=9, death_info=death
    )
    assert liveness.message.node_address_and_liveness_message == GcsNodeAddressAndLiveness(
        node_id=NODE, state=GcsNodeInfo.DEAD, death_info=death
    )


def test_a_node_without_an_id_is_published_under_the_nil_one() -> None:
    assert {published.key_id for published in project(domain.NodeRegistered(GcsNodeInfo()))} == {b"\xff" * 28}


def test_the_death_of_a_worker_says_who_and_where() -> None:
    worker = WorkerTableData(worker_address=Address(node_id=NODE, worker_id=WORKER), pid=7)
    (published,) = project(domain.WorkerDied(worker))
    assert published.message == PubMessage(
        channel_type=pubsub.GCS_WORKER_DELTA_CHANNEL,
        key_id=WORKER,
        worker_delta_message=WorkerDeltaData(node_id=NODE, worker_id=WORKER),
    )


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("kind", [domain.JobAdded, domain.JobFinished])
def test_a_job_is_published_whole_each_time(kind: type[domain.JobAdded | domain.JobFinished], again: bool) -> None:
    job = JobTableData(job_id=JOB, start_time=5)
    (published,) = project(kind(job, again=again))
    assert published.message == PubMessage(channel_type=pubsub.GCS_JOB_CHANNEL, key_id=JOB, job_message=job)


def test_an_actor_is_published_whole_twice_and_then_as_deltas_under_its_id() -> None:
    whole, delta = ActorTableData(actor_id=ACTOR, class_name="C"), ActorTableData(pid=3)
    events = [
        domain.ActorRegistered(whole, TaskSpec()),
        domain.ActorPending(whole),
        domain.ActorMoved(whole, delta),
    ]
    published = [one for event in events for one in project(event)]
    assert [one.message.actor_message for one in published] == [whole, whole, delta]
    assert {(one.channel_type, one.key_id) for one in published} == {(pubsub.GCS_ACTOR_CHANNEL, ACTOR)}


def test_an_error_is_published_under_the_key_that_it_names() -> None:
    error = ErrorTableData(job_id=JOB, type="node_removed", timestamp=1.0)
    (published,) = project(domain.ErrorRaised(b"hex", error))
    assert published.message == PubMessage(
        channel_type=pubsub.RAY_ERROR_INFO_CHANNEL, key_id=b"hex", error_info_message=error
    )


def test_every_message_carries_its_channel_and_key_and_no_number_yet() -> None:
    for published in [*project(domain.NodeRegistered(record())), *project(domain.ErrorRaised(b"k", ErrorTableData()))]:
        message = published.message
        assert (message.channel_type, message.key_id) == (published.channel_type, published.key_id)
        assert message.sequence_id == 0


def test_what_is_not_for_subscribers_is_published_to_nobody() -> None:
    assert project(domain.NodeAdded(record())) == []
    assert project(domain.NodeDraining(NODE, 1)) == []
