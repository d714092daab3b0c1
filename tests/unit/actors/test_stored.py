"""What of an actor's row is stored, so that the next server, ours or stock Ray's, may go on from it."""

from __future__ import annotations

import pytest

from tests.fakes.actor_world import OWNER, address
from trio_gcs.generated.ray.common_pb2 import Address
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.managers.actors.book import stored

PENDING, ALIVE, RESTARTING, DEAD = (
    ActorTableData.PENDING_CREATION,
    ActorTableData.ALIVE,
    ActorTableData.RESTARTING,
    ActorTableData.DEAD,
)
CHOSEN = Address(node_id=b"n" * 28, worker_id=b"\xff" * 28)
GRANTED = address(1, 100)


@pytest.mark.parametrize(
    ("state", "at", "is_kept"),
    [
        (PENDING, CHOSEN, False),
        (RESTARTING, CHOSEN, False),
        (PENDING, Address(node_id=b"n" * 28), False),
        (PENDING, GRANTED, True),
        (RESTARTING, GRANTED, True),
        (ALIVE, GRANTED, True),
        (DEAD, CHOSEN, True),
    ],
)
def test_only_an_actor_with_a_worker_is_stored_as_being_somewhere(state: int, at: Address, is_kept: bool) -> None:
    row = ActorTableData(actor_id=b"a" * 16, state=state, address=at, owner_address=OWNER, num_restarts=3)
    there = ActorTableData.FromString(stored(row))
    assert there.address == (at if is_kept else Address())
    assert there.HasField("address")
    assert row.address == at
    there.address.CopyFrom(at)
    assert there == row
