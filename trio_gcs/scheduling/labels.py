"""Label selectors: which nodes a request wants, by their labels.

A selector is a conjunction of constraints, written as a map of label keys to expressions: ``v``, ``!v``, ``in(a,b)`` or
``!in(a,b)``. The one subtlety: a node without the key satisfies every negated constraint. Text that is not quite an
``in(...)`` is a value like any other, and so is every blank: nothing is trimmed, nothing is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol


class Expressions(Protocol):
    """The map of a bundle: label keys to expressions."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Keys and expressions."""
        ...


class Constraint(NamedTuple):
    """One condition: the label ``key`` has one of ``values``; or, if ``negated``, has none of them."""

    key: str
    values: frozenset[str]
    negated: bool = False

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels satisfies the condition."""
        return (labels.get(self.key) in self.values) is not self.negated


Selector = tuple[Constraint, ...]
ANY_NODE: Selector = ()


def parse_expression(key: str, text: str) -> Constraint:
    """Read one expression; every text is a legal one."""
    negated = text.startswith("!")
    body = text[1:] if negated else text
    if body.startswith("in(") and body.endswith(")"):
        listed = body[len("in(") : -1]
        return Constraint(key, frozenset(listed.split(",")) if listed else frozenset(), negated)
    return Constraint(key, frozenset((body,)), negated)


def parse_selector(expressions: Expressions) -> Selector:
    """Read the selector of a bundle. Equal maps give equal selectors, whatever their order."""
    return tuple(sorted((parse_expression(key, text) for key, text in expressions.items()), key=_by_key))


def satisfies(labels: Mapping[str, str], selector: Selector) -> bool:
    """Whether a node with these labels is one that the selector wants."""
    return all(constraint.accepts(labels) for constraint in selector)


def _by_key(constraint: Constraint) -> str:
    return constraint.key
