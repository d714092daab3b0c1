"""``trio-gcs kv``: keys and values are text on the command line, and octets where they have to be."""

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from trio_gcs.commands.output import print_json
from trio_gcs.commands.session import Session, with_server

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def _namespace(function: Decorated) -> Decorated:
    return click.option("-n", "--namespace", default="", help="Keys of this namespace.")(function)


def _octets(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _text(octets: bytes) -> str:
    return octets.decode(errors="backslashreplace")


@click.group("kv")
def command() -> None:
    """Read and write the key-value store of the cluster. Ray keeps its own things there: take care."""


@command.command()
@click.argument("key")
@_namespace
@with_server
async def get(session: Session, key: str, namespace: str) -> None:
    """Print the value of a key as it is; exit code 3 if there is none. With -o json: as text, or in hex."""
    from trio_gcs.client import NotFound  # noqa: PLC0415

    async with session.client() as client:
        value = await client.internal_kv.get(_octets(key), namespace=_octets(namespace))
    if value is None:
        raise NotFound(f"there is no key {key!r} in the namespace {namespace!r}")
    if session.output == "json":
        print_json({"key": key, "namespace": namespace, **_value(value)})
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(value)
    sys.stdout.buffer.write(b"\n" if sys.stdout.isatty() else b"")
    sys.stdout.flush()


@command.command()
@click.argument("key")
@click.argument("value", required=False)
@click.option("--no-overwrite", is_flag=True, help="Leave a value that is there; exit code 1 then.")
@_namespace
@with_server
async def put(session: Session, key: str, value: str | None, namespace: str, *, no_overwrite: bool) -> None:
    """Store a value, or standard input if none is given."""
    octets = sys.stdin.buffer.read() if value is None else _octets(value)
    async with session.client() as client:
        added = await client.internal_kv.put(
            _octets(key), octets, namespace=_octets(namespace), overwrite=not no_overwrite
        )
    if session.output == "json":
        print_json({"key": key, "namespace": namespace, "added": added})
    if no_overwrite and not added:
        from trio_gcs.client import AlreadyExists  # noqa: PLC0415

        raise AlreadyExists(f"the key {key!r} is there already, and was left as it is")


@command.command("del")
@click.argument("key")
@click.option("--prefix", "by_prefix", is_flag=True, help="All keys that begin so.")
@_namespace
@with_server
async def delete(session: Session, key: str, namespace: str, *, by_prefix: bool) -> None:
    """Delete a key; exit code 3 if there is none."""
    from trio_gcs.client import NotFound  # noqa: PLC0415

    async with session.client() as client:
        count = await client.internal_kv.delete(_octets(key), namespace=_octets(namespace), by_prefix=by_prefix)
    if session.output == "json":
        print_json({"deleted": count})
    elif by_prefix:
        click.echo(f"{count} deleted")
    if not count and not by_prefix:
        raise NotFound(f"there is no key {key!r} in the namespace {namespace!r}")


@command.command()
@click.argument("prefix", default="")
@_namespace
@with_server
async def keys(session: Session, prefix: str, namespace: str) -> None:
    """List keys that begin so, one a line."""
    async with session.client() as client:
        found = await client.internal_kv.keys(_octets(prefix), namespace=_octets(namespace))
    names = sorted(_text(key) for key in found)
    if session.output == "json":
        print_json(names)
    else:
        click.echo("".join(f"{name}\n" for name in names), nl=False)


def _value(value: bytes) -> dict[str, str]:
    try:
        return {"value": value.decode()}
    except UnicodeDecodeError:
        return {"value_hex": value.hex()}
