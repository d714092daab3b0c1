"""Label selectors and their string form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_gcs.scheduling.labels import Constraint, parse_expression, parse_selector, satisfies


@pytest.mark.parametrize(
    ("text", "values", "negated"),
    [
        ("v", {"v"}, False),
        ("!v", {"v"}, True),
        ("in(a,b)", {"a", "b"}, False),
        ("!in(a,b)", {"a", "b"}, True),
        ("in(a)", {"a"}, False),
        ("in()", set(), False),
        ("!in()", set(), True),
        ("in(a, b)", {"a", " b"}, False),
        ("in(a,)", {"a", ""}, False),
        ("in(x", {"in(x"}, False),
        ("!in(x", {"in(x"}, True),
        (" in(a)", {" in(a)"}, False),
        ("!!v", {"!v"}, True),
        ("", {""}, False),
        ("!", {""}, True),
    ],
)
def test_an_expression_reads_as_it_is_written(text: str, values: set[str], negated: bool) -> None:
    assert parse_expression("key", text) == Constraint("key", frozenset(values), negated)


@given(st.text())
def test_every_text_is_a_legal_expression(text: str) -> None:
    parsed = parse_expression("key", text)
    assert parsed.negated == text.startswith("!")


PLAIN = st.text(st.characters(exclude_characters=",!()"), max_size=3)


@given(st.lists(PLAIN, min_size=1).filter(lambda values: values != [""]), st.booleans())
def test_listed_values_come_back(values: list[str], negated: bool) -> None:
    text = f"{'!' * negated}in({','.join(values)})"
    assert parse_expression("key", text) == Constraint("key", frozenset(values), negated)


SELECTORS = st.dictionaries(
    st.sampled_from("kl"),
    st.builds(
        lambda values, negated, listed: "!" * negated + (f"in({','.join(values)})" if listed else values[0]),
        st.lists(st.sampled_from("abc"), min_size=1),
        st.booleans(),
        st.booleans(),
    ),
)
LABELS = st.dictionaries(st.sampled_from("kl"), st.sampled_from("abc"))


@given(SELECTORS, LABELS)
def test_a_node_satisfies_a_selector_if_it_satisfies_each_part(
    expressions: dict[str, str], labels: dict[str, str]
) -> None:
    def accepted(key: str, text: str) -> bool:
        listed = text.lstrip("!").removeprefix("in(").removesuffix(")").split(",")
        return (key in labels and labels[key] in listed) != text.startswith("!")

    assert satisfies(labels, parse_selector(expressions)) == all(accepted(*item) for item in expressions.items())


def test_a_node_without_the_label_satisfies_only_negations() -> None:
    assert satisfies({}, parse_selector({"zone": "!a", "type": "!in(x,y)"}))
    assert not satisfies({}, parse_selector({"zone": "a"}))


def test_nothing_is_in_an_empty_list_and_everything_outside_of_it() -> None:
    assert not satisfies({"zone": "a"}, parse_selector({"zone": "in()"}))
    assert not satisfies({"zone": ""}, parse_selector({"zone": "in()"}))
    assert satisfies({"zone": "a"}, parse_selector({"zone": "!in()"}))


def test_the_order_of_a_selectors_map_is_nothing() -> None:
    assert parse_selector({"a": "x", "b": "!y"}) == parse_selector({"b": "!y", "a": "x"})
