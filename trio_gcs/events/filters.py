"""What a subscriber wants to hear of. Evaluated here, so that what nobody wants never leaves the daemon."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from trio_gcs.events.entry import KEY, KINDS, UNASKED, Entry, Thing

NAMES_MAX: Final = 1000
"""How many names a filter may list in all: each subscriber's filter is asked about every event."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Sets that are empty let everything through, but for ``kinds``: what follows is what is named. Equal ones share."""

    kinds: frozenset[str] = UNASKED
    ids: frozenset[str] = frozenset()
    jobs: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()

    @classmethod
    def read(
        cls,
        *,
        kinds: Iterable[str] = (),
        ids: Iterable[str] = (),
        jobs: Iterable[str] = (),
        namespaces: Iterable[str] = (),
        states: Iterable[str] = (),
    ) -> Filter:
        """The filter that a client asks for; raises ``ValueError`` if it makes no sense."""
        asked = frozenset(kinds)
        if unknown := sorted(asked.difference(KINDS)):
            raise ValueError(f"there is no kind {unknown[0][:80]!r}: {', '.join(KINDS)} were expected")
        sets = [frozenset(each) for each in (ids, jobs, namespaces, states)]
        if sum(map(len, sets)) > NAMES_MAX:
            raise ValueError(f"a filter may list {NAMES_MAX} names")
        return cls(asked or UNASKED, *sets)

    @property
    def follows_keys(self) -> bool:
        """Whether the keys' ledger is followed at all."""
        return KEY in self.kinds

    def accepts(self, entry: Entry) -> bool:
        """Whether an event is wanted: also that something leaves a state that was asked for."""
        told = entry.told
        return self._fits(told.thing) and (
            not self.states or told.thing.state in self.states or told.was in self.states
        )

    def accepts_row(self, thing: Thing) -> bool:
        """Whether a row of a snapshot is wanted."""
        return self._fits(thing) and (not self.states or thing.state in self.states)

    def _fits(self, thing: Thing) -> bool:
        return (
            thing.kind in self.kinds
            and (not self.jobs or thing.job in self.jobs)
            and (not self.namespaces or thing.namespace in self.namespaces)
            and (not self.ids or thing.id in self.ids)
        )


Accepts = Callable[[Entry], bool]
