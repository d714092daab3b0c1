"""What a daemon leaves out of its process, so that it starts in a fraction of a second and logs alike everywhere."""

import sys


def leave_rich_out() -> None:
    """Keep structlog from importing rich, which our commands draw tables with.

    It does wherever it finds it: a third more to import before the first call can be taken, and tracebacks in the log
    that look different depending on what else is installed. Must be called before structlog is imported.
    """
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # makes `import rich` an ImportError
