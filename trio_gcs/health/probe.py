"""One probe: ask a raylet whether it is well, and take silence, refusal and every other answer for a no."""

from __future__ import annotations

from typing import Protocol

import trio

from trio_gcs.errors import RemoteError


class Prober(Protocol):
    """Asks raylets. The deadline of a call is the cancel scope around it."""

    async def check_health(self, node_id: bytes) -> bool:
        """Whether the raylet says that it serves this node. May raise :class:`RemoteError`."""
        ...


async def probe(prober: Prober, node_id: bytes, timeout_s: float) -> bool:
    """Whether the raylet of ``node_id`` said within ``timeout_s`` that it is well."""
    with trio.move_on_after(timeout_s):
        try:
            return await prober.check_health(node_id)
        except RemoteError:
            return False
    return False
