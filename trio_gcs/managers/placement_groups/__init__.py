"""Placement groups: bundles on several nodes, all of them or none."""

from trio_gcs.managers.placement_groups.group import Group
from trio_gcs.managers.placement_groups.manager import PlacementGroupManager
from trio_gcs.managers.placement_groups.queries import Queries

__all__ = ["Group", "PlacementGroupManager", "Queries"]
