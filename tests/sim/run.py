"""Runs one seed, the same way each time, and tells the story of one that failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import trio
import trio.testing

from tests.sim.cluster import TROUBLE_S, Cluster


@dataclass(frozen=True)
class Outcome:
    """What came of a seed. ``what`` is empty where all went well; ``history`` tells runs apart."""

    seed: int
    what: str
    story: tuple[str, ...]
    hit: Counter[str]
    lives: int
    checks: int
    commits: int

    @property
    def command(self) -> str:
        return f"make sim SEED={self.seed}"

    def __str__(self) -> str:
        return "\n".join([*self.story, f"seed {self.seed}: {self.what}", f"again: {self.command}"])


def run_seed(seed: int, *, trouble_s: int = TROUBLE_S) -> Outcome:
    """Run a seed to its end, or to the first promise that is broken."""
    # Trio shuffles tasks by dice of its own; the second name makes it begin from an order that is the same each time.
    trio._core._run._r.seed(seed)
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True
    box: list[Cluster] = []

    async def main() -> None:
        box.append(Cluster(seed, trouble_s=trouble_s))
        await box[0].run()

    what = ""
    try:
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    except* BaseException as errors:  # noqa: ASYNC103  # whatever it is, it is what came of this seed
        if errors.subgroup(KeyboardInterrupt) is not None:
            raise
        what = _first_words(errors)
    finally:
        trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = False
    cluster = box[0]
    return Outcome(
        seed,
        what,
        tuple(cluster.faults.told),
        cluster.faults.hit,
        cluster.lives,
        cluster.safety.checks,
        cluster.disk.commits,
    )


def _first_words(error: BaseException) -> str:
    """The innermost errors of a tree of groups, one a line, with the place where each was raised."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(dict.fromkeys(map(_first_words, error.exceptions)))
    trace = error.__traceback__
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rsplit('/main/', 1)[-1]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__}: {error} [{' < '.join(places[-3:][::-1])}]"
