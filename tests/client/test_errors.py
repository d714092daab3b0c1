"""Errors, whichever way a server tells of them; addresses and tokens, wherever they are said."""

from __future__ import annotations

import pytest
from grpclib.const import Status
from grpclib.exceptions import GRPCError

from trio_gcs.client.address import Address, find_address, find_token
from trio_gcs.client.errors import (
    AlreadyExists,
    ClientError,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    ServerError,
    Unauthenticated,
    Unavailable,
    Unsupported,
    WrongCluster,
    error_of_code,
    error_of_grpc,
)
from trio_gcs.errors import Code


@pytest.mark.parametrize(
    ("status", "message", "details", "kind"),
    [
        (Status.ABORTED, "NotFound", b"no such node", NotFound),
        (Status.ABORTED, "InvalidArgument", b"bad", InvalidRequest),
        (Status.ABORTED, "nonsense", None, ServerError),
        (Status.UNAVAILABLE, "gone", None, Unavailable),
        (Status.DEADLINE_EXCEEDED, None, None, DeadlineExceeded),
        (Status.UNAUTHENTICATED, "InvalidAuthToken: no", None, Unauthenticated),
        (Status.UNAUTHENTICATED, "WrongClusterID: no", None, WrongCluster),
        (Status.UNIMPLEMENTED, "no such method", None, Unsupported),
        (Status.INTERNAL, "bug", None, ServerError),
    ],
)
def test_a_grpc_status_becomes_one_error(status, message, details, kind):
    error = error_of_grpc(GRPCError(status, message, details))
    assert type(error) is kind
    assert str(error) == (details.decode() if details else message or status.name)


@pytest.mark.parametrize("code", [code for code in Code if code])
def test_every_code_of_rays_becomes_an_error_with_its_number(code):
    error = error_of_code(code, "")
    assert (error.code, str(error)) == (code, code.wire_name)
    assert isinstance(error, ClientError)


def test_codes_that_people_react_to_have_errors_of_their_own():
    kinds = {Code.NOT_FOUND: NotFound, Code.ALREADY_EXISTS: AlreadyExists, Code.INVALID: InvalidRequest}
    assert {code: type(error_of_code(code, "")) for code in kinds} == kinds
    assert str(error_of_code(99, "")) == "code 99"


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("10.0.0.1:6379", "10.0.0.1", 6379), (" head:1 ", "head", 1), ("[::1]:6379", "::1", 6379)],
)
def test_addresses_are_read(text, host, port):
    address = Address.parse(text)
    assert address == (host, port)
    assert str(address) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "auto", "head", "head:", "head:0", "head:65536", "ray://head:1", ":1", "::1:6379"]
)
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidRequest, match="HOST:PORT"):
        Address.parse(text)


def test_the_address_is_looked_for_where_people_put_it():
    assert find_address("a:1", {"TRIO_GCS_ADDRESS": "b:2"}) == ("a", 1)
    assert find_address(None, {"TRIO_GCS_ADDRESS": "b:2", "RAY_ADDRESS": "c:3"}) == ("b", 2)
    assert find_address(None, {"RAY_ADDRESS": "c:3"}) == ("c", 3)
    assert find_address(None, {"RAY_ADDRESS": "ray://c:3"}) == ("127.0.0.1", 6379)
    assert find_address(None, {}) == ("127.0.0.1", 6379)


def test_the_token_is_looked_for_where_ray_puts_it(tmp_path):
    (tmp_path / "t").write_text("of the path\nmore\n")
    assert find_token(None, {"HOME": str(tmp_path)}) is None
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("of home\n")
    environ = {"HOME": str(tmp_path)}
    assert find_token(None, environ) == "of home"
    environ["RAY_AUTH_TOKEN_PATH"] = str(tmp_path / "t")
    assert find_token(None, environ) == "of the path"
    environ["RAY_AUTH_TOKEN"] = "of the variable"
    assert find_token(None, environ) == "of the variable"
    assert find_token("mine", environ) == "mine"
    assert find_token("", environ) is None
    with pytest.raises(InvalidRequest, match="nowhere"):
        find_token(None, {"RAY_AUTH_TOKEN_PATH": str(tmp_path / "nowhere")})
