"""Our protos say the same as the descriptors inside an installed Ray, so the contract does not rest on our word."""

import os
import pathlib
import subprocess
from collections.abc import Iterable, Iterator

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

from tests.contract.wire_services import CALLED, MODULES, SERVED

REPO = pathlib.Path(__file__).parents[2]
FileFacts = dict[str, object]


def field_facts(message: DescriptorProto, field: FieldDescriptorProto) -> tuple[object, ...]:
    in_oneof = field.HasField("oneof_index")
    return (
        field.name,
        FieldDescriptorProto.Type.Name(field.type),
        FieldDescriptorProto.Label.Name(field.label),
        field.type_name,
        "optional" if field.proto3_optional else message.oneof_decl[field.oneof_index].name if in_oneof else "",
        field.options.packed if field.options.HasField("packed") else None,
    )


def enum_facts(prefix: str, enum: EnumDescriptorProto) -> tuple[str, object]:
    return f"{prefix}.{enum.name}", {value.name: value.number for value in enum.value}


def message_facts(prefix: str, message: DescriptorProto) -> Iterator[tuple[str, object]]:
    full_name = f"{prefix}.{message.name}"
    yield full_name, {field.number: field_facts(message, field) for field in message.field}
    for nested in message.nested_type:
        yield from message_facts(full_name, nested)
    yield from (enum_facts(full_name, enum) for enum in message.enum_type)


def facts(files: Iterable[FileDescriptorProto]) -> dict[str, list[object]]:
    """Full name of each message, enum and RPC -> what each file that declares it says of it."""
    found: dict[str, list[object]] = {}
    for file in files:
        entries = [enum_facts(file.package, enum) for enum in file.enum_type]
        for message in file.message_type:
            entries += message_facts(file.package, message)
        for service in file.service:
            for rpc in service.method:
                signature = (rpc.input_type, rpc.client_streaming, rpc.output_type, rpc.server_streaming)
                entries.append((f"/{file.package}.{service.name}/{rpc.name}", signature))
        for name, fact in entries:
            found.setdefault(name, []).append((file.syntax, fact))
    return found


@pytest.fixture(scope="module")
def ours() -> dict[str, list[object]]:
    files = []
    for module in MODULES:
        if module.DESCRIPTOR.package.startswith("ray."):
            files.append(FileDescriptorProto())
            module.DESCRIPTOR.CopyToProto(files[-1])
    return facts(files)


@pytest.fixture(scope="module")
def rays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    python = pathlib.Path(os.environ.get("TRIO_GCS_RAY_PYTHON", REPO / ".venv-ray" / "bin" / "python"))
    if not python.exists():
        pytest.skip(f"no interpreter with Ray at {python}; TRIO_GCS_RAY_PYTHON may name one")
    script = pathlib.Path(__file__).with_name("ray_descriptors.py")
    elsewhere = tmp_path_factory.mktemp("elsewhere")  # a folder named ray here would be imported instead
    done = subprocess.run([python, script], cwd=elsewhere, capture_output=True, check=True, timeout=60)
    return facts(FileDescriptorSet.FromString(done.stdout).file)


def test_ray_declares_all_that_we_declare_and_the_same(
    ours: dict[str, list[object]], rays: dict[str, list[object]]
) -> None:
    differences = [
        f"{name}: ours {fact}, Ray's {rays.get(name)}"
        for name, [fact] in ours.items()
        if not rays.get(name) or any(theirs != fact for theirs in rays[name])
    ]
    assert not differences, "\n".join(differences)
    assert len([name for name in ours if not name.startswith("/")]) > 400


def test_ray_serves_no_rpc_that_we_do_not(rays: dict[str, list[object]]) -> None:
    """Of a service that we serve, every RPC of Ray's is there."""
    served = {f"/{service.name}/{rpc}" for service in SERVED for rpc in service.rpcs}
    theirs = {name for name in rays if name.startswith("/") and name[1:].partition("/")[0] in {s.name for s in SERVED}}
    assert theirs == served


def test_what_we_call_is_there_to_be_called(rays: dict[str, list[object]]) -> None:
    assert not {f"/{service.name}/{rpc}" for service in CALLED for rpc in service.rpcs} - rays.keys()
