"""Nodes: who is in the cluster, who was, and what may be asked about them."""

from trio_gcs.managers.nodes.manager import NodeManager, Raylets
from trio_gcs.managers.nodes.queries import NodeQueries

__all__ = ["NodeManager", "NodeQueries", "Raylets"]
