"""The generated modules are what the protos say, keep out of other people's way, and lose nothing of a message."""

import importlib
import pathlib
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version

import pytest
from google.protobuf import descriptor_pool
from google.protobuf.internal import api_implementation
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.wire_services import CALLED, MODULES, SERVED, Service
from trio_gcs.generated import POOL
from trio_gcs.generated.ray import common_pb2, gcs_pb2

REPO = pathlib.Path(__file__).parents[2]
GENERATED = REPO / "trio_gcs" / "generated"
CLIENT_GENERATED = REPO / "trio_gcs" / "client" / "generated"
UNKNOWN_NUMBER_MIN = 40_000
MESSAGES = [
    getattr(module, name)
    for module in MODULES
    for name in module.DESCRIPTOR.message_types_by_name
    if module.DESCRIPTOR.package != "google.protobuf"
]


def texts(folder: pathlib.Path) -> dict[str, str]:
    """The text of every generated file; ``__init__.py`` on top is by hand."""
    return {name: text for name, text in all_texts(folder).items() if "/" in name}


def all_texts(folder: pathlib.Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*.py*") if path.suffix != ".pyc"]
    return {str(path.relative_to(folder)): path.read_text() for path in paths}


def skip_unless_pinned() -> None:
    """The committed code was made by these versions; others may order or format it in another way."""
    extras = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name, _, pinned in (line.partition("==") for line in extras["proto"]):
        try:
            present = version(name)
        except PackageNotFoundError:
            pytest.skip(f"{name} is not installed: pip install '.[proto]'")
        if present != pinned:
            pytest.skip(f"{name} is {present}, and the committed code was made by {pinned}")


def test_generating_again_gives_the_committed_code(tmp_path: pathlib.Path) -> None:
    skip_unless_pinned()
    out, client_out = tmp_path / "daemon", tmp_path / "client"
    script = REPO / "scripts" / "generate_protos.py"
    subprocess.run([sys.executable, script, "--out", out, "--client-out", client_out], check=True, timeout=60)
    assert texts(out) == texts(GENERATED)
    assert all_texts(client_out) == all_texts(CLIENT_GENERATED)


@pytest.mark.parametrize("service", [*SERVED, *CALLED], ids=lambda service: service.name)
def test_every_rpc_has_its_method_in_base_and_stub(service: Service) -> None:
    base, stub = service.base(), service.stub()
    assert base.__abstractmethods__ == service.rpcs
    complete = type("Complete", (base,), dict.fromkeys(service.rpcs, lambda self, stream: None))
    handlers = complete().__mapping__()
    assert set(handlers) == {f"/{service.name}/{rpc}" for rpc in service.rpcs}
    described = POOL.FindServiceByName(service.name)
    assert {method.name for method in described.methods} == service.rpcs
    client = stub(None)
    for method in described.methods:
        handler = handlers[f"/{service.name}/{method.name}"]
        assert handler.request_type.DESCRIPTOR is method.input_type
        assert handler.reply_type.DESCRIPTOR is method.output_type
        assert getattr(client, method.name).request_type is handler.request_type


def test_fourteen_services_are_served() -> None:
    assert len(SERVED) == 14


def test_messages_are_upb() -> None:
    assert api_implementation.Type() == "upb"
    assert {message.__mro__[1].__module__ for message in MESSAGES} == {"google._upb._message"}


def test_nothing_of_ours_is_in_the_pool_that_everybody_shares() -> None:
    shared = descriptor_pool.Default()
    for name in ("ray.rpc.ActorTableData", "ray.rpc.syncer.RaySyncMessage", "grpc.reflection.v1alpha.ErrorResponse"):
        assert POOL.FindMessageTypeByName(name).full_name == name
        # A module of Ray's, or grpcio's, may have put its own there; ours must not be it.
        try:
            theirs = shared.FindMessageTypeByName(name)
        except KeyError:
            continue
        assert theirs is not POOL.FindMessageTypeByName(name)


def test_well_known_types_of_our_pool_have_their_conveniences() -> None:
    stamp = importlib.import_module("trio_gcs.generated.google.protobuf.timestamp_pb2").Timestamp()
    stamp.FromMilliseconds(1_500)
    event = importlib.import_module("trio_gcs.generated.ray.public.events_base_event_pb2").RayEvent(timestamp=stamp)
    assert (event.timestamp.seconds, event.timestamp.ToMilliseconds()) == (1, 1_500)


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


@st.composite
def unknown_fields(draw: st.DrawFn) -> bytes:
    """Fields of numbers that no message of Ray's has, in every wire type."""
    out = b""
    for number in draw(st.lists(st.integers(UNKNOWN_NUMBER_MIN, 2**29 - 1), min_size=1, max_size=4)):
        wire_type, body = draw(
            st.one_of(
                st.tuples(st.just(0), st.integers(0, 2**64 - 1).map(varint)),
                st.tuples(st.just(1), st.binary(min_size=8, max_size=8)),
                st.tuples(st.just(2), st.binary(max_size=300).map(lambda raw: varint(len(raw)) + raw)),
                st.tuples(st.just(5), st.binary(min_size=4, max_size=4)),
            )
        )
        out += varint(number << 3 | wire_type) + body
    return out


@given(message_type=st.sampled_from(MESSAGES), unknown=unknown_fields())
def test_unknown_fields_survive_a_read_and_a_write(message_type: type[Message], unknown: bytes) -> None:
    message = message_type.FromString(unknown)
    copy = message_type()
    copy.CopyFrom(message)
    assert message.SerializeToString() == copy.SerializeToString() == unknown
    assert len(UnknownFieldSet(message)) > 0


@given(
    unknown=unknown_fields(), inner=unknown_fields(), actor_id=st.binary(max_size=20), state=st.integers(0, 2**31 - 1)
)
def test_unknown_fields_survive_an_edit_and_a_place_inside(
    unknown: bytes, inner: bytes, actor_id: bytes, state: int
) -> None:
    address = common_pb2.Address(port=7).SerializeToString() + inner
    row = gcs_pb2.ActorTableData.FromString(
        unknown + gcs_pb2.ActorTableData(address=common_pb2.Address.FromString(address)).SerializeToString()
    )
    row.actor_id = actor_id
    row.state = state  # type: ignore[assignment]  # an enum value that we do not know yet is a plain number
    again = gcs_pb2.ActorTableData.FromString(row.SerializeToString())
    assert (again.actor_id, again.state) == (actor_id, state)
    assert again.address.SerializeToString() == address
    assert unknown in again.SerializeToString()
