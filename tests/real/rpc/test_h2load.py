"""A real peer: nghttp2's load generator, which keeps many streams of many connections busy."""

import re
import shutil

import pytest
import trio

from tests.fakes.rpc_server import running
from tests.fakes.wire_world import prefixed

pytestmark = pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load (nghttp2) is not installed")


@pytest.mark.parametrize(("clients", "streams"), [(1, 1), (1, 100), (20, 10)])
@pytest.mark.parametrize("method", ["Now", "Later", "Size"])
async def test_every_request_succeeds(tmp_path, clients, streams, method):
    body = tmp_path / "body"
    body.write_bytes(prefixed(b"\n\x0550000" if method == "Size" else b"\n\5hello"))
    async with running() as server:
        command = ["h2load", "-n", "2000", "-c", str(clients), "-m", str(streams), "-d", str(body)]
        command += ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        command.append(f"http://127.0.0.1:{server.port}/test.Echo/{method}")
        with trio.fail_after(30):
            done = await trio.run_process(command, capture_stdout=True)
        report = done.stdout.decode()
        assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in report
        assert re.search(r"status codes: 2000 2xx", report)
        counts = {count.method: count for count in server.server.dispatch.counts}
        assert counts[method].ended_well == 2000
