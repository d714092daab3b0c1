"""docs/client.md has each accessor with each of its methods, and the exit codes as they are."""

from __future__ import annotations

import re
from pathlib import Path

import trio

from trio_gcs.client.address import Address
from trio_gcs.client.calls import Calls
from trio_gcs.client.client import GcsClient
from trio_gcs.commands import session

TEXT = (Path(__file__).parents[2] / "docs" / "client.md").read_text()


async def test_each_method_of_each_accessor_is_named():
    async with trio.open_nursery() as nursery:
        client = GcsClient(Calls(Address("127.0.0.1", 1)), nursery)
    accessors = {name: held for name, held in vars(client).items() if not name.startswith("_")}
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", TEXT, re.MULTILINE))
    assert set(rows) == set(accessors)
    for name, accessor in accessors.items():
        methods = {method for method in dir(accessor) if not method.startswith("_")} - {"is_there"}
        assert methods <= set(re.findall(r"\w+", rows[name])), name


def test_the_exit_codes_are_those_of_the_commands():
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)}
    known = (session.ERROR, session.USAGE, session.NOT_FOUND, session.UNREACHABLE, session.KEPT_OUT)
    assert codes == {0, *known, session.NOT_OFFERED, session.INTERRUPTED}
