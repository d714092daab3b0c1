"""Which store a run uses, as one url: ``memory:``, ``sqlite:///PATH``, ``redis://...``.

Ray names its stores memory, redis and rocksdb. A durable store on the local disk is what rocksdb stands for, so it
means SQLite here, in a file of the directory that Ray gave for it. What follows ``sqlite:///`` is the path of the file, so an
absolute one has four slashes, as everywhere in Python.
"""

from pathlib import Path

from trio_gcs.errors import StartError
from trio_gcs.launch.flags import Flags
from trio_gcs.ray_config import RayConfig

MEMORY = "memory:"
SQLITE = "sqlite:///"


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
        scheme = "rediss" if flags.redis_enable_ssl else "redis"
        return checked(f"{scheme}://{flags.redis_address}:{flags.redis_port}")
    if kind == "redis":
        raise StartError("RAY_gcs_storage=redis needs --redis_address")
    return MEMORY


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
    if url.startswith(("redis://", "rediss://")):
        raise StartError(f"store {url}: Redis is not supported yet, use {MEMORY} or {SQLITE}PATH")
    raise StartError(f"store {url!r}: {MEMORY} or {SQLITE}PATH was expected")


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite store; None for the others."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None
