"""Asking a service without a wire."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from trio_gcs.generated.ray import gcs_service_pb2 as pb
from trio_gcs.rpc.handlers import plain_function


def ask(service: object, method: str, request: Message | None = None) -> Any:
    """What the function behind a handler answers; where these are octets already, as a client reads them."""
    function = plain_function(getattr(service, method))
    assert function is not None, f"{method} is no unary method"
    reply = function(request if request is not None else getattr(pb, f"{method}Request")())
    return getattr(pb, f"{method}Reply").FromString(reply) if isinstance(reply, bytes) else reply
