"""What the url of a store may be, and what of it may be shown."""

MEMORY = "memory:"
SQLITE = "sqlite:///"
REDIS = ("redis://", "rediss://")


def shown(url: str) -> str:
    """The url without password and options, for people and logs."""
    if url.startswith((MEMORY, SQLITE)):
        return url
    scheme, separator, rest = url.partition("?")[0].partition("://")
    credentials, at, place = rest.rpartition("@")
    user = credentials.partition(":")[0]
    return f"{scheme}{separator}{user}{at if user else ''}{place}"
