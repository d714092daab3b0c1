"""What clients asked for and what they were told, and whether what is there later can be true.

Each subject (a key, a node, a job) belongs to one client, which asks one thing after the other. So what may be there is
what was acknowledged last, or what was asked for since and never answered; nothing else, and nothing in between.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

import trio

Subject = tuple[str, Hashable]


class Wrong(AssertionError):
    """What is there cannot be there."""


@dataclass
class _Known:
    certain: object = None
    possible: list[object] = field(default_factory=list)


class History:
    """Of one store, over all lives of the daemon on it."""

    def __init__(self) -> None:
        self.acknowledged_count = 0
        self.unanswered_count = 0
        self._known: dict[Subject, _Known] = {}
        self._numbers: list[int] = []
        self._identity: bytes | None = None
        self._revisions: dict[str, int] = {}
        self._news = trio.Event()

    def asked(self, subject: Subject, value: object) -> None:
        """A client asks that the subject have this value, None for no value."""
        self._known.setdefault(subject, _Known()).possible.append(value)
        self.unanswered_count += 1

    def told(self, subject: Subject, value: object) -> None:
        """It was told that this is done."""
        known = self._known[subject]
        known.certain, known.possible = value, []
        self.unanswered_count -= 1
        self.acknowledged_count += 1
        self._news.set()

    async def at_least(self, count: int) -> None:
        """Wait until so many writes were acknowledged."""
        while self.acknowledged_count < count:
            self._news = trio.Event()
            await self._news.wait()

    @property
    def there(self) -> set[Subject]:
        """The subjects that are known to be there."""
        return {subject for subject, known in self._known.items() if known.certain is not None}

    def certain(self, subject: Subject) -> object:
        """What is known to be there."""
        known = self._known.get(subject)
        return None if known is None else known.certain

    def numbered(self, number: int) -> None:
        """A client was given a job number. Numbers grow over all lives; within one, clients race."""
        if number in self._numbers:
            raise Wrong(f"job number {number} was given twice")
        self._numbers.append(number)

    @property
    def number_max(self) -> int:
        """The highest job number so far."""
        return max(self._numbers, default=0)

    def found(self, there: Mapping[Subject, object]) -> None:
        """Check all that is there, as one reading after a restart; from now on it is certain."""
        for subject, known in self._known.items():
            value = there.get(subject)
            if value != known.certain and value not in known.possible:
                raise Wrong(
                    f"{subject} is {_short(value)}, not {_short(known.certain)} nor one of {len(known.possible)}"
                )
            self.unanswered_count -= len(known.possible)
            known.certain, known.possible = value, []
        for subject in there.keys() - self._known.keys():
            raise Wrong(f"{subject} is there, but nobody asked for it")

    def identified(self, cluster_id: bytes) -> None:
        """Check that the cluster is still the same."""
        if self._identity not in {None, cluster_id}:
            raise Wrong("the cluster has another id")
        self._identity = cluster_id

    def at_revision(self, lane: str, revision: int) -> None:
        """Check that the store has not gone back."""
        if revision < self._revisions.get(lane, 0):
            raise Wrong(f"{lane} is back at revision {revision} from {self._revisions[lane]}")
        self._revisions[lane] = revision


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:60]}... ({len(text)} characters)"
