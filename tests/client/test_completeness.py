"""No call of the client without a test on both servers: test_accessors.py, which asks trio-gcs and stock Ray the same, has all."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from trio_gcs.client import GcsClient
from trio_gcs.client.accessor import Accessor
from trio_gcs.client.address import Address
from trio_gcs.client.calls import Calls

TESTS = Path(__file__).with_name("test_accessors.py")
ACCESSORS = {
    *("actors", "autoscaler", "errors", "internal_kv", "jobs", "node_resources"),
    *("nodes", "placement_groups", "publisher", "runtime_env", "tasks", "workers"),
}


async def accessors() -> dict[str, Accessor]:
    """All accessors of a client, by name."""
    async with trio.open_nursery() as nursery:
        client = GcsClient(Calls(Address("127.0.0.1", 1), token=None, patience=None), nursery)
    return {name: each for name, each in vars(client).items() if isinstance(each, Accessor)}


def called(test: ast.AsyncFunctionDef) -> Iterator[tuple[str, str]]:
    """Accessors and methods that a test calls, also where an accessor was given another name first."""
    names: dict[str, str] = {}
    for node in ast.walk(test):
        if isinstance(node, ast.Assign):
            for target, value in _pairs(node.targets[0], node.value):
                accessor = _accessor(value, names)
                if isinstance(target, ast.Name) and accessor is not None:
                    names[target.id] = accessor
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            accessor = _accessor(node.func.value, names)
            if accessor is not None:
                yield accessor, node.func.attr


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def _accessor(value: ast.expr, names: dict[str, str]) -> str | None:
    if isinstance(value, ast.Name):
        return names.get(value.id)
    if isinstance(value, ast.Attribute) and isinstance(value.value, ast.Name) and value.value.id == "client":
        return value.attr
    return None


async def test_there_are_the_accessors_that_the_docs_name() -> None:
    found = await accessors()
    assert found.keys() == ACCESSORS
    page = (TESTS.parents[2] / "docs" / "client.md").read_text()
    assert [name for name in found if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", sorted(ACCESSORS))
async def test_each_method_is_called_on_both_servers(name: str) -> None:
    accessor = (await accessors())[name]
    methods = {method for method in dir(accessor) if not method.startswith("_") and callable(getattr(accessor, method))}
    tests = [
        node
        for node in ast.parse(TESTS.read_text()).body
        if isinstance(node, ast.AsyncFunctionDef) and "client" in [argument.arg for argument in node.args.args]
    ]
    tested = {method for test in tests for accessor_name, method in called(test) if accessor_name == name}
    assert methods - tested == set(), f"client.{name} has methods that no test in {TESTS.name} calls"
