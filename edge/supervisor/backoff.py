"""How long to wait before a dead origin is started again. Pure.

The first restart is almost immediate: a single crash is hardly noticed. Each death soon
after a start doubles the pause. An origin that cannot run (a full disk, say) thus does
not keep the machine busy. Called by ``edge.supervisor.supervisor``.
"""

FIRST_SECONDS = 0.1
MAX_SECONDS = 5.0
HEALTHY_SECONDS = 10.0
"""After a life of this many seconds the pause is the first one again."""


def pause_after(last: float | None, lived: float) -> float:
    """Seconds to wait. ``last`` is the pause before this life, None: there was none."""
    if last is None or lived >= HEALTHY_SECONDS:
        return FIRST_SECONDS
    return min(MAX_SECONDS, last * 2)
