"""Task events: what workers tell of their tasks, kept in memory within a cap, never stored (Ray 2.60 behaviour)."""

from trio_gcs.managers.tasks.manager import TaskManager

__all__ = ["TaskManager"]
