"""Who lets others accept: how fronts share connections evenly (W13). Pure.

All fronts wait at one listener, and whoever is idle accepts: that is right for work,
and wrong for viewers, who come once and stay. So a process that has clearly more than
the others pauses a moment. A listener of its own for each would lose those in its
backlog when it closes.

``edge.board.lane_view`` asks with the counts on the board, before each connection.
"""

from collections.abc import Collection, Iterable

SPARE_CONNECTIONS = 64
"""More than the mean by so many is no imbalance. It is more than a process accepts
before the others have looked."""


def is_above(own: int, others: Collection[int]) -> bool:
    """Whether ``own`` connections are too many beside those of the others that accept
    and beat: above 9/8 of the mean of all, and 64. Never without others."""
    mean = (own + sum(others)) / (1 + len(others))
    return own > mean * 9 / 8 + SPARE_CONNECTIONS


def may_pause(others_accept: Iterable[bool]) -> bool:
    """Whether a process may pause: one that does not pause is left."""
    return any(others_accept)
