"""Which call may go to the origin now, over which connection, and until when.

On the event loop.

A ``PurposePool`` serves one kind of call. It has a number of slots, a queue of calls
that wait for one (first come, first served), and idle connections. A call takes a slot
or its place in the queue with ``enter``, and gives either back with ``leave``, whatever
happens to it. A slot that comes free is the next one's at once; that call goes on in
the next turn of the loop, so that nobody goes on within another's end.

Idle connections are held here: one that ends, or speaks unasked, is closed at once. All
the same each is looked into directly before it is used (U24): what came since the last
turn of the loop would else cost a request that cannot be sent again.

``Deadlines`` are the times of all calls and idle connections of an origin, in one timer
wheel that one timer of the loop turns while there is anything in it. A connection stays
in the wheel through all of its calls, and between them; what happens to it only assigns
a later time. So no call needs a timer of its own, and every time-out of an origin may
be up to a quarter of a second late.

This module parses nothing, and never switches greenlets, but for ``connect``, which
blocks its caller.
"""

import math
import sys
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from socket import socket as Socket
from typing import Any, Protocol

from gevent.hub import get_hub

from edge.core.errors import NotAsked, OriginFault, OriginUnreachable
from edge.core.reasons import Reason
from edge.core.timer_wheel import GRAIN, Slot, Timed, TimerWheel
from edge.core.values import Purpose
from origin_adapter.http.connection import RECEIVE_SIZE, UpstreamConnection
from origin_adapter.http.options import HttpOptions


@dataclass(slots=True)
class PoolCounts:
    """What was done so far, as plain integers.

    ``requests`` are calls, ``connects`` connections made, ``reused`` calls over a kept
    connection, ``retries`` calls sent a second time, ``faults`` failed calls by reason.
    """

    requests: int = 0
    connects: int = 0
    reused: int = 0
    retries: int = 0
    faults: Counter[Reason] = field(default_factory=Counter)


class Due(Timed, Protocol):
    """An entry of ``Deadlines``; ``lapse`` is called once its ``due_at`` has passed."""

    def lapse(self) -> None: ...


class Deadlines:
    """See the module. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._wheel: TimerWheel[Due] = TimerWheel(0.0)
        # A timer of the loop; gevent gives its type no public name.
        self._timer: Any = None

    def set(self, entry: Due, when: float) -> None:
        """Make the entry due at ``when``."""
        slot = entry.slot
        if slot is not None and slot.number * GRAIN <= when:
            # The wheel looks at it before that time, and moves it on: no call of it.
            entry.due_at = when
            return
        if self._timer is None:
            self._start()
        self._wheel.set(entry, when)

    def drop(self, entry: Due) -> None:
        """Let the entry be due never. It may not be here."""
        if entry.slot is not None:
            self._wheel.drop(entry)
        entry.due_at = math.inf

    def _start(self) -> None:
        # The wheel is empty: a new one need not be turned through the time of rest.
        self._wheel = TimerWheel(time.monotonic())
        self._timer = get_hub().loop.timer(GRAIN, GRAIN)
        self._timer.start(self._turn)

    def _turn(self) -> None:
        now = time.monotonic()
        for entry in self._wheel.pop(now):
            # The lapse of one may have dropped or moved those behind it.
            if entry.due_at <= now:
                try:
                    entry.lapse()
                except BaseException:
                    get_hub().handle_error(entry, *sys.exc_info())
        if not len(self._wheel):
            self._timer.stop()
            self._timer.close()
            self._timer = None


class PooledCall(Protocol):
    """A call, as its pool sees it. Guards itself, and calls ``leave`` exactly once."""

    def granted(self) -> None:
        """A slot came free for it. It may have left meanwhile."""

    def refused(self, fault: OriginFault, /) -> None:
        """It waited in vain, or the pool was closed under it."""


class PurposePool:
    """The pool of one kind of call.

    ``dial`` makes a new connection; the rest is as in ``HttpOptions``.
    """

    def __init__(
        self,
        limit: int,
        options: HttpOptions,
        dial: Callable[[], Socket],
        counts: PoolCounts,
        deadlines: Deadlines,
        buffer: memoryview,
    ) -> None:
        self.counts = counts
        self.deadlines = deadlines
        self.closed = False
        self._dial = dial
        self._buffer = buffer
        self._limit = limit
        self._options = options
        self._active = 0
        self._queue: deque[_QueuedCall] = deque()
        self._idle: deque[UpstreamConnection] = deque()
        self._calls: set[PooledCall] = set()
        self._surplus = _Surplus(self)

    # Slots.

    def enter(self, call: PooledCall) -> bool:
        """Take a slot; False: ``granted`` or ``refused`` follows.

        Raises NotAsked (limit-origin-connections), OriginUnreachable once closed.
        """
        if self.closed:
            raise pool_closed()
        if self._active < self._limit:
            self._active += 1
            self._calls.add(call)
            return True
        if len(self._queue) >= self._options.queue_limit:
            raise _busy("too many calls wait for the origin")
        queued = _QueuedCall(call)
        self._queue.append(queued)
        late = time.monotonic() + self._options.queue_timeout
        self.deadlines.set(queued, late)
        return False

    def leave(self, call: PooledCall) -> None:
        """Give back the slot, or the place in the queue. Once for each ``enter``."""
        if call in self._calls:
            self._calls.discard(call)
            self._free_slot()
            return
        for queued in self._queue:
            if queued.call is call:
                self._queue.remove(queued)
                self.deadlines.drop(queued)
                return

    def _free_slot(self) -> None:
        """Hand the slot to the first in the queue: no call overtakes another."""
        if self._queue:
            queued = self._queue.popleft()
            self.deadlines.drop(queued)
            self._calls.add(queued.call)
            get_hub().loop.run_callback(queued.call.granted)
        else:
            self._active -= 1

    # Connections.

    def idle_connection(self) -> UpstreamConnection | None:
        """The fit connection that was kept last; None: there is none."""
        now = time.monotonic()
        while self._idle:
            connection = self._idle.pop()
            if connection.due_at > now and not connection.is_stale():
                connection.reused = True
                self.counts.reused += 1
                return connection
            self.discard(connection)
        return None

    def connect(self) -> UpstreamConnection:
        """A new connection. Blocks the calling greenlet. Raises OriginFault."""
        connected = self._dial()
        self.counts.connects += 1
        if self.closed:
            connected.close()
            raise pool_closed()
        return UpstreamConnection(connected, self._buffer, self)

    def keep(self, connection: UpstreamConnection) -> None:
        """Keep a connection for other calls. Before its call leaves: the next in the
        queue finds it then."""
        if self.closed or connection.closed or self._options.max_idle <= 0:
            self.discard(connection)
            return
        now = time.monotonic()
        connection.holder = self
        connection.watch()
        self.deadlines.set(connection, now + self._options.keep_alive)
        self._idle.append(connection)
        if len(self._idle) > self._options.max_idle and self._surplus.slot is None:
            # A thousand polls that are answered at once are sent again at once.
            self.deadlines.set(self._surplus, now)

    def discard(self, connection: UpstreamConnection) -> None:
        """Close a connection that is in use, or was."""
        self.deadlines.drop(connection)
        connection.close()

    def close_surplus(self) -> None:
        """Close what is idle beyond ``max_idle``, the longest idle first."""
        while len(self._idle) > self._options.max_idle:
            self.discard(self._idle.popleft())

    def close_idle(self) -> None:
        """Close all that are idle."""
        while self._idle:
            self.discard(self._idle.popleft())

    # What is told of an idle connection.

    def readable(self, connection: UpstreamConnection) -> None:
        """An idle connection ended or spoke. A TLS session's own records are neither.

        Implements ``ConnectionHolder``.
        """
        try:
            if connection.is_stale():
                self.late(connection)
        except BaseException:
            get_hub().handle_error(self, *sys.exc_info())
            self.late(connection)

    def writable(self, connection: UpstreamConnection) -> None:
        """Nobody sends over an idle connection."""

    def late(self, connection: UpstreamConnection) -> None:
        """It was idle for too long."""
        self._idle.remove(connection)
        self.discard(connection)

    def close(self) -> None:
        """Close every connection, and fail every call, those in the queue too."""
        self.closed = True
        self.deadlines.drop(self._surplus)
        self.close_idle()
        waiting = [queued.call for queued in self._queue]
        for call in (*waiting, *self._calls):
            call.refused(pool_closed())

    def __repr__(self) -> str:
        counted = f"{self._active} active, {len(self._idle)} idle"
        return f"{counted}, {len(self._queue)} waiting"


class _QueuedCall:
    """A call's place in the queue, for as long as it may be there."""

    __slots__ = ("call", "due_at", "slot")

    def __init__(self, call: PooledCall) -> None:
        self.call = call
        self.due_at = 0.0
        self.slot: Slot | None = None

    def lapse(self) -> None:
        self.call.refused(_busy("no connection came free"))


class _Surplus:
    """When a pool closes what it keeps beyond ``max_idle``."""

    __slots__ = ("_pool", "due_at", "slot")

    def __init__(self, pool: PurposePool) -> None:
        self._pool = pool
        self.due_at = 0.0
        self.slot: Slot | None = None

    def lapse(self) -> None:
        self._pool.close_surplus()


class Pools:
    """The pools of one origin: writes, catch-up reads, followers, relays."""

    def __init__(
        self, options: HttpOptions, dial: Callable[[], Socket], counts: PoolCounts
    ) -> None:
        limits = {
            Purpose.CATCH_UP: options.catch_up_connections,
            Purpose.FOLLOW: options.follow_connections,
            Purpose.WRITE: options.write_connections,
            Purpose.RELAY: options.relay_connections,
        }
        deadlines = Deadlines()
        buffer = memoryview(bytearray(RECEIVE_SIZE))
        self._pools = {
            purpose: PurposePool(limit, options, dial, counts, deadlines, buffer)
            for purpose, limit in limits.items()
        }
        self._by_purpose = {
            **self._pools,
            # A follower has one call at a time, of one kind or the other.
            Purpose.EVENTS: self._pools[Purpose.FOLLOW],
        }

    def of(self, purpose: Purpose) -> PurposePool:
        """The pool for calls of this purpose."""
        return self._by_purpose[purpose]

    def close_idle(self) -> None:
        """Close every idle connection of all pools."""
        for pool in self._pools.values():
            pool.close_idle()

    def close(self) -> None:
        """Close all pools; see PurposePool.close."""
        for pool in self._pools.values():
            pool.close()

    def __repr__(self) -> str:
        return " | ".join(f"{p.value}: {pool!r}" for p, pool in self._pools.items())


def pool_closed() -> OriginUnreachable:
    """What a call gets once its pool is closed."""
    return OriginUnreachable("the pool of this origin is closed")


def _busy(detail: str) -> NotAsked:
    return NotAsked(detail, reason=Reason.LIMIT_ORIGIN)
