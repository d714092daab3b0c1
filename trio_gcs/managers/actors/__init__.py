"""Actors: who they are, where they live, and why they died."""

from trio_gcs.managers.actors.manager import ActorManager
from trio_gcs.managers.actors.peers import Nodes, Raylets, Workers
from trio_gcs.managers.actors.queries import Found, Queries

__all__ = ["ActorManager", "Found", "Nodes", "Queries", "Raylets", "Workers"]
