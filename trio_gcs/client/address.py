"""Where a client finds its GCS, and the token that it shows there, if nobody says it: as Ray's own clients do.

The address is the first of these: the argument, ``TRIO_GCS_ADDRESS``, ``RAY_ADDRESS`` if that is HOST:PORT, and
127.0.0.1:6379. The token is the first of these: the argument, ``RAY_AUTH_TOKEN``, the first line of the file that
``RAY_AUTH_TOKEN_PATH`` names, of ``~/.ray/auth_token``. A server that wants no token does not mind one.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from trio_gcs.client.errors import InvalidRequest

DEFAULT_ADDRESS = "127.0.0.1:6379"
PORT_MAX = 65535
_HOST_PORT = re.compile(r"(?:\[(?P<bracketed>[^\]]+)\]|(?P<host>[^:/\s]+)):(?P<port>[0-9]{1,5})")


class Address(NamedTuple):
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read HOST:PORT or [IPV6]:PORT; raises InvalidRequest."""
        found = _HOST_PORT.fullmatch(text.strip())
        if found is None or not 0 < int(found["port"]) <= PORT_MAX:
            raise InvalidRequest(f"{text!r} is no address of a GCS: HOST:PORT was expected")
        return cls(found["bracketed"] or found["host"], int(found["port"]))


def find_address(given: str | None = None, environ: Mapping[str, str] = os.environ) -> Address:
    """The address to use; raises InvalidRequest if what was given is none."""
    if given or (given := environ.get("TRIO_GCS_ADDRESS")):
        return Address.parse(given)
    # Ray's variable may also be "auto" or ray://..., which are no addresses of a GCS.
    inherited = environ.get("RAY_ADDRESS", "")
    return Address.parse(inherited if _HOST_PORT.fullmatch(inherited.strip()) else DEFAULT_ADDRESS)


def find_token(given: str | None = None, environ: Mapping[str, str] = os.environ) -> str | None:
    """The token to show, or None; raises InvalidRequest if RAY_AUTH_TOKEN_PATH names no readable file."""
    if given is not None:
        return given.strip() or None
    if token := environ.get("RAY_AUTH_TOKEN", "").strip():
        return token
    if path := environ.get("RAY_AUTH_TOKEN_PATH", ""):
        return _read(Path(path))
    home = Path(environ.get("HOME") or Path("~").expanduser()) / ".ray" / "auth_token"
    return _read(home) if home.is_file() else None


def _read(path: Path) -> str | None:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"cannot read the token in {path}: {error}") from error
    return (lines[0].strip() if lines else "") or None
