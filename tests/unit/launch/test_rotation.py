"""The log in files of a limited size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

from trio_gcs.launch.rotation import Rotation, rotated


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gcs_server.out"


@pytest.fixture
def stream(path: Path) -> Iterator[TextIO]:
    with path.open("a") as stream:
        yield stream


def texts(path: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in path.parent.iterdir()}


def test_a_full_log_gives_way_and_the_oldest_goes(path: Path, stream: TextIO) -> None:
    output = rotated(stream, str(path), Rotation(bytes_max=1, backups=2))
    for number in range(5):
        output.write(f"line {number}\n")
        output.flush()
    assert texts(path) == {
        "gcs_server.out": "line 4\n",
        "gcs_server.1.out": "line 3\n",
        "gcs_server.2.out": "line 2\n",
    }


def test_lines_share_a_file_as_long_as_they_fit(path: Path, stream: TextIO) -> None:
    output = rotated(stream, str(path), Rotation(bytes_max=10, backups=1))
    for text in ("abcd\n", "efgh\n", "ijkl\n"):
        output.write(text)
        output.flush()
    assert texts(path) == {"gcs_server.1.out": "abcd\nefgh\n", "gcs_server.out": "ijkl\n"}


def test_others_write_to_the_new_file_too(path: Path, stream: TextIO) -> None:
    output = rotated(stream, str(path), Rotation(bytes_max=1, backups=1))
    output.write("one\n")
    output.flush()
    output.write("two\n")
    stream.write("a traceback\n")
    stream.flush()
    assert texts(path)["gcs_server.out"] == "two\na traceback\n"


def test_without_backups_the_old_log_is_gone(path: Path, stream: TextIO) -> None:
    output = rotated(stream, str(path), Rotation(bytes_max=1, backups=0))
    for text in ("one\n", "two\n"):
        output.write(text)
        output.flush()
    assert texts(path) == {"gcs_server.out": "two\n"}


def test_a_log_that_cannot_be_rotated_goes_on(path: Path, stream: TextIO) -> None:
    output = rotated(stream, str(path.with_name("missing") / "gcs_server.out"), Rotation(bytes_max=1, backups=1))
    for text in ("one\n", "two\n"):
        output.write(text)
        output.flush()
    assert texts(path) == {"gcs_server.out": "one\ntwo\n"}


@pytest.mark.parametrize(("name", "rotation"), [("", Rotation()), ("x", Rotation(bytes_max=0))])
def test_without_a_file_or_a_limit_nothing_is_rotated(stream: TextIO, name: str, rotation: Rotation) -> None:
    assert rotated(stream, name, rotation) is stream


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Rotation()),
        ({"RAY_ROTATION_MAX_BYTES": "1", "RAY_ROTATION_BACKUP_COUNT": "3"}, Rotation(1, 3)),
        ({"RAY_ROTATION_MAX_BYTES": "much"}, Rotation()),
    ],
)
def test_rays_variables_say_how_much(environ: dict[str, str], expected: Rotation) -> None:
    assert Rotation.of_ray(environ) == expected
