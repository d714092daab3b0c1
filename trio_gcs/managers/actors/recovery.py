"""Start from what the store knows: which actors go on, which are over, and which workers are in use.

An actor goes on if it is not finally dead and what it hangs on is not over: its job, or the detached actor that
started it. Where its creation stood does not matter much: a worker that was granted is pushed to again, and an actor
without one is placed anew, once the raylet has let go of what the last daemon may have asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from trio_gcs.generated.ray.gcs_pb2 import ActorTableData
from trio_gcs.ids import ActorID, is_nil
from trio_gcs.managers.actors.attempts import Attempts
from trio_gcs.managers.actors.book import Book
from trio_gcs.managers.actors.budget import is_restartable
from trio_gcs.managers.actors.deaths import not_loadable
from trio_gcs.managers.actors.peers import Nodes
from trio_gcs.managers.actors.releases import Releases
from trio_gcs.managers.actors.rows import accepts, has_worker, moved
from trio_gcs.managers.actors.states import Input
from trio_gcs.store.ledger import Change


def recover(
    change: Change,
    book: Book,
    attempts: Attempts,
    releases: Releases,
    nodes: Nodes,
    *,
    now_ms: int,
    is_job_alive: Callable[[bytes], bool],
) -> None:
    """Sort the stored actors, resume those that go on, and tell every raylet which of its workers are in use."""
    rows = list(book.actors.items())
    over = [row for actor_id, row in rows if not _goes_on(actor_id, row, book, is_job_alive)]
    for row in sorted((_dead(row, now_ms) for row in over), key=lambda row: row.timestamp):
        change.put(book.actors, row.actor_id, row)
        book.bury(change, row)
    for actor_id in [actor_id for actor_id in book.specs if actor_id not in book.actors]:
        change.delete(book.specs, actor_id)
    used: dict[bytes, list[bytes]] = defaultdict(list)
    for row in [book.actors[actor_id] for actor_id in book.specs]:
        if has_worker(row):
            used[row.address.node_id].append(row.address.worker_id)
        if accepts(row, Input.PLACE):
            _resume(change, book, attempts, row)
    for node_id in nodes.alive_ids():
        releases.begin(change, node_id, used[node_id])


def _goes_on(actor_id: bytes, row: ActorTableData, book: Book, is_job_alive: Callable[[bytes], bool]) -> bool:
    spec = book.specs.get(actor_id)
    if spec is None or (row.state == ActorTableData.DEAD and not is_restartable(row)):
        return False
    root = spec.root_detached_actor_id
    if is_nil(root):
        return is_job_alive(ActorID(actor_id).job_id)
    above = row if root == actor_id else book.actors.get(root)
    return above is not None and (above is row or above.state != ActorTableData.DEAD)


def _dead(row: ActorTableData, now_ms: int) -> ActorTableData:
    if row.state == ActorTableData.DEAD:
        return row
    dead = moved(row, Input.DESTROY)
    dead.timestamp = dead.end_time = now_ms
    dead.death_cause.CopyFrom(not_loadable(row))
    return dead


def _resume(change: Change, book: Book, attempts: Attempts, row: ActorTableData) -> None:
    if has_worker(row):
        attempts.push(change, row)
        return
    anew = moved(row, Input.PLACE)
    attempts.place(change, anew, book.specs[row.actor_id])
    change.put(book.actors, row.actor_id, anew)
