"""``trio-gcs store``: the rows of a cluster, without or beside its daemon. Stores are named as for ``trio-gcs run --store``.

Exit codes: 0 well, 1 an error, which is one line on standard error, 2 usage. How far it is goes to standard error, too.
"""

import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from trio_gcs.errors import StartError, StoreError

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
TOLD_PERIOD_S = 1.0
CONNECT_ATTEMPTS = 4  # two seconds: a person waits, who may have mistyped


def _checked(_context: click.Context, _parameter: click.Parameter, url: str) -> str:
    """The url, if it names a store that outlives its daemon."""
    from trio_gcs.launch.storage import checked  # noqa: PLC0415
    from trio_gcs.store.urls import MEMORY  # noqa: PLC0415

    try:
        if checked(url) != MEMORY:
            return url
    except StartError as error:
        raise click.BadParameter(str(error)) from error
    raise click.BadParameter("a store in memory is its daemon's alone")


def _namespace(name: str = "--namespace", default: str | None = "default") -> Callable[[Decorated], Decorated]:
    variable = "RAY_external_storage_namespace" if default else None
    text = "Ray's namespace, where it is Redis."
    return click.option(name, envvar=variable, show_envvar=bool(variable), default=default, help=text)


def _told(function: Decorated) -> Decorated:
    """Tell errors in one line."""

    @functools.wraps(function)
    def body(*args: Any, **kwargs: Any) -> None:
        from trio_gcs.launch.failure import cause_in_one_line  # noqa: PLC0415
        from trio_gcs.launch.logs import output_to, start_logs  # noqa: PLC0415

        start_logs("console", "error", output_to("err"))
        try:
            function(*args, **kwargs)
        except (StartError, StoreError, ExceptionGroup) as error:
            cause = cause_in_one_line(error)
            if cause is None:
                raise
            click.echo(f"trio-gcs: {cause}", err=True)
            sys.exit(1)

    return body  # type: ignore[return-value]  # the same to whoever calls it


@click.group("store")
def command() -> None:
    """Back up, restore, copy or clean a store: sqlite:///PATH or redis://[[USER]:PASSWORD@]HOST[:PORT]."""


@command.command()
@click.argument("source", metavar="FROM", callback=_checked)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_namespace()
@_told
def backup(source: str, file: Path, namespace: str) -> None:
    """Write all rows as of one moment into one file, beside a daemon that runs or without one."""
    from trio_gcs.store.backups import write_backup  # noqa: PLC0415
    from trio_gcs.store.snapshots import snapshot_of  # noqa: PLC0415

    with snapshot_of(source, _config(namespace)) as snapshot:
        tally = write_backup(file, snapshot, _teller())
    click.echo(f"{tally.count} rows in {file}, checksum {tally.checksum}")


@command.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("target", metavar="TO", callback=_checked)
@click.option("--replace", is_flag=True, help="Even if there is something: it is lost.")
@_namespace()
@_told
def restore(file: Path, target: str, namespace: str, *, replace: bool) -> None:
    """Make the rows of a backup those of a store that is empty, and that no daemon uses."""
    from trio_gcs.store.backups import snapshot_of_backup  # noqa: PLC0415

    with snapshot_of_backup(file) as snapshot:
        _fill(target, namespace, snapshot, replace=replace)


@command.command()
@click.argument("source", metavar="FROM", callback=_checked)
@click.argument("target", metavar="TO", callback=_checked)
@click.option("--replace", is_flag=True, help="Even if there is something: it is lost.")
@_namespace()
@_namespace("--to-namespace", default=None)
@_told
def copy(source: str, target: str, namespace: str, to_namespace: str | None, *, replace: bool) -> None:
    """Make the rows of a store, as of one moment, those of another that is empty, and that no daemon uses."""
    from trio_gcs.store.snapshots import snapshot_of  # noqa: PLC0415

    if source == target and (to_namespace or namespace) == namespace:
        raise click.UsageError("a store cannot be copied onto itself")
    with snapshot_of(source, _config(namespace)) as snapshot:
        _fill(target, to_namespace or namespace, snapshot, replace=replace)


@command.command()
@click.argument("store", callback=_checked)
@click.option("--yes", is_flag=True, help="Do not ask.")
@_namespace()
@_told
def clean(store: str, namespace: str, *, yes: bool) -> None:
    """Delete all that a cluster has left in a store that no daemon uses; in Redis, every key of the namespace."""
    import trio  # noqa: PLC0415

    from trio_gcs.store.cleaning import clean as clean_store  # noqa: PLC0415
    from trio_gcs.store.cleaning import count  # noqa: PLC0415
    from trio_gcs.store.urls import REDIS, shown  # noqa: PLC0415

    config = _config(namespace)
    there = count(store, config)
    what = f"{there} keys of the namespace {namespace!r}" if store.startswith(REDIS) else f"{there} files"
    if there and not yes:
        click.confirm(f"Delete {what} in {shown(store)}?", abort=True, err=True)
    trio.run(clean_store, store, config, _teller("keys"))
    click.echo(f"{what} deleted")


def _fill(target: str, namespace: str, snapshot: Any, *, replace: bool) -> None:
    import trio  # noqa: PLC0415

    from trio_gcs.store.copying import LANES, fill, is_empty  # noqa: PLC0415
    from trio_gcs.store.opening import open_stores  # noqa: PLC0415
    from trio_gcs.store.urls import shown  # noqa: PLC0415

    async def run() -> Any:
        async with open_stores(target, _config(namespace)) as opened:
            stores = dict(zip(LANES, (opened.tables, opened.pairs), strict=True))
            if not replace and not await is_empty(stores):
                raise StoreError(f"the store {shown(target)} is not empty; with --replace, what it has is lost")
            return await fill(stores, snapshot, _teller())

    tally = trio.run(run)
    click.echo(f"{tally.count} rows in {shown(target)}, read back and equal, checksum {tally.checksum}")


def _config(namespace: str) -> Any:
    from trio_gcs.config import GcsConfig  # noqa: PLC0415

    return GcsConfig(redis_namespace=namespace, redis_connect_attempts_max=CONNECT_ATTEMPTS)


def _teller(what: str = "rows") -> Callable[[int], None]:
    """Says now and then how many there are so far."""
    told_at = time.monotonic()

    def tell(count: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at >= TOLD_PERIOD_S:
            told_at = time.monotonic()
            click.echo(f"{count} {what}", err=True)

    return tell
