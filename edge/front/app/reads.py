"""ReadResource: a Read into the hub's one entrance, its answer into a response.

The greenlet that serves the request waits only here, on its own sink, and
while it waits its client's socket is watched. However the request ends, the
hub's ticket is let go of (E42: the fetch is the hub's, not this greenlet's).
"""

from collections.abc import Callable

import falcon

from edge.core.errors import EdgeError
from edge.core.ports import PendingRead
from edge.core.values import Answer, PerResponse, Read
from edge.front.app.disconnect_watch import DisconnectWatch
from edge.front.app.falcon_response import SinkBody, fill, put_per_response, wait
from edge.front.app.falcon_sink import FalconSink
from edge.front.dependencies import Dependencies
from edge.front.request_context import RequestContext


class ReadResource:
    """Answers reads of streams; one instance serves them all."""

    def __init__(self, parts: Dependencies) -> None:
        self._read_service = parts.read_service
        self._clock = parts.clock

    def serve(self, ctx: RequestContext, resp: falcon.Response, read: Read) -> None:
        """Answer ``read``. Raises the EdgeError that the hub ended it with."""
        ctx.mode = read.mode.value
        sink = FalconSink()
        pending = self._read_service.ask(read, sink, self._clock.monotonic())
        watch = None
        if pending is not None:
            ctx.defer(_left(sink, pending))
            watch = _watch(ctx, sink)
        answer, per_response = _await_head(sink, watch)
        put_per_response(ctx, resp, per_response)
        fill(ctx, resp, answer)
        if answer.body is None and ctx.method != "HEAD":
            resp.stream = SinkBody(sink, pending, watch)


def _await_head(
    sink: FalconSink, watch: DisconnectWatch | None
) -> tuple[Answer, PerResponse]:
    """Block until the hub has begun or given up. Raises ClientGone, EdgeError."""
    while sink.answer is None or sink.per_response is None:
        if sink.ended:
            raise sink.error or EdgeError("The read ended without an answer.")
        wait(sink, watch)
    return sink.answer, sink.per_response


def _left(sink: FalconSink, pending: PendingRead) -> Callable[[], None]:
    """Tell the hub that the client left, unless the answer had ended by then."""

    def let_go() -> None:
        if not sink.ended:
            pending.gone()

    return let_go


def _watch(ctx: RequestContext, sink: FalconSink) -> DisconnectWatch | None:
    """A watch on the client's socket, where the server hands it over."""
    sock = ctx.environ.get("gunicorn.socket")
    if sock is None:
        return None
    watch = DisconnectWatch(sock, sink.hang_up)
    ctx.defer(watch.close)
    return watch
