"""The daemon's tree of tasks as it is right now, from Trio's own introspection.

Deadlines of cancel scopes inside a task are no part of Trio's public interface: they are read where this version of
Trio keeps them, and left out where it does not.
"""

from __future__ import annotations

import math
from typing import Any, Final

import trio

from trio_gcs.generated.trio_gcs.v1.observer_pb2 import NurseryNode, TaskNode, TreeReply

TASKS_MAX: Final = 5000
_FRAMES_MAX: Final = 12
_DEPTH_MAX: Final = 25  # of nurseries; protobuf refuses messages that are nested more than a hundred deep


class _Walk:
    """One look at the tree; ``left`` is how many tasks may still be described."""

    def __init__(self, tasks_max: int) -> None:
        self.left = tasks_max
        self.omitted = 0
        self.now_s = trio.current_time()

    def task(self, task: trio.lowlevel.Task, depth: int) -> TaskNode:
        self.left -= 1
        node = TaskNode(name=task.name, waits_in=_frames(task))
        status = getattr(task, "_cancel_status", None)
        self._mark(node, status)
        for nursery in task.child_nurseries:
            inner = node.nurseries.add(shielded=nursery.cancel_scope.shield)
            self._mark(inner, getattr(nursery, "_cancel_status", None))
            for child in _by_name(nursery):
                if self.left > 0 and depth < _DEPTH_MAX:
                    inner.tasks.append(self.task(child, depth + 1))
                else:
                    self.omitted += _count(child)
        return node

    def _mark(self, node: TaskNode | NurseryNode, status: Any) -> None:
        if status is None:
            return
        node.cancelled = bool(getattr(status, "effectively_cancelled", False))
        deadline_s = status.effective_deadline() if hasattr(status, "effective_deadline") else math.inf
        if math.isfinite(deadline_s):
            node.deadline_in_s = deadline_s - self.now_s


def live_tree(tasks_max: int) -> TreeReply:
    """All nurseries and tasks of this run."""
    root = trio.lowlevel.current_root_task()
    assert root is not None, "somebody runs this"
    walk = _Walk(min(tasks_max or TASKS_MAX, TASKS_MAX))
    node = walk.task(root, 0)
    return TreeReply(root=node, tasks=_count(root), omitted=walk.omitted)


def _by_name(nursery: trio.Nursery) -> list[trio.lowlevel.Task]:
    return sorted(nursery.child_tasks, key=lambda task: task.name)


def _count(task: trio.lowlevel.Task) -> int:
    return 1 + sum(_count(child) for nursery in task.child_nurseries for child in nursery.child_tasks)


def _frames(task: trio.lowlevel.Task) -> list[str]:
    lines: list[str] = []
    for frame, _ in task.iter_await_frames():
        code = frame.f_code
        file = code.co_filename.rpartition("/site-packages/")[2]
        file = f"trio_gcs/{file.rpartition('/trio_gcs/')[2]}" if "/trio_gcs/" in file else file
        lines.append(f"{code.co_qualname} ({file}:{frame.f_lineno})")
        if file.startswith("trio/_core/"):
            break  # what is further in is how Trio waits, the same for everything
    return lines[-_FRAMES_MAX:]
