"""Connections to peers end with them, but not before what they last said has arrived."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trio

from trio_gcs.assembly import LAST_ANSWERS_S, Connections
from trio_gcs.events.domain import NodeDied
from trio_gcs.generated.ray.gcs_pb2 import GcsNodeInfo

NODE = b"n" * 28


class Peers:
    """Raylets and workers in one."""

    def __init__(self) -> None:
        self.alive = False
        self.dropped: list[bytes] = []

    def is_alive(self, node_id: bytes) -> bool:
        return self.alive

    def drop_raylet(self, node_id: bytes) -> None:
        self.dropped.append(node_id)

    drop_workers_of = drop_raylet


class Change:
    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    def errand(self, errand: Callable[..., Awaitable[None]], *args: object) -> None:
        self._nursery.start_soon(errand, *args)


@pytest.fixture
async def nursery() -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        yield nursery


async def test_a_dead_raylet_is_heard_for_a_moment_longer(
    autojump_clock: trio.abc.Clock, nursery: trio.Nursery
) -> None:
    peers = Peers()
    Connections(peers, peers).lose_node(Change(nursery), NodeDied(GcsNodeInfo(node_id=NODE)))
    await trio.sleep(LAST_ANSWERS_S / 2)
    assert peers.dropped == []
    await trio.sleep(LAST_ANSWERS_S)
    assert peers.dropped == [NODE, NODE]


async def test_a_raylet_that_came_back_in_that_moment_keeps_its_connection(
    autojump_clock: trio.abc.Clock, nursery: trio.Nursery
) -> None:
    peers = Peers()
    Connections(peers, peers).lose_node(Change(nursery), NodeDied(GcsNodeInfo(node_id=NODE)))
    peers.alive = True
    await trio.sleep(2 * LAST_ANSWERS_S)
    assert peers.dropped == []
