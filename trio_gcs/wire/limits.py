"""What one peer may cost us: every limit of the server's transport, each with its unit and its reason.

Nothing here is a promise to a well-behaved client; all of it is a promise to its neighbours. A limit that is hit ends
the call or the connection that hit it, and nothing else.
"""

from dataclasses import dataclass

KIB = 1 << 10
MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits of one server, and its windows and periods."""

    connections_max: int = 100_000  # in practice the limit on open files comes first
    streams_max: int = 2**31 - 1  # one client may hold thousands of long polls on a connection
    header_list_bytes_max: int = 16 * KIB  # C-core's own hard limit
    continuations_max: int = 32  # frames that one header block may come in
    message_bytes_max: int = 512 * MIB  # a runtime_env package travels as one value
    incoming_bytes_max: int = 1024 * MIB  # of unfinished messages, for all streams of a connection

    # Windows: what a peer may send before we say more. A stream's is also what an unread stream may pile up.
    stream_window_bytes: int = MIB
    connection_window_bytes: int = 16 * MIB
    frame_bytes_max: int = 64 * KIB

    # A reader that is slow: above the first, new calls of its connection wait; above the second, it is ended.
    unread_bytes_soft_max: int = 32 * MIB
    unread_bytes_max: int = 2048 * MIB
    calls_waiting_max: int = 10_000  # behind the soft limit; more are refused, safe to retry
    unread_timeout_s: float = 60.0  # no octet taken for so long while we have some: it is dead

    handshake_timeout_s: float = 20.0  # for the preface and the first SETTINGS
    frame_timeout_s: float = 60.0  # for the rest of a frame or header block that has begun

    # Frames that cost us work and bring nothing: what may come at once, and what may come for good.
    resets_burst: int = 10_000  # a client that shuts down cancels all its polls
    resets_per_s: float = 500.0
    oddities_burst: int = 1000  # SETTINGS, PRIORITY, empty DATA, unknown frames, frames of closed streams
    oddities_per_s: float = 50.0
    ping_period_min_s: float = 60.0  # without anything sent by us in between, as C-core counts it
    ping_strikes_max: int = 2

    # Our own PINGs, sent while calls are open. Ray's server has the same two.
    keepalive_period_s: float = 10.0
    keepalive_timeout_s: float = 20.0
