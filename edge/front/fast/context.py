"""FastContext: what all fast connections of a worker share.

The request memo, the response encoder, the timer wheel, the hub's two entrances,
two ways to be called later; and the one place where a defect of the fast way is
counted and logged. It holds no connection's state.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any, Protocol

import gevent

from edge.core.ports import Ready
from edge.core.timer_wheel import Timed, TimerWheel
from edge.core.values import Answer, PerResponse
from edge.front.dependencies import Dependencies
from edge.front.fast.request_memo import RequestMemo
from edge.front.fast.response_encoder import EncodedResponse, ResponseEncoder
from edge.front.http1.context import ServerContext
from edge.policy.streams.routes import Route

_log = logging.getLogger("edge.front")


class Expiring(Timed, Protocol):
    """What has a deadline: a connection."""

    def expire(self) -> None:
        """It has passed. Must not raise, and must not switch greenlets."""


class NextIteration:
    """Calls back once the event loop has looked at all sockets again.

    ``loop.run_callback`` does not wait for that: gevent does up to fifty things that
    were put off, and what these put off, before it looks at a socket. That is right
    for the few bytes that end a call; what takes long waits here instead.
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
        self.server_context = server_context
        self.limits = server_context.options.limits
        self.logs = server_context.access_log.writes
        self.read_service = parts.read_service
        self.peek = parts.peek
        self.monotonic = parts.clock.monotonic
        self.request_memo = RequestMemo(parts.pipeline, parts.options, parts.clock)
        self.heads = self.request_memo.heads
        self.encoder = ResponseEncoder(parts.options.name, parts.clock)
        self.wheel: TimerWheel[Expiring] = TimerWheel(parts.clock.monotonic())
        parts.ticks.register(self._expire)
        self.loop: Any = gevent.get_hub().loop
        self.soon: Callable[..., object] = self.loop.run_callback
        self.call_next_iteration: Callable[..., object] = NextIteration(self.loop).put
        # A new request id, each time it is called.
        self.next_id: Callable[[], bytes] = _ids(os.urandom(8)).__next__
        self._last_pieces: Sequence[bytes] | None = None
        self._last_chunk = b""

    def _expire(self, now: float) -> None:
        """At each tick: let the connections know whose deadline has passed."""
        for connection in self.wheel.pop(now):
            connection.expire()

    def encoded(
        self, answer: Answer, per_response: PerResponse, route: Route, close: bool
    ) -> EncodedResponse:
        """The answer's bytes as of now. Raises ValueError (see ResponseEncoder)."""
        encoder = self.encoder
        now = self.monotonic()
        if now >= encoder.until:
            encoder.look_at_clock(now)
        return encoder.shared(answer, per_response, route, close)

    def ready(self, ready: Ready, route: Route, now: float) -> EncodedResponse:
        """The bytes of an answer that many are given, as of ``now``: made once a
        second. Raises ValueError (see ResponseEncoder)."""
        encoder = self.encoder
        if now >= encoder.until:
            encoder.look_at_clock(now)
        encoded = ready.encoded
        if not isinstance(encoded, EncodedResponse) or encoded.second != encoder.second:
            encoded = encoder.shared(ready.answer, ready.per_response, route, False)
            ready.encoded = encoded
        return encoded

    def gathered(self, pieces: Sequence[bytes], chunked: bool) -> bytes:
        """One write's bytes, as a chunk where the body is chunked.

        All viewers that are woken together are given the same pieces, one after
        another: they are made into a chunk once.
        """
        if not chunked:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if pieces is self._last_pieces:
            return self._last_chunk
        data = b"".join(pieces)
        # As a chunk, nothing would be the last one.
        chunk = b"%X\r\n%b\r\n" % (len(data), data) if data else b""
        if isinstance(pieces, tuple):
            self._last_pieces, self._last_chunk = pieces, chunk
        return chunk

    def report(self, error: Exception, request_id: bytes = b"-") -> None:
        """A defect: counted, and logged with its traceback."""
        self.server_context.counters.internal_errors += 1
        said = "unexpected error answering request %s"
        _log.error(said, request_id.decode("ascii"), exc_info=error)


def _ids(prefix: bytes) -> Iterator[bytes]:
    """Request ids as ``exchange.request_id`` makes them, one after another.

    A generator, and most of each is made for 256 at once: every answer has one.
    """
    lasts = [b"%02x" % last for last in range(256)]
    for number in count():
        first = b"%s%06x" % (prefix.hex().encode(), number & 0xFFFFFF)
        for last in lasts:
            yield first + last
