"""A claim is a function of a server; it holds if the function sees the same on stock Ray's server and on ours.

    @holds()
    def test_a_missing_key_is_not_found(gcs):
        gcs.kv.InternalKVGet(key=b"missing")

Both runs go on at the same time. Claims share servers when they need the same configuration, so each uses ids of its
own; one that looks at what a server has in all asks for fresh ones. Where stock's server crashes, hangs or forgets,
``ours`` states what trio-gcs does instead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.differential.gcs import Gcs, difference
from tests.differential.servers import Pair, Server, Setup

Scenario = Callable[[Gcs], None]


class Run(threading.Thread):
    """One scenario on one server."""

    def __init__(self, scenario: Scenario, server: Server, case: str) -> None:
        super().__init__(name=f"{case} on {server.name}")
        self.server = server
        self.observations: list[str] = []
        self.error: Exception | None = None
        self._scenario, self._case = scenario, case

    def run(self) -> None:
        try:
            with ExitStack() as stack:
                gcs = Gcs(self.server, self._case, stack)
                self.observations = gcs.observations
                try:
                    self._scenario(gcs)
                finally:
                    gcs.settle()
        except Exception as error:  # noqa: BLE001 - it is told in the thread of the test
            self.error = error


def holds(*, fresh: bool = False, token: bool = False, **config: object) -> Callable[[Scenario], Scenario]:
    """Hold what the function sees on both servers against each other; ``config`` is Ray's, by its own names."""

    def decorate(scenario: Scenario) -> Scenario:
        def test(pairs: Pairs, request: pytest.FixtureRequest) -> None:
            pair = pairs.get(Setup.of(config, token=token), fresh=fresh)
            runs = [Run(scenario, server, request.node.name) for server in pair.servers]
            for run in runs:
                run.start()
            for run in runs:
                run.join()
            _compare(*runs)

        test.__doc__ = scenario.__doc__
        test.__name__ = scenario.__name__
        return test

    return decorate


def ours(*, fresh: bool = False, token: bool = False, **config: object) -> Callable[[Scenario], Scenario]:
    """Run the function on trio-gcs only, with what it asserts itself."""

    def decorate(scenario: Scenario) -> Scenario:
        def test(pairs: Pairs, request: pytest.FixtureRequest) -> None:
            pair = pairs.get(Setup.of(config, token=token), fresh=fresh)
            run = Run(scenario, pair.ours, request.node.name)
            run.run()
            if run.error is not None:
                raise run.error
            assert pair.ours.is_running

        test.__doc__ = scenario.__doc__
        test.__name__ = scenario.__name__
        return test

    return decorate


def _compare(stock: Run, ours: Run) -> None:
    told = difference(stock.observations, ours.observations)
    for run in (stock, ours):
        if not run.server.is_running:
            told += f"\n{run.server.name} is dead:\n{run.server.last_words()}"
        if run.error is not None:
            told += f"\non {run.server.name}: {run.error!r}"
    if told:
        error = ours.error or stock.error
        pytest.fail(told, pytrace=False) if error is None else pytest.fail(f"{told}\n{_where(error)}", pytrace=False)
    assert stock.observations, "a claim sees something"


def _where(error: Exception) -> str:
    trace = error.__traceback__
    lines = []
    while trace is not None:
        lines.append(f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}")
        trace = trace.tb_next
    return "\n".join(lines)


class Pairs:
    """The servers that run: one pair for each setup that was asked for, and one for each claim that wants its own."""

    def __init__(self) -> None:
        self._shared: dict[Setup, Pair] = {}
        self._fresh: list[Pair] = []
        self._spare: Pair | None = None  # of the usual setup, so that nobody waits for its start

    def get(self, setup: Setup, *, fresh: bool) -> Pair:
        pair = self._fresh_pair(setup) if fresh else self._shared_pair(setup)
        if pair.is_running:
            pair.wait_until_it_listens()
        return pair

    def _fresh_pair(self, setup: Setup) -> Pair:
        usual = Setup.of({})
        if setup == usual and self._spare is not None:
            pair, self._spare = self._spare, Pair(usual)
        else:
            pair = Pair(setup)
            self._spare = self._spare or Pair(usual)
        self._fresh.append(pair)
        return pair

    def _shared_pair(self, setup: Setup) -> Pair:
        pair = self._shared.get(setup)
        if pair is not None and not pair.is_running:
            self._shared.pop(setup).stop()
        if setup not in self._shared:
            self._shared[setup] = Pair(setup)
        return self._shared[setup]

    def stop_fresh(self) -> None:
        while self._fresh:
            self._fresh.pop().stop()

    def stop(self) -> None:
        self.stop_fresh()
        for pair in (*self._shared.values(), self._spare):
            if pair is not None:
                pair.stop()
