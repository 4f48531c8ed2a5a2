"""Contact: what one stream met at its origin, and when the origin is asked again.

A row has a Contact only after something failed, and loses it when all works again. Two
kinds of requests fail, each with a back-off of its own (U6):

======= ==============================================================================
reads   checks, deltas and HEADs of what is known. One that failed makes the stream
        *away*: until the next try nobody else asks, held ranges go out stale at once,
        and everybody else is told how the last try failed (U2, U3). At the end of each
        step one request decides. A read that works ends it, and so does a final 4xx.
polls   the follower's live polls. One that failed says nothing of reads: an origin may
        refuse polls and answer reads. Only a poll that worked resets this back-off.
======= ==============================================================================

A Retry-After binds both, whoever arrives (U7). Reads of what is not held, and writes,
are never bound here.

Pure: time and chance are arguments; ``edge.live.contacts`` keeps it, the follower and
the hub obey it.
"""

from datetime import UTC, datetime

from edge.core import costs
from edge.core.errors import OriginAway, OriginFault
from edge.core.values import OriginAnswer
from edge.protocol.http_grammar import http_date, retry_after

MAX_DOUBLINGS = 16
MAX_DIGITS = 12


REFUSES_WORK = frozenset({408, 425, 429})
"""Statuses below 500 by which an origin refuses work for the moment (L21)."""


def pause_after(failures: int, first: float, most: float, chance: float) -> float:
    """Seconds of back-off after so many failures in a row: doubled each time, with
    jitter. ``chance`` is from 0 to 1."""
    longest = min(first * float(2 ** min(failures, MAX_DOUBLINGS)), most)
    return longest * (1.0 + chance) / 2


def seconds_to_wait(answer: OriginAnswer, wall: float, most: float) -> float | None:
    """What the answer's Retry-After asks for, at most ``most``; None without one.

    A date is taken relative to the answer's own Date: the origin's clock and this one
    need not agree. A date that is past, and what nobody can read, was meant as some
    pause: it counts as the longest (U7; RFC 9110 section 10.2.3).
    """
    told = answer.get("retry-after")
    if told is None:
        return None
    if told.isascii() and told.isdigit():
        return min(float(told[:MAX_DIGITS]), most)
    now = http_date(answer.get("date")) or datetime.fromtimestamp(wall, UTC)
    seconds = retry_after(told, now)
    return min(seconds, most) if seconds else most


class Contact:
    """One stream's failures. Monotonic seconds throughout."""

    __slots__ = (
        "bound_until",
        "fault",
        "news",
        "poll_again_at",
        "poll_failures",
        "read_again_at",
        "read_failures",
    )

    def __init__(self) -> None:
        # How the last read failed, None once one worked.
        self.fault: OriginFault | None = None
        self.read_failures = 0
        self.read_again_at = 0.0
        self.poll_failures = 0
        self.poll_again_at = 0.0
        # Whether a read that works is still news for a follower that backs off. It is
        # once, until a poll works: an origin may answer reads and refuse polls.
        self.news = True
        # What a Retry-After asked for.
        self.bound_until = 0.0

    def __repr__(self) -> str:
        away = f" away {self.fault.reason.value}" if self.fault else ""
        return f"<Contact polls={self.poll_failures} reads={self.read_failures}{away}>"

    @property
    def cost(self) -> int:
        """Bytes that count in the budget: it keeps what the origin said."""
        said = self.fault.answer if isinstance(self.fault, OriginAway) else None
        if said is None:
            return costs.CONTACT
        fields = sum(costs.FIELD + len(k) + len(v) for k, v in said.headers)
        return costs.CONTACT + fields + len(said.body)

    @property
    def works(self) -> bool:
        """Whether nothing is left of any failure but a bound that may still run."""
        return self.fault is None and not self.poll_failures

    def read_failed(self, fault: OriginFault, now: float, pause: float) -> None:
        """A read failed; the next one may be sent after ``pause`` seconds."""
        self.fault = fault
        self.read_failures += 1
        self.read_again_at = now + pause

    def read_worked(self) -> bool:
        """A read was answered. Returns whether a follower should hear of it."""
        self.fault = None
        self.read_failures = 0
        self.read_again_at = 0.0
        news, self.news = self.news and self.poll_failures > 0, False
        return news

    def write_worked(self) -> None:
        """A write was acknowledged, so the origin is there, and a read may be sent
        (U7). How often reads failed still counts: it may take writes alone."""
        self.fault = None
        self.read_again_at = 0.0

    def poll_failed(self, now: float, pause: float) -> None:
        """A live poll failed, or the read before it."""
        self.poll_failures += 1
        self.poll_again_at = now + pause

    def poll_put_off(self, now: float, pause: float) -> None:
        """A poll was not sent, for a reason that is not the stream's."""
        self.poll_again_at = now + pause

    def poll_worked(self) -> None:
        """A live poll was answered as one should be: all is well."""
        self.read_worked()
        self.poll_failures = 0
        self.poll_again_at = 0.0
        self.news = True

    def bind(self, until: float) -> None:
        """The origin asked to be left alone (U7)."""
        self.bound_until = max(self.bound_until, until)

    def is_bound(self, now: float) -> bool:
        """Whether a Retry-After still runs: no poll and no delta is sent."""
        return now < self.bound_until

    def holds_reads(self, now: float) -> bool:
        """Whether checks and deltas are not sent now."""
        away = self.fault is not None and now < self.read_again_at
        return away or self.is_bound(now)

    def wait(self, now: float) -> float:
        """Seconds until the origin is asked again by a read, at least 0."""
        again = self.bound_until
        if self.fault is not None:
            again = max(again, self.read_again_at)
        return max(0.0, again - now)
