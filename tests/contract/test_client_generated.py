"""The clients' dataclasses read and write what the daemon's messages do, and have a stub for whatever is served."""

import inspect
import subprocess
import sys

import betterproto2
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.wire_services import SERVED
from trio_gcs.client.generated.message_pool import default_message_pool
from trio_gcs.client.generated.ray import rpc
from trio_gcs.client.generated.ray.rpc import autoscaler
from trio_gcs.generated import POOL
from trio_gcs.generated.ray import autoscaler_pb2, gcs_service_pb2

# grpc.health and the syncer: no client of ours calls them with these stubs.
NOT_FOR_CLIENTS = {"grpc.health.v1.Health", "ray.rpc.syncer.RaySyncer"}
PREFIX = "type.googleapis.com/"
DEPTH_MAX = 3


def upb_classes() -> dict[str, type[Message]]:
    return {
        f"{module.DESCRIPTOR.package}.{name}": getattr(module, name)
        for module in (autoscaler_pb2, gcs_service_pb2)
        for name in module.DESCRIPTOR.message_types_by_name
    }


PAIRS = [
    (upb, default_message_pool.url_to_type[PREFIX + name])
    for name, upb in upb_classes().items()
    if PREFIX + name in default_message_pool.url_to_type
]
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def value_of(draw: st.DrawFn, field: FieldDescriptor) -> object:
    if field.cpp_type in NUMBERS:
        return draw(st.integers(*NUMBERS[field.cpp_type]))
    if field.cpp_type in {FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT}:
        return float(draw(st.integers(-1000, 1000)))
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return draw(st.booleans())
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        return draw(st.sampled_from(list(field.enum_type.values))).number
    return draw(st.text(max_size=5)) if field.type == field.TYPE_STRING else draw(st.binary(max_size=5))


def fill(draw: st.DrawFn, message: Message, depth: int = 0) -> None:
    """Set a few fields of the message, and of those inside it."""
    fields = [field for field in message.DESCRIPTOR.fields if not field.full_name.startswith("google.")]
    for field in draw(st.lists(st.sampled_from(fields), max_size=4, unique=True)) if fields else ():
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if is_map:
            key, value = field.message_type.fields_by_name["key"], field.message_type.fields_by_name["value"]
            where = getattr(message, field.name)
            if value.message_type is not None:
                fill(draw, where[value_of(draw, key)], depth + 1)
            else:
                where[value_of(draw, key)] = value_of(draw, value)
        elif field.message_type is not None:
            if field.message_type.full_name.startswith("google."):
                continue
            inner = getattr(message, field.name)
            inner = inner.add() if field.is_repeated else inner
            inner.SetInParent()
            if depth < DEPTH_MAX:
                fill(draw, inner, depth + 1)
        elif field.is_repeated:
            getattr(message, field.name).append(value_of(draw, field))
        else:
            setattr(message, field.name, value_of(draw, field))


@pytest.mark.parametrize("name", sorted(service.name for service in SERVED if service.name not in NOT_FOR_CLIENTS))
def test_each_service_has_a_stub_with_each_method(name: str) -> None:
    described = POOL.FindServiceByName(name)
    package = autoscaler if name.startswith("ray.rpc.autoscaler") else rpc
    wanted = name.rpartition(".")[2].lower() + "stub"
    (stub,) = [getattr(package, known) for known in package.__all__ if known.lower() == wanted]
    routes = {line.strip(' ",') for line in inspect.getsource(stub).splitlines() if line.strip().startswith('"/')}
    assert routes == {f"/{name}/{method.name}" for method in described.methods}


def test_all_messages_of_the_services_are_there() -> None:
    assert {name for name in upb_classes() if PREFIX + name not in default_message_pool.url_to_type} == set()


@given(data=st.data())
def test_dataclasses_and_messages_of_the_daemon_say_the_same(data: st.DataObject) -> None:
    upb_type, dataclass = data.draw(st.sampled_from(PAIRS))
    message = upb_type()
    fill(data.draw, message)
    octets = message.SerializeToString()
    twin = dataclass.parse(octets)
    assert upb_type.FromString(bytes(twin)) == message
    assert dataclass.parse(bytes(twin)) == twin


@given(octets=st.binary(min_size=1, max_size=20))
def test_unknown_fields_are_kept(octets: bytes) -> None:
    unknown = b"\xfa\xff\x03" + bytes([len(octets)]) + octets
    assert bytes(rpc.GcsStatus.parse(unknown)) == unknown


def test_an_empty_member_of_a_oneof_is_sent() -> None:
    command = rpc.Command(channel_type=rpc.ChannelType.GCS_ACTOR_CHANNEL, subscribe_message=rpc.SubMessage())
    assert bytes(command) == bytes.fromhex("08022200")
    assert betterproto2.which_one_of(command, "command_message_one_of")[0] == "subscribe_message"


@pytest.mark.parametrize("module", ["as_ray_does", "as_a_person_does"])
def test_the_daemon_imports_nothing_of_the_client(module: str) -> None:
    unwanted = "('betterproto2', 'rich.', 'trio_gcs.client', 'trio_gcs.commands')"
    program = f"""
import sys
from trio_gcs.launch.lean import leave_rich_out
leave_rich_out()
import trio_gcs.gcs_server, trio_gcs.launch.{module}
sys.exit(str([name for name in sys.modules if name.startswith({unwanted})] or ""))
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False)
    assert ended.stderr.strip() == ""
