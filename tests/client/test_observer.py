"""The event stream through the client, and what trio-gcs tells of itself; on stock Ray, a clear refusal."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import trio

from tests.client.conftest import start
from tests.client.test_restarts import PATIENT, Daemon
from tests.client.world import new, node_row
from tests.differential.servers import Setup
from trio_gcs.client import Compacted, InvalidRequest, NotFound, Unsupported, open_client
from trio_gcs.client.generated.trio_gcs import v1
from trio_gcs.client.messages import Node, NodeState
from trio_gcs.ids import NodeID


async def of(stream, kind, count=1):
    """The next messages of this kind; others are passed over."""
    found = []
    with trio.fail_after(20):
        while len(found) < count:
            message = await anext(stream)
            if isinstance(message, kind):
                found.append(message)
    return found


@pytest.fixture
def daemon(tmp_path):
    return Daemon(tmp_path)


async def test_events_come_in_order_with_their_tokens(ours):
    row = node_row()
    async with open_client(f"127.0.0.1:{ours.port}") as client:
        assert await client.observer.is_there()
        async with client.observer.events(begin="snapshot", kinds=["node"]) as stream:
            (hello,) = await of(stream, v1.Hello)
            assert hello.from_ == "snapshot"
            (synced,) = await of(stream, v1.Synced)
            assert stream.token == synced.token
            await client.nodes.register(row)
            await client.nodes.unregister(row.node_id)
            came, went = await of(stream, v1.Event, 2)
            assert (came.row.state, went.row.state, went.was) == ("ALIVE", "DEAD", "ALIVE")
            assert Node.parse(went.row.message.raw).node_id == row.node_id
            assert came.revision < went.revision
            assert stream.token == went.token
        async with client.observer.events(begin=came.token, kinds=["node"]) as stream:
            assert await of(stream, v1.Event) == [went]


async def test_a_reader_that_is_cancelled_misses_nothing(ours):
    async with open_client(f"127.0.0.1:{ours.port}") as client:
        async with client.observer.events(begin="snapshot", kinds=["node"]) as stream:
            await of(stream, v1.Synced)
            rows, seen = [node_row() for _ in range(5)], []
            for row in rows:
                await client.nodes.register(row)
                with trio.move_on_after(0):
                    seen.append(await anext(stream))
            seen = [event.row.id for event in seen if isinstance(event, v1.Event)]
            seen += [event.row.id for event in await of(stream, v1.Event, 5 - len(seen))]
        assert seen == [row.node_id.hex() for row in rows]


async def test_a_stream_goes_on_after_a_kill_without_gap_or_repetition(daemon):
    rows = [node_row() for _ in range(6)]
    async with AsyncExitStack() as stack:
        with daemon.running():
            client = await stack.enter_async_context(open_client(daemon.address, patience=PATIENT))
            stream = await stack.enter_async_context(client.observer.events(kinds=["node"]))
            await of(stream, v1.Synced)
            await client.nodes.register(rows[0])
            await client.nodes.register(rows[1])
            seen = await of(stream, v1.Event)
            await client.nodes.register(rows[2])
        for life in (1, 2):
            with daemon.running():
                await client.nodes.register(rows[2 + life])
                seen += await of(stream, v1.Event)
        with daemon.running():
            await client.nodes.register(rows[5])
            seen += await of(stream, v1.Event, 3)
    assert [event.row.id for event in seen] == [row.node_id.hex() for row in rows]


async def test_a_token_that_is_worth_nothing_is_told(ours):
    async with open_client(f"127.0.0.1:{ours.port}") as client:
        async with client.observer.events(begin="nonsense") as stream:
            with pytest.raises(InvalidRequest):
                await anext(stream)
        async with client.observer.events(begin="0123456789ab-0123.1.1") as stream:
            with pytest.raises(Compacted, match="other_epoch"):
                await of(stream, v1.Event)
        async with client.observer.events(kinds=["nonsense"]) as stream:
            with pytest.raises(InvalidRequest, match="nonsense"):
                await anext(stream)


async def test_stories_the_tree_and_what_is_stored(ours):
    row = node_row()
    async with open_client(f"127.0.0.1:{ours.port}") as client:
        await client.nodes.register(row)
        await client.nodes.unregister(row.node_id)
        story = await client.observer.story(row.node_id.hex())
        assert [line.state for line in story.lines] == ["ALIVE", "DEAD"]
        assert len((await client.observer.story(row.node_id.hex()[:10])).lines) == 2
        with pytest.raises(NotFound):
            await client.observer.story(new(NodeID).hex())
        tree = await client.observer.tree()
        assert tree.root.name
        assert tree.tasks > 5
        assert (await client.observer.tree(tasks_max=3)).omitted > 0
        stats = await client.observer.stats()
        assert {table.name: table.rows for table in stats.tables}["NODE"] == 1


async def test_stock_ray_has_none_of_it():
    stock = start("stock", Setup.of({}))
    try:
        async with open_client(f"127.0.0.1:{stock.port}") as client:
            assert not await client.observer.is_there()
            assert not await client.follows_events()
            for call in (client.observer.tree(), client.observer.story("ab"), client.observer.stats()):
                with pytest.raises(Unsupported):
                    await call
            with pytest.raises(Unsupported, match="placement groups"):
                async with client.placement_groups.subscribe():
                    pytest.fail("it has begun")
            row = node_row()
            async with client.nodes.subscribe() as nodes:
                await client.nodes.register(row)
                assert (await nodes.__anext__()).state == NodeState.ALIVE
    finally:
        stock.stop()
