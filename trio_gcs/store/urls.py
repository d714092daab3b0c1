"""What the url of a store may be, and what of it may be shown."""

MEMORY = "memory:"
SQLITE = "sqlite:///"
REDIS = ("redis://", "rediss://")
# In a Redis that stock Ray's server may have used since, its gcs_pid is there. Ours has a leading zero: the same number.
PID_MARK = b"0"


def pid_text(pid: int, url: str) -> bytes:
    """What is written under gcs_pid into the store at ``url``."""
    return (PID_MARK if url.startswith(REDIS) else b"") + b"%d" % pid


def shown(url: str) -> str:
    """The url without password and options, for people and logs."""
    if url.startswith((MEMORY, SQLITE)):
        return url
    scheme, separator, rest = url.partition("?")[0].partition("://")
    credentials, at, place = rest.rpartition("@")
    user = credentials.partition(":")[0]
    return f"{scheme}{separator}{user}{at if user else ''}{place}"
