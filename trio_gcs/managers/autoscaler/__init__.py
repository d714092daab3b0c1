"""The autoscaler's side of the cluster: what it is told, what it tells us, and the nodes that it takes away."""

from trio_gcs.managers.autoscaler.drains import Drains
from trio_gcs.managers.autoscaler.manager import AutoscalerManager

__all__ = ["AutoscalerManager", "Drains"]
