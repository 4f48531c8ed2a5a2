"""The breaker: whether an origin may be asked now (U6). Pure.

An origin that is down fails every call, of every stream. The back-off of each stream
spares it only a little when there are many streams, and each reader waits for its own
failure. So the calls of all streams are looked at together: once most of the last ones
failed, nobody asks but one call per *step*, until one is answered.

=========== ============================================================================
CLOSED      every call is made
OPEN        no call is made until the step is over
HALF_OPEN   the step was over and one call, a *probe*, was let through. The next step
            runs already: if the probe has no outcome by its end, one more is let
            through. Whatever happens to a probe (it is held, or cancelled), the
            breaker is never stuck.
=========== ============================================================================

It opens by a failure, if at least 10 of the last 20 calls failed and the failures came
from at least 3 streams. Any probe that is answered closes it, and what failed before is
forgotten. Each other probe doubles the step once, from 0.5 s up to 5 s: by its failure,
or by having no outcome when the next one is let through (an origin that hangs must not
collect probes). Each step is cut by up to a half at random, so that the edges of one
origin do not ask in step.

What an outcome says:

- AWAY: nobody listens, a time-out, or a status by which a proxy says the same (502 to
  504, and 520 to 530).
- ANSWERED: any other status, 500 too. A server that says that it failed can be
  reached: its fault concerns that stream alone. It also closes the breaker: what does
  not open it must not hold it open. A 5xx that comes from another edge is an answer of
  that edge, which lives (U11).
- NOTHING: an answer that is no HTTP, or a call that was never made.

Only calls that were let through since the breaker last opened or closed are heard.
Calls from before say nothing of now, whatever their outcome. Thirty polls that were
held when the origin went down end one after another, and must not double the step. An
origin that is shutting down answers its held polls with 204 and refuses new
connections, so their success must not close. And when the breaker has closed, the last
time-outs of the outage must not open it again.

Other proxies were weighed. The passive checks of nginx (``max_fails``) and of Envoy
(outlier detection) choose among several servers; nginx never gives up a single one.
Here there is one origin, and what is held stands in for it. With HAProxy (``observe
layer7``) one URL that fails can take a server down for all: hence several streams.
Varnish's saint mode keeps failures by object, and gives up the backend at a threshold
of objects: U6 is near to that. A probe is a call that somebody needs, as with nginx.
Varnish and HAProxy ask a URL of their own, which an origin of streams need not have.
All of them let an operator switch it off; here that is ``origin.breaker``.
"""

import enum
import math
from collections import deque

from edge.core.errors import OriginFault, OriginTimeout, OriginUnreachable

WINDOW = 20
"""Calls that are looked back at."""

MIN_FAILURES = WINDOW // 2
MIN_STREAMS = 3
"""How many of these failed, and of how many streams, when the breaker opens."""

FIRST_STEP = 0.5
LONGEST_STEP = 5.0
"""Seconds between two calls while it is open."""

_AWAY_STATUSES = frozenset((502, 503, 504, *range(520, 531)))


class CallOutcome(enum.Enum):
    """What the end of a call says of the origin; see the module."""

    ANSWERED = "answered"
    AWAY = "away"
    NOTHING = "nothing"


def outcome_of_status(status: int, *, from_an_edge: bool) -> CallOutcome:
    """What an answer says. ``from_an_edge``: it tells that another edge made it."""
    if status in _AWAY_STATUSES and not from_an_edge:
        return CallOutcome.AWAY
    return CallOutcome.ANSWERED


def outcome_of_fault(fault: OriginFault) -> CallOutcome:
    """What a call says that ended without the head of an answer."""
    is_away = isinstance(fault, OriginUnreachable | OriginTimeout)
    return CallOutcome.AWAY if is_away else CallOutcome.NOTHING


class BreakerState(enum.Enum):
    """See the module."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class BreakerEvent(enum.Enum):
    """What moves the breaker."""

    TRIPPED = "tripped"  # too many of the last calls failed
    LET_THROUGH = "let-through"  # the step is over, and a call came
    PROBE_FAILED = "probe-failed"  # the newest one; the next one told of the others
    PROBE_ANSWERED = "probe-answered"  # any of them


MOVES = {
    (BreakerState.CLOSED, BreakerEvent.TRIPPED): BreakerState.OPEN,
    (BreakerState.OPEN, BreakerEvent.LET_THROUGH): BreakerState.HALF_OPEN,
    (BreakerState.HALF_OPEN, BreakerEvent.LET_THROUGH): BreakerState.HALF_OPEN,
    (BreakerState.HALF_OPEN, BreakerEvent.PROBE_FAILED): BreakerState.OPEN,
    (BreakerState.HALF_OPEN, BreakerEvent.PROBE_ANSWERED): BreakerState.CLOSED,
    # An older probe, after a newer one has failed.
    (BreakerState.OPEN, BreakerEvent.PROBE_ANSWERED): BreakerState.CLOSED,
}
"""The whole machine. What is not in it cannot happen."""


class Breaker:
    """The breaker of one origin. Times are monotonic seconds; ``chance`` is in [0, 1).

    ``is_open``: calls are held back, but for the probes. A caller asks ``let_through``
    for a number before each call, and tells ``heard`` what became of it, or never does.
    While ``calm`` (closed, and nothing failed lately) it may spare itself both:
    ``latest`` is the number, and an answer need not be told.
    """

    __slots__ = (
        *("calm", "is_open", "latest", "state"),
        *("_begun", "_last", "_step", "_until", "_window"),
    )

    def __init__(self) -> None:
        self.state = BreakerState.CLOSED
        self.is_open = False
        self.calm = True
        self.latest = 0
        # The first number of this state's calls: since it last opened or closed.
        self._begun = 0
        # The last calls: the stream of one that failed, None for one that was answered.
        self._window: deque[str | None] = deque(maxlen=WINDOW)
        self._step = FIRST_STEP
        # When the step began, and when it is over.
        self._last = self._until = 0.0

    def let_through(self, now: float, chance: float) -> int | None:
        """The number of a call that may be made now; None: it must not be made."""
        if self.is_open:
            if now < self._until:
                return None
            if self.state is BreakerState.HALF_OPEN:
                self._double()
            self._move(BreakerEvent.LET_THROUGH)
            self._wait(now, chance)
            self.latest += 1
        return self.latest

    def retry_after(self, now: float) -> int:
        """Whole seconds until a call may be made, 1 at least."""
        return max(1, math.ceil(self._until - now))

    def heard(
        self, call: int, stream: str, outcome: CallOutcome, now: float, chance: float
    ) -> bool:
        """A call ended. Returns whether the breaker has just opened by that."""
        if outcome is CallOutcome.NOTHING or call < self._begun:
            return False
        if self.state is BreakerState.CLOSED:
            return self._note(stream, outcome, now, chance)
        if outcome is CallOutcome.ANSWERED:
            self._move(BreakerEvent.PROBE_ANSWERED)
            self._begin(calm=True)
        elif call == self.latest:
            self._move(BreakerEvent.PROBE_FAILED)
            self._double()
            self._wait(self._last, chance)
        return False

    def _note(
        self, stream: str, outcome: CallOutcome, now: float, chance: float
    ) -> bool:
        """One more call of the window. Returns whether that opens the breaker."""
        self._window.append(stream if outcome is CallOutcome.AWAY else None)
        failures = [place for place in self._window if place is not None]
        self.calm = not failures
        if len(failures) < MIN_FAILURES or len(set(failures)) < MIN_STREAMS:
            return False
        self._move(BreakerEvent.TRIPPED)
        self._step = FIRST_STEP
        self._wait(now, chance)
        self._begin(calm=False)
        return True

    def _begin(self, *, calm: bool) -> None:
        """It has opened or closed: calls from before are not heard from now on."""
        self._window.clear()
        self.calm = calm
        self.latest += 1
        self._begun = self.latest

    def _double(self) -> None:
        self._step = min(2 * self._step, LONGEST_STEP)

    def _wait(self, since: float, chance: float) -> None:
        self._last, self._until = since, since + self._step * (0.5 + chance / 2)

    def _move(self, event: BreakerEvent) -> None:
        self.state = MOVES[self.state, event]
        self.is_open = self.state is not BreakerState.CLOSED
