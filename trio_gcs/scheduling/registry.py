"""Policies by name: ours, and those of users, which packages announce as entry points of :data:`GROUP`.

A name of ours cannot be taken: who reads "hybrid" in a configuration may rely on what it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from trio_gcs.errors import StartError
from trio_gcs.scheduling.policies import BUILT_IN, Policy

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "trio_gcs.policies"


def policy_named(name: str) -> Policy:
    """The policy of this name. Raises :class:`StartError` where there is none, or where its package is broken."""
    policy = BUILT_IN.get(name)
    if policy is not None:
        return policy
    for entry in _entry_points(name):
        try:
            loaded = entry.load()
        except (ImportError, AttributeError) as error:
            raise StartError(f"the policy {name!r} cannot be loaded from {entry.value}: {error}") from error
        if not callable(loaded):
            raise StartError(f"the policy {name!r} is no function: {entry.value}")
        return cast("Policy", loaded)
    raise StartError(f"there is no policy {name!r}; there are {', '.join(policy_names())}")


def policy_names() -> list[str]:
    """All names that are known, ours first."""
    others = sorted({entry.name for entry in _entry_points()} - set(BUILT_IN))
    return [*BUILT_IN, *others]


def _entry_points(name: str | None = None) -> Iterable[EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - slow to import, and few daemons ask

    return entry_points(group=GROUP) if name is None else entry_points(group=GROUP, name=name)
