"""Resume tokens: of which stores, from which life of the daemon, and how far in it.

``EPOCH-LIFE.REVISION.INDEX``, and for those who follow keys as well ``.REVISION.INDEX`` of the keys' ledger, which has an
order of its own. To clients a token is a text to be handed back; nothing but this module takes one apart.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from trio_gcs.events.entry import Position

_TOKEN: Final = re.compile(
    r"([0-9a-f]{1,64})-([0-9a-f]{1,64})\.(\d{1,19})\.(\d{1,9})(?:\.(\d{1,19})\.(\d{1,9}))?", re.ASCII
)


class Life(NamedTuple):
    """The time from a start of the daemon to its end, on the stores with this epoch."""

    epoch: str
    name: str


class Token(NamedTuple):
    """Everything up to ``tables``, and up to ``keys`` if there is such a position, has been sent."""

    life: Life
    tables: Position
    keys: Position | None = None

    def __str__(self) -> str:
        text = f"{self.life.epoch}-{self.life.name}.{self.tables.revision}.{self.tables.number}"
        return text if self.keys is None else f"{text}.{self.keys.revision}.{self.keys.number}"


def read_token(text: str) -> Token:
    """The token that this text is; raises ``ValueError`` for one that was never given out."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:80]!r} is no token: now, snapshot, or the token of a message was expected")
    epoch, life, revision, index, keys_revision, keys_index = match.groups()
    keys = None if keys_revision is None else Position(int(keys_revision), int(keys_index))
    return Token(Life(epoch, life), Position(int(revision), int(index)), keys)
