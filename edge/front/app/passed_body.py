"""PassedBody: the body of an answer that passes one to one, piece by piece.

It ends with the exchange, or when its reader leaves, or when what let it in ends; then
what was sent must not look whole. An event stream also ends when the edge drains (E54),
as relayed reads and the edge's own streams do: behind a whole event, and then it is
whole. ``PassedEvents`` knows the event streams that are being sent, and looks at each
tick whether that has come. ``pass_through`` makes both; the fast way has a
``PassedEvents`` of its own. They decide nothing of what is in a body, and never hold
more than one piece.
"""

from collections.abc import Callable, Iterator
from typing import Protocol

import gevent

from edge.core.errors import OriginFault, Refusal
from edge.core.ports import Clock, Exchange, Ticks
from edge.core.values import Lease
from edge.front.exchange import AnswerCut, ClientGone
from edge.protocol import sse

LOOK_SECONDS = 0.25
"""How often a passed body looks whether its lease ends earlier than it was to."""


class PassedBody:
    """An exchange's body, each piece sent as soon as it is there.

    ``events``: it is an event stream.
    """

    def __init__(
        self,
        exchange: Exchange,
        first: bytes,
        received: Callable[[bytes], bytes],
        lease: Lease,
        clock: Clock,
        events: bool = False,
    ) -> None:
        self._exchange = exchange
        self._first = first
        self._received = received
        self._lease = lease
        self._clock = clock
        self._events = events
        self._tail = b""
        self._given_up = False
        self._ends = False
        self._let_go = False

    def __iter__(self) -> Iterator[bytes]:
        # A first piece makes the head go out, even an empty one.
        yield self._first
        while not (self._ends and self._may_end) and (piece := self._read()):
            if self._events:
                self._tail = sse.tail_behind(self._tail, piece)
            yield self._received(piece)

    def give_up(self) -> None:
        """The client left: a greenlet that reads is released."""
        self._given_up = True
        self._exchange.close()

    def end_with_lease(self) -> None:
        """Cut it when its lease ends: not a byte more (B3). In a greenlet of its own,
        which looks now and then whether the end has come nearer (B13)."""
        while (left := self._lease.ends_at - self._clock.monotonic()) > 0:
            gevent.sleep(min(left, LOOK_SECONDS))
        self._exchange.close()

    def let_go(self) -> None:
        """End the event stream: now, if it may end where it is, else behind what comes
        next. May be called again.

        1: its greenlet waits for a piece; 2: a piece comes; 3: this closes the
        exchange; 4: the greenlet goes on, and drops the piece, which nobody was given.
        """
        self._ends = True
        if self._may_end and not self._let_go:
            self._let_go = True
            self._exchange.close()

    @property
    def _may_end(self) -> bool:
        return sse.may_end_behind(self._tail)

    def _read(self) -> bytes:
        """The next piece, b"" at the end."""
        piece = b""
        try:
            piece = self._exchange.read()
        except OriginFault as fault:
            if self._given_up:
                raise ClientGone("the client closed the connection") from fault
            if not (self._is_over() or self._let_go):
                raise AnswerCut(fault) from fault
        if self._is_over():
            raise AnswerCut(grant_ended(self._lease))
        return b"" if self._let_go else piece

    def _is_over(self) -> bool:
        return self._clock.monotonic() >= self._lease.ends_at


class PassedEventStream(Protocol):
    """An event stream that passes, on either way."""

    def let_go(self) -> None:
        """See ``PassedBody``."""


class PassedEvents:
    """The event streams that pass at the moment, of one worker, on one way."""

    def __init__(self, draining: Callable[[], bool], ticks: Ticks) -> None:
        self._draining = draining
        self._running: set[PassedEventStream] = set()
        ticks.register(self._look)

    def add(self, body: PassedEventStream) -> Callable[[], None]:
        """Let it go when the edge drains. Call what is returned when it is over."""
        self._running.add(body)
        return lambda: self._running.discard(body)

    def _look(self, now: float) -> None:
        if not self._running or not self._draining():
            return
        for body in tuple(self._running):
            # Closing an exchange may block; a tick must not.
            gevent.spawn(body.let_go)


def grant_ended(lease: Lease) -> Refusal:
    """Why a body is cut when what let it in has ended."""
    detail = "What let this request in has ended."
    return Refusal(detail, reason=lease.why)
