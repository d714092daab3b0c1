"""Calls through a peer that breaks, refuses, hangs, leaves and comes back: each ends once, and nothing stays behind."""

from random import Random

import pytest
import trio
from google.protobuf.wrappers_pb2 import StringValue
from grpclib.client import UnaryStreamMethod, UnaryUnaryMethod
from grpclib.exceptions import GRPCError
from h2.errors import ErrorCodes

from tests.fakes.h2_server import H2Server, Request
from tests.fakes.net import Net
from trio_gcs.rpc.channel import Channel, ChannelLimits

EXPECTED = {"OK", "cancelled", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "NOT_FOUND"}


class Chaos:
    """A host that answers as its dice say, and callers that check what they get."""

    def __init__(self, seed: int, nursery: trio.Nursery) -> None:
        self.random = Random(seed)
        self.net = Net(nursery)
        self.net.limits = ChannelLimits(connect_timeout_s=2, keepalive_s=20, pong_within_s=5)
        self.host = self.net.host("10.0.0.1", 1)
        self.host.respond = self.respond
        self.channel: Channel = self.net.open_channel("10.0.0.1", 1)
        self.is_kind = False
        self.ends: dict[str, int] = {}

    def respond(self, server: H2Server, request: Request) -> None:
        stream_id, dice = request.stream_id, 9 if self.is_kind else self.random.randrange(10)
        echo = request.messages[0]
        if request.reset is not None:
            return
        if dice == 0:
            server.reset(stream_id, self.random.choice([ErrorCodes.REFUSED_STREAM, ErrorCodes.CANCEL]))
        elif dice == 1:
            server.refuse(stream_id, 5)
        elif dice == 2:
            server.leave(self.random.choice([0, stream_id - 1, stream_id]))
        elif dice == 3:
            server.head(stream_id)  # and nothing more
        elif dice > 4:
            server.reply(stream_id, echo)

    async def weather(self, end: float) -> None:
        while trio.current_time() < end:
            await trio.sleep(self.random.randrange(1, 8))
            self.host.take_down()
            self.host.swallows = self.random.random() < 0.3
            await trio.sleep(self.random.randrange(0, 4))
            self.host.is_up, self.host.swallows = True, False

    async def caller(self, name: str, end: float) -> None:
        kind = self.random.choice([UnaryUnaryMethod, UnaryStreamMethod])
        method = kind(self.channel, "/test.T/Echo", StringValue, StringValue)
        number = 0
        while trio.current_time() < end or not self.is_kind:
            number += 1
            word = StringValue(value=f"{name} {number} " + "x" * self.random.choice([0, 100, 40_000]))
            how = "cancelled"
            with trio.move_on_after(self.random.choice([0, 1, 30])):
                how = await self.ask(method, word)
            self.ends[how] = self.ends.get(how, 0) + 1
            await trio.sleep(self.random.randrange(0, 3))

    async def ask(self, method, word: StringValue) -> str:
        try:
            reply = await method(word, timeout=self.random.choice([0, 2, 8]))
        except GRPCError as error:
            return error.status.name
        assert reply in (word, [word])
        return "OK"


@pytest.mark.parametrize("seed", range(5))
async def test_every_call_ends_once_and_nothing_stays_behind(seed, autojump_clock):
    async with trio.open_nursery() as nursery:
        chaos = Chaos(seed, nursery)
        nursery.start_soon(chaos.channel.run)
        end = trio.current_time() + 200
        async with trio.open_nursery() as callers:
            for number in range(20):
                callers.start_soon(chaos.caller, f"caller {number}", end)
            await chaos.weather(end)
            chaos.is_kind = True
        for _ in range(3):  # the peer is well again, and so is the channel
            word = StringValue(value="at last")
            assert await UnaryUnaryMethod(chaos.channel, "/test.T/Echo", StringValue, StringValue)(word) == word
        await trio.sleep(60)
        assert chaos.channel.is_idle
        assert chaos.host.open_count == 1
        assert set(chaos.ends) <= EXPECTED
        assert {"OK", "UNAVAILABLE", "DEADLINE_EXCEEDED", "NOT_FOUND", "cancelled"} <= set(chaos.ends)
        chaos.channel.close()
        await trio.testing.wait_all_tasks_blocked()
        assert nursery.child_tasks == frozenset()
