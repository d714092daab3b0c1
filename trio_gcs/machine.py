"""State machines as tables: every legal move of an entity is one line, and what has no line is refused."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Generic, TypeVar

State = TypeVar("State", bound=Enum)
Input = TypeVar("Input", bound=Enum)


class IllegalTransition(AssertionError):
    """An input arrived in a state whose table has no line for it: a bug, so the daemon ends."""

    def __init__(self, entity: str, state: Enum | None, stimulus: Enum) -> None:
        name = state.name if state else "unborn"
        super().__init__(f"{entity} in state {name} cannot take {stimulus.name}")
        self.entity = entity
        self.state = state
        self.stimulus = stimulus


class Machine(Generic[State, Input]):
    """A transition table with a name. ``None`` is the state of a row that is not yet born."""

    def __init__(self, entity: str, table: Mapping[tuple[State | None, Input], State]) -> None:
        self.entity = entity
        self.table = dict(table)

    def after(self, state: State | None, stimulus: Input) -> State:
        """The state that ``stimulus`` leads to from ``state``; raises :class:`IllegalTransition` if there is none."""
        try:
            return self.table[state, stimulus]
        except KeyError:
            raise IllegalTransition(self.entity, state, stimulus) from None

    def accepts(self, state: State | None, stimulus: Input) -> bool:
        """Whether the table has a line for this input in this state."""
        return (state, stimulus) in self.table

    def to_dot(self) -> str:
        """The diagram of the table in Graphviz's language, for the docs."""
        lines = [f'digraph "{self.entity}" {{']
        for (state, stimulus), target in self.table.items():
            source = state.name if state else "unborn"
            lines.append(f'  "{source}" -> "{target.name}" [label="{stimulus.name}"];')
        return "\n".join([*lines, "}"])
