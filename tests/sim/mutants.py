"""Rules of the daemon, broken one at a time: a simulation that does not notice them tests nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from trio_gcs.events.publisher import Publisher
from trio_gcs.managers.actors import budget, lives
from trio_gcs.managers.actors.attempts import Attempts
from trio_gcs.managers.actors.creation import Creation
from trio_gcs.managers.actors.manager import ActorManager
from trio_gcs.managers.actors.releases import Releases as WorkerReleases
from trio_gcs.managers.placement_groups.manager import PlacementGroupManager
from trio_gcs.managers.placement_groups.releases import Releases as BundleReleases
from trio_gcs.store.ledger import Ledger
from trio_gcs.store.witness import Witness


class Mutant(NamedTuple):
    """``broken`` takes the place of an attribute of ``owner``."""

    owner: Any
    name: str
    broken: Any


def nothing(*_: object, **__: object) -> None:
    """Do nothing, where something should be done."""


def _publish_early(accept: Callable[..., None]) -> Callable[..., None]:
    def broken(ledger: Ledger, change: Any) -> None:
        ledger._publish(change.revision, change.events)
        accept(ledger, change)

    return broken


def _forget_some(post: Callable[..., None]) -> Callable[..., None]:
    def broken(publisher: Any, channel: int, key: bytes, message: Any) -> None:
        if hash(key) % 3:
            post(publisher, channel, key, message)

    return broken


MUTANTS = {
    "what is not durable is published": Mutant(Ledger, "_accept", _publish_early(Ledger._accept)),
    "replies wait for nothing": Mutant(Witness, "unsettled", nothing),
    "late workers stay": Mutant(Creation, "_send_away", nothing),
    "no second try": Mutant(Attempts, "repeat", nothing),
    "budgets have no end": Mutant(lives, "may_restart", lambda row: True),
    "actors outlive their node": Mutant(ActorManager, "lose_node", nothing),
    "actors outlive their worker": Mutant(ActorManager, "lose_worker", nothing),
    "unused workers stay after a restart": Mutant(WorkerReleases, "begin", nothing),
    "bundles are not given back": Mutant(BundleReleases, "owe", nothing),
    "groups outlive their node": Mutant(PlacementGroupManager, "lose_node", nothing),
    "subscribers miss something": Mutant(Publisher, "post", _forget_some(Publisher.post)),
}
assert budget.may_restart is lives.may_restart, "the mutant replaces the name that is looked up"


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """Break one rule for the length of a block."""
    before = mutant.owner.__dict__[mutant.name]
    setattr(mutant.owner, mutant.name, mutant.broken)
    try:
        yield
    finally:
        setattr(mutant.owner, mutant.name, before)
