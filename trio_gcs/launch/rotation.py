"""Rotation: a full log gives way to a new one, as the other logs of a Ray session do.

The hard idea: the file is our standard output, to which others than the log may write. So the new file takes the place of
the old one under the same descriptor, and whoever writes notices nothing.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

MIB = 1 << 20
_LOOK_BYTES = MIB >> 4  # after so much of ours, look at the file again


@dataclass(frozen=True, slots=True)
class Rotation:
    """How large a log may be, 0 for as large as it likes, and how many old ones are kept. Ray's defaults."""

    bytes_max: int = 512 * MIB
    backups: int = 10

    @classmethod
    def of_ray(cls, environ: Mapping[str, str]) -> Rotation:
        """What Ray's variables ask of every process of a session; what is no number asks nothing."""
        bytes_max, backups = environ.get("RAY_ROTATION_MAX_BYTES", ""), environ.get("RAY_ROTATION_BACKUP_COUNT", "")
        return cls(
            bytes_max=int(bytes_max) if bytes_max.isdecimal() else cls().bytes_max,
            backups=int(backups) if backups.isdecimal() else cls().backups,
        )


class RotatedOutput(io.TextIOBase):
    """Writes to ``stream``, whose file is ``path``, and begins a new file rather than let it grow beyond the limit."""

    def __init__(self, stream: TextIO, path: Path, rotation: Rotation) -> None:
        self._stream = stream
        self._path = path
        self._rotation = rotation
        self._room = 0  # so much may be written before we look again how long the file is

    def write(self, text: str) -> int:
        """Write a text, whole, into one file."""
        size = len(text)
        if size > self._room:
            self._make_room(size)
        self._room -= size
        return self._stream.write(text)

    def flush(self) -> None:
        """Let it out."""
        self._stream.flush()

    def isatty(self) -> bool:
        """A file is no terminal."""
        return False

    def _make_room(self, size: int) -> None:
        there = os.fstat(self._stream.fileno()).st_size
        if there and there + size > self._rotation.bytes_max:
            self._rotate()
            there = 0
        # Others write to the file as well, so what is left is not all ours.
        self._room = max(size, min(self._rotation.bytes_max - there, _LOOK_BYTES))

    def _rotate(self) -> None:
        self._stream.flush()
        try:
            for number in range(self._rotation.backups, 1, -1):
                younger = self._backup(number - 1)
                if younger.exists():
                    younger.replace(self._backup(number))
            if self._rotation.backups:
                self._path.replace(self._backup(1))
            else:
                self._path.unlink(missing_ok=True)
            opened = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError:
            return  # a log that is too long is better than none
        os.dup2(opened, self._stream.fileno())
        os.close(opened)

    def _backup(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.stem}.{number}{self._path.suffix}")


def rotated(stream: TextIO, path: str, rotation: Rotation) -> TextIO:
    """The stream with rotation, where it has a file and a limit."""
    if not path or not rotation.bytes_max:
        return stream
    return cast("TextIO", RotatedOutput(stream, Path(path), rotation))
