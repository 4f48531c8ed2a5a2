"""Reads: GET and HEAD (PROTOCOL.md sections 5.5 to 5.8).

A live reader takes the event of the stream's next change, looks at the stream, and
waits only if there is nothing for it. All readers of a stream share the event. If a
stream is deleted or replaced meanwhile, its readers are told: a long-poll gets the 404
or 410; an SSE connection ends, and its client finds out when it returns.
"""

import time
from collections.abc import Generator

from edge.core.values import Mode
from edge.protocol import cursor as cursors
from edge.protocol import names, sse
from origin_adapter.embedded.engine.engine import Engine
from origin_adapter.embedded.http import answers
from origin_adapter.embedded.http.exchange import Buffers, ServerRequest, ServerResponse
from origin_adapter.embedded.http.requests import ReadRequest
from origin_adapter.embedded.rules import messages, offsets
from origin_adapter.embedded.rules.refusals import Refused
from origin_adapter.embedded.rules.values import StoredStream
from origin_adapter.embedded.store.pages import Extent, StoredPage

MAX_JOINED = 65536
"""A body of at most so many bytes is made in one piece."""


class StreamReadHandler:
    """Answers reads from the engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.options = engine.options
        self.clock = cursors.CursorClock()

    def head(self, path: str, resp: ServerResponse) -> None:
        """The state of a stream. A HEAD does not count as reading it."""
        answers.metadata(resp, self.engine.living(path))

    def get(
        self,
        path: str,
        request: ReadRequest,
        req: ServerRequest,
        resp: ServerResponse,
    ) -> None:
        """Bytes of a stream, now or when they arrive."""
        stream = self.engine.living(path)
        self.engine.touch(stream)
        start = _start(stream, request)
        if request.mode is Mode.SSE:
            self._sse(stream, start, request.cursor, resp)
        elif request.mode is Mode.LONG_POLL:
            self._long_poll(stream, start, request.cursor, resp)
        elif request.position is None and not request.begin:
            self._now(stream, resp)
        else:
            self._catch_up(stream, start, req, resp)

    # --- Catch-up.

    def _catch_up(
        self,
        stream: StoredStream,
        start: int,
        req: ServerRequest,
        resp: ServerResponse,
    ) -> None:
        page, extent = self.engine.opening(stream, min(start, stream.tail))
        tag = answers.etag(stream, extent)
        answers.position(resp, extent.end, answers.claims(stream, extent.end))
        resp.fields["ETag"] = tag
        resp.fields["Cache-Control"] = answers.freshness(
            stream, extent.end, self.options.shared, time.time()
        )
        if answers.matches(req.field("If-None-Match"), tag):
            resp.status = 304
        else:
            self._body(stream, page, extent, resp)

    def _now(self, stream: StoredStream, resp: ServerResponse) -> None:
        answers.position(resp, stream.tail, answers.claims(stream, stream.tail))
        resp.fields["Cache-Control"] = answers.NO_STORE
        resp.content_type = stream.content_type
        resp.body = answers.empty_body(stream)

    # --- Long-poll.

    def _long_poll(
        self,
        stream: StoredStream,
        start: int,
        cursor: int | None,
        resp: ServerResponse,
    ) -> None:
        if start <= stream.tail:
            with self.engine.change_events.waiting(stream.id):
                until = time.monotonic() + self.options.long_poll_timeout
                stream = self._await(stream, start, until)
        page = self.engine.page(stream, min(start, stream.tail))
        claims = answers.claims(stream, page.end)
        answers.position(resp, page.end, claims)
        if not (claims.closed and not page.parts):
            resp.fields[names.CURSOR] = self._cursor(cursor)
        if not page.parts:
            resp.status = 204
            resp.fields["Cache-Control"] = answers.NO_STORE
            return
        scope = "public" if self.options.shared else "private"
        resp.fields["Cache-Control"] = f"{scope}, max-age={cursors.INTERVAL}"
        resp.fields["ETag"] = answers.etag(stream, page)
        held = Extent(page.start, page.end, len(page.parts))
        self._body(stream, page, held, resp)

    def _await(self, stream: StoredStream, start: int, until: float) -> StoredStream:
        """The stream once there is something beyond ``start``, or time is up.

        Raises Refused when it ended.
        """
        while True:
            # Take the event before the look: a change in between then sets it.
            change = self.engine.change_events.next_change(stream.id)
            stream = self.engine.same(stream)
            left = until - time.monotonic()
            if stream.tail > start or stream.closed or left <= 0:
                return stream
            if self.engine.change_events.stopped:
                return stream
            change.wait(left)

    # --- Server-sent events.

    def _sse(
        self,
        stream: StoredStream,
        start: int,
        cursor: int | None,
        resp: ServerResponse,
    ) -> None:
        resp.content_type = "text/event-stream"
        resp.fields["Cache-Control"] = "no-cache"
        resp.fields["X-Accel-Buffering"] = "no"
        if answers.is_base64(stream):
            resp.fields[names.SSE_ENCODING] = names.SSE_BASE64
        resp.pieces = self._events(stream, min(start, stream.tail), cursor)

    def _events(
        self, stream: StoredStream, position: int, cursor: int | None
    ) -> Generator[Buffers]:
        """Pages and control events until the stream or the connection's life ends."""
        ends = time.monotonic() + self.options.sse_lifetime
        try:
            with self.engine.change_events.waiting(stream.id):
                until = 0.0
                while True:
                    stream = self._await(stream, position, until)
                    page = self.engine.page(stream, position)
                    position = page.end
                    yield [self._frames(stream, page, cursor)]
                    now = time.monotonic()
                    done = answers.claims(stream, position).closed
                    if done or now >= ends or self.engine.change_events.stopped:
                        return
                    until = min(now + self.options.keep_alive, ends)
        except Refused:
            # The head was sent long ago. The reader learns why when it comes back.
            return

    def _frames(
        self, stream: StoredStream, page: StoredPage, cursor: int | None
    ) -> bytes:
        claims = answers.claims(stream, page.end)
        control = sse.control_event(
            offsets.to_text(page.end),
            self._cursor(cursor),
            claims.up_to_date,
            claims.closed,
        )
        if not page.parts:
            return control
        payload = messages.answer(page.parts, stream.content_type)
        encoding = sse.encoding_for(stream.content_type)
        return sse.data_event(payload, encoding) + control

    # --- Both.

    def _body(
        self,
        stream: StoredStream,
        first: StoredPage,
        extent: Extent,
        resp: ServerResponse,
    ) -> None:
        """The bytes of an extent, of which the first page is here.

        A page from memory may be short of what is committed: the tail is known a moment
        before memory has its rows. Then the disk has the rest, however little it is.
        """
        kind, size = stream.content_type, extent.end - extent.start
        resp.content_type = kind
        if size <= MAX_JOINED and first.end == extent.end:
            resp.body = messages.answer(first.parts, kind)
            return
        pages = self.engine.read_ahead.pages(stream, first, extent.end)
        resp.length = messages.length(size, extent.rows, kind)
        resp.pieces = messages.pieces((page.parts for page in pages), kind)

    def _cursor(self, client: int | None) -> str:
        return str(cursors.own(self.clock.interval(time.time()), client))


def _start(stream: StoredStream, request: ReadRequest) -> int:
    """Where a read begins: the earliest kept byte, the tail, or the given offset."""
    if request.begin:
        return stream.floor
    return stream.tail if request.position is None else request.position
