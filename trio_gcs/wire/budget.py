"""A token bucket: so much at once, so much a second. Counts what a peer makes us do for nothing."""


class Budget:
    """Tokens that come back with time, up to `burst`."""

    __slots__ = ("_at", "_burst", "_level", "_per_s")

    def __init__(self, burst: int, per_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._level = float(burst)
        self._at = 0.0

    def spend(self, now: float) -> bool:
        """Take one token; False when there is none left."""
        self._level = min(self._burst, self._level + (now - self._at) * self._per_s)
        self._at = now
        if self._level < 1:
            return False
        self._level -= 1
        return True
