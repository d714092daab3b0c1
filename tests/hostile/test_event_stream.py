"""Handshakes and messages of a websocket that no client makes: they end their own connection, and nothing else."""

from contextlib import suppress
from random import Random

import pytest
import trio

from tests.hostile.victim import victim

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
PATH = b"/v1/events"


def handshake(path=PATH, **headers):
    given = {
        b"Host": b"x",
        b"Upgrade": b"websocket",
        b"Connection": b"Upgrade",
        b"Sec-WebSocket-Key": KEY,
        b"Sec-WebSocket-Version": b"13",
    }
    given.update({name.replace("_", "-").encode(): value for name, value in headers.items()})
    lines = [b"%b: %b\r\n" % each for each in given.items() if each[1] is not None]
    return b"GET %b HTTP/1.1\r\n%b\r\n" % (path, b"".join(lines))


def masked(first, payload=b""):
    return bytes((first, 0x80 | len(payload))) + bytes(4) + payload


TALKS = {
    "noise": Random(1).randbytes(2000),
    "noise of lines": b"\r\n".join(Random(2).randbytes(20) for _ in range(100)),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": bytes.fromhex("160301020001000001fc0303"),
    "a POST": b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    "no websocket": b"GET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n",
    "HTTP/1.0": handshake().replace(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/9.9": handshake().replace(b"HTTP/1.1", b"HTTP/9.9"),
    "headers without end": b"GET /v1/events HTTP/1.1\r\n" + b"X: y\r\n" * 100_000,
    "a header of a megabyte": handshake(X=b"y" * 1_000_000),
    "a target of a host that is none": handshake(b"//["),
    "a target with brackets": handshake(b"http://[v1.x]/v1/events"),
    "a target of a megabyte": handshake(PATH + b"?" + b"a=b&" * 250_000),
    "a target that is not ASCII": handshake(PATH + b"?ids=\xff\xfe"),
    "an asterisk": handshake(b"*"),
    "an escape that is no UTF-8": handshake(PATH + b"?ids=%ff%fe"),
    "an escape that is none": handshake(PATH + b"?ids=%zz%"),
    "NUL": handshake(PATH + b"?ids=%00"),
    "another path": handshake(b"/"),
    "a parameter that is not there": handshake(PATH + b"?x=y"),
    "a token that is none": handshake(PATH + b"?from=..%2f"),
    "a token of the future": handshake(PATH + b"?from=" + b"f" * 64 + b".9999999999999999999.999999999"),
    "a token of digits that are no ASCII": handshake(PATH + b"?from=a.%D9%A1.%D9%A1"),
    "a thousand kinds": handshake(PATH + b"?kinds=" + b"node," * 1000),
    "kinds that are none": handshake(PATH + b"?kinds=x"),
    "an origin of a host that is none": handshake(Origin=b"http://["),
    "an origin that is not ASCII": handshake(Origin=b"http://\xff\xfe"),
    "another origin": handshake(Origin=b"http://evil"),
    "no key": handshake(Sec_WebSocket_Key=None),
    "a key that is none": handshake(Sec_WebSocket_Key=b"x"),
    "a key that is not ASCII": handshake(Sec_WebSocket_Key=b"\xff" * 24),
    "version 0": handshake(Sec_WebSocket_Version=b"0"),
    "a version that is not ASCII": handshake(Sec_WebSocket_Version=b"\xff"),
    "subprotocols that are not ASCII": handshake(Sec_WebSocket_Protocol=b"\xff, \xfe"),
    "a bearer that is no base64": handshake(Sec_WebSocket_Protocol=b"trio-gcs.v1, bearer.!!!"),
    "extensions that are none": handshake(Sec_WebSocket_Extensions=b"\xff; x=\xfe"),
    "permessage-deflate with odd windows": handshake(
        Sec_WebSocket_Extensions=b"permessage-deflate; server_max_window_bits=99"
    ),
    "a text": handshake() + masked(0x81, b"hello"),
    "a text that is no UTF-8": handshake() + masked(0x81, b"\xff\xfe"),
    "a frame that is not masked": handshake() + b"\x81\x05hello",
    "a frame of an unknown kind": handshake() + masked(0x83, b"x"),
    "reserved bits": handshake() + masked(0xF1, b"x"),
    "a frame of 2**63 octets": handshake() + b"\x82\xff" + b"\xff" * 8 + bytes(4),
    "a ping that is too long": handshake() + b"\x89\xfe\x01\x00" + bytes(4 + 256),
    "a thousand pings": handshake() + masked(0x89, b"x") * 1000,
    "pongs that nobody asked for": handshake() + masked(0x8A, b"x") * 1000,
    "a continuation of nothing": handshake() + masked(0x80, b"x"),
    "a close with half a code": handshake() + masked(0x88, b"\x03"),
    "a close with a code that is none": handshake() + masked(0x88, b"\x00\x01"),
    "a close with a reason that is no UTF-8": handshake() + masked(0x88, b"\x03\xe8\xff"),
    "a close, and more": handshake() + masked(0x88, b"\x03\xe8") + masked(0x81, b"x"),
    "half a handshake": handshake()[:50],
}


@pytest.mark.parametrize("talk", TALKS.values(), ids=TALKS)
async def test_a_client_of_the_event_stream_may_say(talk):
    async with victim(events_ports=(0,)) as it:
        stream = await trio.open_tcp_stream("127.0.0.1", it.events_port)
        async with stream:
            with suppress(trio.BrokenResourceError), trio.move_on_after(0.2):
                await stream.send_all(talk)
                await stream.send_eof()
                while await stream.receive_some(65_536):
                    pass
        await it.neighbour_served()


async def test_five_hundred_clients_of_the_event_stream_that_say_nothing_keep_nobody_out():
    async with victim(events_ports=(0,)) as it:
        silent = [await trio.open_tcp_stream("127.0.0.1", it.events_port) for _ in range(500)]
        await it.neighbour_served()
        for each in silent:
            await each.aclose()
        answer = b""
        with trio.fail_after(10):
            while b" 101 " not in answer:
                stream = await trio.open_tcp_stream("127.0.0.1", it.events_port)
                async with stream:
                    with suppress(trio.BrokenResourceError):
                        await stream.send_all(handshake())
                        answer = await stream.receive_some(65_536)
