"""One request over one connection, and its answer.

``Attempt`` is one sending, up to the head of the answer. The origin may answer before
it has the whole request, so sending listens too: before each piece, and whenever the
socket takes no more. It listens only while it sends. While it waits for the request's
own body, an early answer waits as well.

``HttpExchange`` is the answer while its body arrives. It owns the slot of its
connection and ends it at the first of three: the verified end of the body, an error,
``close()``. If the whole body arrived together with the head, the slot ends before
anything is read.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace

from edge.core.errors import OriginBodyCut, OriginFault, OriginGarbage
from edge.core.values import Framing, Headers, OriginRequest
from origin_adapter.http.connection import (
    READ,
    WRITE,
    ConnectionLost,
    UpstreamConnection,
)
from origin_adapter.http.options import CallTimeouts
from origin_adapter.http.pool import HeldSlot
from origin_adapter.http.request_encoder import EncodedRequest
from origin_adapter.http.response_parser import (
    BodyReader,
    ResponseHead,
    ResponseHeadReader,
)

Answered = tuple[ResponseHead, BodyReader, bytes]
"""A final head, where its body ends, and the bytes behind the head."""


class Attempt:
    """See the module. Call ``send``, then ``answer``, once each.

    ``end_by`` is when the whole call must be over (monotonic), or None.
    """

    def __init__(
        self,
        connection: UpstreamConnection,
        request: OriginRequest,
        max_head: int,
        timeouts: CallTimeouts,
        end_by: float | None,
    ) -> None:
        self._connection = connection
        self._timeouts = timeouts
        self._end_by = end_by
        self._reader = ResponseHeadReader(request.method, max_head)
        self._answer: tuple[ResponseHead, BodyReader] | None = None
        self._sent_whole = False

    def send(self, encoded: EncodedRequest) -> bool:
        """Send; whether the whole request is on the wire now.

        It is not if the origin answered or hung up first; ``answer`` tells which.
        Raises OriginTimeout, and what the request's body raises.
        """
        try:
            self._sent_whole = self._push(encoded.first) and all(
                not self._answered() and self._push(piece) for piece in encoded.rest
            )
        except ConnectionLost:
            # What the origin sent before it hung up may still be here.
            self._sent_whole = False
        return self._sent_whole

    def _push(self, piece: bytes) -> bool:
        """Send one piece; False when the origin answered meanwhile."""
        left = memoryview(piece)
        while left:
            sent = self._connection.try_send(left)
            left = left[sent:]
            if sent == 0:
                if self._answered():
                    return False
                self._connection.wait(READ | WRITE, self._deadline(self._timeouts.send))
        return True

    def _answered(self) -> bool:
        """Whether a final head is here; interim answers do not count."""
        while self._answer is None and self._connection.arrived():
            self._hear(math.inf)
        return self._answer is not None

    def _hear(self, deadline: float) -> None:
        data = self._connection.receive(deadline)
        if not data:
            raise ConnectionLost("the origin closed the connection")
        self._answer = self._reader.feed(data)

    def answer(self) -> Answered:
        """Wait for the head of the answer.

        Raises ConnectionLost if the connection died before the first byte,
        OriginGarbage if it died within the head, and OriginTimeout.
        """
        deadline = self._deadline(self._timeouts.head)
        try:
            while self._answer is None:
                self._hear(deadline)
        except ConnectionLost as lost:
            if self._reader.received:
                raise OriginGarbage("the answer ended within its head") from lost
            raise
        head, body = self._answer
        if not self._sent_whole:
            head = replace(head, keep_alive=False)
        return head, body, self._reader.rest()

    def _deadline(self, seconds: float) -> float:
        deadline = time.monotonic() + seconds
        return deadline if self._end_by is None else min(deadline, self._end_by)


class HttpExchange:
    """Implements ``edge.core.ports.Exchange``; made by ``HttpOrigin``.

    ``progress_within`` is how long the body may stand still. ``end_by`` is when it must
    have ended (monotonic), or None. ``on_fault`` is called with the fault that ends it,
    if it is the origin's.
    """

    def __init__(
        self,
        head: ResponseHead,
        body: BodyReader,
        slot: HeldSlot,
        *,
        progress_within: float,
        end_by: float | None,
        on_fault: Callable[[OriginFault], None],
    ) -> None:
        self._head = head
        self._body = body
        self._slot = slot
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
        """Take the bytes that arrived behind the head. Called once, by the origin."""
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
            return self._slot.connection().receive(deadline)
        except ConnectionLost as lost:
            raise OriginBodyCut("the connection died within the body") from lost

    def _take(self, data: bytes) -> None:
        if data:
            self._ready = self._body.feed(data)
        else:
            self._body.eof()

    def _settle(self) -> None:
        """At the end of the body, give the connection back for other calls."""
        if self._body.done:
            fit = self._body.clean and self._head.keep_alive
            self._slot.end(reusable=fit)

    def _give_up(self, fault: OriginFault) -> None:
        if self._fault is None:
            self._fault = fault
            self._on_fault(fault)
        self._slot.end()

    def close(self) -> None:
        """See ``ports.Exchange.close``."""
        if self._fault is None and not (self._body.done and not self._ready):
            self._fault = OriginBodyCut("the exchange was given up by its reader")
        self._slot.end()

    def __repr__(self) -> str:
        state = "ended" if self._body.done else "open"
        return f"<HttpExchange {self.status} {self.framing.value} {state}>"
