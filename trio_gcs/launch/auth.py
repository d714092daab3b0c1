"""The token that callers must show, found where Ray finds it.

The first of these counts: ``RAY_AUTH_TOKEN``, the file that ``RAY_AUTH_TOKEN_PATH`` names, ``~/.ray/auth_token``. A token
file's first line is the token.
"""

from collections.abc import Mapping
from pathlib import Path

from trio_gcs.errors import StartError
from trio_gcs.ray_config import RayConfig


def auth_token(ray_config: RayConfig, environ: Mapping[str, str]) -> str | None:
    """The token that this run demands, or None where everybody may call."""
    mode = ray_config.text("AUTH_MODE").lower()
    if mode == "disabled":
        return None
    if mode != "token":
        raise StartError(f"RAY_AUTH_MODE={mode!r}: disabled or token was expected")
    if ray_config.flag("ENABLE_K8S_TOKEN_AUTH"):
        raise StartError("RAY_ENABLE_K8S_TOKEN_AUTH: tokens of Kubernetes are not supported yet")
    if token := environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    if path := environ.get("RAY_AUTH_TOKEN_PATH", ""):
        return read_token(Path(path))
    home = Path(environ.get("HOME", "~")).expanduser() / ".ray" / "auth_token"
    if not home.exists():
        raise StartError(
            f"RAY_AUTH_MODE=token, but there is no token: set RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH, or write {home}"
        )
    return read_token(home)


def read_token(path: Path) -> str:
    """The token in a file."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise StartError(f"cannot read the auth token in {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StartError(f"the auth token in {path} is no text") from error
    token = lines[0].strip() if lines else ""
    if not token:
        raise StartError(f"the auth token in {path} is empty")
    return token
