"""From a WSGI environ to a neutral Request and its RequestContext.

An environ is what gunicorn makes of a head that its parser has read. Our server calls
``begin`` for each request, and the application ``exchange_of``, which makes the two
itself under a foreign WSGI server.

gunicorn ends a Content-Length body that was cut by FIN as if it were whole; Falcon's
bounded stream reads every chunked body as empty. So the body is read from
``wsgi.input`` itself, and counted (``edge.front.exchange.RequestBody``).
``100 Continue`` was sent by gunicorn before the application was called.
"""

from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple

from gunicorn.http.errors import ChunkMissingTerminator, NoMoreData, ParseException

from edge.core.errors import ClientBodyCut, ClientFault
from edge.core.reasons import Reason
from edge.front.exchange import Request, RequestBody, RequestContext, request_id
from edge.front.transport import DisconnectWatch

KEY = "ds_edge.exchange"

Environ = MutableMapping[str, Any]

_UNPREFIXED = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}


class WsgiExchange(NamedTuple):
    """One request as the application takes it, and what is known of it."""

    request: Request
    ctx: RequestContext


def begin(environ: Environ, started: float) -> WsgiExchange:
    """Take a new request; ``started`` is monotonic seconds. It stays in its environ."""
    request = Request(
        environ["REQUEST_METHOD"],
        environ.get("RAW_URI") or _rebuilt(environ),
        _fields(environ),
        environ.get("wsgi.url_scheme", "http"),
        environ.get("REMOTE_ADDR", ""),
        _body(environ),
    )
    stream = environ.get("gunicorn.socket")
    if stream is not None:
        request.watch = lambda gone: DisconnectWatch(stream.transport, gone)
    own_id = request_id(request.lookup("x-request-id"))
    ctx = RequestContext(request.method, request.target, own_id, started)
    exchange = environ[KEY] = WsgiExchange(request, ctx)
    return exchange


def exchange_of(environ: Environ) -> WsgiExchange:
    """The request of an environ, taken here if no server of ours did."""
    found = environ.get(KEY)
    return found if isinstance(found, WsgiExchange) else begin(environ, 0.0)


def _fields(environ: Environ) -> dict[str, str]:
    fields = {
        key[5:].replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }
    for key, name in _UNPREFIXED.items():
        if key in environ:
            fields[name] = environ[key]
    return fields


def _rebuilt(environ: Environ) -> str:
    """The target for servers that do not hand it over as received."""
    query = environ.get("QUERY_STRING", "")
    path: str = environ.get("PATH_INFO", "/")
    return f"{path}?{query}" if query else path


def _body(environ: Environ) -> RequestBody | None:
    """What the request announces of content (RFC 9112 section 6)."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        return RequestBody(_reader(environ), None)
    if "CONTENT_LENGTH" in environ:
        return RequestBody(_reader(environ), int(environ["CONTENT_LENGTH"] or 0))
    return None


def _reader(environ: Environ) -> Callable[[int], bytes]:
    """``wsgi.input``'s read, with its errors told as the client's faults."""

    def read(size: int) -> bytes:
        try:
            piece: bytes = environ["wsgi.input"].read(size)
        except TimeoutError:
            detail = "The body stopped arriving."
            fault = ClientFault(detail, reason=Reason.BODY_TIMEOUT, status=408)
            raise fault from None
        except (NoMoreData, ChunkMissingTerminator, ConnectionError) as error:
            raise _cut_or_malformed(error) from error
        except ParseException as error:
            raise _malformed() from error
        return piece

    return read


def _cut_or_malformed(error: Exception) -> ClientFault:
    """A chunk without its CRLF is malformed; one that never came was cut."""
    if isinstance(error, ChunkMissingTerminator) and error.term:
        return _malformed()
    return ClientBodyCut("The body ended before its announced end.")


def _malformed() -> ClientFault:
    detail = "The body is not framed as its head announced."
    return ClientFault(detail, reason=Reason.UNSUPPORTED_FRAMING)
