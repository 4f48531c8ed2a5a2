"""CountedOrigin: an origin, and what is counted of the calls to it.

Where there is one worker, whoever asks the origin counts. A front asks keepers, and
sometimes the origin, by one port, and need not know which: so each is counted where the
call goes out. Counted are requests by purpose, failures by reason, statuses by which
work is refused, and bytes of bodies. What was not sent at all (``NotAsked``) is no
failure of whom it was meant for.

It changes nothing of a call. Made by wiring, in fronts.
"""

from collections.abc import Callable

from edge.core.counters import Counters
from edge.core.errors import EdgeError, NotAsked, OriginFault
from edge.core.forwarded_exchange import ForwardedExchange
from edge.core.ports import Exchange, Origin, Receiver, UpstreamCall
from edge.core.values import OriginAnswerHead, OriginRequest, Purpose
from edge.policy.streams.contact import REFUSES_WORK


class CountedOrigin:
    """``origin``, counted in ``counters`` (an ``edge.core.ports.Origin``)."""

    def __init__(self, origin: Origin, counters: Counters) -> None:
        self._origin = origin
        self._counters = counters

    def begin(self, request: OriginRequest, receiver: Receiver) -> UpstreamCall:
        """See ``edge.core.ports.Origin``."""
        self._counters.origin_requests[request.purpose.value] += 1
        counted = _CountedReceiver(request.purpose, receiver, self._counters)
        return self._origin.begin(request, counted)

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """See ``edge.core.ports.Origin``."""
        self._counters.origin_requests[request.purpose.value] += 1
        try:
            exchange = self._origin.open(request, on_sent)
        except OriginFault as fault:
            _count_fault(self._counters, fault)
            raise
        _count_status(self._counters, request.purpose, exchange.status)
        return _CountedExchange(exchange, self._counters)


def _count_fault(counters: Counters, fault: EdgeError) -> None:
    if isinstance(fault, OriginFault) and not isinstance(fault, NotAsked):
        counters.origin_faults[fault.reason.value] += 1


def _count_status(counters: Counters, purpose: Purpose, status: int) -> None:
    refused = status >= 500 or status in REFUSES_WORK
    if refused and purpose is not Purpose.WRITE:
        counters.origin_statuses[str(status)] += 1


class _CountedReceiver:
    """Hands on what it is told. Whoever it tells takes the blame for what it raises."""

    __slots__ = ("_counters", "_purpose", "_receiver")

    def __init__(
        self, purpose: Purpose, receiver: Receiver, counters: Counters
    ) -> None:
        self._purpose = purpose
        self._receiver = receiver
        self._counters = counters

    def sent(self) -> None:
        self._receiver.sent()

    def head(self, head: OriginAnswerHead) -> None:
        _count_status(self._counters, self._purpose, head.status)
        self._receiver.head(head)

    def data(self, piece: bytes) -> None:
        self._counters.bytes_from_origin += len(piece)
        self._receiver.data(piece)

    def ended(self) -> None:
        self._receiver.ended()

    def failed(self, fault: EdgeError) -> None:
        _count_fault(self._counters, fault)
        self._receiver.failed(fault)


class _CountedExchange(ForwardedExchange):
    """The answer, counted as it is read."""

    def __init__(self, exchange: Exchange, counters: Counters) -> None:
        super().__init__(exchange)
        self._counters = counters

    def read(self) -> bytes:
        try:
            piece = super().read()
        except OriginFault as fault:
            _count_fault(self._counters, fault)
            raise
        self._counters.bytes_from_origin += len(piece)
        return piece
