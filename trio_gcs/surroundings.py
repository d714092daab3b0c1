"""What a daemon takes from outside and cannot be told beforehand: the time, dice, and connections to those it calls.

A simulation puts its own in here, and so makes a daemon of which every run can be repeated.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random, SystemRandom

from trio_gcs.config import wall_clock_ms
from trio_gcs.rpc.peers import OpenChannel


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The world around one daemon. ``open_channel`` None is TCP."""

    clock: Callable[[], int] = wall_clock_ms
    rng: Random = field(default_factory=SystemRandom)
    random_bytes: Callable[[int], bytes] = os.urandom
    open_channel: OpenChannel | None = None
