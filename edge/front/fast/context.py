"""FastContext: what all fast connections of a worker share.

It has the request memo, the response encoder, the timer wheel, the hub's two entrances,
new request ids, and two ways to be called later. It is also the one place where a
defect of the fast way is counted and logged. It holds no connection's state.
"""

import logging
import re
from collections.abc import Callable
from typing import Any, Protocol

import gevent

from edge.core.timer_wheel import Timed, TimerWheel
from edge.front.app.passed_body import PassedEvents
from edge.front.dependencies import Dependencies
from edge.front.exchange import LoggedFields
from edge.front.fast.handshake_turns import HandshakeTurns
from edge.front.fast.plain_writes import PlainWrites
from edge.front.fast.request_memo import (
    MAX_REMEMBERED_BYTES,
    Memo,
    RequestMemo,
)
from edge.front.fast.response_encoder import ResponseEncoder, request_ids
from edge.front.fast.write_answers import WriteAnswers
from edge.front.http1.context import ServerContext
from edge.policy.http.client_address import Caller, Peer

_log = logging.getLogger("edge.front")


class Expiring(Timed, Protocol):
    """An entry with a deadline: a connection."""

    def expire(self) -> None:
        """The deadline has passed. Must not raise, and must not switch greenlets."""


_TOLD = re.compile(
    rb"^(host|user-agent|referer|traceparent|forwarded|x-forwarded-(?:for|proto|host))"
    rb":([^\r\n]*)\r$",
    re.IGNORECASE | re.MULTILINE,
)
"""The fields of a plain head that tell of its client, and decide no answer."""

MAX_BODIES = 64 * 1024 * 1024
"""Bytes of the bodies of plain writes that are held at once: from their heads on, until
they are on the wire. A write beyond them goes the whole way."""

MAX_SAID = 2048
"""Heads of which is remembered what the log tells of them."""


class NextIteration:
    """Calls back once the event loop has looked at all sockets again.

    ``loop.run_callback`` does not wait for that: gevent runs up to fifty deferred
    callbacks, and those that they defer, before it looks at a socket. That is right for
    the few bytes that end a call; longer work waits here instead.
    """

    def __init__(self, loop: Any) -> None:
        # A timer that is due at once comes with the sockets.
        self._timer: Any = loop.timer(0)
        self._acts: list[Callable[[], None]] = []

    def put(self, act: Callable[[], None]) -> None:
        """Call ``act``, which must not raise, in the next iteration."""
        if not self._acts:
            self._timer.start(self._take)
        self._acts.append(act)

    def _take(self) -> None:
        """The timer's callback. What is put in meanwhile waits for another one."""
        acts, self._acts = self._acts, []
        self._timer.stop()
        for act in acts:
            act()


class FastContext:
    """Made once per worker, after fork and patch."""

    def __init__(self, parts: Dependencies, server_context: ServerContext) -> None:
        self.parts = parts
        self.server_context = server_context
        self.limits = server_context.options.limits
        # Of a keeper: all who connect are fronts.
        self.is_link = server_context.options.link is not None
        self.spans = parts.spans
        # Whether anything is made of a request that has been answered.
        self.logs = server_context.access_log.writes or parts.spans is not None
        self.read_service = parts.read_service
        self.peek = parts.peek
        self.monotonic = parts.clock.monotonic
        judged_by = parts.pipeline, parts.options, parts.clock
        self.request_memo = RequestMemo(*judged_by)
        self.plain_writes = PlainWrites(*judged_by)
        # Bytes of the bodies of plain writes that are held.
        self.bodies = 0
        self.heads = self.request_memo.heads
        self.encoder = ResponseEncoder(parts.options, parts.clock)
        self.write_answers = WriteAnswers(parts.options, self.encoder)
        # The event streams that answer writes.
        self.passed_events = PassedEvents(parts.draining, parts.ticks)
        self.wheel: TimerWheel[Expiring] = TimerWheel(parts.clock.monotonic())
        parts.ticks.register(self._expire)
        self.loop: Any = gevent.get_hub().loop
        self.soon: Callable[..., object] = self.loop.run_callback
        self.call_next_iteration: Callable[..., object] = NextIteration(self.loop).put
        self.handshake_turns = HandshakeTurns(self.call_next_iteration)
        # A new request id, each time it is called.
        self.next_id: Callable[[], bytes] = request_ids().__next__
        self._proxies = parts.options.trusted_proxies
        self.said: Memo[bytes, LoggedFields] = Memo(MAX_SAID)

    def hold_body(self, size: int) -> bool:
        """Whether a body of ``size`` bytes may be held. If so it is among ``bodies``;
        take it out once it is held no longer."""
        if self.bodies + size > MAX_BODIES:
            return False
        self.bodies += size
        return True

    def _expire(self, now: float) -> None:
        """At each tick: call the connections whose deadline has passed."""
        for connection in self.wheel.pop(now):
            connection.expire()

    def client(self, peer: Peer, raw: bytes) -> Caller:
        """Who sent a plain head through ``peer``; ``raw`` are its lines."""
        if not peer.believed:
            return Caller(peer.address, peer.scheme)
        return self._proxies.client(peer, _told(raw).get)

    def what_log_says(self, raw: bytes) -> LoggedFields:
        """What the log tells of a plain head; look into ``said`` first."""
        said = LoggedFields.of(_told(raw).get)
        return self.said.keep(raw, said) if len(raw) < MAX_REMEMBERED_BYTES else said

    def report(self, error: Exception, request_id: bytes = b"-") -> None:
        """A defect: counted, and logged with its traceback."""
        self.server_context.counters.internal_errors += 1
        said = "unexpected error answering request %s"
        _log.error(said, request_id.decode("ascii"), exc_info=error)


def _told(raw: bytes) -> dict[str, str]:
    """The fields in ``_TOLD``, by lower-case name. A plain head has no name twice."""
    return {
        name.decode("ascii").lower(): value.strip(b" \t").decode("ascii")
        for name, value in _TOLD.findall(raw)
    }
