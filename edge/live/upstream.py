"""Upstream: one read of the origin, whole, with the counting that goes with it.

Runs in a flight's or a follower's greenlet and blocks only that one. It knows
requests and answers; what an answer means is judged elsewhere.
"""

from collections.abc import Callable

from edge.core.counters import Counters
from edge.core.errors import OriginFault
from edge.core.ports import Exchange, Origin
from edge.core.values import (
    DIRECT,
    Framing,
    OriginAnswer,
    OriginRequest,
    Provenance,
)


class TooLarge(Exception):
    """The answer is larger than ``max_object``; its exchange was given up (L11)."""


Outcome = OriginAnswer | OriginFault | TooLarge
"""How a fetch ended."""


class Upstream:
    """Fetches whole answers of at most ``max_object`` bytes."""

    def __init__(self, origin: Origin, counters: Counters, max_object: int) -> None:
        self._origin = origin
        self._counters = counters
        self._max_object = max_object

    def fetch(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> OriginAnswer:
        """The whole answer. Raises OriginFault, or TooLarge for a 200."""
        exchange = self.open(request, on_sent)
        try:
            body = self._collect(exchange)
        except OriginFault as fault:
            self._counters.origin_faults[fault.reason.value] += 1
            raise
        finally:
            exchange.close()
        # Just now, unless the exchange tells otherwise.
        provenance: Provenance = getattr(exchange, "provenance", DIRECT)
        return OriginAnswer(
            exchange.status, exchange.headers, body, exchange.framing, provenance
        )

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """The answer as it arrives, counted. Raises OriginFault."""
        self._counters.origin_requests[request.purpose.value] += 1
        try:
            return self._origin.open(request, on_sent)
        except OriginFault as fault:
            self._counters.origin_faults[fault.reason.value] += 1
            raise

    def _collect(self, exchange: Exchange) -> bytes:
        # A HEAD's length is that of a body which does not come.
        comes = exchange.framing is Framing.LENGTH
        if comes and (exchange.content_length or 0) > self._max_object:
            raise TooLarge
        pieces: list[bytes] = []
        size = 0
        while piece := exchange.read():
            size += len(piece)
            if size > self._max_object:
                raise TooLarge
            pieces.append(piece)
        self._counters.bytes_from_origin += size
        return b"".join(pieces)
