"""``begin`` for an origin that only knows how to block: one greenlet for each call.

The scripted origins have it by ``BeginsByOpen``. An origin that serves traffic has its
calls as data on the event loop instead (``origin_adapter.http``).
"""

import sys
from collections.abc import Callable, Iterable
from functools import partial

import gevent
from gevent.event import Event
from gevent.hub import get_hub

from edge.core.errors import EdgeError, OriginFault
from edge.core.ports import Exchange, Receiver, UpstreamCall
from edge.core.reasons import Reason
from edge.core.values import DIRECT, OriginAnswerHead, OriginRequest, Provenance


class BeginsByOpen:
    """Implements ``begin`` of ``edge.core.ports.Origin`` by its ``open``."""

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """See ``ports.Origin.open``."""
        raise NotImplementedError

    def begin(self, request: OriginRequest, receiver: Receiver) -> UpstreamCall:
        """See ``ports.Origin.begin``."""
        return BlockingCall(self.open, request, receiver)


def pieces_of(request: OriginRequest) -> Iterable[bytes]:
    """The body of a request in pieces, however it comes."""
    return (request.body,) if isinstance(request.body, bytes) else request.body or ()


def body_of(request: OriginRequest) -> bytes:
    """The whole body of a request, however it comes."""
    return b"".join(pieces_of(request))


class _ReceiverRaised(Exception):
    """The receiver raised from what it was told."""


class BlockingCall:
    """Implements ``edge.core.ports.UpstreamCall``: a greenlet that blocks for it.

    A pause holds back what was read; an origin in memory is not slowed down by it.
    """

    def __init__(
        self,
        open_call: Callable[[OriginRequest, Callable[[], None] | None], Exchange],
        request: OriginRequest,
        receiver: Receiver,
    ) -> None:
        self._open = open_call
        self._request = request
        self._receiver = receiver
        self._over = False
        self._may_read = Event()
        self._may_read.set()
        self._greenlet = gevent.spawn(self._run)

    def cancel(self) -> None:
        """See ``ports.UpstreamCall``."""
        self._over = True
        self._greenlet.kill(block=False)

    def pause(self) -> None:
        """See ``ports.UpstreamCall``."""
        self._may_read.clear()

    def resume(self) -> None:
        """See ``ports.UpstreamCall``."""
        self._may_read.set()

    def _sent(self) -> None:
        self._tell(self._receiver.sent)

    def _run(self) -> None:
        try:
            exchange = self._open(self._request, self._sent)
            try:
                self._pump(exchange)
            finally:
                exchange.close()
        except EdgeError as fault:
            self._fail(fault)
        except _ReceiverRaised:
            self._fail(_defect())
        finally:
            # Also when it is killed, or on a defect that goes on to gevent's hub.
            self._fail(_defect())

    def _pump(self, exchange: Exchange) -> None:
        provenance: Provenance = getattr(exchange, "provenance", DIRECT)
        head = OriginAnswerHead(
            exchange.status,
            exchange.headers,
            exchange.framing,
            exchange.content_length,
            provenance,
        )
        self._tell(lambda: self._receiver.head(head))
        while not self._over:
            self._may_read.wait()
            piece = exchange.read()
            if piece:
                self._tell(partial(self._receiver.data, piece))
            else:
                exchange.close()
                self._tell_last(self._receiver.ended)

    def _tell(self, tell: Callable[[], None]) -> None:
        if self._over:
            return
        try:
            tell()
        except Exception:
            get_hub().handle_error(self._greenlet, *sys.exc_info())
            raise _ReceiverRaised from None

    def _tell_last(self, tell: Callable[[], None]) -> None:
        over, self._over = self._over, True
        if not over:
            tell()

    def _fail(self, fault: EdgeError) -> None:
        self._tell_last(lambda: self._receiver.failed(fault))


def _defect() -> OriginFault:
    return OriginFault("a defect", status=500, reason=Reason.INTERNAL)
