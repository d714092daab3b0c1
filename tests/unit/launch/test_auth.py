import pytest

from trio_gcs.config import DaemonSettings, GcsConfig
from trio_gcs.errors import StartError
from trio_gcs.launch.auth import auth_token
from trio_gcs.ray_config import RayConfig


def token(**environ):
    return auth_token(RayConfig.read("", environ), environ)


@pytest.fixture
def home(tmp_path):
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("  from home \nsecond line\n")
    return str(tmp_path)


def test_without_token_mode_everybody_may_call(home):
    assert token(RAY_AUTH_TOKEN="t", HOME=home) is None
    assert token(RAY_AUTH_MODE="disabled", RAY_AUTH_TOKEN="t", HOME=home) is None


def test_the_token_is_found_where_ray_finds_it(home, tmp_path):
    path = tmp_path / "token"
    path.write_text("from path\n")
    everywhere = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(path), "HOME": home}
    assert token(RAY_AUTH_TOKEN=" t ", **everywhere) == "t"
    assert token(**everywhere) == "from path"
    assert token(RAY_AUTH_MODE="token", HOME=home) == "from home"


@pytest.mark.parametrize("content", ["", "\nx", b"\xff\xfe"])
def test_a_token_file_without_a_token_is_refused(tmp_path, content):
    path = tmp_path / "token"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(StartError, match=str(path)):
        token(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(path))


def test_what_cannot_be_found_or_is_unknown_is_named(tmp_path):
    with pytest.raises(StartError, match="there is no token"):
        token(RAY_AUTH_MODE="token", HOME=str(tmp_path))
    with pytest.raises(StartError, match="No such file"):
        token(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=str(tmp_path / "none"))
    with pytest.raises(StartError, match="RAY_AUTH_MODE='maybe'"):
        token(RAY_AUTH_MODE="maybe")
    with pytest.raises(StartError, match="Kubernetes"):
        token(RAY_AUTH_MODE="token", RAY_ENABLE_K8S_TOKEN_AUTH="1")


def test_settings_do_not_show_the_token():
    settings = DaemonSettings(ray_config=RayConfig.read(), gcs_config=GcsConfig(), auth_token="secret")
    assert "secret" not in repr(settings)
