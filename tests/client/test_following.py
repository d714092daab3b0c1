"""Followings without a server: what is told again, what is older, and what cannot be."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from tests.client.world import new, node_row
from trio_gcs.client import Unavailable
from trio_gcs.client.actors import _age, _merged
from trio_gcs.client.following import NOTED_MAX, Hearing, PubSubFollowing, Source
from trio_gcs.client.generated.ray.rpc import PubMessage
from trio_gcs.client.messages import Actor, ActorState, ErrorTableData, Node, NodeState
from trio_gcs.ids import ActorID


class Nodes:
    """What a server has, and how often it was asked."""

    def __init__(self, *rows: Node) -> None:
        self.rows = list(rows)
        self.fetches = 0
        self.following = PubSubFollowing(
            Source(
                key=lambda row: row.node_id,
                is_final=lambda row: row.state == NodeState.DEAD,
                fetch=self.fetch,
                merge=lambda message, _: message.node_info_message,
                supersedes=lambda _old, _new: True,
                parse=Node.parse,
            )
        )

    async def fetch(self):
        await trio.lowlevel.checkpoint()
        self.fetches += 1
        return self.rows

    def publish(self, row: Node) -> None:
        self.following.hear(PubMessage(key_id=row.node_id, node_info_message=row))


async def test_a_dead_node_never_turns_alive():
    alive = node_row()
    dead = replace(alive, state=NodeState.DEAD)
    nodes = Nodes(dead)
    nodes.publish(alive)
    assert await nodes.following.ready() == {alive.node_id: dead}
    nodes.rows = [alive]
    nodes.following.doubt()
    assert await nodes.following.ready() == {alive.node_id: dead}


async def test_what_is_known_is_not_told_again():
    one, two = node_row(), node_row()
    nodes = Nodes(one)
    assert await anext(nodes.following) == one
    nodes.following.doubt()
    nodes.rows.append(two)
    nodes.publish(one)
    assert await anext(nodes.following) == two
    with trio.move_on_after(0.01):
        pytest.fail(f"told again: {await anext(nodes.following)}")
    assert nodes.fetches == 2


async def test_a_fetch_that_is_cancelled_is_made_up_for():
    nodes = Nodes(node_row())
    with trio.CancelScope() as scope:
        scope.cancel()
        await anext(nodes.following)
    assert await anext(nodes.following) == nodes.rows[0]


async def test_a_reader_that_is_far_behind_fetches():
    nodes = Nodes()
    await nodes.following.ready()
    nodes.rows = [node_row()]
    for _ in range(NOTED_MAX + 1):
        nodes.publish(nodes.rows[0])
    assert await anext(nodes.following) == nodes.rows[0]
    assert nodes.fetches == 2


async def test_an_error_comes_after_what_was_heard_before():
    nodes = Nodes()
    await nodes.following.ready()
    row = node_row()
    nodes.publish(row)
    nodes.following.fail(Unavailable("gone"))
    assert await anext(nodes.following) == row
    with pytest.raises(Unavailable, match="gone"):
        await anext(nodes.following)


async def test_messages_nobody_keeps_are_dropped_from_the_oldest_on():
    hearing = Hearing(lambda message: message.error_info_message)
    for number in range(NOTED_MAX + 2):
        hearing.hear(PubMessage(error_info_message=ErrorTableData(type=str(number))))
    assert hearing.gaps == 2
    assert (await anext(hearing)).type == "2"


def test_a_publication_of_an_actor_changes_what_it_names():
    known = Actor(actor_id=new(ActorID), class_name="C", name="n", state=ActorState.PENDING_CREATION, timestamp=1.0)
    delta = Actor(state=ActorState.ALIVE, pid=7, timestamp=2.0)
    merged = _merged(PubMessage(key_id=known.actor_id, actor_message=delta), known)
    assert (merged.actor_id, merged.class_name, merged.name) == (known.actor_id, "C", "n")
    assert (merged.state, merged.pid, merged.timestamp) == (ActorState.ALIVE, 7, 2.0)
    assert _merged(PubMessage(key_id=known.actor_id, actor_message=delta), None) is None


def test_states_of_an_actor_in_one_millisecond_are_told_apart():
    lives = [
        (0, ActorState.DEPENDENCIES_UNREADY),
        (0, ActorState.PENDING_CREATION),
        (0, ActorState.ALIVE),
        (1, ActorState.RESTARTING),
        (1, ActorState.ALIVE),
        (1, ActorState.DEAD),
    ]
    ages = [_age(Actor(num_restarts=restarts, state=state)) for restarts, state in lives]
    assert ages == sorted(ages)
