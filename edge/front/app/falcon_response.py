"""From an Answer to a Falcon response, and the bodies that follow a head.

Falcon computes framing from what is set here: a whole body gets its length, a
streamed one the length that is known or chunked coding. Large whole bodies go
out in pieces, so that the send time-out is one of progress, not of size.
"""

from collections.abc import Iterator

import falcon

from edge.core.ports import PendingRead
from edge.core.values import Answer, PerResponse
from edge.front.app.disconnect_watch import DisconnectWatch
from edge.front.app.falcon_sink import AnswerCut, FalconSink
from edge.front.request_context import RequestContext
from edge.protocol import names

PIECE = 64 * 1024


def fill(ctx: RequestContext, resp: falcon.Response, answer: Answer) -> None:
    """Put ``answer`` into ``resp``; a streamed body is the caller's to set."""
    resp.status = answer.status
    for name, value in answer.headers:
        resp.append_header(name, value)
    if answer.content_length is not None:
        resp.content_length = answer.content_length
    if ctx.method == "HEAD" and not answer.body:
        # Falcon would announce the length 0 for an absent body.
        resp.stream = ()
    elif answer.body is not None and len(answer.body) <= PIECE:
        resp.data = answer.body
    elif answer.body is not None:
        resp.content_length = len(answer.body)
        resp.stream = _in_pieces(answer.body)


def put_per_response(
    ctx: RequestContext, resp: falcon.Response, per_response: PerResponse
) -> None:
    """Put in what differs between two deliveries of one Answer."""
    ctx.cache = per_response.status
    ctx.reason = per_response.status.detail
    if per_response.age is not None:
        resp.set_header("Age", str(per_response.age))
    if per_response.cursor is not None:
        resp.set_header(names.CURSOR, per_response.cursor)


def _in_pieces(body: bytes) -> Iterator[bytes]:
    if len(body) <= PIECE:
        return iter((body,))
    starts = range(0, len(body), PIECE)
    return (body[start : start + PIECE] for start in starts)


class SinkBody:
    """The streamed body of a read: what the hub writes, piece by piece.

    Each write goes out by itself, as soon as it is there (SSE must not be
    gathered); a large one in pieces. Once all of it was sent, which is when
    more is asked for, the hub hears of it. The first piece may be empty: a
    reader hears the head before there is anything else.
    """

    def __init__(
        self,
        sink: FalconSink,
        pending: PendingRead | None,
        watch: DisconnectWatch | None,
    ) -> None:
        self._sink = sink
        self._pending = pending
        self._watch = watch
        self._begun = False
        self._sent = False
        self._left: Iterator[bytes] = iter(())

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = next(self._left, b"")
        if piece:
            return piece
        self._drained()
        written = self._written()
        self._begun = True
        self._sent = bool(written)
        self._left = _in_pieces(written)
        return next(self._left, b"")

    def _drained(self) -> None:
        if self._sent and self._pending is not None:
            self._sent = False
            self._pending.drained()

    def _written(self) -> bytes:
        """What the hub wrote next; waits for it, but for the first time."""
        while not (written := self._sink.take()) and self._begun:
            if self._sink.error is not None:
                raise AnswerCut(self._sink.error)
            if self._sink.ended:
                raise StopIteration
            wait(self._sink, self._watch)
        return written


def wait(sink: FalconSink, watch: DisconnectWatch | None) -> None:
    """Wait for the sink to change, and for the client to leave. Raises ClientGone."""
    if watch is None:
        sink.wait()
        return
    watch.start()
    try:
        sink.wait()
    finally:
        watch.pause()
