"""The executable that Ray starts in the place of its own ``gcs_server``: same flags, same files, same exit codes.

Whatever goes wrong must end up in the files that Ray gave for our output, so they are opened before anything else is
even imported.
"""

import os
import sys
from pathlib import Path

from trio_gcs.errors import StartError
from trio_gcs.launch.files import redirect_output
from trio_gcs.launch.flags import Flags, read_flags
from trio_gcs.launch.lean import leave_rich_out

PROGRAM = "gcs_server"
RAY_VERSION = "2.60.0"


def main() -> int:
    """Run as Ray's command line says; returns the exit code."""
    flags = read_flags(sys.argv[1:])
    try:
        redirect_output(flags.stdout_filepath, flags.stderr_filepath)
    except StartError as error:
        sys.stderr.write(f"{PROGRAM}: {error}\n")
        return 1
    _forget_foreign_packages()
    if not __debug__:
        sys.stderr.write(
            f"{PROGRAM}: python -O takes the assertions out that protect the stored state; run without it\n"
        )
        return 1
    if flags.help or flags.version:
        sys.stdout.write(_help() if flags.help else _version())
        return 0
    return _serve(flags)


def _forget_foreign_packages() -> None:
    """Take off the path what ``PYTHONPATH`` put there: it belongs to the program that started Ray.

    Putting it last would not do: a regular package there would still win over a namespace such as ``google``. Who runs us
    from ``PYTHONPATH`` itself, without an installation, has our dependencies there too, and keeps all of it.
    """
    foreign = {Path(entry).absolute() for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry}
    if Path(__file__).absolute().parents[1] not in foreign:
        sys.path[:] = [entry for entry in sys.path if Path(entry).absolute() not in foreign]


def _serve(flags: Flags) -> int:
    leave_rich_out()
    # Trio and all that it takes is imported here, when a failure to import has a file to be told in.
    from trio_gcs.launch.as_ray_does import serve  # noqa: PLC0415

    return serve(flags, program=PROGRAM)


def _version() -> str:
    from trio_gcs import __version__  # noqa: PLC0415

    return f"{PROGRAM} (trio-gcs {__version__}), speaks Ray {RAY_VERSION}\n"


def _help() -> str:
    from dataclasses import fields  # noqa: PLC0415

    flags = "".join(f"  --{flag.name}={flag.default!s}\n" for flag in fields(Flags) if flag.name != "problem")
    return f"{_version()}Started by Ray; a person starts `trio-gcs run`. Flags and their defaults:\n{flags}"


if __name__ == "__main__":
    sys.exit(main())
