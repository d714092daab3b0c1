"""What holds of actors between any two decisions, whatever happened."""

from __future__ import annotations

from collections import Counter

from tests.fakes.actor_world import ActorWorld
from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.ids import is_nil
from trio_gcs.managers.actors.attempts import Lease
from trio_gcs.managers.actors.budget import is_restartable
from trio_gcs.store.tables import Table

IN_CREATION = {ActorTableData.PENDING_CREATION, ActorTableData.RESTARTING}


def check(world: ActorWorld) -> None:
    manager = world.actors
    book, attempts, partings = manager._book, manager._attempts.table, manager._partings.table
    for table in (book.actors, book.specs, attempts, partings):
        _indexes_agree(table)
    for actor_id, row in book.actors.items():
        registered = actor_id in book.specs
        assert registered or row.state == ActorTableData.DEAD, "what is not registered is dead"
        assert registered or actor_id in book.destroyed, "what is finally dead is remembered"
        in_creation = row.state in IN_CREATION
        attempt = attempts.get(actor_id)
        pending = actor_id in book.actors.find("pending", value=True)
        assert in_creation == (attempt is not None or pending), "only an actor in creation is attempted, or waits"
        assert not (pending and attempt is not None)
        if attempt is not None:
            assert row.address.node_id == attempt.node_id
            assert is_nil(row.address.worker_id) == isinstance(attempt, Lease)
    for actor_id in [*book.specs, *attempts, *book.waiters, *partings]:
        assert actor_id in book.actors
    assert all(actor_id in book.specs for actor_id in [*attempts, *book.waiters, *partings])
    assert not any(is_restartable(row) for row in book.destroyed.values()), "what may come back is registered"
    names = Counter(
        (spec.actor_creation_task_spec.ray_namespace, spec.actor_creation_task_spec.name)
        for spec in book.specs.values()
        if spec.actor_creation_task_spec.name
    )
    assert max(names.values(), default=1) == 1, "a name has one holder"
    workers = Counter(
        (row.address.node_id, row.address.worker_id)
        for row in book.actors.values()
        if row.state in {*IN_CREATION, ActorTableData.ALIVE} and not is_nil(row.address.worker_id)
    )
    assert max(workers.values(), default=1) == 1, "a worker has one actor"


def check_duties(world: ActorWorld) -> None:
    """All is durable: the tasks that run are those that rows owe."""
    manager = world.actors
    for table in (manager._book.specs, manager._attempts.table, manager._partings.table, manager._releases.table):
        owed = {key: set(table._owed(key, row)) for key, row in table.items()}
        running = {key: set(scopes) for key, scopes in table._on_duty.items()}
        assert running == {key: duties for key, duties in owed.items() if duties}


def _indexes_agree(table: Table[object]) -> None:
    for name, values_of in table._indexes.items():
        expected: dict[object, set[bytes]] = {}
        for key, row in table.items():
            for value in values_of(row):
                expected.setdefault(value, set()).add(key)
        assert {value: set(keys) for value, keys in table._found[name].items()} == expected, f"index {name}"
