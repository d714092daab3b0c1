"""Ten thousand long polls that wait: what they cost in memory, spread over connections as raylets and drivers are."""

from __future__ import annotations

import os
import socket
import struct
import time

import h2.config
import h2.connection
import h2.events

from bench.load import metadata
from bench.servers import Server
from trio_gcs.generated.ray.gcs_service_pb2 import GcsSubscriberPollRequest

PATH = "/ray.rpc.ControlPlanePubSubGcsService/GcsSubscriberPoll"


def memory_mb(server: Server, polls: int, connections: int) -> float:
    """The growth of the server's resident memory, in 10^6 bytes, when ``polls`` polls wait on it."""
    before = server.rss_mb()
    opened = [_park(server, polls // connections) for _ in range(connections)]
    time.sleep(2)  # the last of them are on their way into the server
    grown = server.rss_mb() - before
    for each in opened:
        each.close()
    return grown


def _park(server: Server, polls: int) -> socket.socket:
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    peer = socket.create_connection(("127.0.0.1", server.port))
    headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", PATH),
        (":authority", "bench"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        *metadata(server),
    ]
    peer.sendall(connection.data_to_send())
    _hear_settings(connection, peer)
    for _ in range(polls):
        stream_id = connection.get_next_available_stream_id()
        body = GcsSubscriberPollRequest(subscriber_id=os.urandom(28)).SerializeToString()
        connection.send_headers(stream_id, headers)
        connection.send_data(stream_id, struct.pack(">BI", 0, len(body)) + body, end_stream=True)
        peer.sendall(connection.data_to_send())
    return peer


def _hear_settings(connection: h2.connection.H2Connection, peer: socket.socket) -> None:
    """Wait for the server's limits: h2 allows 100 streams before it has heard them."""
    while True:
        events = connection.receive_data(peer.recv(65536))
        peer.sendall(connection.data_to_send())
        if any(isinstance(event, h2.events.RemoteSettingsChanged) for event in events):
            return
