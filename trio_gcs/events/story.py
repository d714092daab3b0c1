"""Stories: what happened to an id, with causes, read off the event log.

There is no second record: the ring that subscribers are fed from is looked through when somebody asks, which is rare.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final

from trio_gcs.events.entry import Entry
from trio_gcs.events.ring import Ring
from trio_gcs.generated.trio_gcs.v1.observer_pb2 import StoryLine, StoryReply

LINES_MAX: Final = 200


def story_of(rings: list[Ring], wanted: str, lines_max: int) -> StoryReply:
    """The newest lines about ids that begin with ``wanted``, oldest first."""
    lines: deque[Entry] = deque(maxlen=min(lines_max or LINES_MAX, LINES_MAX))
    for ring in rings:
        lines.extend(entry for entry in ring if entry.thing.id.startswith(wanted))
    return StoryReply(
        lines=[_line(entry) for entry in sorted(lines, key=lambda entry: entry.time_ms)],
        complete_after_revision=rings[0].forgotten.revision,
    )


def _line(entry: Entry) -> StoryLine:
    told = entry.told
    thing = told.thing
    return StoryLine(
        revision=entry.revision,
        time_ms=entry.time_ms,
        kind=thing.kind,
        id=thing.id,
        was=told.was,
        state="" if entry.deleted else thing.state,
        deleted=entry.deleted,
        what=told.what,
        cause=told.cause,
        why=why(thing.kind, thing.body),
    )


def why(kind: str, body: Any) -> str:
    """What the record itself says of the reason of its state, in words."""
    if body is None:
        return ""
    match kind:
        case "node":
            return str(body.death_info.reason_message)
        case "worker":
            return str(body.exit_detail)
        case "actor":
            cause = body.death_cause
            context = getattr(cause, cause.WhichOneof("context") or "actor_died_error_context")
            return str(getattr(context, "error_message", ""))
        case _:
            return ""
