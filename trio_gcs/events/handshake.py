"""The handshake of a websocket: what a client asks for, whether it may, and what it is told if not."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from collections.abc import Sequence
from hmac import compare_digest
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from trio_gcs.events.filters import Filter
from trio_gcs.events.hub import NOW, SNAPSHOT, Wish
from trio_gcs.events.tokens import read_token

PATH: Final = "/v1/events"
SUBPROTOCOL: Final = "trio-gcs.v1"
BEARER: Final = "bearer."
JSON: Final = "json"
BINARY: Final = "binary"

_LISTS: Final = frozenset({"kinds", "ids", "jobs", "namespaces", "states"})
_SINGLE: Final = frozenset({"from", "coalesce", "format"})
_PARAMETERS_MAX: Final = 2000


class Refusal(Exception):
    """A client is not let in: an HTTP status, and a text that says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status} {text}")
        self.status = status
        self.text = text


def read_wish(target: str) -> tuple[Wish, str]:
    """What is asked for, and in which form; raises :class:`Refusal`."""
    try:
        url = urlsplit(target)
        if url.path != PATH:
            raise Refusal(404, f"the event stream is at {PATH}")
        given = parse_qsl(url.query, keep_blank_values=True, max_num_fields=_PARAMETERS_MAX, errors="strict")
        single: dict[str, str] = {}
        lists: dict[str, list[str]] = {}
        for name, value in given:
            if name in _LISTS:
                lists.setdefault(name, []).extend(each for each in value.split(",") if each)
            elif name not in _SINGLE:
                raise ValueError(f"there is no parameter {name[:80]!r}")
            elif name in single:
                raise ValueError(f"{name} was given twice")
            else:
                single[name] = value
        begins = single.get("from", NOW) or NOW
        if begins not in {NOW, SNAPSHOT}:
            read_token(begins)
        form = _one_of("format", single.get("format", JSON), (JSON, BINARY))
        coalesce = _one_of("coalesce", single.get("coalesce", "false"), ("true", "false")) == "true"
        return Wish(begins, Filter.read(**lists), coalesce), form
    except ValueError as error:
        raise Refusal(400, str(error)) from error


def _one_of(name: str, value: str, expected: Sequence[str]) -> str:
    if value not in expected:
        raise ValueError(f"{name}={value[:80]!r}: {' or '.join(expected)} was expected")
    return value


def check(headers: Sequence[tuple[bytes, bytes]], subprotocols: Sequence[str], token: str | None) -> None:
    """Refuse who may not: without the token, or a page of another site in somebody's browser."""
    first = {name.lower(): value for name, value in reversed(headers)}
    origin, host = first.get(b"origin"), first.get(b"host", b"")
    if origin is not None and _host_of(origin) != host:
        raise Refusal(403, "pages of other origins may not connect")
    if token is not None and not _shows(token.encode(), first.get(b"authorization"), subprotocols):
        raise Refusal(401, "the token is missing or wrong")


def _host_of(origin: bytes) -> bytes | None:
    try:
        return urlsplit(origin.decode("latin-1")).netloc.encode("latin-1")
    except ValueError:  # of a host that is none
        return None


def _shows(token: bytes, authorization: bytes | None, subprotocols: Sequence[str]) -> bool:
    if authorization is not None:
        return compare_digest(authorization, b"Bearer " + token)
    sent = next((each.removeprefix(BEARER) for each in subprotocols if each.startswith(BEARER)), None)
    if sent is None:
        return False
    try:
        raw = urlsafe_b64decode(sent + "=" * (-len(sent) % 4))
    except (NotBase64, ValueError):
        return False
    return compare_digest(raw, token)
