"""What a task asks of a node, read from its spec: the scheduling class that it belongs to. Pure.

Two tasks are of one class where nothing that placement looks at tells them apart: amounts, labels and strategy. The one
hard idea is that a class has several asks, one per fallback, in order of preference: the first that can be placed wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from trio_gcs.generated.ray.common_pb2 import (
    LABEL_OPERATOR_NOT_IN,
    LabelMatchExpression,
    LabelSelector,
    LeaseSpec,
    NodeLabelSchedulingStrategy,
    TaskSpec,
)
from trio_gcs.scheduling.labels import Constraint, Selector
from trio_gcs.scheduling.policies import Ask, Tuning
from trio_gcs.scheduling.resources import Amounts, request_of
from trio_gcs.scheduling.view import Request

NODE_ID_LABEL = "ray.io/node-id"


class LeaseClass(NamedTuple):
    """What all leases of a class have in common.

    ``takes`` is what a lease takes from its node, which may be less than it must find there. ``names_node`` says that
    no node that may come later can do: where there is none now, waiting is in vain. So it is in a placement group that is
    gone.
    """

    key: bytes
    policy: str
    asks: tuple[Ask, ...]
    takes: Amounts
    names_node: bool
    group_id: bytes
    shape: Mapping[str, float]
    selectors: tuple[LabelSelector, ...]


class _Presence(Constraint):
    """The label is there, with whatever value; or, if ``negated``, is not."""

    __slots__ = ()

    def accepts(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels satisfies the condition."""
        return (self.key in labels) is not self.negated


def lease_class(spec: TaskSpec, tuning: Tuning, default_policy: str) -> LeaseClass:
    """The class of the task. ``default_policy`` is for tasks whose strategy names no way of choosing."""
    shape = dict(spec.required_placement_resources) or dict(spec.required_resources)
    need = request_of(shape)
    selectors = (spec.label_selector, *(option.label_selector for option in spec.fallback_strategy.options))
    policy, base = _strategy(spec, tuning, default_policy)
    asks = tuple(base._replace(request=Request(need, _selector(selector))) for selector in selectors)
    strategy = spec.scheduling_strategy.node_affinity_scheduling_strategy
    bound = policy == "node_affinity" and not strategy.soft
    return LeaseClass(
        key=_key(spec),
        policy=policy,
        asks=asks,
        takes=request_of(dict(spec.required_resources)),
        names_node=bound or all(_names_node(ask.request.selector) for ask in asks),
        group_id=spec.scheduling_strategy.placement_group_scheduling_strategy.placement_group_id,
        shape=shape,
        selectors=tuple(selector for selector in selectors if selector.label_constraints),
    )


def _key(spec: TaskSpec) -> bytes:
    """Equal for equal classes, since maps are written in the order of their keys."""
    kept = LeaseSpec(
        required_resources=spec.required_resources, required_placement_resources=spec.required_placement_resources
    )
    kept.scheduling_strategy.CopyFrom(spec.scheduling_strategy)
    kept.label_selector.CopyFrom(spec.label_selector)
    kept.fallback_strategy.CopyFrom(spec.fallback_strategy)
    return kept.SerializeToString(deterministic=True)


def _strategy(spec: TaskSpec, tuning: Tuning, default_policy: str) -> tuple[str, Ask]:
    """The policy that the task's strategy means, and what it tells that policy."""
    ask = Ask(Request({}), tuning)
    strategy = spec.scheduling_strategy
    which = strategy.WhichOneof("scheduling_strategy")
    if which == "spread_scheduling_strategy":
        return "spread", ask
    if which == "node_affinity_scheduling_strategy":
        affinity = strategy.node_affinity_scheduling_strategy
        eager = affinity.spill_on_unavailable or affinity.fail_on_unavailable
        return "node_affinity", ask._replace(target=affinity.node_id, soft=affinity.soft, now_or_never=eager)
    if which == "node_label_scheduling_strategy":
        return "node_label", _by_labels(ask, strategy.node_label_scheduling_strategy)
    # A bundle of a placement group is known by the names of its resources, which only its node has.
    return default_policy, ask


def _by_labels(ask: Ask, strategy: NodeLabelSchedulingStrategy) -> Ask:
    return ask._replace(
        required=tuple(_expressed(strategy.hard.expressions)), wished=tuple(_expressed(strategy.soft.expressions))
    )


def _expressed(expressions: Iterable[LabelMatchExpression]) -> Iterator[Constraint]:
    for expression in expressions:
        operator = expression.operator
        which = operator.WhichOneof("label_operator")
        if which == "label_in":
            yield Constraint(expression.key, frozenset(operator.label_in.values))
        elif which == "label_not_in":
            yield Constraint(expression.key, frozenset(operator.label_not_in.values), negated=True)
        else:
            yield _Presence(expression.key, frozenset(), negated=which == "label_does_not_exist")


def _selector(selector: LabelSelector) -> Selector:
    return tuple(
        Constraint(each.label_key, frozenset(each.label_values), each.operator == LABEL_OPERATOR_NOT_IN)
        for each in selector.label_constraints
    )


def _names_node(selector: Selector) -> bool:
    return any(each.key == NODE_ID_LABEL and not each.negated for each in selector)
