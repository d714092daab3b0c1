"""Connecting by TCP. An address in numbers, which is what peers give of themselves, is connected to at once."""

from __future__ import annotations

import socket

import trio


def family_of(host: str) -> socket.AddressFamily | None:
    """The family of an address in numbers, with or without a zone; None for a name, or for nonsense."""
    numbers, _, _ = host.partition("%")
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, numbers)
        except (OSError, ValueError):
            continue
        return family
    return None


async def dial(host: str, port: int) -> trio.SocketStream:
    """Connect; raises :class:`OSError`. A name is tried at all its addresses, as RFC 8305 says."""
    try:
        family = None if "%" in host else family_of(host)
        if family is None:
            return await trio.open_tcp_stream(host, port)
        return await _connected(family, host, port)
    except (ValueError, OverflowError) as error:  # peers say themselves where they are: any text, any number
        raise OSError(f"no such address: {error}") from None


async def _connected(family: socket.AddressFamily, host: str, port: int) -> trio.SocketStream:
    connection = trio.socket.socket(family)
    try:
        await connection.connect((host, port))
    except BaseException:
        connection.close()
        raise
    return trio.SocketStream(connection)
