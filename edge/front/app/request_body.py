"""RequestBody: what a client sends, counted.

The one reader over ``wsgi.input``. gunicorn ends a Content-Length body that
was cut by FIN as if it were whole, and Falcon's bounded stream reads every
chunked body as empty; here the bytes are counted against the framing, and a
body that ends early raises ClientBodyCut, so that the upstream request is
broken off and nothing is appended. Never holds more than one piece.

``100 Continue`` was sent by gunicorn before the application was called.
"""

from collections.abc import Iterator
from typing import Protocol

from gunicorn.http.errors import ChunkMissingTerminator, NoMoreData, ParseException

from edge.core.errors import ClientBodyCut, ClientFault
from edge.core.reasons import Reason
from edge.front.request_context import Environ, RequestContext

PIECE = 64 * 1024


class Readable(Protocol):
    """What PEP 3333 promises of ``wsgi.input``, as far as it is used here."""

    def read(self, size: int, /) -> bytes: ...


class RequestBody:
    """The content of one request: iterate to get its pieces, once.

    ``length`` is the announced length, None for chunked coding. Iterating
    raises ClientBodyCut, or ClientFault for a body that is too slow, too large
    or not framed as HTTP says.
    """

    def __init__(self, ctx: RequestContext, max_body: int | None) -> None:
        self.length = _announced(ctx.environ)
        self._input: Readable = ctx.environ["wsgi.input"]
        self._ctx = ctx
        self._max = max_body
        self._received = 0
        if self.length is not None:
            self._check_size(self.length)

    @property
    def begun(self) -> bool:
        """Whether anything of it was read."""
        return self._received > 0

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._read():
            self._received += len(piece)
            self._check_size(self._received)
            yield piece
        if self.length is not None and self._received < self.length:
            raise _cut()
        self._ctx.body_left = False

    def _read(self) -> bytes:
        try:
            return self._input.read(self._wanted())
        except TimeoutError:
            detail = "The body stopped arriving."
            fault = ClientFault(detail, reason=Reason.BODY_TIMEOUT, status=408)
            raise fault from None
        except (NoMoreData, ChunkMissingTerminator, ConnectionError) as error:
            raise _cut_or_malformed(error) from error
        except ParseException as error:
            raise _malformed() from error

    def _wanted(self) -> int:
        if self.length is None:
            return PIECE
        return min(PIECE, self.length - self._received)

    def _check_size(self, size: int) -> None:
        if self._max is not None and size > self._max:
            detail = f"The body is larger than {self._max} bytes."
            reason = Reason.BODY_TOO_LARGE
            raise ClientFault(detail, reason=reason, status=413)


def _announced(environ: Environ) -> int | None:
    if "HTTP_TRANSFER_ENCODING" in environ:
        return None
    return int(environ.get("CONTENT_LENGTH") or 0)


def _cut() -> ClientBodyCut:
    return ClientBodyCut("The body ended before its announced end.")


def _malformed() -> ClientFault:
    detail = "The body is not framed as its head announced."
    return ClientFault(detail, reason=Reason.UNSUPPORTED_FRAMING)


def _cut_or_malformed(error: Exception) -> ClientFault:
    """A chunk without its CRLF is malformed; one that never came was cut."""
    if isinstance(error, ChunkMissingTerminator) and error.term:
        return _malformed()
    return _cut()
