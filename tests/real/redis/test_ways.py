"""The ways to a Redis: with a password, over TLS, by way of its Sentinels, and as a cluster of one shard."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis
import trio

from tests.fakes.redis_server import RedisServer, free_port
from trio_gcs.config import GcsConfig
from trio_gcs.errors import StartError
from trio_gcs.store.base import Write
from trio_gcs.store.redis import TABLES, RedisStore

PATIENT = GcsConfig(redis_retry_min_s=0.02, redis_retry_max_s=0.1)
NAME = "the-primary"


@pytest.fixture
def servers() -> Iterator[list[RedisServer]]:
    """Servers that a test appends are killed at its end."""
    RedisServer.skip_if_absent()
    servers: list[RedisServer] = []
    yield servers
    for server in servers:
        server.kill()


async def rows(store: RedisStore) -> dict[bytes, bytes]:
    return {key: value async for page in store.load("T") for key, value in page}


async def test_nobody_listening_is_not_the_same_as_a_wrong_password(tmp_path: Path, servers: list[RedisServer]) -> None:
    server = RedisServer(tmp_path / "redis", "--requirepass", "open sesame")
    servers.append(server)
    server.start()
    for credentials in ("", ":wrong@", "nobody:open%20sesame@"):
        with pytest.raises(StartError, match=r"failed: .*(Authentication|invalid|WRONGPASS)"):
            await RedisStore.open(f"redis://{credentials}127.0.0.1:{server.port}", TABLES, PATIENT)
    for credentials in (":open%20sesame@", "default:open%20sesame@"):
        store = await RedisStore.open(f"redis://{credentials}127.0.0.1:{server.port}", TABLES, PATIENT)
        await store.aclose()


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A key, and a certificate that is its own authority and of another host."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl")
    subject = ["-subj", "/CN=somebody", "-addext", "subjectAltName=DNS:elsewhere"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path / "key.pem", tmp_path / "cert.pem"


async def test_over_tls_with_certificates_on_both_sides(
    tmp_path: Path, servers: list[RedisServer], certificate: tuple[Path, Path]
) -> None:
    (key, cert), port = certificate, free_port()
    tls = [
        "--tls-port",
        f"{port}",
        "--tls-key-file",
        f"{key}",
        "--tls-cert-file",
        f"{cert}",
        "--tls-ca-cert-file",
        f"{cert}",
    ]
    server = RedisServer(tmp_path / "redis", *tls)
    servers.append(server)
    server.start()
    files_of_url = f"ssl_ca_certs={cert}&ssl_certfile={cert}&ssl_keyfile={key}"
    store = await RedisStore.open(f"rediss://127.0.0.1:{port}?{files_of_url}&ssl_check_hostname=false", TABLES, PATIENT)
    await store.commit([Write("T", b"a", b"1")], 1)
    assert await rows(store) == {b"a": b"1"}
    await store.aclose()
    with pytest.raises(StartError, match="certificate verify failed"):
        await RedisStore.open(f"rediss://127.0.0.1:{port}?{files_of_url}", TABLES, PATIENT)
    # By the name that is in the certificate, the check of the name is passed, too.
    store = await RedisStore.open(
        f"rediss://127.0.0.1:{port}?{files_of_url}&ssl_server_name=elsewhere", TABLES, PATIENT
    )
    await store.aclose()


async def test_a_failover_of_a_sentinel_set_is_an_outage_and_loses_nothing(
    tmp_path: Path, servers: list[RedisServer]
) -> None:
    primary = RedisServer(tmp_path / "primary", "--repl-diskless-sync-delay", "0")
    replica = RedisServer(tmp_path / "replica", "--replicaof", f"127.0.0.1 {primary.port}")
    servers += [primary, replica]
    for server in servers:
        server.start()
    config = tmp_path / "sentinel.conf"
    config.write_text(
        f"sentinel monitor {NAME} 127.0.0.1 {primary.port} 1\n"
        f"sentinel down-after-milliseconds {NAME} 300\n"
        f"sentinel failover-timeout {NAME} 2000\n"
    )
    sentinel = RedisServer(tmp_path / "sentinel", config=config)
    servers.append(sentinel)
    sentinel.start()
    store = await RedisStore.open(sentinel.url, TABLES, PATIENT)
    await store.commit([Write("T", b"a", b"1")], 1)
    with primary.client() as client:
        await trio.to_thread.run_sync(client.wait, 1, 10_000)  # the replica has it
    await trio.to_thread.run_sync(until_the_sentinel_knows_the_replica, sentinel)
    primary.kill()
    await store.commit([Write("T", b"b", b"2")], 2)
    assert await rows(store) == {b"a": b"1", b"b": b"2"}
    with replica.client() as client:
        assert client.hget("RAYdefault@trio_gcs:lane:tables", "revision") == b"2"
    await store.aclose()


def until_the_sentinel_knows_the_replica(sentinel: RedisServer) -> None:
    with sentinel.client() as client:
        for _ in range(400):
            replicas = client.execute_command("SENTINEL", "REPLICAS", NAME)
            if replicas and "ok" in str(replicas):
                return
            time.sleep(0.05)
    pytest.fail("the Sentinel does not know the replica")


def member_of_a_cluster(folder: Path) -> RedisServer:
    # By itself a server takes a second port 10,000 above its first, which may be none.
    return RedisServer(
        folder, "--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--repl-diskless-sync-delay", "0"
    )


async def test_a_cluster_of_one_needs_a_namespace_that_keeps_a_batch_together(
    tmp_path: Path, servers: list[RedisServer]
) -> None:
    server = member_of_a_cluster(tmp_path / "redis")
    servers.append(server)
    server.start()
    with server.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        until_it_is_up(client)
    with pytest.raises(StartError, match=r"external_storage_namespace=\{name\}"):
        await RedisStore.open(server.url, TABLES, PATIENT)
    store = await RedisStore.open(server.url, TABLES, GcsConfig(redis_namespace="{here}"))
    await store.commit([Write("T", b"a", b"1"), Write("U", b"b", b"2"), Write("JobCounter", b"", b"3")], 1)
    assert await rows(store) == {b"a": b"1"}
    await store.aclose()


async def test_the_keys_of_a_cluster_are_found_from_a_replica_and_after_a_failover(
    tmp_path: Path, servers: list[RedisServer]
) -> None:
    primary, replica = (member_of_a_cluster(tmp_path / name) for name in ("primary", "replica"))
    servers += [primary, replica]
    primary.start()
    replica.start()
    with primary.client() as first, replica.client() as second:
        first.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        await trio.to_thread.run_sync(until_it_follows, first, second, primary)
        until_it_is_up(second)
    store = await RedisStore.open(replica.url, TABLES, GcsConfig(redis_namespace="{here}"))
    await store.commit([Write("T", b"a", b"1")], 1)
    with primary.client() as first, replica.client() as second:
        assert first.hget("RAY{here}@trio_gcs:lane:tables", "revision") == b"1"
        await trio.to_thread.run_sync(first.wait, 1, 10_000)  # the replica has it
        primary.kill()
        second.execute_command("CLUSTER", "FAILOVER", "TAKEOVER")
    await store.commit([Write("T", b"b", b"2")], 2)
    assert await rows(store) == {b"a": b"1", b"b": b"2"}
    await store.aclose()


def until_it_follows(first: redis.Redis, second: redis.Redis, primary: RedisServer) -> None:
    bus_port = first.config_get("cluster-port")["cluster-port"]
    second.execute_command("CLUSTER", "MEET", "127.0.0.1", primary.port, bus_port)
    for _ in range(400):
        if second.info("replication")["role"] == "master":
            with suppress(redis.ResponseError):  # they have not met yet
                second.execute_command("CLUSTER", "REPLICATE", first.execute_command("CLUSTER", "MYID"))
        elif second.info("replication")["master_link_status"] == "up":
            return
        time.sleep(0.02)
    pytest.fail("the replica does not follow")


def until_it_is_up(client: redis.Redis) -> None:
    for _ in range(400):
        if b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"):
            return
        time.sleep(0.02)
    pytest.fail("the cluster does not come up")
