"""OriginHealth: whether the origin is up, as an operator is told. Pure.

It decides nothing: the breaker (``edge.policy.http.breaker``) and each stream's
back-off do. It is told the same outcomes. The origin counts as down after a few
failures in a row, of whatever streams, and as up again with the first answer: an origin
that answers anything can be reached. Before the first outcome it counts as up.
"""

from edge.policy.http.breaker import CallOutcome

DOWN_AFTER = 3
"""Failures in a row after which it counts as down."""


class OriginHealth:
    """The health of one origin. ``up``: whether it counts as up. ``changed``: since
    when (Unix time; 0: always). ``well``: nothing has failed since the last answer, and
    an answer need not be told."""

    __slots__ = ("_failures", "changed", "up", "well")

    def __init__(self) -> None:
        self.up = self.well = True
        self.changed = 0.0
        self._failures = 0

    def heard(self, outcome: CallOutcome, wall: float) -> None:
        """A call ended, at this Unix time."""
        if outcome is CallOutcome.NOTHING:
            return
        self._failures = self._failures + 1 if outcome is CallOutcome.AWAY else 0
        self.well = not self._failures
        up = self._failures < DOWN_AFTER
        if up is not self.up:
            self.up, self.changed = up, wall
