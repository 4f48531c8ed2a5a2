"""One sending of a request over one connection, up to the head of its answer.

The origin may answer before it has heard everything, so sending listens too:
before each piece, and whenever the socket takes no more. It listens only while
it runs: while the request's own body keeps it waiting, an early answer waits
as well.
"""

import math
import time
from dataclasses import replace

from edge.core.errors import OriginGarbage
from edge.core.values import OriginRequest
from origin_adapter.http.body import Body
from origin_adapter.http.connection import READ, WRITE, Connection, ConnectionLost
from origin_adapter.http.head import Head, HeadReader
from origin_adapter.http.options import HttpOptions
from origin_adapter.http.request_encoder import EncodedRequest

Answered = tuple[Head, Body, bytes]
"""A final head, where its body ends, and the bytes behind the head."""


class Attempt:
    """See the module. Call ``send``, then ``answer``, once each.

    ``end_by`` is when the whole call must be over (monotonic), or None.
    """

    def __init__(
        self,
        connection: Connection,
        request: OriginRequest,
        options: HttpOptions,
        end_by: float | None,
    ) -> None:
        self._connection = connection
        self._options = options
        self._purpose = request.purpose
        self._end_by = end_by
        self._reader = HeadReader(request.method, options.max_head)
        self._answer: tuple[Head, Body] | None = None
        self._sent_whole = False

    def send(self, outgoing: EncodedRequest) -> bool:
        """Send; whether the whole request is on the wire now.

        It is not when the origin answered or hung up first: ``answer`` tells
        which. Raises OriginTimeout, and what the request's body raises.
        """
        try:
            self._sent_whole = self._push(outgoing.first) and all(
                not self._answered() and self._push(piece) for piece in outgoing.rest
            )
        except ConnectionLost:
            # What the origin said before it hung up may still be here.
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
                self._connection.wait(
                    READ | WRITE, self._deadline(self._options.idle_timeout)
                )
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

        Raises ConnectionLost when the connection died before the first byte,
        OriginGarbage when within the head, and OriginTimeout.
        """
        deadline = self._deadline(self._options.begin_within(self._purpose))
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
