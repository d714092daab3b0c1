"""``python -m bench``: run every case on both servers, and write the table of docs/benchmarks.md.

``--quick`` makes a tenth of the calls, to see that everything works. ``--only WORD`` runs the cases whose name has it.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from bench import cases, clusters, durable, followers, groups, parked, puts, raylets
from bench.load import Call, Figure, Shape, c_core, h2load
from bench.servers import Pair, Server, find, running

ROOT = Path(__file__).resolve().parents[1]
SHAPES = (Shape(1, 1), Shape(1, 32), Shape(8, 16))
STARTS = 7
IDLE_S = 10
PARKED = 10_000
FOLLOWERS = 1000
CHANGES_PER_S = 200
FOLLOWING_S = 20
PUTS, PUTS_IN_FLIGHT = 40_000, 256
OURS, STOCK = "trio-gcs", "gcs_server"
Row = tuple[str, str, str, str]


@contextmanager
def both(pair: Pair) -> Iterator[tuple[Server, Server]]:
    """Both servers, running at the same time; each case loads one after the other."""
    with running("trio-gcs", pair.ours) as ours, running("gcs_server", pair.stock) as stock:
        for server in (ours, stock):
            server.cluster_id = cases.cluster_id(server)
        yield ours, stock


def compare(name: str, measure: Callable[[Server], Figure], servers: tuple[Server, Server], rounds: int = 3) -> Row:
    """One row: the medians of ``rounds`` measurements in turn, so that a slow minute of the machine meets both."""
    figures: list[list[Figure]] = [[], []]
    for _ in range(rounds):
        for each, server in zip(figures, servers, strict=True):
            each.append(measure(server))
    (ours, ours_rate), (stock, stock_rate) = (
        (median(figure.cpu_us for figure in each), median(figure.rate for figure in each)) for each in figures
    )
    row = (name, f"{ours:.1f} us, {ours_rate:,.0f}/s", f"{stock:.1f} us, {stock_rate:,.0f}/s", f"{stock / ours:.1f}")
    print(" | ".join(row), flush=True)
    return row


def calls(pair: Pair, only: str, share: float) -> list[Row]:
    """Every RPC in every shape."""
    rows = []
    for case in [*cases.small(), cases.large()]:
        if only not in case.name:
            continue
        requests = max(int(case.requests * share), 50)
        with both(pair) as servers:
            for server in servers:
                case.prepare(server)
            for shape in SHAPES:
                count = requests // 4 if str(shape) == "1x1" else requests
                rows.append(compare(f"{case.name}, h2load {shape}", _loader(case.call, shape, count), servers))
            rows.append(compare(f"{case.name}, C-core client", _c_core(case.call, requests // 6), servers))
    return rows


def large_cluster(pair: Pair, only: str, share: float) -> list[Row]:
    """Lists and reports of thousands, by Ray's own kind of client."""
    wanted = [case for case in clusters.cases() if only in case.name]
    if not wanted:
        return []
    with both(pair) as servers:
        for server in servers:
            cases.register_nodes(server)
        return [
            compare(f"{case.name}, C-core client", _c_core(case.call, int(case.requests * share) // 6), servers)
            for case in wanted
        ]


def placement_groups(pair: Pair, only: str, share: float) -> list[Row]:
    """Groups of one bundle and of many, with simulated raylets over sockets."""
    if only not in "placement groups":
        return []
    rows = []
    for bundles, count in ((1, 2000), (groups.NODE_COUNT, 400)):
        with both(pair) as servers, raylets.running(groups.NODE_COUNT) as ports:
            for server in servers:
                groups.prepare(server, ports)
            name = f"placement groups, {bundles} bundle{'s' if bundles > 1 else ''} each, 2PC over sockets"
            rows.append(compare(name, _groups(bundles, max(int(count * share), 20)), servers))
    return rows


def _groups(bundles: int, count: int) -> Callable[[Server], Figure]:
    return lambda server: groups.figure(server, bundles, count)


def _loader(call: Call, shape: Shape, requests: int) -> Callable[[Server], Figure]:
    return lambda server: h2load(server, call, shape, requests)


def _c_core(call: Call, requests: int) -> Callable[[Server], Figure]:
    return lambda server: c_core(server, call, max(requests, 50))


def whole_process(pair: Pair) -> list[Row]:
    """Start, idling, and what waiting polls cost."""
    rows: list[Row] = []

    def add(name: str, ours: float, stock: float, unit: str) -> None:
        rows.append((name, f"{ours:.3g} {unit}", f"{stock:.3g} {unit}", f"{stock / ours:.2g}" if ours else "-"))
        print(" | ".join(rows[-1]), flush=True)

    starts: list[list[float]] = [[], []]
    for _ in range(STARTS):
        for each, (name, path) in zip(starts, (("trio-gcs", pair.ours), ("gcs_server", pair.stock)), strict=True):
            with running(name, path) as server:
                each.append(server.start_s)
    add("exec to port file", median(starts[0]), median(starts[1]), "s")
    with both(pair) as servers:
        before = [server.cpu_s() for server in servers]
        time.sleep(IDLE_S)
        shares = [(server.cpu_s() - used) / IDLE_S * 100 for server, used in zip(servers, before, strict=True)]
        add("idle, share of a core", *shares, "%")
        add("idle, resident memory", *(server.rss_mb() for server in servers), "MB")
        add(f"{PARKED:,} parked polls", *(parked.memory_mb(server, PARKED, 20) for server in servers), "MB")
    return rows


def on_disk(pair: Pair, only: str, share: float) -> list[Row]:
    """Stores that last: starts with many actors to load, and puts of pairs. Stock's server is on Redis in each row."""
    rows: list[Row] = []
    actors, requests = int(durable.ACTOR_COUNT * share), int(PUTS * share)
    starting = f"exec to first answer, {actors:,} living actors"
    putting = f"KV put, {PUTS_IN_FLIGHT} in flight, different keys"
    with durable.places() as places:
        names = [f"{OURS} on SQLite", f"{OURS} on Redis", f"{STOCK} on Redis"]
        servers = list(zip(places, names, (pair.ours, pair.ours, pair.stock), strict=True))
        if only in starting:
            for place in places:
                durable.fill(place, actors)
            took = [[durable.start_s(*server, actors) for server in servers] for _ in range(3)]
            *ours_s, stock_s = (median(each) for each in zip(*took, strict=True))
            for name, start_s in zip(names, ours_s, strict=False):
                row = (f"{starting}: {name}", f"{start_s:.2f} s", f"{stock_s:.2f} s", f"{stock_s / start_s:.1f}")
                print(" | ".join(row), flush=True)
                rows.append(row)
        if only in putting:
            with durable.on(*servers[2]) as stock:
                stock.cluster_id = cases.cluster_id(stock)
                for server in servers[:2]:
                    with durable.on(*server) as ours:
                        ours.cluster_id = cases.cluster_id(ours)
                        rows.append(compare(f"{putting}: {server[1]}", _puts(requests), (ours, stock)))
    return rows


def _puts(requests: int) -> Callable[[Server], Figure]:
    return lambda server: puts.figure(server, max(requests, PUTS_IN_FLIGHT), PUTS_IN_FLIGHT)


def event_stream(only: str, share: float) -> list[Row]:
    """A thousand followers of the event stream, which stock Ray has not."""
    name = f"event stream, {FOLLOWERS:,} followers, {CHANGES_PER_S} changes/s, from commit to receipt"
    if only not in name:
        return []
    followers.room_for(FOLLOWERS)
    heard = followers.measure(FOLLOWERS, CHANGES_PER_S, max(FOLLOWING_S * share, 5), "memory:")
    waited = (
        f"p50 {heard.waited_ms(0.5):.0f} ms, p99 {heard.waited_ms(0.99):.0f} ms, {heard.daemon_share:.0%} of a core"
    )
    print(f"{name} | {waited}", flush=True)
    return [(name, waited, "has none", "-")]


def table(rows: Sequence[Row]) -> str:
    """The rows as the docs show them."""
    head = ("case", "trio-gcs", "gcs_server", "ratio")
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * 4, *rows))


def machine() -> str:
    """What this machine is."""
    model = next(
        (line.split(": ")[1] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?"
    )
    return f"{os.cpu_count()} cores of {model.strip()}, Linux {platform.release()}, Python {platform.python_version()}"


def main() -> None:
    """Parse the command line, run, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, help="write the table to this file")
    options = parser.parse_args()
    pair = find(ROOT)
    if shutil.which("h2load") is None:
        raise SystemExit("h2load is missing: apt-get install nghttp2-client")
    rows = calls(pair, options.only, 0.1 if options.quick else 1.0)
    rows += large_cluster(pair, options.only, 0.1 if options.quick else 1.0)
    rows += placement_groups(pair, options.only, 0.1 if options.quick else 1.0)
    rows += on_disk(pair, options.only, 0.1 if options.quick else 1.0)
    rows += event_stream(options.only, 0.1 if options.quick else 1.0)
    if not options.only:
        rows += whole_process(pair)
    if options.out is not None:
        when = datetime.now(UTC).strftime("%Y-%m-%d")
        template = (ROOT / "docs" / "benchmarks.in.md").read_text()
        options.out.write_text(template.format(date=when, machine=machine(), table=table(rows)))


if __name__ == "__main__":
    main()
