"""Followers: the one upstream live read of a stream at its tail.

While readers wait at a stream's end, and a linger after, one greenlet polls the origin
from the end of what is held (L20). Each answer goes to the hub, which lets the log grow
and wakes the viewers. This module only keeps the poll going: it arms (L3), backs off
after failures (L21), probes after lost contact (L7), and ends when it is not needed
(L23, L24).

A follower that is killed in a poll gives its connection back through the
origin adapter's own clean-up; the tail is disarmed on every way out.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import gevent

from edge.core.errors import OriginFault
from edge.core.values import OriginAnswer, OriginRequest, PartitionKind
from edge.live.context import HubContext
from edge.live.flights import TooLarge, Upstream
from edge.live.rows import Follower, Reader, State, Stream
from edge.policy.streams import upstream_requests
from edge.protocol.offsets import BEGIN
from edge.streamlog.tail import RequestSnapshot

MAX_RETRY_AFTER = 60.0
"""Seconds that a Retry-After may hold a follower back."""


class Next(Enum):
    """What the follower does after a poll's answer, as the hub says."""

    GO_ON = "go-on"
    BACK_OFF = "back-off"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Poll:
    """One poll that was answered, after ``elapsed`` seconds.

    ``live``: the origin was to hold it until there is news.
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
    poll is on the wire. Readers that waited for an answer are decided again by their
    owner: when it came, or when it is known that none will come.
    """

    def __init__(
        self,
        context: HubContext,
        upstream: Upstream,
        heard: Heard,
        armed: Callable[[Stream], None],
    ) -> None:
        self._upstream = upstream
        self._counters = context.counters
        self._clock = context.clock
        self._options = context.options
        self._heard = heard
        self._armed = armed
        self._all: set[Follower] = set()

    def __len__(self) -> int:
        return len(self._all)

    def ensure(self, stream: Stream) -> bool:
        """Follow this stream if there is room. Returns whether it is followed."""
        if stream.follower is not None:
            if stream.log.tail.confirmed_seq > stream.follower.failed_seq:
                # The origin was heard since, so there is no reason to hold back. The
                # arrival of a crowd alone is no such reason (L21).
                stream.follower.kicked.set()
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
        """The stream has changed: a follower that backs off asks at once."""
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
        """End those whose linger is over (called by the ticker)."""
        for follower in list(self._all):
            if not self.wants(follower.stream) and not follower.waiting:
                self.stop(follower.stream)

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
            while self.wants(follower.stream) and self._go_on(follower):
                pass
        finally:
            self._end(follower)

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
        try:
            poll = self._poll(stream)
        except OriginFault as fault:
            stream.log.tail.mark_unverified()
            self._release(follower, fault)
            self._back_off(follower, 0.0)
            return True
        verdict = self._heard(stream, poll)
        self._release(follower, None)
        if verdict is Next.BACK_OFF:
            self._back_off(follower, _retry_after(poll.answer))
        elif verdict is Next.GO_ON:
            follower.failures = 0
        return verdict is not Next.STOP

    def _poll(self, stream: Stream) -> Poll:
        """Ask from the end, or from before it when contact was lost (L7)."""
        log, now = stream.log, self._clock.monotonic()
        end = log.end or BEGIN
        start = end
        if log.tail.unverified:
            start = log.probe_start(self._options.rules.max_probe) or end
        sent = log.tail.request_snapshot(now, log.incarnation)
        # While it is held, a poll does not tell whether the origin is back (U6).
        live = start == end and not self._upstream.breaker.is_open
        request = self._request(stream, start, live)
        self._counters.follower_polls += 1

        def on_sent() -> None:
            # Between the poll's sending and its answer the tail is known (L3).
            if live and log is stream.log:
                log.tail.arm(sent)
                self._armed(stream)

        answer: OriginAnswer | TooLarge
        try:
            answer = self._upstream.fetch(request, on_sent)
        except TooLarge as error:
            answer = error
        finally:
            # A poll that is killed late must not disarm the poll of its successor.
            if log.tail.armed is sent:
                log.tail.disarm()
        return Poll(start, live, sent, answer, self._clock.monotonic() - now)

    def _request(self, stream: Stream, start: str, live: bool) -> OriginRequest:
        return upstream_requests.read_request(
            stream.key,
            start,
            stream.route,
            node_id=self._options.node_id,
            live_cursor=stream.log.origin_cursor if live else None,
            live=live,
        )

    def _back_off(self, follower: Follower, at_least: float) -> None:
        """Wait with jitter, longer each time. A kick ends the wait early."""
        follower.failures += 1
        options = self._options
        longest = options.backoff_first * 2 ** min(follower.failures, 16)
        pause = random.uniform(0.5, 1.0) * min(longest, options.backoff_max)
        follower.failed_seq = follower.stream.log.tail.tick()
        follower.kicked.clear()
        follower.kicked.wait(timeout=max(pause, at_least))


def _retry_after(answer: OriginAnswer | TooLarge) -> float:
    """Seconds of a 429's or 503's Retry-After; 0 without a readable one."""
    if isinstance(answer, TooLarge):
        return 0.0
    text = answer.get("retry-after") or ""
    return (
        min(float(text), MAX_RETRY_AFTER) if text.isascii() and text.isdigit() else 0.0
    )


def _may_follow_unwatched(stream: Stream) -> bool:
    """Whether this stream may be followed without a parked viewer (L23, L24)."""
    shared = stream.key.partition.kind is not PartitionKind.CREDENTIAL
    return shared and stream.log.ttl is None and not stream.log.tail.closed
