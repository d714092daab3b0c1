"""ActorInfoGcsService: each method, as the wire has it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.actor_world import ActorWorld, actor_id, actor_spec
from tests.fakes.asking import ask
from trio_gcs.errors import GcsError, Invalid, NotFound
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.common_pb2 import NamedActorInfo
from trio_gcs.rpc.handlers import Parked
from trio_gcs.services.actors import ActorInfoService

UNREADY, PENDING, ALIVE, RESTARTING, DEAD = range(5)


class Client:
    """Calls the plain functions behind the service's handlers."""

    def __init__(self) -> None:
        self.world = ActorWorld()
        self.service = ActorInfoService(self.world.actors)

    def __getattr__(self, method: str) -> Any:
        def call(**fields: object) -> Any:
            return ask(self.service, method, getattr(pb, f"{method}Request")(**fields))

        return call


@pytest.fixture
def client() -> Client:
    return Client()


def test_an_actor_is_registered_found_and_listed(client: Client) -> None:
    client.RegisterActor(task_spec=actor_spec(1, name="n"))
    assert client.GetActorInfo(actor_id=actor_id(1)).actor_table_data.name == "n"
    named = client.GetNamedActorInfo(name="n", ray_namespace="ns")
    assert named.actor_table_data == client.world.row(1)
    assert named.task_spec == actor_spec(1, name="n")
    assert list(client.ListNamedActors(ray_namespace="ns").named_actors_list) == [
        NamedActorInfo(ray_namespace="ns", name="n")
    ]
    assert not client.ListNamedActors(ray_namespace="other").named_actors_list
    assert client.ListNamedActors(ray_namespace="other", all_namespaces=True).named_actors_list
    every = client.GetAllActorInfo()
    assert ([row.actor_id for row in every.actor_table_data], every.total, every.num_filtered) == ([actor_id(1)], 1, 0)
    assert client.GetAllActorInfo(filters={"state": DEAD}, show_dead_jobs=True).num_filtered == 1
    assert client.GetAllActorInfo(limit=0).total == 1


@pytest.mark.parametrize("unknown", [b"", b"\xff" * 16, actor_id(9)])
def test_an_actor_that_nobody_knows_is_an_absent_field(client: Client, unknown: bytes) -> None:
    assert not client.GetActorInfo(actor_id=unknown).HasField("actor_table_data")


def test_a_name_that_nobody_has_is_not_found(client: Client) -> None:
    with pytest.raises(NotFound, match=r"^Actor with name 'n' was not found\.$"):
        client.GetNamedActorInfo(name="n", ray_namespace="ns")


def test_creating_is_a_promise_until_the_actor_is_dead_or_alive(client: Client) -> None:
    client.RegisterActor(task_spec=actor_spec(1))
    parked = client.CreateActor(task_spec=actor_spec(1))
    assert isinstance(parked, Parked)
    assert not parked.gone
    client.KillActorViaGcs(actor_id=actor_id(1), no_restart=True)
    assert parked.gone
    with pytest.raises(Invalid):
        client.CreateActor(task_spec=actor_spec(1))


def test_a_report_about_nobody_is_fine_and_the_rest_is_refused(client: Client) -> None:
    client.ReportActorOutOfScope(actor_id=actor_id(1))
    with pytest.raises(NotFound):
        client.KillActorViaGcs(actor_id=actor_id(1))
    with pytest.raises(Invalid, match="permanently dead"):
        client.RestartActorForLineageReconstruction(actor_id=actor_id(1))


@pytest.mark.parametrize(
    "method", ["GetActorInfo", "KillActorViaGcs", "ReportActorOutOfScope", "RestartActorForLineageReconstruction"]
)
def test_an_id_of_another_length_is_refused(client: Client, method: str) -> None:
    with pytest.raises(Invalid):
        getattr(client, method)(actor_id=b"abc")


@pytest.mark.parametrize("method", ["RegisterActor", "CreateActor"])
def test_a_request_about_no_actor_is_refused(client: Client, method: str) -> None:
    with pytest.raises(GcsError):
        getattr(client, method)()


def test_going_out_of_scope_and_back_reaches_the_actor(client: Client) -> None:
    client.RegisterActor(task_spec=actor_spec(1, max_restarts=1))
    client.ReportActorOutOfScope(actor_id=actor_id(1))
    assert client.world.state() == DEAD
    client.RestartActorForLineageReconstruction(actor_id=actor_id(1), num_restarts_due_to_lineage_reconstruction=1)
    assert client.world.state() == RESTARTING
