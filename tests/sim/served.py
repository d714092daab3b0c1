"""Services of which a part is enough, and parties that are served by our own dispatch."""

from __future__ import annotations

import trio

from trio_gcs.rpc.dispatch import Dispatch
from trio_gcs.rpc.stream_link import StreamLink
from trio_gcs.wire.limits import Limits


def partly(base: type) -> type:
    """The base of a service that serves those methods which its subclass defines, and no other."""

    def mapping(self):
        return {path: each for path, each in base.__mapping__(self).items() if each.func is not None}

    absent = dict.fromkeys(base.__abstractmethods__)
    return type(f"Partly{base.__name__}", (base,), {**absent, "__mapping__": mapping})


class Served:
    """A party that serves calls over streams."""

    def __init__(self, services: list[object]) -> None:
        self.dispatch = Dispatch()
        self.dispatch.add(services)
        self.limits = Limits()

    async def run(self, task_status=trio.TASK_STATUS_IGNORED) -> None:
        async with trio.open_nursery() as nursery:
            self.dispatch.pool.open(nursery)
            nursery.start_soon(self.dispatch.deadlines.run)
            task_status.started()

    async def serve(self, stream: trio.abc.Stream) -> None:
        await StreamLink(self.dispatch, self.limits, stream).run()
