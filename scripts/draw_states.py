#!/usr/bin/env python3
"""Draw the state machines from their tables into docs/states.md; with --check, only see whether it would change."""

import sys
from pathlib import Path

from trio_gcs.machine import Machine
from trio_gcs.managers.actors.states import MACHINE as ACTORS
from trio_gcs.managers.nodes.states import MACHINE as NODES
from trio_gcs.managers.placement_groups.states import MACHINE as PLACEMENT_GROUPS

PAGE = Path(__file__).resolve().parents[1] / "docs" / "states.md"
HEAD = """# States

Drawn from the tables in the code by `make diagrams`; a test sees that they are up to date. What has no arrow here is
refused, or ignored where the machine's file says so. Inputs that leave a state as it is are left out.
"""


def section(machine: Machine) -> str:
    """One machine as a diagram that GitHub and editors render."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, stimulus), target in machine.table.items():
        if state is not target:
            source = state.name if state else "[*]"
            arrows.setdefault((source, target.name), []).append(stimulus.name)
    lines = [f"    {source} --> {target}: {', '.join(inputs)}" for (source, target), inputs in arrows.items()]
    return "\n".join([f"\n## {machine.entity}\n", "```mermaid", "stateDiagram-v2", *lines, "```", ""])


def main() -> int:
    """Write the page, or compare it."""
    page = HEAD + "".join(section(machine) for machine in (NODES, ACTORS, PLACEMENT_GROUPS))
    if "--check" in sys.argv:
        return int(page != PAGE.read_text())
    PAGE.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
