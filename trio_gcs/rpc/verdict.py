"""Who may call: the token, and the id of the cluster that the caller believes to talk to.

The hard idea: both depend on the headers of a call alone, so the verdict is computed once per distinct header block
and remembered with it. Health and reflection are open to everybody; the syncer's stream has a token but no cluster
id, its own texts, and sends `authorization` twice. Of a field that is sent several times, the first value counts.
"""

from __future__ import annotations

from collections.abc import Callable
from hmac import compare_digest
from typing import Final

from grpclib.const import Status

from trio_gcs.wire.metadata import Field
from trio_gcs.wire.request import Refusal

_OPEN_SERVICES: Final = (b"/grpc.health.v1.Health/", b"/grpc.reflection.")
_SYNC: Final = b"/ray.rpc.syncer.RaySyncer/StartSync"
_GET_CLUSTER_ID: Final = b"/ray.rpc.NodeInfoGcsService/GetClusterId"
_NIL_CLUSTER_ID: Final = b"ff" * 28

_WRONG_TOKEN: Final = "InvalidAuthToken: Authentication token is missing or incorrect"  # noqa: S105 - a message
_WRONG_CLUSTER: Final = "WrongClusterID: Perhaps the client is accessing GCS after it has restarted."


class Gatekeeper:
    """Judges the headers of calls. `token` None: everybody may call. `cluster_id` None: there is no cluster."""

    def __init__(self, token: str | None = None, cluster_id: Callable[[], str] | None = None) -> None:
        self._bearer = None if token is None else b"Bearer " + token.encode()
        self._cluster_id = cluster_id

    def objection(self, path: bytes, fields: list[Field]) -> str | None:
        """Return why a call with these headers is not authenticated, or None."""
        if path.startswith(_OPEN_SERVICES):
            return None
        if path == _SYNC:
            return self._sync_objection(fields)
        if self._bearer is not None and not self._has_token(fields):
            return _WRONG_TOKEN
        return None if self._cluster_matches(path, fields) else _WRONG_CLUSTER

    def refusal(self, path: bytes, fields: list[Field]) -> Refusal | None:
        """Return the answer to a call that is not authenticated, or None."""
        objection = self.objection(path, fields)
        return None if objection is None else Refusal(Status.UNAUTHENTICATED.value, objection)

    def _sync_objection(self, fields: list[Field]) -> str | None:
        if self._bearer is None or self._has_token(fields):
            return None
        sent = _first(b"authorization", fields)
        return "Missing authorization header" if sent is None else "Invalid bearer token"

    def _has_token(self, fields: list[Field]) -> bool:
        assert self._bearer is not None, "asked only where a token is needed"
        sent = _first(b"authorization", fields)
        return sent is not None and compare_digest(sent, self._bearer)

    def _cluster_matches(self, path: bytes, fields: list[Field]) -> bool:
        if self._cluster_id is None:
            return True
        sent = _first(b"ray_cluster_id", fields)
        # Whoever asks for the id cannot know it, and is told so even when it is right.
        right = _NIL_CLUSTER_ID if path == _GET_CLUSTER_ID else self._cluster_id().encode()
        return sent is None or sent == right


def _first(wanted: bytes, fields: list[Field]) -> bytes | None:
    return next((value for name, value in fields if name == wanted), None)
