import base64
from pathlib import Path

import pytest

from trio_gcs.errors import StartError
from trio_gcs.launch.flags import Flags
from trio_gcs.launch.settings import settings_of_ray
from trio_gcs.launch.storage import checked, sqlite_path
from trio_gcs.store.urls import shown

NODE = "ab" * 28


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_ray_s_line_becomes_settings(tmp_path):
    text = '{ "health_check_period_ms":7 }'
    flags = Flags(
        session_dir=str(tmp_path),
        session_name="s",
        node_id=NODE.upper(),
        node_ip_address="127.0.0.1",
        gcs_server_port=6379,
        log_dir="/logs",
        config_list=encoded(text),
        metrics_agent_port=0,
    )
    settings = settings_of_ray(flags, {"RAY_health_check_timeout_ms": "8"})
    assert settings.ray_config.json_text == text
    assert (settings.gcs_config.health_check_period_s, settings.gcs_config.health_check_timeout_s) == (0.007, 0.008)
    assert (settings.hosts, settings.port, settings.store) == (("127.0.0.1",), 6379, "memory:")
    assert (settings.node_id, settings.session_name, settings.log_dir) == (NODE, "s", Path("/logs"))
    assert settings.port_file == tmp_path / f"gcs_server_port_{NODE}"
    assert (settings.metrics_agent_port, settings.auth_token) == (0, None)


def test_a_node_with_an_address_listens_everywhere():
    assert settings_of_ray(Flags(node_ip_address="10.1.2.3"), {}).hosts in {("::",), ("0.0.0.0",)}
    assert settings_of_ray(Flags(node_ip_address="::1"), {}).hosts == ("::1",)
    assert settings_of_ray(Flags(node_ip_address="127.0.0.9"), {}).hosts == ("127.0.0.1",)


@pytest.mark.parametrize(
    ("flags", "environ", "complaint"),
    [
        (Flags(problem="unknown command line flag"), {}, "unknown command line flag"),
        (Flags(config_list="!"), {}, "not base64"),
        (Flags(config_list="e30"), {}, "not base64"),
        (Flags(config_list=base64.b64encode(b"\xff").decode()), {}, "not base64 of a text"),
        (Flags(config_list=encoded("{")), {}, "not JSON"),
        (Flags(config_list=encoded('{"nope": 1}')), {}, "no configuration key 'nope'"),
        (Flags(session_dir="/no/such"), {}, "session directory /no/such"),
        (Flags(gcs_server_port=65536), {}, "--gcs_server_port=65536"),
        (Flags(gcs_server_port=-1), {}, "--gcs_server_port=-1"),
        (Flags(node_id="abc"), {}, "--node-id=abc"),
        (Flags(node_id="ab" * 27), {}, "56 hexadecimal digits"),
        (Flags(), {"RAY_gcs_storage": "disk"}, "RAY_gcs_storage='disk'"),
        (Flags(), {"RAY_gcs_storage": "rocksdb"}, "RAY_gcs_storage_path"),
        (Flags(), {"RAY_gcs_storage": "redis"}, "--redis_address"),
        (Flags(redis_address="h", redis_username="u"), {}, "--redis_username needs --redis_password"),
        (Flags(), {"RAY_AUTH_MODE": "token", "HOME": "/no/such"}, "there is no token"),
    ],
)
def test_each_mistake_is_named_in_one_line(flags, environ, complaint):
    with pytest.raises(StartError, match=complaint) as refused:
        settings_of_ray(flags, environ)
    assert "\n" not in str(refused.value)


def test_rocksdb_means_sqlite_in_the_directory_given(tmp_path):
    environ = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": str(tmp_path / "store")}
    store = settings_of_ray(Flags(), environ).store
    assert sqlite_path(store) == tmp_path / "store" / "gcs.sqlite"
    assert (tmp_path / "store").is_dir()


@pytest.mark.parametrize("url", ["", "memory", "sqlite:", "sqlite:///", "sqlite://x", "postgres://x"])
def test_a_store_that_nobody_knows_is_refused(url):
    with pytest.raises(StartError, match="memory:, sqlite:///PATH or redis://HOST:PORT was expected"):
        checked(url)


def test_rays_flags_for_redis_become_one_url_that_keeps_its_password_to_itself(tmp_path):
    flags = {"redis_address": "10.0.0.1", "redis_port": 6380}
    assert settings_of_ray(Flags(**flags), {}).store == "redis://10.0.0.1:6380"
    assert settings_of_ray(Flags(redis_address="::1"), {"RAY_gcs_storage": "redis"}).store == "redis://[::1]:6379"
    secret = Flags(**flags, redis_username="a:b", redis_password="p@ss/word")
    url = settings_of_ray(secret, {}).store
    assert url == "redis://a%3Ab:p%40ss%2Fword@10.0.0.1:6380"
    assert shown(url) == "redis://a%3Ab@10.0.0.1:6380"
    assert shown(settings_of_ray(Flags(**flags, redis_password="p"), {}).store) == "redis://10.0.0.1:6380"


def test_rays_files_for_tls_go_to_the_client_of_redis():
    flags = Flags(redis_address="h", redis_enable_ssl=True)
    environ = {"RAY_REDIS_CA_CERT": "/ca.pem", "RAY_REDIS_CLIENT_CERT": "/c.pem", "RAY_REDIS_CLIENT_KEY": "/k.pem"}
    url = settings_of_ray(flags, environ).store
    assert url.startswith("rediss://h:6379?ssl_ca_certs=%2Fca.pem&ssl_certfile=%2Fc.pem&ssl_keyfile=%2Fk.pem")
    assert shown(url) == "rediss://h:6379"
    assert "&ssl_server_name=x&" in settings_of_ray(flags, environ | {"RAY_REDIS_SERVER_NAME": "x"}).store


def test_how_long_redis_may_be_away_comes_from_the_environment():
    assert settings_of_ray(Flags(), {}).gcs_config.redis_outage_max_s == 60.0
    assert settings_of_ray(Flags(), {"TRIO_GCS_REDIS_OUTAGE_MAX_S": "2.5"}).gcs_config.redis_outage_max_s == 2.5
    for wrong in ("-1", "x", "inf", "nan"):
        with pytest.raises(StartError, match="a number of seconds"):
            settings_of_ray(Flags(), {"TRIO_GCS_REDIS_OUTAGE_MAX_S": wrong})


@pytest.mark.parametrize("url", ["redis://", "redis://:6379", "redis://h:0", "rediss://h:99999", "redis://h:x"])
def test_a_redis_that_nobody_could_reach_is_refused(url):
    with pytest.raises(StartError, match="HOST"):
        checked(url)
