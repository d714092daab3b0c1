"""What all accessors share: calls, subscriptions, and how ids are given to them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from trio_gcs.client.calls import Calls
from trio_gcs.client.errors import InvalidRequest
from trio_gcs.client.feeds import Feeds, Topics
from trio_gcs.client.following import Following, Row, Source
from trio_gcs.errors import Invalid
from trio_gcs.ids import Id

AnyId = bytes | str  # an id, its bytes, or its hex text
SomeId = TypeVar("SomeId", bound=Id)


def id_of(kind: type[SomeId], given: AnyId) -> SomeId:
    """The id that somebody means; raises InvalidRequest where it cannot be one."""
    try:
        return kind.parse(bytes.fromhex(given) if isinstance(given, str) else given)
    except Invalid as error:
        raise InvalidRequest(str(error)) from error
    except ValueError as error:
        raise InvalidRequest(f"{given!r} is no {kind.__name__} in hex") from error


class Accessor:
    """The calls about one kind of thing. All raise ClientErrors, and end within their timeout or the client's."""

    def __init__(self, calls: Calls, feeds: Feeds) -> None:
        self._calls = calls
        self._feeds = feeds

    @asynccontextmanager
    async def _following(self, topics: Topics, source: Source[Row]) -> AsyncIterator[Following[Row]]:
        async with self._feeds.following(topics, source) as following:
            yield following
