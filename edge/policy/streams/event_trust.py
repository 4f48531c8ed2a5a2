"""EventTrust: whether a stream is followed by an event stream or by long-polls (U20).

A long-poll costs the origin a request for each event, an event stream one for each
minute. But an event stream is worth its connection only while events are frequent, is
exact for some types alone (U16), and something between here and the origin may hold it
up. ``encoding_of`` says of a type whether its events are exact. A ``EventTrust`` is
kept by a stream's row, and remembers what its event streams were like::

    polls with progress --- 5 in 1 s ---> event streams     (``auto``)
                        --- the first --> event streams     (``sse``)
    event streams --- slow, quiet, or failed ---> polls with progress
                  --- do not work --------------> polls alone, for 10 minutes

Those 10 minutes double each time. An event stream that was inexact ends it for good:
the next one would be no better.

Pure: time is an argument. The follower asks before each upstream request, and so
switches only between two answers: there are never two live reads of a stream.
"""

from edge.core import costs
from edge.policy.streams.followed_events import ENDS, Blame, EventsEnd
from edge.policy.streams.routes import Follow
from edge.protocol.sse import Encoding, encoding_for

FAST_POLLS = 5
FAST_SECONDS = 1.0
"""So many polls with progress in so short a time make an event stream worth it."""

SHORT_SECONDS = 1.0
MAX_SHORT = 3
"""So many event streams shorter than that, in a row, do not work."""

MAX_LATE = 3
"""So many writes whose events came late do not work."""

PENALTY_SECONDS = 600.0
MAX_DOUBLINGS = 10
NEVER_AGAIN = float("inf")


def encoding_of(content_type: str | None, is_json: bool) -> Encoding | None:
    """How this stream's events carry bytes exactly; None: they do not (U16).

    ``is_json``: the stream is in JSON mode here. Where its type alone does not say so,
    an origin that sends base64 may not mean arrays by it.
    """
    if content_type is None:
        return None
    encoding = encoding_for(content_type)
    if encoding is Encoding.TEXT or is_json is not (encoding is Encoding.JSON):
        return None
    return encoding


class EventTrust:
    """What is remembered of following one stream. Times are monotonic seconds."""

    __slots__ = ("_late", "_penalties", "_polls", "_resting", "_short", "_until")

    def __init__(self) -> None:
        self._polls: list[float] = []
        self._resting = False
        self._short = self._late = self._penalties = 0
        self._until = 0.0

    def __repr__(self) -> str:
        return f"<EventTrust {len(self._polls)} polls, penalties={self._penalties}>"

    @property
    def cost(self) -> int:
        """Bytes that count in the budget."""
        return costs.EVENT_TRUST

    def wants_events(self, follow: Follow, now: float) -> bool:
        """Whether the next request is for an event stream, if that may be."""
        if follow is Follow.LONG_POLL or now < self._until or self._resting:
            return False
        if follow is Follow.SSE:
            return True
        polls = self._polls
        return len(polls) == FAST_POLLS and polls[-1] - polls[0] <= FAST_SECONDS

    def polled(self, now: float) -> None:
        """A long-poll brought something."""
        self._resting = False
        self._polls.append(now)
        del self._polls[:-FAST_POLLS]

    def is_late(self) -> bool:
        """A write's event came late (U18). Returns whether that is once too often."""
        self._late += 1
        return self._late >= MAX_LATE

    def ended(self, end: EventsEnd, now: float) -> None:
        """An event stream ended."""
        course = ENDS[end.reason]
        if course.rests:
            self._rest()
        is_short = course.blame is Blame.SHORT and end.seconds < SHORT_SECONDS
        if course.blame is Blame.WELL:
            self._short = self._late = 0
        elif is_short:
            self._short += 1
        elif course.blame is Blame.SHORT:
            self._short = 0
        if course.blame is Blame.FOR_GOOD:
            self._until = NEVER_AGAIN
        elif course.blame is Blame.AT_ONCE or self._short >= MAX_SHORT:
            self._punish(now)

    def _punish(self, now: float) -> None:
        """Long-polls alone for a while."""
        doubled = 2.0 ** min(self._penalties, MAX_DOUBLINGS)
        self._until = max(self._until, now + PENALTY_SECONDS * doubled)
        self._penalties += 1
        self._short = self._late = 0
        self._rest()

    def _rest(self) -> None:
        """Until a long-poll has brought something, and in ``auto`` several have."""
        self._resting = True
        self._polls.clear()
