"""Makes Ray start another ``gcs_server``. Runs inside Ray's Python, of any version that Ray supports, without trio-gcs.

Ray keeps the path of the executable in a global of ``ray._private.services`` and reads it each time it starts one. So it
is enough to set that global once the module has been executed, however it comes to be imported. The path to put there is in
the environment variable ``TRIO_GCS_SERVER``; without it this file does nothing.
"""

from __future__ import annotations

import importlib.abc
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

MODULE = "ray._private.services"
NAME = "GCS_SERVER_EXECUTABLE"
VARIABLE = "TRIO_GCS_SERVER"


def swap(module: ModuleType) -> None:
    """Put our executable into Ray's module; a Ray that has no such name is not the one that we know."""
    executable = os.environ.get(VARIABLE)
    if executable:
        if not hasattr(module, NAME):
            raise ImportError(f"trio-gcs cannot take the place of this Ray's gcs_server: {MODULE} has no {NAME}")
        setattr(module, NAME, executable)


class SwappingLoader(importlib.abc.Loader):
    """The loader that Python would have used, and the swap after it."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Leave it to the real loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Let the real loader execute the module, then change the one name in it."""
        self._loader.exec_module(module)
        swap(module)


class Watch(importlib.abc.MetaPathFinder):
    """Stands first among the finders until Ray's module is looked for, then steps aside."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find Ray's module as the other finders would, and watch its execution."""
        if fullname != MODULE:
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            spec = finder.find_spec(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = SwappingLoader(spec.loader)
                return spec
        return None


def activate() -> None:
    """Swap now if Ray is imported already, else as soon as it is. Harmless when repeated."""
    module = sys.modules.get(MODULE)
    if module is not None:
        swap(module)
    elif os.environ.get(VARIABLE) and not any(type(finder).__name__ == Watch.__name__ for finder in sys.meta_path):
        sys.meta_path.insert(0, Watch())
