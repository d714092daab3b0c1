"""Amounts of resources in fixed point, and the arithmetic that decides what fits on a node.

An amount is an integer of 1/10000 units. The one hard idea is how a double becomes one: ``int(double * 10000)``, which
truncates the *product of doubles*, so 0.57 is 5699. Raylets do the same, and a rounding of our own would promise
bundles that do not fit there. Sets of amounts are plain dictionaries by name; who puts one into a row never edits it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Protocol

UNITS = 10_000
UNITS_MAX = (1 << 63) - 1  # what raylets count with
# Every node has one of each resource with this prefix, unless it says otherwise; they are never listed.
IMPLICIT_PREFIX = "node:__internal_implicit_resource_"
_DEFAULTS = frozenset((0, UNITS))

Amounts = dict[str, int]


class Doubles(Protocol):
    """A map of a message: names to doubles. A Mapping, or protobuf's map, which is none by its type."""

    def items(self) -> Iterable[tuple[str, float]]:
        """Names and doubles."""
        ...


def units(double: float) -> int:
    """An amount of the wire in fixed point, as much of it as raylets can count; what is not a finite number is nothing."""
    product = double * UNITS
    return max(-UNITS_MAX, min(UNITS_MAX, int(product))) if isfinite(product) else 0


def implicit(name: str) -> int:
    """What a node has of a resource that it does not name."""
    return UNITS if name.startswith(IMPLICIT_PREFIX) else 0


def request_of(doubles: Doubles) -> Amounts:
    """The set that a request asks for; what rounds to nothing is not asked for."""
    return {name: need for name, double in doubles.items() if (need := units(double))}


def held_by_node(doubles: Doubles) -> Amounts:
    """The set that a node has; what it has by default is not written down."""
    try:
        held = {name: int(double * UNITS) for name, double in doubles.items()}
        is_countable = not held or (max(held.values()) <= UNITS_MAX and min(held.values()) >= -UNITS_MAX)
    except (OverflowError, ValueError):  # infinity, or not a number
        is_countable = False
    if not is_countable:
        held = {name: units(double) for name, double in doubles.items()}
    for name in [name for name, amount in held.items() if amount in _DEFAULTS and amount == implicit(name)]:
        del held[name]
    return held


def amount_of(held: Mapping[str, int], name: str) -> int:
    """How much of ``name`` a node's set has."""
    amount = held.get(name)
    return implicit(name) if amount is None else amount


def covers(held: Mapping[str, int], need: Mapping[str, int]) -> bool:
    """Whether a node's set has all that a request asks for."""
    for name, amount in need.items():
        have = held.get(name)
        if have is None:
            have = implicit(name)
        if have < amount:
            return False
    return True


def minus(held: Mapping[str, int], need: Mapping[str, int]) -> Amounts:
    """A node's set with a request taken out of it. What would go below nothing is simply gone."""
    left = dict(held)
    for name, amount in need.items():
        default = implicit(name)
        left[name] = left.get(name, default) - amount
        if left[name] == default:
            del left[name]
    if left and min(left.values()) < 0:
        left = {name: amount for name, amount in left.items() if amount >= 0}
    return left


def plus(held: Mapping[str, int], given: Mapping[str, int], total: Mapping[str, int]) -> Amounts:
    """A node's set with a request given back, never beyond ``total``; what the node has none of stays away."""
    more = dict(held)
    for name, amount in given.items():
        default = implicit(name)
        limit = total.get(name, default)
        if limit:
            more[name] = min(limit, more.get(name, default) + amount)
            if more[name] == default:
                del more[name]
    return more


def added(needs: Iterable[Mapping[str, int]]) -> Amounts:
    """The sum of several requests."""
    total: Amounts = {}
    for need in needs:
        for name, amount in need.items():
            total[name] = total.get(name, 0) + amount
    return total


def explicit_doubles(held: Mapping[str, int]) -> dict[str, float]:
    """A node's set as clients see it: doubles, without what is hidden or nothing."""
    return {name: amount / UNITS for name, amount in held.items() if amount and not name.startswith(IMPLICIT_PREFIX)}
