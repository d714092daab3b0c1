import contextlib
import socket

import pytest

from trio_gcs.errors import StartError
from trio_gcs.launch.listen import bind_sockets, start_listening


@contextlib.contextmanager
def bound(hosts, port=0):
    sockets = bind_sockets(hosts, port)
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close()


def test_a_bound_port_refuses_callers_until_it_listens():
    with bound(["127.0.0.1"]) as sockets:
        address = sockets[0].getsockname()
        with pytest.raises(ConnectionRefusedError), socket.create_connection(address):
            pass
        assert start_listening(sockets) == address[1]
        with socket.create_connection(address):
            pass


def test_a_taken_port_is_told_before_anything_else_happens():
    with bound(["127.0.0.1"]) as sockets:
        port = start_listening(sockets)
        with pytest.raises(StartError, match=f"127.0.0.1 port {port}: the port is taken"):
            bind_sockets(["127.0.0.1"], port)


def test_two_daemons_may_bind_but_only_one_may_listen():
    with bound(["127.0.0.1"]) as first:
        port = first[0].getsockname()[1]
        with bound(["127.0.0.1"], port) as second:
            start_listening(first)
            with pytest.raises(StartError, match="cannot listen"):
                start_listening(second)


def test_every_host_gets_the_same_port():
    with bound(["127.0.0.1", "127.0.0.2"]) as sockets:
        assert len({each.getsockname()[1] for each in sockets}) == 1


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 on this machine")
def test_everywhere_means_both_families():
    with bound(["::"]) as sockets:
        port = start_listening(sockets)
        for host in ("127.0.0.1", "::1"):
            with socket.create_connection((host, port)):
                pass


def test_a_host_that_is_not_ours_is_refused():
    with pytest.raises(StartError, match=r"192\.0\.2\.1"):
        bind_sockets(["192.0.2.1"], 0)
