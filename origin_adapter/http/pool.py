"""Which call may go to the origin now, and over which connection.

A ``PurposePool`` serves one kind of call. It has a number of slots, a queue of calls
that wait for one (first come, first served), and idle connections. A ``HeldSlot`` is
one call's hold on a slot and, later, on a connection. It goes back exactly once,
whatever happens to the call. This module reads and writes no socket.
"""

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gevent.event import Event
from gevent.hub import get_hub

from edge.core.errors import NotAsked, OriginUnreachable
from edge.core.reasons import Reason
from edge.core.values import Purpose
from origin_adapter.http.connection import ConnectionLost, UpstreamConnection
from origin_adapter.http.options import HttpOptions


@dataclass(slots=True)
class PoolCounts:
    """What was done so far, as plain integers.

    ``requests`` are calls of ``open``, ``connects`` connections made,
    ``reused`` calls over a kept connection, ``retries`` calls sent a second
    time, ``faults`` failed calls by reason.
    """

    requests: int = 0
    connects: int = 0
    reused: int = 0
    retries: int = 0
    faults: Counter[Reason] = field(default_factory=Counter)


class PurposePool:
    """The pool of one kind of call.

    ``dial`` makes a new connection; the rest is as in ``HttpOptions``.
    """

    def __init__(
        self,
        limit: int,
        options: HttpOptions,
        dial: Callable[[], UpstreamConnection],
        counts: PoolCounts,
    ) -> None:
        self.dial = dial
        self.counts = counts
        self.closed = False
        self._limit = limit
        self._options = options
        self._active = 0
        self._queue: deque[_QueuedCall] = deque()
        self._idle: deque[UpstreamConnection] = deque()
        self._held: set[HeldSlot] = set()
        # A timer of the loop; gevent gives its type no public name.
        self._reaper: Any = None

    # Slots.

    def take(self) -> "HeldSlot":
        """Take a slot, after a wait in the queue if all are taken.

        Raises NotAsked (limit-origin-connections), OriginUnreachable once closed.
        """
        if self.closed:
            raise pool_closed()
        if self._active < self._limit:
            self._active += 1
        else:
            self._wait_in_queue()
        slot = HeldSlot(self)
        self._held.add(slot)
        return slot

    def _wait_in_queue(self) -> None:
        if len(self._queue) >= self._options.queue_limit:
            raise _busy("too many calls wait for the origin")
        queued = _QueuedCall()
        self._queue.append(queued)
        try:
            queued.called.wait(self._options.queue_timeout)
        except BaseException:
            self._leave_queue(queued)
            raise
        if not queued.granted:
            self._leave_queue(queued)
            raise pool_closed() if self.closed else _busy("no connection came free")

    def _leave_queue(self, queued: "_QueuedCall") -> None:
        if queued.granted:
            self._free_slot()
        elif queued in self._queue:
            self._queue.remove(queued)

    def _free_slot(self) -> None:
        """Hand the slot to the first in the queue: no call overtakes another."""
        if self._queue:
            queued = self._queue.popleft()
            queued.granted = True
            queued.called.set()
        else:
            self._active -= 1

    def end(self, slot: "HeldSlot", reusable: UpstreamConnection | None) -> None:
        """Take the slot back, and its connection if it can serve again."""
        self._held.discard(slot)
        if reusable is not None:
            self._keep(reusable)
        self._free_slot()

    # Idle connections.

    def idle_connection(self) -> UpstreamConnection | None:
        """The fit connection that was kept last; None: there is none."""
        oldest = time.monotonic() - self._options.keep_alive
        while self._idle:
            connection = self._idle.pop()
            if connection.idle_since > oldest and not connection.is_stale():
                connection.reused = True
                return connection
            connection.close()
        return None

    def _keep(self, connection: UpstreamConnection) -> None:
        if self.closed or self._options.max_idle <= 0:
            connection.close()
            return
        if len(self._idle) >= self._options.max_idle:
            self._idle.popleft().close()
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        if self._reaper is None:
            self._reap_after(self._options.keep_alive)

    def _reap_after(self, seconds: float) -> None:
        self._reaper = get_hub().loop.timer(seconds, ref=False)
        self._reaper.start(self._reap)

    def _reap(self) -> None:
        """Close connections idle for too long. Runs in the hub: never switches."""
        self._stop_reaper()
        now = time.monotonic()
        while self._idle:
            left = self._idle[0].idle_since + self._options.keep_alive - now
            if left > 0:
                self._reap_after(left)
                return
            self._idle.popleft().close()

    def _stop_reaper(self) -> None:
        if self._reaper is not None:
            self._reaper.close()
            self._reaper = None

    def close(self) -> None:
        """Close every connection, and fail every call in the queue."""
        self.closed = True
        self._stop_reaper()
        while self._idle:
            self._idle.popleft().close()
        while self._queue:
            self._queue.popleft().called.set()
        for slot in tuple(self._held):
            slot.discard()

    def __repr__(self) -> str:
        counted = f"{self._active} active, {len(self._idle)} idle"
        return f"{counted}, {len(self._queue)} waiting"


class HeldSlot:
    """One call's hold on a slot, and on the connection that it uses.

    The holder calls ``end`` on every path; only the first call counts.
    """

    __slots__ = ("_connection", "_over", "_pool")

    def __init__(self, pool: PurposePool) -> None:
        self._pool = pool
        self._connection: UpstreamConnection | None = None
        self._over = False

    def connect(self, *, fresh: bool = False) -> UpstreamConnection:
        """A kept connection, or a new one. Raises OriginFault."""
        kept = None if fresh else self._pool.idle_connection()
        if kept is not None:
            self._pool.counts.reused += 1
            self._connection = kept
            return kept
        self._connection = self._pool.dial()
        self._pool.counts.connects += 1
        if self._pool.closed:
            self.discard()
            raise pool_closed()
        return self._connection

    def connection(self) -> UpstreamConnection:
        """The connection in use. Raises ConnectionLost once it was given back."""
        if self._connection is None:
            raise ConnectionLost("the connection was given back")
        return self._connection

    def discard(self) -> None:
        """Close the connection and keep the slot."""
        if self._connection is not None:
            self._connection.close()

    def end(self, *, reusable: bool = False) -> None:
        """Give slot and connection back. Without ``reusable`` the connection closes."""
        if self._over:
            return
        self._over = True
        connection, self._connection = self._connection, None
        if connection is not None and not reusable:
            connection.close()
        fit = reusable and connection is not None and not connection.closed
        self._pool.end(self, connection if fit else None)


@dataclass(slots=True, eq=False)
class _QueuedCall:
    """A call's place in the queue. ``granted`` once a slot has been handed over."""

    called: Event = field(default_factory=Event)
    granted: bool = False


class Pools:
    """The pools of one origin: writes, catch-up reads, followers, relays."""

    def __init__(
        self,
        options: HttpOptions,
        dial: Callable[[], UpstreamConnection],
        counts: PoolCounts,
    ) -> None:
        limits = {
            Purpose.CATCH_UP: options.catch_up_connections,
            Purpose.FOLLOW: options.follow_connections,
            Purpose.WRITE: options.write_connections,
            Purpose.RELAY: options.relay_connections,
        }
        self._pools = {
            purpose: PurposePool(limit, options, dial, counts)
            for purpose, limit in limits.items()
        }

    def take(self, purpose: Purpose) -> HeldSlot:
        """A slot in the pool of ``purpose``; see PurposePool.take."""
        return self._pools[purpose].take()

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
