"""Followers: the one upstream live read of a stream at its tail.

While readers wait at a stream's end, and a linger after, one greenlet polls the origin
from the end of what is held (L20). Each answer goes to the hub, which lets the log grow
and wakes the viewers. This module only keeps the poll going: it arms (L3), backs off
after failures (L21, U6, U7), probes after lost contact (L7), and ends when it is not
needed (L23, L24).

How long to back off stands in the stream's Contact, not here: a follower that is begun
anew, since a viewer came back, waits for what the last one had to wait for.

Where the origin judges, each poll goes with a credential that a parked viewer lends
(B7), and none is sent while nobody is parked. One that is on the wire goes on for
``LENDER_GRACE_SECONDS`` after its lender has left, or was to be judged anew, since a
client that was answered asks again. It is given up at once when the lease was ended
before its time. Then another one's begins in its place. While nobody lends, the
follower waits until somebody comes.

A follower that is killed in a poll gives its connection back through the
origin adapter's own clean-up; the tail is disarmed on every way out.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import gevent

from edge.core.errors import NotAsked, OriginFault
from edge.core.reasons import Reason
from edge.core.values import (
    Lease,
    LentCredential,
    OriginAnswer,
    OriginRequest,
    PartitionKind,
)
from edge.live.contacts import Contacts
from edge.live.context import HubContext
from edge.live.flights import TooLarge, Upstream
from edge.live.lending import Lending
from edge.live.rows import Follower, Reader, State, Stream
from edge.policy.streams import upstream_requests
from edge.protocol.offsets import BEGIN
from edge.streamlog.tail import RequestSnapshot

LENDER_GRACE_SECONDS = 1.0
"""For so long a poll goes on when its lender has left."""


class Next(Enum):
    """What the follower does after a poll's answer, as the hub says."""

    GO_ON = "go-on"
    BACK_OFF = "back-off"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Poll:
    """One poll that was answered, after ``elapsed`` seconds.

    ``live``: it was a long-poll; otherwise a read that checks the end first (L7).
    """

    start: str
    live: bool
    sent: RequestSnapshot
    answer: OriginAnswer | TooLarge
    elapsed: float


Heard = Callable[[Stream, Poll], Next]


class Followers:
    """All followers of the hub. Callbacks run in a follower's greenlet.

    ``heard`` takes a poll's answer and says what comes next. ``armed`` is called once a
    poll is on the wire, ``lost`` when none will be for a while, or one left the stream
    in doubt. Readers that waited for an answer are decided again by their owner: when
    it came, or when it is known that none will come.
    """

    def __init__(
        self,
        context: HubContext,
        upstream: Upstream,
        lending: Lending,
        contacts: Contacts,
        heard: Heard,
        armed: Callable[[Stream], None],
        lost: Callable[[Stream], None],
    ) -> None:
        self._upstream = upstream
        self._lending = lending
        self._contacts = contacts
        self._counters = context.counters
        self._clock = context.clock
        self._options = context.options
        self._heard = heard
        self._armed = armed
        self._lost = lost
        self._all: set[Follower] = set()

    def __len__(self) -> int:
        return len(self._all)

    def ensure(self, stream: Stream) -> bool:
        """Follow this stream if there is room. Returns whether it is followed."""
        if stream.follower is not None:
            if stream.follower.wants_lender:
                self.kick(stream)
            return True
        if len(self._all) >= self._options.max_followers and not self._make_room():
            return False
        follower = Follower(stream)
        stream.follower = follower
        self._all.add(follower)
        follower.greenlet = gevent.spawn(self._follow, follower)
        return True

    def follow_unwatched(self, stream: Stream) -> None:
        """Reading makes following: a tail that is read often is followed (L24)."""
        if _may_follow_unwatched(stream):
            stream.linger_until = self._clock.monotonic() + self._options.linger
            if len(self._all) < self._options.max_followers:
                self.ensure(stream)

    def kick(self, stream: Stream) -> None:
        """There is news: a follower that backs off asks at once (U7)."""
        if stream.follower is not None:
            stream.follower.kicked.set()

    def wants(self, stream: Stream) -> bool:
        """Whether this stream is to be polled (again): L23, L24."""
        if stream.parked:
            return True
        if stream.log.ttl is not None:
            return False
        return self._clock.monotonic() < stream.linger_until

    def stop(self, stream: Stream) -> None:
        """End this stream's follower, wherever it is."""
        follower = stream.follower
        if follower is not None:
            self._end(follower)
            if follower.greenlet not in (None, gevent.getcurrent()):
                follower.greenlet.kill(block=False)

    def stop_all(self) -> None:
        for follower in list(self._all):
            self.stop(follower.stream)

    def stop_unwanted(self) -> None:
        """End those whose linger is over, and polls whose lender is gone (called by the
        ticker)."""
        for follower in list(self._all):
            stream = follower.stream
            if not self.wants(stream) and not follower.waiting:
                self.stop(stream)
            elif stream.lenders is not None and self._has_lost_lender(follower):
                # Viewers are parked on; only the poll is another one's.
                self.stop(stream)
                if stream.parked:
                    self.ensure(stream)

    def _has_lost_lender(self, follower: Follower) -> bool:
        """Whether the poll on the wire is to be given up (B7)."""
        lenders, lease = follower.stream.lenders, follower.lent
        if lenders is None or lease is None or lease.lends is None:
            return False
        now = self._clock.monotonic()
        if lenders.holds(lease.lends, now):
            follower.lender_left = None
            return False
        if follower.lender_left is None:
            follower.lender_left = now
        over = now - follower.lender_left >= LENDER_GRACE_SECONDS
        was_ended = lease.ends_at < lease.lends.fresh_until
        return over or (was_ended and now >= lease.ends_at)

    def wait(self, reader: Reader) -> bool:
        """Let a reader wait for the armed poll's answer; False if none is armed."""
        follower = reader.stream.follower
        now = self._clock.monotonic()
        if follower is None or not reader.stream.log.tail.is_armed(now):
            return False
        if not follower.waiting:
            follower.waiting_since = now
        follower.waiting.append(reader)
        return True

    def release_late(self, patience: float) -> None:
        """Release readers that wait for a poll longer than ``patience`` seconds."""
        now = self._clock.monotonic()
        for follower in list(self._all):
            if follower.waiting and now - follower.waiting_since >= patience:
                self._release(follower, None)

    def _make_room(self) -> bool:
        """L24: above the cap, followers without viewers go first."""
        for follower in self._all:
            if not follower.stream.parked:
                self.stop(follower.stream)
                return True
        return False

    def _follow(self, follower: Follower) -> None:
        try:
            while self._may_ask(follower.stream):
                self._pause(follower)
                if not self._go_on(follower):
                    break
        finally:
            self._end(follower)

    def _may_ask(self, stream: Stream) -> bool:
        """Whether another poll may be sent: with a lent credential, for viewers alone
        (B6)."""
        return self.wants(stream) and (stream.lenders is None or bool(stream.parked))

    def _end(self, follower: Follower) -> None:
        """Forget a follower; its readers are decided again. Idempotent."""
        if follower.stream.follower is follower:
            follower.stream.follower = None
            follower.stream.log.tail.disarm()
        self._all.discard(follower)
        self._release(follower, None)

    def _release(self, follower: Follower, fault: OriginFault | None) -> None:
        waiting, follower.waiting = follower.waiting, []
        for reader in waiting:
            if reader.state is State.WAITING:
                reader.fault = fault
                reader.owner.advance(reader)

    def _go_on(self, follower: Follower) -> bool:
        """Make one poll. Returns whether to make another one."""
        stream = follower.stream
        start, live = self._next_start(stream)
        try:
            poll = self._poll(follower, start, live)
        except NotAsked as fault:
            follower.wants_lender = fault.reason is Reason.NO_LENDER
            # It says nothing of the stream: no doubt (L7), and no longer pause (U6).
            self._release(follower, fault)
            self._contacts.poll_put_off(stream, fault)
            self._lost(stream)
            return True
        except OriginFault as fault:
            stream.log.tail.mark_unverified(self._clock.monotonic())
            self._release(follower, fault)
            why = f"{fault.reason.value}: {fault.cause or fault.detail}"
            self._contacts.poll_failed(stream, why)
            if not live:
                self._contacts.read_failed(stream, fault)
            self._lost(stream)
            return True
        verdict = self._heard(stream, poll)
        self._release(follower, None)
        if verdict is Next.BACK_OFF or stream.log.tail.unverified:
            self._lost(stream)
        if verdict is Next.BACK_OFF:
            self._contacts.poll_failed(stream, _said(poll.answer))
        elif verdict is Next.GO_ON and live:
            if stream.contact is not None:
                self._contacts.poll_worked(stream)
        elif verdict is Next.GO_ON:
            # The check was answered, so reads work again; of polls that says nothing.
            self._contacts.read_worked(stream)
            if stream.log.tail.unverified:
                # It proved nothing. To ask again at once would bring the same.
                self._contacts.poll_failed(stream)
        return verdict is not Next.STOP

    def _next_start(self, stream: Stream) -> tuple[str, bool]:
        """Where to ask from, and whether to wait there: at the end, or before it when
        contact was lost (L7)."""
        log = stream.log
        end = log.end or BEGIN
        start = end
        if log.tail.unverified:
            start = log.probe_start(self._options.rules.max_probe) or end
        # While it is held, a poll does not tell whether the origin is back (U6).
        return start, start == end and not self._upstream.breaker.is_open

    def _poll(self, follower: Follower, start: str, live: bool) -> Poll:
        stream = follower.stream
        log, now = stream.log, self._clock.monotonic()
        sent = log.tail.request_snapshot(now, log.incarnation)
        self._counters.follower_polls += 1

        def on_sent() -> None:
            # Between the poll's sending and its answer the tail is known (L3).
            if live and log is stream.log:
                log.tail.arm(sent)
                self._armed(stream)

        def lent(lease: Lease) -> OriginRequest:
            # Each lender's poll is a new one: the last one's answer told nothing.
            nonlocal sent, now
            if log.tail.armed is sent:
                log.tail.disarm()
            now = self._clock.monotonic()
            sent = log.tail.request_snapshot(now, log.incarnation)
            follower.lent, follower.lender_left = lease, None
            follower.wants_lender = False
            return self._request(stream, start, live, lease.lends)

        answer: OriginAnswer | TooLarge
        try:
            if stream.lenders is None:
                request = self._request(stream, start, live)
                answer = self._upstream.fetch(request, on_sent)
            else:
                answer = self._lending.fetch(stream, lent, on_sent)
        except TooLarge as error:
            answer = error
        finally:
            follower.lent = None
            # A poll that is killed late must not disarm the poll of its successor.
            if log.tail.armed is sent:
                log.tail.disarm()
        return Poll(start, live, sent, answer, self._clock.monotonic() - now)

    def _request(
        self,
        stream: Stream,
        start: str,
        live: bool,
        lent: LentCredential | None = None,
    ) -> OriginRequest:
        return upstream_requests.read_request(
            stream.key,
            start,
            stream.route,
            node=self._options.node,
            live_cursor=stream.log.origin_cursor if live else None,
            live=live,
            lent=lent,
        )

    def _pause(self, follower: Follower) -> None:
        """Wait until the stream may be polled again. News ends a back-off early, once
        each; nothing ends a Retry-After (U7)."""
        contact = follower.stream.contact
        if contact is None:
            return
        follower.kicked.clear()
        left = contact.poll_again_at - self._clock.monotonic()
        if left > 0:
            follower.kicked.wait(timeout=left)
        bound = contact.bound_until - self._clock.monotonic()
        if bound > 0:
            gevent.sleep(bound)


def _said(answer: OriginAnswer | TooLarge) -> str | None:
    """What an answer by which a follower backs off says to the operator."""
    if isinstance(answer, TooLarge):
        return None
    odd = "" if answer.status >= 300 else ", and not as polls are answered"
    return f"it answers {answer.status}{odd}"


def _may_follow_unwatched(stream: Stream) -> bool:
    """Whether this stream may be followed without a parked viewer (L23, L24, B6)."""
    kind = stream.key.partition.kind
    shared = kind is not PartitionKind.CREDENTIAL and stream.lenders is None
    return shared and stream.log.ttl is None and not stream.log.tail.closed
