"""Policies by name: those of users come from installed packages, and ours stay ours."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from trio_gcs.errors import StartError
from trio_gcs.scheduling.bundles import Outcome
from trio_gcs.scheduling.policies import BUILT_IN, Ask, Choice, hybrid
from trio_gcs.scheduling.registry import GROUP, policy_named, policy_names
from trio_gcs.scheduling.view import NodeView, Request

MODULE = """
from trio_gcs.scheduling.bundles import Outcome
from trio_gcs.scheduling.policies import Choice

def last(ask, views, rng):
    fitting = [node_id for node_id, view in views if view.fits(ask.request)]
    return Choice(Outcome.PLACED, fitting[-1]) if fitting else Choice(Outcome.INFEASIBLE)

number = 5
"""
ENTRIES = f"""[{GROUP}]
last = policies_of_a_user:last
hybrid = policies_of_a_user:last
number = policies_of_a_user:number
nothing = policies_of_a_user:nothing
nowhere = no_such_module:last
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "policies_of_a_user.py").write_text(MODULE, encoding="utf-8")
    metadata = tmp_path / "policies_of_a_user-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: policies-of-a-user\nVersion: 1\n", encoding="utf-8"
    )
    (metadata / "entry_points.txt").write_text(ENTRIES, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("policies_of_a_user", None)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_each_of_ours_has_a_name(name: str) -> None:
    assert policy_named(name) is BUILT_IN[name]


@pytest.mark.usefixtures("package")
def test_a_policy_of_a_user_is_found_by_its_entry_point() -> None:
    assert policy_named("last").__name__ == "last"
    assert policy_names() == [*BUILT_IN, "last", "nothing", "nowhere", "number"]


@pytest.mark.usefixtures("package")
def test_a_name_of_ours_cannot_be_taken() -> None:
    assert policy_named("hybrid") is hybrid


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("number", "is no function"),
        ("nothing", "cannot be loaded"),
        ("nowhere", "cannot be loaded"),
        ("unknown", "there is no policy 'unknown'; there are hybrid, spread,"),
    ],
)
def test_a_policy_that_cannot_be_used_ends_the_start_with_one_line(name: str, text: str) -> None:
    with pytest.raises(StartError, match=text):
        policy_named(name)


def test_the_policy_in_the_docs_works() -> None:
    text = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], names)
    full, empty, tiny = (NodeView({"CPU": total}, {"CPU": free}, {}) for total, free in ((8, 4), (8, 8), (2, 2)))
    nodes = {b"full": full, b"empty": empty, b"tiny": tiny}
    chosen = [names["fullest_first"](Ask(Request({"CPU": need})), nodes.items(), Random(0)) for need in (3, 5, 9)]
    assert chosen == [
        Choice(Outcome.PLACED, b"full"),
        Choice(Outcome.PLACED, b"empty"),
        Choice(Outcome.INFEASIBLE),
    ]
