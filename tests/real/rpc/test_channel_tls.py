"""The channel over TLS, against grpcio."""

import shutil
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpclib.client import UnaryUnaryMethod
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from tests.fakes.grpcio_server import Echo, Raw
from trio_gcs.rpc.channel import open_channel

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="a certificate is made with openssl")


@pytest.fixture
def certificate(tmp_path):
    what = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout key.pem -out cert.pem"
    names = "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run(["openssl", *what.split(), *names.split()], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path / "key.pem", tmp_path / "cert.pem"


@pytest.fixture
def port(certificate):
    key, cert = certificate
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key.read_bytes(), cert.read_bytes())]))
    server.start()
    yield port
    server.stop(None).wait()


async def test_a_server_with_a_trusted_certificate_is_called(port, certificate):
    context = ssl.create_default_context(cafile=certificate[1])
    async with open_channel("127.0.0.1", port, tls=context) as channel:
        echo = UnaryUnaryMethod(channel, "/test.Echo/Echo", Raw, Raw)
        for size in (1, 1_000_000):
            assert len((await echo(Raw(bytes(size)), timeout=5)).octets) == size


async def test_a_server_with_any_other_certificate_is_unavailable(port):
    async with open_channel("127.0.0.1", port, tls=ssl.create_default_context()) as channel:
        with pytest.raises(GRPCError) as caught:
            await UnaryUnaryMethod(channel, "/test.Echo/Echo", Raw, Raw)(Raw(), timeout=5)
        assert caught.value.status is Status.UNAVAILABLE
        assert "CERTIFICATE_VERIFY_FAILED" in caught.value.message
