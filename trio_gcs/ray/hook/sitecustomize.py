"""Python imports a module of this name at start; ours is found first, activates the hook, and gives way to the next one."""

import importlib
import importlib.machinery
import importlib.util
import os
import sys

importlib.import_module("trio_gcs_ray_hook").activate()

_here = os.path.dirname(os.path.abspath(__file__))
_elsewhere = [entry for entry in sys.path if os.path.abspath(entry) != _here]
_spec = importlib.machinery.PathFinder.find_spec("sitecustomize", _elsewhere)
if _spec is not None and _spec.loader is not None:
    _next = importlib.util.module_from_spec(_spec)
    sys.modules["sitecustomize"] = _next
    _spec.loader.exec_module(_next)
