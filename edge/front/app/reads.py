"""Reads, the whole way: a Read into ``Hub.ask``, its answer out of a sink.

The greenlet that serves the request waits only here, on its own sink, and its client is
watched meanwhile. However the request ends, the hub's pending read is released (E42:
the fetch belongs to the hub, not to this greenlet).

The hub hands over bytes and never blocks; the greenlet takes and sends them. Between
the two lies one write: ``write`` returns False (full), the greenlet takes it, sends it,
and calls ``PendingRead.drained``. The greenlet waits on the sink's own event and on
nothing else. The hub releases it, because it ends every read.
"""

from collections.abc import Callable, Iterator, Sequence

from gevent.event import Event

from edge.core.errors import EdgeError
from edge.core.ports import PendingRead, Ready
from edge.core.tracing import RequestTrace
from edge.core.values import Answer, Headers, Lease, PerResponse, Read
from edge.front.dependencies import Dependencies
from edge.front.exchange import (
    BLIND,
    AnswerCut,
    ClientGone,
    ClientWatch,
    Request,
    RequestContext,
    Response,
    in_pieces,
    next_hop_fields,
    redirected,
)
from edge.policy.http.url_rewrite import public_base
from edge.protocol.http_grammar import REDIRECT_STATUSES


class ReadHandler:
    """Answers reads of streams; one instance serves them all."""

    def __init__(self, parts: Dependencies) -> None:
        self._read_service = parts.read_service
        self._clock = parts.clock
        self._public_url = parts.options.public_url
        self._spans = parts.spans

    def respond(
        self, request: Request, ctx: RequestContext, read: Read, lease: Lease
    ) -> Response:
        """Answer ``read``, with nothing that comes after the end of ``lease``.

        Raises ClientGone, and the EdgeError that the hub ended it with.
        """
        ctx.mode = read.mode.value
        trace = next_hop_fields(self._spans, ctx, request.lookup)
        sink = ReadSink(request.client.address, trace)
        now = self._clock.monotonic()
        pending = self._read_service.ask(read, sink, now, lease)
        watch: ClientWatch = BLIND
        if pending is not None:
            ctx.defer(_leave(sink, pending))
            watch = request.watch(sink.hang_up)
            ctx.defer(watch.close)
        answer, per_response = _await_head(sink, watch)
        if answer.status in REDIRECT_STATUSES:
            answer = redirected(answer, request.target, self._public_base(request))
        ctx.cache, ctx.told = per_response.status, per_response.told
        ctx.reason = per_response.status.detail
        if ctx.trace is not None:
            ctx.trace.answered_at = self._clock.monotonic()
            if not per_response.status.hit:
                ctx.trace.heard(per_response.span)
        streamed = answer.body is None and request.method != "HEAD"
        body = ReadBody(sink, pending, watch, ctx.trace) if streamed else None
        return Response(answer, per_response, body)

    def _public_base(self, request: Request) -> str:
        return public_base(request.scheme, request.host, self._public_url)


def _await_head(sink: "ReadSink", watch: ClientWatch) -> tuple[Answer, PerResponse]:
    """Block until the hub has begun or given up. Raises ClientGone, EdgeError."""
    while sink.answer is None or sink.per_response is None:
        if sink.ended:
            raise sink.error or EdgeError("The read ended without an answer.")
        wait(sink, watch)
    return sink.answer, sink.per_response


def _leave(sink: "ReadSink", pending: PendingRead) -> Callable[[], None]:
    """Tell the hub that the client left, unless the answer had ended by then."""

    def let_go() -> None:
        if not sink.ended:
            pending.gone()

    return let_go


class ReadSink:
    """Implements ``edge.core.ports.Sink``; the rest is for its greenlet."""

    __slots__ = (
        "_buffers",
        "_changed",
        "answer",
        "client",
        "ended",
        "error",
        "gone",
        "per_response",
        "trace",
    )

    def __init__(self, client: str = "", trace: Headers = ()) -> None:
        self.client = client
        self.trace = trace
        self.answer: Answer | None = None
        self.per_response: PerResponse | None = None
        self.ended = False
        self.error: EdgeError | None = None
        self.gone = False
        self._buffers: list[bytes] = []
        self._changed: Event | None = None

    # What the hub calls. Nothing here blocks or switches greenlets.

    def send_whole(self, ready: Ready, pause_reads: bool = False) -> None:
        """See ``ports.Sink``. Its greenlet reads what the client sends next."""
        self.begin(ready.answer, ready.per_response)
        self.finish()

    def resume(self) -> None:
        """See ``ports.Sink``: nothing was held."""

    def begin(self, answer: Answer, per_response: PerResponse) -> None:
        """See ``ports.Sink``."""
        self.answer = answer
        self.per_response = per_response
        self._wake()

    def write(self, buffers: Sequence[bytes]) -> bool:
        """See ``ports.Sink``. Always full afterwards, until the socket has taken it."""
        self._buffers.extend(buffers)
        self._wake()
        return False

    def finish(self) -> None:
        """See ``ports.Sink``."""
        self.ended = True
        self._wake()

    def abort(self, error: EdgeError) -> None:
        """See ``ports.Sink``."""
        self.error = error
        self.ended = True
        self._wake()

    # What the watch on the client's socket calls, from the event loop.

    def hang_up(self) -> None:
        """The client is gone: wake a greenlet that waits."""
        self.gone = True
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()

    # What the greenlet calls.

    def take(self) -> bytes:
        """What was written since the last take, b"" when nothing was."""
        buffers, self._buffers = self._buffers, []
        return buffers[0] if len(buffers) == 1 else b"".join(buffers)

    def wait(self) -> None:
        """Block until something changed. Raises ClientGone.

        Look before each call: a change before the call is not waited for. Nothing
        switches between the look and the wait.
        """
        if self._changed is None:
            self._changed = Event()
        self._changed.clear()
        if not self.gone:
            self._changed.wait()
        if self.gone:
            raise ClientGone("the client closed the connection while it waited")


class ReadBody:
    """The streamed body of a read: what the hub writes, piece by piece.

    Each write goes out by itself, as soon as it is there (SSE must not be gathered); a
    large one goes out in pieces. The next piece is asked for once all of a write was
    sent, and then the hub is told. The first piece may be empty: it sends the head
    before there is anything else.
    """

    def __init__(
        self,
        sink: ReadSink,
        pending: PendingRead | None,
        watch: ClientWatch,
        trace: RequestTrace | None = None,
    ) -> None:
        self._sink = sink
        self._pending = pending
        self._watch = watch
        self._trace = trace
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
        self._left = in_pieces(written)
        return next(self._left, b"")

    def _drained(self) -> None:
        if self._sent and self._pending is not None:
            self._sent = False
            self._pending.drained()

    def _written(self) -> bytes:
        """The hub's next write. Waits for it, except for the first one."""
        while not (written := self._sink.take()) and self._begun:
            if self._sink.error is not None:
                raise AnswerCut(self._sink.error)
            if self._sink.ended:
                raise StopIteration
            wait(self._sink, self._watch)
        if self._trace is not None and self._pending is not None:
            self._trace.heard(self._pending.brought_by)
        return written


def wait(sink: ReadSink, watch: ClientWatch) -> None:
    """Wait for the sink to change, and for the client to leave. Raises ClientGone."""
    watch.start()
    try:
        sink.wait()
    finally:
        watch.pause()
