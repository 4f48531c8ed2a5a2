"""An answer while it arrives.

It owns the lease of its connection and ends it at the first of: the verified
end of the body, an error, ``close()``. What has arrived whole together with
the head has ended before anybody reads it.
"""

import time
from collections.abc import Callable

from edge.core.errors import OriginBodyCut, OriginFault
from edge.core.values import Framing, Headers
from origin_adapter.http.body import Body
from origin_adapter.http.connection import ConnectionLost
from origin_adapter.http.head import Head
from origin_adapter.http.pool import Lease


class HttpExchange:
    """Implements ``edge.core.ports.Exchange``; made by ``HttpOrigin``.

    ``progress_within`` is how long the body may stand still, ``end_by`` when
    it must have ended (monotonic) or None. ``on_fault`` hears of the fault
    that ends it, if it is the origin's.
    """

    def __init__(
        self,
        head: Head,
        body: Body,
        lease: Lease,
        *,
        progress_within: float,
        end_by: float | None,
        on_fault: Callable[[OriginFault], None],
    ) -> None:
        self._head = head
        self._body = body
        self._lease = lease
        self._progress_within = progress_within
        self._end_by = end_by
        self._on_fault = on_fault
        self._ready = b""
        self._fault: OriginFault | None = None

    @property
    def status(self) -> int:
        """The status of the final answer."""
        return self._head.status

    @property
    def headers(self) -> Headers:
        """The fields, without those that concern the connection alone."""
        return self._head.headers

    @property
    def framing(self) -> Framing:
        """How the end of the body is known."""
        return self._head.framing

    @property
    def content_length(self) -> int | None:
        """The declared length (of the representation, for HEAD and 304)."""
        return self._head.content_length

    def begin(self, rest: bytes) -> None:
        """Take what arrived behind the head. Called once, by the origin."""
        self._ready = self._body.feed(rest)
        self._settle()

    def read(self) -> bytes:
        """See ``ports.Exchange.read``."""
        if self._fault is not None:
            raise self._fault
        try:
            while not self._ready and not self._body.done:
                self._receive()
        except OriginFault as fault:
            self._give_up(fault)
            raise
        except BaseException:
            self.close()
            raise
        ready, self._ready = self._ready, b""
        return ready

    def _receive(self) -> None:
        deadline = self._deadline()
        while not self._ready and not self._body.done:
            self._take(self._next_bytes(deadline))
        self._settle()

    def _deadline(self) -> float:
        deadline = time.monotonic() + self._progress_within
        return deadline if self._end_by is None else min(deadline, self._end_by)

    def _next_bytes(self, deadline: float) -> bytes:
        try:
            return self._lease.connection().receive(deadline)
        except ConnectionLost as lost:
            raise OriginBodyCut("the connection died within the body") from lost

    def _take(self, data: bytes) -> None:
        if data:
            self._ready = self._body.feed(data)
        else:
            self._body.eof()

    def _settle(self) -> None:
        """At the end of the body the connection is somebody else's."""
        if self._body.done:
            fit = self._body.clean and self._head.keep_alive
            self._lease.end(reusable=fit)

    def _give_up(self, fault: OriginFault) -> None:
        if self._fault is None:
            self._fault = fault
            self._on_fault(fault)
        self._lease.end()

    def close(self) -> None:
        """See ``ports.Exchange.close``."""
        if self._fault is None and not (self._body.done and not self._ready):
            self._fault = OriginBodyCut("the exchange was given up by its reader")
        self._lease.end()

    def __repr__(self) -> str:
        state = "ended" if self._body.done else "open"
        return f"<HttpExchange {self.status} {self.framing.value} {state}>"
