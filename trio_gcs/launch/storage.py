"""Which store a run uses, as one url: ``memory:``, ``sqlite:///PATH``, ``redis://HOST``, ``rediss://HOST`` with TLS.

Ray names its stores memory, redis and rocksdb. A durable store on the local disk is what rocksdb stands for, so it
means SQLite here, in a file of the directory that Ray gave for it. What follows ``sqlite:///`` is the path of the file, so an
absolute one has four slashes, as everywhere in Python.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from trio_gcs.config import GcsConfig
from trio_gcs.errors import StartError
from trio_gcs.launch.flags import Flags
from trio_gcs.ray_config import RayConfig
from trio_gcs.store.urls import MEMORY, REDIS, SQLITE, shown

REDIS_PORT = 6379
OUTAGE = "TRIO_GCS_REDIS_OUTAGE_MAX_S"

# Ray's names of what TLS needs, and those in our url.
_TLS = {
    "REDIS_CA_CERT": "ssl_ca_certs",
    "REDIS_CA_PATH": "ssl_ca_path",
    "REDIS_CLIENT_CERT": "ssl_certfile",
    "REDIS_CLIENT_KEY": "ssl_keyfile",
    "REDIS_SERVER_NAME": "ssl_server_name",  # what is asked for, where several servers are behind one address
}


def store_of_ray(flags: Flags, ray_config: RayConfig) -> str:
    """The store that Ray's flags and configuration ask for."""
    kind = ray_config.text("gcs_storage")
    if kind not in {"memory", "redis", "rocksdb"}:
        raise StartError(f"RAY_gcs_storage={kind!r}: memory, redis or rocksdb was expected")
    if kind == "rocksdb":
        path = ray_config.text("gcs_storage_path")
        if not path:
            raise StartError("RAY_gcs_storage=rocksdb needs RAY_gcs_storage_path, the directory of the store")
        return sqlite_at(Path(path) / "gcs.sqlite")
    if flags.redis_address:
        return checked(_redis_of_ray(flags, ray_config))
    if kind == "redis":
        raise StartError("RAY_gcs_storage=redis needs --redis_address")
    return MEMORY


def _redis_of_ray(flags: Flags, ray_config: RayConfig) -> str:
    if flags.redis_username and not flags.redis_password:
        raise StartError("--redis_username needs --redis_password")
    credentials = f"{quote(flags.redis_username, safe='')}:{quote(flags.redis_password, safe='')}@"
    host = f"[{flags.redis_address}]" if ":" in flags.redis_address else flags.redis_address
    port = flags.redis_port if flags.redis_port > 0 else REDIS_PORT
    place = f"{credentials if flags.redis_password else ''}{host}:{port}"
    if not flags.redis_enable_ssl:
        return f"redis://{place}"
    files = {ours: ray_config.text(rays) for rays, ours in _TLS.items() if ray_config.text(rays)}
    # Ray's client trusts the authority whatever name the certificate has, and its users have certificates accordingly.
    return f"rediss://{place}?{urlencode({**files, 'ssl_check_hostname': 'false'})}"


def outage_of_environment(config: GcsConfig, environ: Mapping[str, str]) -> GcsConfig:
    """The configuration with how long Redis may be away, as the environment says it."""
    text = environ.get(OUTAGE, "").strip()
    if not text:
        return config
    try:
        outage_max_s = float(text)
    except ValueError:
        outage_max_s = -1
    if not 0 <= outage_max_s < inf:
        raise StartError(f"{OUTAGE}={text!r}: a number of seconds was expected")
    return replace(config, redis_outage_max_s=outage_max_s)


def sqlite_at(path: Path) -> str:
    """The store in this file; its directory is made where it is missing."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(f"cannot create {path.parent} for the store: {error.strerror}") from error
    return f"{SQLITE}{path.absolute()}"


def checked(url: str) -> str:
    """The url, if it names a store that this version has."""
    if url == MEMORY or (url.startswith(SQLITE) and url != SQLITE):
        return url
    if url.startswith(REDIS):
        _check_redis(url)
        return url
    raise StartError(f"store {shown(url)!r}: {MEMORY}, {SQLITE}PATH or redis://HOST:PORT was expected")


def _check_redis(url: str) -> None:
    try:
        parts = urlsplit(url)
        port_is_good = parts.port is None or parts.port > 0
    except ValueError:
        port_is_good = False
    if not port_is_good or not parts.hostname:
        raise StartError(f"store {shown(url)!r}: {url.partition(':')[0]}://[[USER]:PASSWORD@]HOST[:PORT] was expected")


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite store; None for the others."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None
