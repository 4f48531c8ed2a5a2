"""How long to wait before a dead origin is started again. Pure.

Called by ``edge.supervisor.supervisor``. At once at first, so that a single crash
is hardly seen; longer each time it dies soon after, so that one that cannot run
(a full disk at start, say) does not keep the machine busy.
"""

FIRST = 0.1
LONGEST = 5.0
HEALTHY = 10.0
"""Seconds of life after which a death is the first one again."""


def pause_after(last: float | None, lived: float) -> float:
    """Seconds to wait; ``last`` is the pause before this life, None: there was none."""
    if last is None or lived >= HEALTHY:
        return FIRST
    return min(LONGEST, last * 2)
