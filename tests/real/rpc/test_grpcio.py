"""A real peer: grpcio's synchronous client, in a thread, against our server on loopback."""

import queue
import threading

import grpc
import pytest
import trio
from google.protobuf.wrappers_pb2 import BytesValue, StringValue
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.fakes.rpc_server import running


def text(value):
    return StringValue(value=value)


class Client:
    """Stubs by the name of the method."""

    def __init__(self, address, **options):
        self.channel = grpc.insecure_channel(address, options=list(options.items()))

    def unary(self, name, kind=StringValue):
        return self.channel.unary_unary(f"/test.Echo/{name}", kind.SerializeToString, kind.FromString)

    def stream(self, name, factory="stream_stream"):
        return getattr(self.channel, factory)(
            f"/test.Echo/{name}", StringValue.SerializeToString, StringValue.FromString
        )


async def with_client(client_work, **world):
    """Run `client_work(client, running)` in a thread; returns what it returns."""
    async with running(**world) as server:

        def work():
            client = Client(
                server.address, **{"grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1}
            )
            try:
                return client_work(client, server)
            finally:
                client.channel.close()

        with trio.fail_after(30):
            return await trio.to_thread.run_sync(work)


def error_of(call, *args, **kwargs):
    with pytest.raises(grpc.RpcError) as caught:
        call(*args, **kwargs)
    return caught.value


async def test_calls_of_all_kinds_are_answered():
    def work(client, _server):
        assert client.unary("Now")(text("a")).value == "a"
        assert client.unary("Later")(text("b")).value == "b"
        assert client.unary("Poll")(text("early")).value == "early"
        assert client.stream("Sum", "stream_unary")(text(str(n)) for n in range(100)).value == "4950"
        assert sum(len(m.value) for m in client.stream("Count", "unary_stream")(text("3000"))) == 3_000_000
        chat = client.stream("Chat")(iter([text("a"), text("b")]))
        assert [m.value for m in chat] == ["A", "B"]
        assert dict(chat.initial_metadata()) == {"greeting": "hello", "token-bin": b"\0\1\xff"}
        assert dict(chat.trailing_metadata()) == {"farewell": "bye"}

    await with_client(work)


async def test_a_stream_that_talks_for_long_is_not_taken_for_one_that_pings_too_much():
    # C-core measures the window that it needs with a PING after what it receives, again and again.
    def work(client, _server):
        said, answers = queue.SimpleQueue(), []
        chat = client.stream("Chat")(iter(said.get, None))
        for _ in range(2000):
            said.put(text("x" * 1000))
            answers.append(next(chat).value)
        said.put(None)
        assert list(chat) == []
        assert answers == ["X" * 1000] * 2000

    await with_client(work)


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 65_535, 1_000_000, 20_000_000])
async def test_bodies_of_any_size_come_and_go(size):
    def work(client, _server):
        assert len(client.unary("Size", BytesValue)(BytesValue(value=b"%d" % size)).value) == size
        big = client.channel.unary_unary("/test.Echo/Now")
        body = StringValue(value="x" * size).SerializeToString()
        assert big(body) == body

    await with_client(work)


async def test_errors_arrive_as_they_were_told():
    def work(client, _server):
        fail = client.unary("Fail")
        told = error_of(fail, text("told"))
        assert (told.code(), told.details()) == (grpc.StatusCode.ABORTED, "NotFound")
        assert dict(told.trailing_metadata())["grpc-status-details-bin"] == b"no such thing"
        passed = error_of(fail, text("grpc"))
        assert (passed.code(), passed.details()) == (grpc.StatusCode.DATA_LOSS, "gone: 100% of ü")
        assert error_of(fail, text("bug")).code() == grpc.StatusCode.INTERNAL
        assert error_of(client.unary("Nope"), text("")).code() == grpc.StatusCode.UNIMPLEMENTED
        bad = error_of(client.channel.unary_unary("/test.Echo/Now"), b"\xff\xff\xff")
        assert (bad.code(), bad.details()) == (grpc.StatusCode.INTERNAL, "Unable to parse request")

    await with_client(work)


async def test_deadlines_and_cancellations_reach_the_handler():
    def work(client, server):
        assert error_of(client.unary("Later"), text("gate"), timeout=0.1).code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert error_of(client.unary("Poll"), text("x"), timeout=0.1).code() == grpc.StatusCode.DEADLINE_EXCEEDED
        future = client.unary("Later").future(text("gate"))
        trio.from_thread.run(server.echo.until, lambda: len(server.echo.started) == 2)
        future.cancel()
        trio.from_thread.run(server.echo.until, lambda: server.echo.cancelled == ["gate", "gate"])
        assert server.echo.parked[0].gone

    await with_client(work)


async def test_gzip_requests_are_understood():
    def work(client, _server):
        assert client.unary("Now")(text("x" * 10_000), compression=grpc.Compression.Gzip).value == "x" * 10_000
        assert client.unary("Now")(text("x" * 10_000), compression=grpc.Compression.Deflate).value == "x" * 10_000

    await with_client(work)


async def test_a_message_over_the_limit_is_refused():
    def work(client, _server):
        error = error_of(client.unary("Now"), text("x" * 2_000_000))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert client.unary("Now")(text("x")).value == "x"

    await with_client(work, message_bytes_max=1_000_000)


async def test_tokens_and_cluster_ids_are_checked():
    def work(client, _server):
        now = client.unary("Now")
        good = [("authorization", "Bearer secret"), ("ray_cluster_id", "ab" * 28)]
        assert now(text("x"), metadata=good).value == "x"
        assert error_of(now, text("x")).code() == grpc.StatusCode.UNAUTHENTICATED
        assert (
            error_of(now, text("x"), metadata=[good[0], ("ray_cluster_id", "cd" * 28)]).details().startswith("WrongCl")
        )
        assert health_pb2_grpc.HealthStub(client.channel).Check(health_pb2.HealthCheckRequest()).status == 1

    await with_client(work, token="secret", cluster_id=lambda: "ab" * 28)


async def test_health_is_checked_and_watched():
    def work(client, server):
        stub = health_pb2_grpc.HealthStub(client.channel)
        assert stub.Check(health_pb2.HealthCheckRequest()).status == 1
        unknown = error_of(stub.Check, health_pb2.HealthCheckRequest(service="x"))
        assert (unknown.code(), unknown.details()) == (grpc.StatusCode.NOT_FOUND, "service name unknown")
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        assert next(watch).status == 1
        trio.from_thread.run_sync(setattr, server.health, "serving", False)
        assert next(watch).status == 2
        assert stub.Check(health_pb2.HealthCheckRequest()).status == 2
        watch.cancel()
        assert next(stub.Watch(health_pb2.HealthCheckRequest(service="x"))).status == 3

    await with_client(work)


async def test_tools_can_ask_for_services_and_descriptors():
    def work(client, _server):
        found = ProtoReflectionDescriptorDatabase(client.channel)
        assert "grpc.health.v1.Health" in found.get_services()
        assert "test.Echo" in found.get_services()
        assert found.FindFileContainingSymbol("grpc.health.v1.HealthCheckRequest").package == "grpc.health.v1"
        with pytest.raises(KeyError):
            found.FindFileByName("no/such.proto")

    await with_client(work)


async def test_a_graceful_stop_lets_calls_end_and_ends_promises():
    async with running() as server:
        done = {}

        def work():
            client = Client(server.address)
            later, poll = client.unary("Later").future(text("gate")), client.unary("Poll").future(text("x"))
            chat = client.stream("Chat")(iter_for_ever())
            assert dict(chat.initial_metadata())["greeting"] == "hello"
            done["poll"] = poll.exception().code()
            done["later"] = later.result().value
            done["chat"] = error_of(list, chat).code()
            client.channel.close()

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.to_thread.run_sync, work)
                await server.echo.until(lambda: server.echo.parked and len(server.echo.started) == 2)
                nursery.start_soon(server.server.stop, 10)
                await server.echo.until(lambda: server.echo.cancelled == ["chat"])
                server.echo.gate.set()
        assert done == {"poll": grpc.StatusCode.UNAVAILABLE, "later": "gate", "chat": grpc.StatusCode.UNAVAILABLE}
        with pytest.raises(OSError, match="connect"):
            await server.connect()


def iter_for_ever():
    yield text("a")
    threading.Event().wait(10)


async def test_many_clients_at_once_are_all_served():
    def work(_client, server):
        clients = [Client(server.address, **{"grpc.use_local_subchannel_pool": 1}) for _ in range(20)]
        futures = [c.unary(name).future(text(f"{n}")) for n in range(50) for c in clients for name in ("Now", "Later")]
        assert sorted({int(future.result().value) for future in futures}) == list(range(50))
        for client in clients:
            client.channel.close()

    await with_client(work)
