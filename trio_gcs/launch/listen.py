"""The sockets of the daemon: bound at once, so that a taken port is told before a store is loaded.

Bound is not listening: until the daemon listens, callers are refused, as they are when there is no daemon.
"""

import errno
import socket
from collections.abc import Sequence

from trio_gcs.errors import StartError

BACKLOG = 1024
EVERY_INTERFACE = "::"


def hosts_of(node_ip_address: str) -> tuple[str, ...]:
    """Where to listen on a node with this address: a node on loopback wants no callers from outside."""
    if node_ip_address == "::1":
        return ("::1",)
    if node_ip_address.startswith("127.") or node_ip_address == "localhost":
        return ("127.0.0.1",)
    return (EVERY_INTERFACE,) if _speaks_ipv6() else ("0.0.0.0",)  # noqa: S104  # raylets call from other machines


def _speaks_ipv6() -> bool:
    if not socket.has_dualstack_ipv6():
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as attempt:
            attempt.bind((EVERY_INTERFACE, 0))
    except OSError:  # compiled in, but switched off on this machine
        return False
    return True


def bind_sockets(hosts: Sequence[str], port: int) -> list[socket.socket]:
    """A bound socket for each host, all with the same port; 0 picks one for all. The caller listens and closes."""
    bound: list[socket.socket] = []
    try:
        for host in hosts:
            bound.append(_bind(host, port))
            port = bound[0].getsockname()[1]
    except OSError as error:
        for bound_socket in bound:
            bound_socket.close()
        reason = "the port is taken" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
        raise StartError(f"cannot listen on {host} port {port}: {reason}") from error
    return bound


def bind_first(hosts: Sequence[str], ports: Sequence[int]) -> list[socket.socket]:
    """As :func:`bind_sockets`, with the first of several ports that can be had; none if there are no ports."""
    if not ports:
        return []
    for port in ports[:-1]:
        try:
            return bind_sockets(hosts, port)
        except StartError:
            continue
    return bind_sockets(hosts, ports[-1])


def _bind(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != EVERY_INTERFACE))
        # Connections of the last run may still linger on this port; they must not keep the next one from starting.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def start_listening(bound: Sequence[socket.socket]) -> int:
    """Let callers in; returns the port. Two daemons may have bound one port, but only the first may listen."""
    for bound_socket in bound:
        try:
            bound_socket.listen(BACKLOG)
        except OSError as error:
            raise StartError(f"cannot listen on {bound_socket.getsockname()}: {error.strerror}") from error
    port = bound[0].getsockname()[1]
    assert isinstance(port, int), "a TCP address has its port in the second place"
    return port
