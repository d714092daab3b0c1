"""python -m tests.sim --seed N --count M: runs seeds in as many processes as there are cores."""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

import structlog

from tests.sim.run import run_seed


def logs_off() -> None:
    """In processes that run nothing but seeds: the story of a seed is its log."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets are walked in the same order, in every process
        os.execve(
            sys.executable, [sys.executable, "-m", "tests.sim", *sys.argv[1:]], {**os.environ, "PYTHONHASHSEED": "0"}
        )
    began = time.perf_counter()
    seeds = range(chosen.seed, chosen.seed + chosen.count)
    hit: Counter[str] = Counter()
    failed, lives, checks = [], 0, 0
    logs_off()
    with ProcessPoolExecutor(max_workers=min(chosen.jobs, chosen.count), initializer=logs_off) as pool:
        for outcome in pool.map(run_seed, seeds, chunksize=4 if chosen.count > 20 else 1):
            hit.update(outcome.hit)
            lives += outcome.lives
            checks += outcome.checks
            if outcome.what:
                failed.append(outcome)
                print(outcome if len(failed) == 1 else f"seed {outcome.seed}: {outcome.what}", flush=True)
            elif chosen.count == 1:
                print("\n".join(outcome.story))
    spent_s = time.perf_counter() - began
    print(
        f"{chosen.count} seeds in {spent_s:.1f} s: {len(failed)} failed; {lives} daemons, {checks} checks, {dict(hit)}"
    )
    for outcome in failed:
        print(f"  {outcome.command}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
