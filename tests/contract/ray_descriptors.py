"""Print what an installed Ray says about its own wire, as a serialized FileDescriptorSet. Run by an interpreter with Ray.

Two places tell: the modules in ray/core/generated, and the descriptors that the ``gcs_server`` executable carries in
its constants. The latter include the syncer, which has no Python module. The same file may come from both.
"""

import importlib
import pathlib
import pkgutil
import re
import sys
from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.message import DecodeError

EMBEDDED = re.compile(rb"\n([\x01-\x7f])(?=src/ray/protobuf/[\w/]+\.proto)")
KNOWN_FIELDS = {field.number for field in FileDescriptorProto.DESCRIPTOR.fields}
LENGTH_DELIMITED = 2
VARINT_SHIFT = 7


def varint(raw: bytes, at: int) -> tuple[int, int]:
    """The number that starts at ``at``, and where it ends."""
    value = shift = 0
    while True:
        value |= (raw[at] & 0x7F) << shift
        shift += VARINT_SHIFT
        at += 1
        if raw[at - 1] < 0x80:
            return value, at


def end_of_message(raw: bytes, at: int) -> int:
    """Where a FileDescriptorProto ends that starts at ``at``. Its fields that matter are all length-delimited."""
    while True:
        tag, after = varint(raw, at)
        if tag & 7 != LENGTH_DELIMITED or tag >> 3 not in KNOWN_FIELDS:
            return at
        length, after = varint(raw, after)
        at = after + length


def embedded(executable: pathlib.Path) -> Iterator[FileDescriptorProto]:
    """The descriptors of Ray's files in the constants of ``executable``."""
    raw = executable.read_bytes()
    for match in EMBEDDED.finditer(raw):
        try:
            yield FileDescriptorProto.FromString(raw[match.start() : end_of_message(raw, match.start())])
        except DecodeError:
            continue  # the name of a file as another file's import


def imported() -> Iterator[FileDescriptorProto]:
    """The descriptors of Ray's Python modules."""
    generated = importlib.import_module("ray.core.generated")
    for found in pkgutil.iter_modules(generated.__path__):
        if found.name.endswith("_pb2"):
            file = FileDescriptorProto()
            importlib.import_module(f"ray.core.generated.{found.name}").DESCRIPTOR.CopyToProto(file)
            yield file


def main() -> None:
    ray = importlib.import_module("ray")
    executable = pathlib.Path(ray.__path__[0]) / "core" / "src" / "ray" / "gcs" / "gcs_server"
    files = FileDescriptorSet(file=[*imported(), *embedded(executable)])
    sys.stdout.buffer.write(files.SerializeToString())


if __name__ == "__main__":
    main()
