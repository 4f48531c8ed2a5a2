"""Contacts: keeps what each stream met at its origin (``Contact``), with the clock.

Flights and followers report here what failed and what worked; ``Contact`` says what
follows from it. A row has a Contact only while something is wrong.

How a read fails stands in the line of its request. A poll has no request: the operator
is told by a line here (``PollLog``), once for an outage, whatever number of streams it
is of.
"""

import logging
import random

from edge.core.errors import NotAsked, OriginAway, OriginFault
from edge.core.ports import Clock
from edge.core.reasons import Reason
from edge.core.values import OriginAnswer
from edge.live.context import HubContext
from edge.live.rows import Stream
from edge.policy.streams.contact import (
    REFUSES_WORK,
    Contact,
    pause_after,
    seconds_to_wait,
)
from edge.protocol.offsets import NOW

_log = logging.getLogger("edge.live")

TELL_SECONDS = 60.0
"""At most one outage in so many seconds is told: there are origins that come and go.
After as much time without a failure another one is another outage."""


class PollLog:
    """Tells that polls fail, and when they are answered again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: float | None = None
        self._told_at = self._failed_at = -TELL_SECONDS

    def failed(self, path: str, why: str) -> None:
        """A poll of the stream at ``path`` failed."""
        now = self._clock.monotonic()
        others = now - self._failed_at < TELL_SECONDS and self._since is not None
        self._failed_at = now
        if not others and now - self._told_at >= TELL_SECONDS:
            self._since = self._told_at = now
            _log.warning("polls of the origin fail, of %s: %s", path, why)

    def worked(self) -> None:
        """One that had failed was answered."""
        if self._since is not None:
            seconds = self._clock.monotonic() - self._since
            self._since = None
            _log.info("polls of the origin are answered again, after %.1f s", seconds)


class Contacts:
    """All Contacts of the hub."""

    def __init__(self, context: HubContext) -> None:
        self._options = context.options
        self._clock = context.clock
        self._poll_log = PollLog(context.clock)

    def read_failed(self, stream: Stream, fault: OriginFault) -> None:
        """A check, a delta or a HEAD of this stream failed (U3).

        The fault is kept; the frames that it came through must not be, for they hold
        buffers and sockets.
        """
        fault.__cause__ = fault.__context__ = fault.__traceback__ = None
        contact = _contact(stream)
        pause = self._pause(contact.read_failures + 1)
        contact.read_failed(fault, self._clock.monotonic(), pause)

    def read_worked(self, stream: Stream) -> bool:
        """One was answered. Returns whether a follower should hear of it."""
        contact = stream.contact
        if contact is None:
            return False
        news = contact.read_worked()
        self._settle(stream, contact)
        return news

    def read_answered(self, stream: Stream, status: int) -> bool:
        """A read was answered, and not admitted. Returns as ``read_worked`` does, if
        the answer is final: an origin that says 404 or 403 is there, and has said so.
        """
        final = status < 500 and status not in REFUSES_WORK
        return final and self.read_worked(stream)

    def probe_sent(self, stream: Stream) -> None:
        """One request decides for all: nobody else asks before the next step (U3)."""
        contact = stream.contact
        if contact is not None and contact.fault is not None:
            pause = self._pause(contact.read_failures)
            contact.read_again_at = self._clock.monotonic() + pause

    def poll_failed(self, stream: Stream, why: str | None = None) -> None:
        """A follower's poll failed; it pauses, longer each time (L21).

        ``why`` is for the operator; None: there is nothing to tell.
        """
        if why is not None:
            self._poll_log.failed(stream.key.path, why)
        contact = _contact(stream)
        pause = self._pause(contact.poll_failures + 1)
        contact.poll_failed(self._clock.monotonic(), pause)

    def poll_put_off(self, stream: Stream, fault: NotAsked) -> None:
        """A poll was not sent, which is no failure of this stream (U6)."""
        pause = (fault.retry_after or 1) * random.uniform(0.5, 1.0)
        _contact(stream).poll_put_off(self._clock.monotonic(), pause)

    def poll_worked(self, stream: Stream) -> None:
        """A live poll was answered as it should be."""
        contact = stream.contact
        if contact is not None:
            if contact.poll_failures:
                self._poll_log.worked()
            contact.poll_worked()
            self._settle(stream, contact)

    def poll_answered(self, stream: Stream, live: bool) -> None:
        """A follower's poll, or the read before it (not ``live``), was answered, if
        only by a no: the origin is there, and an outage is over (U3)."""
        if live:
            self.poll_worked(stream)
        else:
            self.read_worked(stream)

    def bind(self, stream: Stream, answer: OriginAnswer) -> None:
        """Obey a Retry-After, if the answer has one (U7)."""
        most = self._options.max_retry_after
        seconds = seconds_to_wait(answer, self._clock.wall(), most)
        if seconds is not None:
            _contact(stream).bind(self._clock.monotonic() + seconds)

    def follower_asks(self, stream: Stream) -> bool:
        """Whether a follower backs off, and so asks by itself when its step is over."""
        contact = stream.contact
        backs_off = contact is not None and contact.poll_failures > 0
        return backs_off and stream.follower is not None

    def fault_now(self, stream: Stream, now: float) -> OriginFault | None:
        """How a check or a delta of this stream would fail; None: it may be sent."""
        contact = stream.contact
        if contact is None or not contact.holds_reads(now):
            return None
        return contact.fault or OriginAway(
            "the origin asked to be left alone for a while",
            reason=Reason.RETRY_AFTER,
            status=503,
        )

    def wait(self, stream: Stream) -> float:
        """Seconds until a read of what is known is sent again; 0: at once."""
        contact = stream.contact
        return 0.0 if contact is None else contact.wait(self._clock.monotonic())

    def _pause(self, failures: int) -> float:
        options = self._options
        return pause_after(
            failures, options.backoff_first, options.backoff_max, random.random()
        )

    def _settle(self, stream: Stream, contact: Contact) -> None:
        if contact.works and not contact.is_bound(self._clock.monotonic()):
            stream.contact = None


def _contact(stream: Stream) -> Contact:
    if stream.contact is None:
        stream.contact = Contact()
    return stream.contact


def asks_again(stream: Stream, start: str | None) -> bool:
    """Whether a request from ``start`` checks what is known, or asks where the stream
    ends: a check, a delta, a HEAD, ``now``. Not a read of what is not held (U7)."""
    return start is None or start == NOW or stream.log.holds(start)
