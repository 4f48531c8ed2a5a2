"""TimedOrigin: an origin, and how long it takes until the head of an answer.

Polls and event streams are held by an origin: how long one took says nothing, and they
go through as they are. It changes nothing of a call. Made by wiring around the real
origin of a process.
"""

from collections.abc import Callable

from edge.core.errors import EdgeError
from edge.core.histograms import Timings
from edge.core.ports import Exchange, Origin, Receiver, UpstreamCall
from edge.core.values import OriginAnswerHead, OriginRequest

Now = Callable[[], float]


class TimedOrigin:
    """``origin``, observed in ``timings`` (an ``edge.core.ports.Origin``). ``now`` is
    monotonic seconds."""

    def __init__(self, origin: Origin, timings: Timings, now: Now) -> None:
        self._origin = origin
        self._heads = timings.origin_head
        self._now = now

    def begin(self, request: OriginRequest, receiver: Receiver) -> UpstreamCall:
        """See ``edge.core.ports.Origin``."""
        histogram = self._heads.get((request.purpose.value,))
        if histogram is not None:
            receiver = _TimedReceiver(receiver, histogram.observe, self._now)
        return self._origin.begin(request, receiver)

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """See ``edge.core.ports.Origin``."""
        began = self._now()
        exchange = self._origin.open(request, on_sent)
        histogram = self._heads.get((request.purpose.value,))
        if histogram is not None:
            histogram.observe(self._now() - began)
        return exchange


class _TimedReceiver:
    """Hands on what it is told. Whoever it tells takes the blame for what it raises."""

    __slots__ = ("_began", "_now", "_observe", "_receiver", "data", "ended", "sent")

    def __init__(
        self, receiver: Receiver, observe: Callable[[float], None], now: Now
    ) -> None:
        self._receiver = receiver
        self._observe = observe
        self._now = now
        self._began = now()
        self.sent = receiver.sent
        self.data = receiver.data
        self.ended = receiver.ended

    def head(self, head: OriginAnswerHead) -> None:
        self._observe(self._now() - self._began)
        self._receiver.head(head)

    def failed(self, fault: EdgeError) -> None:
        self._receiver.failed(fault)
