"""How results are printed: tables for people, JSON for programs. Ids are in hex, states by their names, in both."""

import dataclasses
import enum
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

Plain = Any  # what JSON can hold


def plain(value: object) -> Plain:
    """A message as JSON can hold it: fields by Ray's names, bytes in hex, enums by name, without what is not set."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, enum.Enum):
        return value.name or int(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name.rstrip("_"): plain(held) for name, held in named if not _is_unset(held)}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(held) for held in value]
    return value


def _is_unset(value: object) -> bool:
    if isinstance(value, enum.Enum):
        return False  # the first state is one too
    return value is None or value in (b"", "", 0, False, [], {})


def print_json(value: object) -> None:
    """Print one value as JSON, on one line."""
    click.echo(json.dumps(plain(value), ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table that is as wide as it must be where nobody looks, and fits the terminal elsewhere."""
    from rich.console import Console  # noqa: PLC0415  # only who prints a table pays for it

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000)
    console.print(table_of(columns, rows))


def table_of(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Any:
    """A table of rich's."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=column in {"id", "state"})
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    return table


def amounts(resources: Mapping[str, float]) -> str:
    """Resources in one cell; memory in GiB."""
    parts = []
    for name, amount in sorted(resources.items()):
        if name.startswith("node:"):
            continue
        in_gib = name in {"memory", "object_store_memory"}
        parts.append(f"{name} {amount / 2**30:.1f}GiB" if in_gib else f"{name} {amount:g}")
    return ", ".join(parts)
