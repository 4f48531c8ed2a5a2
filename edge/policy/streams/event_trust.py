"""EventTrust: whether a stream is followed by an event stream or by long-polls (U20).

A long-poll costs the origin a request for each event, an event stream one for each
minute. But an event stream is worth its connection only while events are frequent, is
exact for some types alone (U16), and something between here and the origin may hold it
up. ``encoding_of`` says of a type whether its events are exact. An ``EventTrust`` is
kept by a stream's row, and remembers what its event streams were like::

    long-polls     --- 5 in 1 s brought something -----> event streams  (``auto``)
                   --- the first, or one that did -----> event streams  (``sse``)
    event streams  --- slow, quiet, or failed ---------> long-polls
                   --- do not work --------------------> long-polls, for 10 minutes

Those 10 minutes double each time. An event stream that was inexact ends it for good:
the next one would be no better.

Pure: time is an argument. The follower asks before each upstream request, and so
switches only between two answers: there are never two live reads of a stream.
"""

from edge.policy.streams.followed_events import ENDS, Blame, EventsEnd
from edge.protocol.sse import Encoding, encoding_for

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
    """What is remembered of a stream's event streams. Times are monotonic seconds."""

    __slots__ = ("_late", "_penalties", "_rests", "_short", "_until")

    def __init__(self) -> None:
        # Until a long-poll has brought something.
        self._rests = False
        self._short = self._late = self._penalties = 0
        self._until = 0.0

    def __repr__(self) -> str:
        rests = " rests" if self._rests else ""
        return f"<EventTrust penalties={self._penalties}{rests}>"

    @property
    def is_over(self) -> bool:
        """Whether its events were found to be inexact (U16)."""
        return self._until == NEVER_AGAIN

    def allows(self, now: float) -> bool:
        """Whether the next request may be for an event stream."""
        return now >= self._until and not self._rests

    def polled(self) -> None:
        """A long-poll brought something."""
        self._rests = False

    def is_late(self) -> bool:
        """A write's event came late (U18). Returns whether that is once too often."""
        self._late += 1
        return self._late >= MAX_LATE

    def give_up(self) -> None:
        """Events of this stream are inexact: it is not followed by them any more."""
        self._until = NEVER_AGAIN

    def ended(self, end: EventsEnd, now: float) -> None:
        """An event stream ended."""
        course = ENDS[end.reason]
        self._rests = course.rests
        is_short = end.seconds < SHORT_SECONDS
        if course.blame is Blame.WELL:
            self._short = self._late = 0
        elif course.blame is Blame.SHORT:
            self._short = self._short + 1 if is_short else 0
        if course.blame is Blame.FOR_GOOD:
            self.give_up()
        elif course.blame is Blame.AT_ONCE or self._short >= MAX_SHORT:
            self._punish(now)

    def _punish(self, now: float) -> None:
        """Long-polls alone for a while."""
        doubled = 2.0 ** min(self._penalties, MAX_DOUBLINGS)
        self._until = max(self._until, now + PENALTY_SECONDS * doubled)
        self._penalties += 1
        self._short = self._late = 0
