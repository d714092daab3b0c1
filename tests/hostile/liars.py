"""Raylets and workers that lie: one server plays all of them, and answers every call as badly as it can.

What it says is either whole but nonsense, made from the descriptors, or no message at all, or an error, or nothing.
"""

from contextlib import asynccontextmanager
from random import Random

import trio
from grpclib.const import Cardinality, Handler, Status
from grpclib.exceptions import GRPCError

from tests.hostile.nasty import Nasty, broken
from tests.hostile.victim import Octets
from trio_gcs.generated.grpc.health_grpc import HealthBase
from trio_gcs.generated.ray.core_worker_grpc import CoreWorkerServiceBase
from trio_gcs.generated.ray.node_manager_grpc import NodeManagerServiceBase
from trio_gcs.rpc.dispatch import Dispatch
from trio_gcs.rpc.handlers import unary
from trio_gcs.rpc.server import Server


class Liar:
    """Answers for every raylet and worker. ``honest`` maps names of methods to replies that make sense."""

    def __init__(self, nasty: Nasty, *, port: int = 0) -> None:
        self.nasty = nasty
        self.port = port
        self.honest: dict[str, object] = {}
        self.honesty = 0.5
        self.silent = frozenset({"WaitForActorRefDeleted"})  # owners that want their actors
        self.always: GRPCError | bytes | None = None
        self.told: dict[str, int] = {}

    def __mapping__(self):
        methods = {}
        for base in (NodeManagerServiceBase, CoreWorkerServiceBase, HealthBase):
            for path, handler in _mapping_of(base).items():
                if handler.cardinality is Cardinality.UNARY_UNARY:
                    methods[path] = self._method(path, handler.reply_type)
        return methods

    def _method(self, path, reply_type):
        name = path.rsplit("/", 1)[-1]

        async def answer(_self, request):
            self.told[name] = self.told.get(name, 0) + 1
            return Octets(await self._lie(name, reply_type))

        return Handler(unary(answer).__get__(self), Cardinality.UNARY_UNARY, Octets, Octets)

    async def _lie(self, name, reply_type) -> bytes:
        rng = self.nasty.rng
        if isinstance(self.always, GRPCError):
            raise self.always
        if self.always is not None and name != "Check":
            return self.always
        if name in self.silent and rng.random() < 0.9:
            await trio.sleep_forever()
        truth = self.honest.get(name)
        if truth is not None and rng.random() < self.honesty:
            return (truth() if callable(truth) else truth).SerializeToString()
        kind = rng.random()
        if kind < 0.1:
            await trio.sleep(rng.choice((0.01, 0.2)))
        if kind < 0.2:
            raise GRPCError(
                rng.choice(list(Status)[1:]), rng.choice(("", "x" * 3000, "%ü\n", "NotFound")), b"\xff\0details"
            )
        reply = self.nasty.message(reply_type)
        if truth is not None and rng.random() < 0.7:
            reply = self.nasty.mutate(truth() if callable(truth) else truth)
        octets = reply.SerializeToString()
        return broken(octets, rng) if kind > 0.85 else octets


def _mapping_of(base):
    """What a generated service would serve; its methods need not be there."""
    names = {name: (lambda *_: None) for name in vars(base) if not name.startswith("_")}
    return type(base.__name__, (base,), names)().__mapping__()


@asynccontextmanager
async def lying(rng: Random, known: dict[str, list]):
    """Run a liar."""
    liar = Liar(Nasty(rng, known))
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    liar.port = listener.socket.getsockname()[1]
    server = Server([liar], Dispatch())
    async with trio.open_nursery() as nursery:
        await nursery.start(server.serve, [listener])
        yield liar
        nursery.cancel_scope.cancel()
