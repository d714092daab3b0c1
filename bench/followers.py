"""Many subscribers of the event stream: how long from a commit until all of them have it, and what it costs.

    python -m bench.followers [--followers 1000] [--changes-per-s 200] [--seconds 20] [--store memory:]

The followers are one process that reads every socket as soon as it can be read. Of one socket in twenty it takes the
frames apart, and notes for each event how long ago it was committed, by the time in the event; of the others it
counts the octets. One more subscriber never reads.
"""

from __future__ import annotations

import argparse
import base64
import json
import multiprocessing
import os
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import grpc

from bench.servers import TICKS_PER_S
from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.generated.ray.gcs_pb2 import JobTableData

TEXT, PING, PONG, FINAL, MASKED = 1, 9, 10, 0x80, 0x80  # RFC 6455, section 5.2
SAMPLED = 20
ENTRYPOINT = "python train.py " + "--option=value " * 15


class Follower:
    """One subscriber: a socket and, if it is sampled, what it has not taken apart yet."""

    def __init__(self, port: int, *, sampled: bool) -> None:
        self.sampled = sampled
        self.waits_ms: list[float] = []
        self.octets = 0
        self.rest = b""
        self.sock = socket.create_connection(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall(
            f"GET /v1/events HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.sock.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101"), answer
        self.rest = answer.partition(b"\r\n\r\n")[2]
        self.sock.setblocking(False)

    def read(self) -> None:
        """Take what is there."""
        octets = self.sock.recv(1 << 18)
        now_ms = time.time() * 1000
        self.octets += len(octets)
        if not self.sampled:
            return
        self.rest += octets
        while len(self.rest) >= 4:
            kind, size, head = self.rest[0] & 0xF, self.rest[1], 2
            if size == 126:
                size, head = int.from_bytes(self.rest[2:4], "big"), 4
            if len(self.rest) < head + size:
                return
            payload = self.rest[head : head + size]
            self.rest = self.rest[head + size :]
            if kind == PING:
                self.sock.send(bytes([FINAL | PONG, MASKED | size, 0, 0, 0, 0]) + payload)
            elif kind == TEXT and (message := json.loads(payload))["type"] == "event":
                self.waits_ms.append(now_ms - message["time_ms"])


def follow(port: int, count: int, seconds: float, pipe: Connection) -> None:
    """Be all followers; tell when they are there, and in the end how long they waited."""
    selector = selectors.DefaultSelector()
    for number in range(count):
        follower = Follower(port, sampled=number % SAMPLED == 0)
        selector.register(follower.sock, selectors.EVENT_READ, follower)
    pipe.send("ready")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in selector.select(0.1):
            key.data.read()
    followers = [key.data for key in selector.get_map().values()]
    waits = sorted(wait for each in followers for wait in each.waits_ms)
    events = [len(each.waits_ms) for each in followers if each.sampled]
    octets = [each.octets for each in followers]
    pipe.send((waits, min(events), max(events), min(octets), max(octets), time.process_time()))


def start(store: str, home: str) -> tuple[subprocess.Popen[str], str, int]:
    """A daemon, its address and the port of its events."""
    command = [str(Path(sys.executable).parent / "trio-gcs"), "run", "--port=0", "--events-port=0"]
    process = subprocess.Popen(
        [*command, f"--store={store}", "--log-format=json", "--log-level=info"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "HOME": home},
    )
    assert process.stderr is not None
    events_port = 0
    for line in process.stderr:
        said = json.loads(line)
        if said["event"] == "events":
            events_port = int(said["url"].rpartition(":")[2].partition("/")[0])
        if said["event"] == "listening":
            threading.Thread(target=process.stderr.read, daemon=True).start()  # or its log would fill the pipe
            return process, said["address"], events_port
    raise SystemExit("the daemon did not start")


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def change(address: str, rate: float, seconds: float) -> list[float]:
    """Add jobs at a rate; returns how long each call took, in ms."""
    add: Any = grpc.insecure_channel(address).unary_unary(
        "/ray.rpc.JobInfoGcsService/AddJob",
        request_serializer=pb.AddJobRequest.SerializeToString,
        response_deserializer=pb.AddJobReply.FromString,
    )
    began, took = time.monotonic(), []
    for number in range(int(rate * seconds)):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        job = JobTableData(job_id=(number % 2000 + 1).to_bytes(4, "big"), entrypoint=ENTRYPOINT)
        asked = time.monotonic()
        add(pb.AddJobRequest(data=job), timeout=30, wait_for_ready=True)
        took.append((time.monotonic() - asked) * 1000)
    return sorted(took)


@dataclass(frozen=True)
class Heard:
    """What followers heard, and what it cost."""

    waits_ms: list[float]
    events: tuple[int, int]  # of the follower that heard fewest and of the one that heard most
    octets: tuple[int, int]
    daemon_share: float  # of a core
    readers_share: float
    calls_ms: list[float]  # of those who made the changes

    def waited_ms(self, share: float) -> float:
        """How long that share of all events took at most."""
        return self.waits_ms[int(len(self.waits_ms) * share)]


def measure(followers: int, changes_per_s: float, seconds: float, store: str) -> Heard:
    """Start a daemon, follow it and change it."""
    with tempfile.TemporaryDirectory(prefix="trio-gcs-bench-") as home:
        process, address, port = start(f"sqlite:///{home}/gcs.sqlite" if store == "sqlite" else store, home)
        ours, theirs = multiprocessing.Pipe()
        reader = multiprocessing.get_context("spawn").Process(
            target=follow, args=(port, followers, seconds + 2, theirs)
        )
        try:
            reader.start()
            theirs.close()  # so that its end is heard
            assert ours.recv() == "ready"
            stalled = Follower(port, sampled=False)
            used, began = cpu_s(process.pid), time.monotonic()
            took = change(address, changes_per_s, seconds)
            share = (cpu_s(process.pid) - used) / (time.monotonic() - began)
            waits, fewest, most, least, largest, reader_cpu_s = ours.recv()
            stalled.sock.close()
        finally:
            process.kill()
            process.wait()
            reader.join(10)
    return Heard(waits, (fewest, most), (least, largest), share, reader_cpu_s / seconds, took)


def room_for(followers: int) -> None:
    """Let this process and its children open as many sockets as it takes."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = followers * 2 + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if most < 0 else min(wanted, most), most))


def main() -> None:
    """Measure, and say it in lines."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--followers", type=int, default=1000)
    parser.add_argument("--changes-per-s", type=float, default=200)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--store", default="memory:")
    chosen = parser.parse_args()
    room_for(chosen.followers)
    heard = measure(chosen.followers, chosen.changes_per_s, chosen.seconds, chosen.store)
    waited = ", ".join(f"p{share * 100:g} {heard.waited_ms(share):.1f}" for share in (0.5, 0.9, 0.99, 0.999))
    calls = heard.calls_ms
    print(f"{chosen.followers} followers, {chosen.changes_per_s:g} changes/s, {chosen.seconds:g} s, {chosen.store}")
    print(f"  commit to receipt, ms: {waited}, max {heard.waits_ms[-1]:.1f}")
    print(
        f"  events per follower: {heard.events[0]} to {heard.events[1]}; octets {heard.octets[0]:,} to {heard.octets[1]:,}"
    )
    print(f"  daemon: {heard.daemon_share * 100:.0f} % of a core; readers: {heard.readers_share * 100:.0f} %")
    print(
        f"  the calls that made the changes, ms: p50 {calls[len(calls) // 2]:.1f}, p99 {calls[int(len(calls) * 0.99)]:.1f}"
    )


if __name__ == "__main__":
    main()
