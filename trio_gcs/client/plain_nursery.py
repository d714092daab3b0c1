"""A nursery for what runs behind a block, whose errors are not wrapped: who writes the block need not know of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def open_plain_nursery() -> AsyncIterator[trio.Nursery]:
    """Open a nursery that is cancelled at the end of the block. One error comes out as it is, several as a group."""
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        # Of the group, nothing is lost: it was made of this one.
        raise group.exceptions[0] from group.exceptions[0].__cause__  # noqa: ASYNC123
