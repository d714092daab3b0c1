"""Coming in, being kept out, and errors that leave the block as they are."""

from __future__ import annotations

import time

import pytest
import trio

from tests.client.world import new
from tests.differential.servers import TOKEN
from trio_gcs.client import (
    DeadlineExceeded,
    GlobalState,
    NotFound,
    Patience,
    Unauthenticated,
    Unavailable,
    open_client,
)
from trio_gcs.client.messages import Job
from trio_gcs.ids import JobID, NodeID

AT_ONCE = Patience(unavailable_s=0)


async def nobody_there() -> str:
    """An address where nothing listens."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        return f"127.0.0.1:{listener.socket.getsockname()[1]}"


async def test_the_token_lets_in(guarded):
    async with open_client(f"127.0.0.1:{guarded.port}", token=TOKEN) as client:
        assert len(client.cluster_id) == 28
        async with client.jobs.subscribe() as jobs:
            await jobs.ready()


@pytest.mark.parametrize("token", ["", "nonsense"])
async def test_without_the_token_nobody_comes_in(guarded, token):
    with pytest.raises(Unauthenticated, match="InvalidAuthToken"):
        async with open_client(f"127.0.0.1:{guarded.port}", token=token):
            pytest.fail("it came in")


async def test_where_nobody_listens_it_says_so():
    address = await nobody_there()
    with pytest.raises(Unavailable, match=f"cannot connect to {address}"):
        async with open_client(address, patience=AT_ONCE):
            pytest.fail("it came in")


async def test_it_waits_for_a_server_as_long_as_it_was_told():
    address = await nobody_there()
    began = time.monotonic()
    with pytest.raises(Unavailable):
        async with open_client(address, patience=Patience(unavailable_s=0.5)):
            pytest.fail("it came in")
    assert 0.1 < time.monotonic() - began < 3


async def test_an_error_of_the_block_comes_out_as_it_is(address):
    with pytest.raises(NotFound):
        async with open_client(address) as client:
            await client.nodes.get(new(NodeID))


async def test_an_error_of_a_subscription_comes_out_as_it_is(address):
    with pytest.raises(KeyError):
        async with open_client(address) as client, client.nodes.subscribe(), client.node_cache():
            raise KeyError


async def test_a_client_can_be_cancelled_wherever_it_is(address):
    with trio.move_on_after(0.2) as scope:
        async with open_client(address) as client, client.actors.subscribe(new_actor()) as following:
            await following.__anext__()
    assert scope.cancelled_caught


def new_actor():
    return b"\1" * 16


async def test_a_call_ends_at_its_deadline(address):
    async with open_client(address) as client:
        with pytest.raises(DeadlineExceeded):
            await client.actors.wait(new_actor(), timeout_s=0.1)
        with pytest.raises(DeadlineExceeded):
            await client.nodes.list(timeout_s=0)


async def test_subscriptions_end_and_begin_again(address):
    async with open_client(address) as client:
        for _ in range(3):
            async with client.jobs.subscribe() as one, client.jobs.subscribe() as two:
                await one.ready()
                await two.ready()
                job_id = await client.jobs.next_id()
                await client.jobs.add(Job(job_id=job_id))
                with trio.fail_after(5):
                    assert (await one.__anext__()).job_id == (await two.__anext__()).job_id == job_id


def test_a_script_needs_no_trio(address):
    with GlobalState(address) as state:
        job_id = state.jobs.next_id()
        state.jobs.add(Job(job_id=job_id, entrypoint="me.py"))
        assert state.jobs.get(job_id).entrypoint == "me.py"
        assert state.call(state.client.jobs.get, job_id).entrypoint == "me.py"
        assert isinstance(job_id, JobID)
        with pytest.raises(NotFound):
            state.nodes.get(new(NodeID))
        with pytest.raises(AttributeError, match="needs Trio"):
            state.jobs.subscribe()
        with pytest.raises(AttributeError):
            state.nonsense  # noqa: B018
        assert "jobs" in dir(state)
        assert "next_id" in dir(state.jobs)
        assert len(state.cluster_id) == 28
        assert str(state.address) == address

        async def first(client):
            async with client.jobs.subscribe(job_id) as following:
                return await following.__anext__()

        assert state.with_client(first).job_id == job_id
    with pytest.raises(Unavailable, match="closed"):
        state.jobs.list()
    state.close()


def test_a_script_is_told_what_keeps_it_out():
    with pytest.raises(Unavailable, match="cannot connect"):
        GlobalState(trio.run(nobody_there), patience=AT_ONCE)
