"""Reads: a Read into the hub's one entrance, its answer into a response.

The greenlet that serves the request waits only here, on its own sink, and
while it waits its client's socket is watched. However the request ends, the
hub's ticket is let go of (E42: the fetch is the hub's, not this greenlet's).
"""

from collections.abc import Callable

import falcon

from edge.core.errors import EdgeError
from edge.core.ports import Ticket
from edge.core.values import Answer, Read, Stamp
from edge.front.app.disconnect_watch import ClientWatch
from edge.front.app.falcon_response import SinkBody, fill, put_stamp, wait
from edge.front.app.falcon_sink import FalconSink
from edge.front.dependencies import FrontParts
from edge.front.request_context import Record


class Reads:
    """Answers reads of streams; one instance serves them all."""

    def __init__(self, parts: FrontParts) -> None:
        self._asks = parts.asks
        self._clock = parts.clock

    def serve(self, record: Record, resp: falcon.Response, read: Read) -> None:
        """Answer ``read``. Raises the EdgeError that the hub ended it with."""
        record.mode = read.mode.value
        sink = FalconSink()
        ticket = self._asks.ask(read, sink, self._clock.monotonic())
        watch = None
        if ticket is not None:
            record.defer(_left(sink, ticket))
            watch = _watch(record, sink)
        answer, stamp = _await_head(sink, watch)
        put_stamp(record, resp, stamp)
        fill(record, resp, answer)
        if answer.body is None and record.method != "HEAD":
            resp.stream = SinkBody(sink, ticket, watch)


def _await_head(sink: FalconSink, watch: ClientWatch | None) -> tuple[Answer, Stamp]:
    """Block until the hub has begun or given up. Raises ClientGone, EdgeError."""
    while sink.answer is None or sink.stamp is None:
        if sink.ended:
            raise sink.error or EdgeError("The read ended without an answer.")
        wait(sink, watch)
    return sink.answer, sink.stamp


def _left(sink: FalconSink, ticket: Ticket) -> Callable[[], None]:
    """Tell the hub that the client left, unless the answer had ended by then."""

    def let_go() -> None:
        if not sink.ended:
            ticket.gone()

    return let_go


def _watch(record: Record, sink: FalconSink) -> ClientWatch | None:
    """A watch on the client's socket, where the server hands it over."""
    sock = record.environ.get("gunicorn.socket")
    if sock is None:
        return None
    watch = ClientWatch(sock, sink.hang_up)
    record.defer(watch.close)
    return watch
