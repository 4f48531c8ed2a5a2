"""Turn: one request, from a parsed head to the end of its answer.

gunicorn makes environ and response, the application answers, this module
writes it out and says what becomes of the connection::

    KEEP    the next request may follow
    CLOSE   close now: both sides have said what they had to say
    LINGER  close, but first read a little of what the client is still
            sending, so that it can read its answer (RFC 9112 section 9.6)
    CUT     reset: the end must not look like the end of the body

It is also the last guard: what the application lets through is logged, counted,
and ends this one request.
"""

import enum
import logging
import socket
from collections.abc import Iterable
from typing import Any

from gunicorn.http import Request, wsgi
from gunicorn.http.wsgi import Response

from edge.core.reasons import Reason
from edge.front import problems
from edge.front.app.falcon_sink import AnswerCut
from edge.front.http1.context import Serving
from edge.front.http1.response import EdgeResponse
from edge.front.request_context import PASS, Environ, Record

_log = logging.getLogger("edge.front")


class After(enum.Enum):
    """What becomes of the connection after a turn."""

    KEEP = "keep"
    CLOSE = "close"
    LINGER = "linger"
    CUT = "cut"


class Turn:
    """One request of a connection. Use once: ``take``."""

    def __init__(self, serving: Serving, request: Request, sock: socket.socket) -> None:
        self._serving = serving
        self._request = request
        self._sock = sock

    def take(self, listener: Any, peer: Any) -> After:
        """Answer the request. Raises OSError when the client cannot be told.

        ``listener`` and ``peer`` are addresses, as gunicorn takes them.
        """
        response, environ = wsgi.create(
            self._request, self._sock, peer, listener, self._serving.cfg, EdgeResponse
        )
        response.version = self._serving.options.name
        record = Record.begin(environ, self._serving.clock.monotonic())
        try:
            return self._guarded(environ, response, record)
        finally:
            record.release()
            status = response.status_code if response.headers_sent else 0
            self._serving.log(record, status or 0, response.sent)

    def _guarded(self, environ: Environ, response: Response, record: Record) -> After:
        try:
            self._run(environ, response, record)
        except AnswerCut as cut:
            record.lost = True
            record.reason = cut.error.reason
            return self._after_cut(response)
        except OSError:
            record.lost = True
            record.reason = Reason.CLIENT_GONE
            raise
        except Exception as error:
            return self._failed(error, response, record)
        return _after(response, record)

    def _run(self, environ: Environ, response: Response, record: Record) -> None:
        body = self._serving.app(environ, response.start_response)
        try:
            if record.body_left or self._serving.draining:
                response.force_close()
            for piece in body:
                response.write(piece)
            response.close()
            self._count(record, response)
        finally:
            _close(body)

    def _count(self, record: Record, response: Response) -> None:
        """Bytes of what passed through; the hub counts those of reads."""
        if record.mode == PASS:
            self._serving.counters.bytes_out += response.sent

    def _failed(self, error: Exception, response: Response, record: Record) -> After:
        """The application let something through: a defect, of it or of Falcon."""
        self._serving.counters.internal_errors += 1
        said = "unexpected error serving request %s"
        _log.error(said, record.request_id, exc_info=error)
        if response.headers_sent:
            record.lost = True
            record.reason = Reason.INTERNAL
            return self._after_cut(response)
        self._sock.sendall(self._serving.problem(record, problems.INTERNAL))
        response.headers_sent = True
        response.status_code = 500
        return After.LINGER

    def _after_cut(self, response: Response) -> After:
        """A body framed by the connection's end is cut by a reset alone."""
        framed = response.chunked or response.response_length is not None
        return After.CLOSE if framed else After.CUT


def _after(response: Response, record: Record) -> After:
    if not response.should_close():
        return After.KEEP
    return After.LINGER if record.body_left else After.CLOSE


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
