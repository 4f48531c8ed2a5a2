"""The Falcon adapter: a neutral handler behind WSGI.

``create_app`` puts the parts together; it holds no state of its own. An environ becomes
a Request and its RequestContext. The handler answers; its Response becomes Falcon's.
What Falcon finds wrong becomes a problem like all others. Falcon routes nothing and
judges nothing here: it computes framing and calls WSGI's start_response. No other
module of the front knows Falcon.

gunicorn makes the environ from a head that its parser has read. Our server calls
``begin`` for each request. The application calls ``exchange_of``, which makes the pair
itself if need be: so it runs under any WSGI server. It is right without the extras of
our worker (noticing that a parked client left, refusing a malformed head, keeping
time-outs).
"""

import re
from collections.abc import Callable, MutableMapping
from typing import Any, NamedTuple, TypeAlias

import falcon
from gunicorn.http.errors import ChunkMissingTerminator, NoMoreData, ParseException

from edge.core.errors import ClientBodyCut, ClientFault
from edge.core.reasons import Reason
from edge.core.values import PerResponse
from edge.front.app.handler import RequestHandler
from edge.front.dependencies import Dependencies
from edge.front.exchange import (
    PIECE,
    ClientGone,
    LoggedFields,
    Request,
    RequestBody,
    RequestContext,
    Response,
    browser_fields,
    cors_list,
    in_pieces,
    lean_fields,
    path_fields,
    request_id,
)
from edge.front.options import FrontOptions
from edge.front.transport import BlockingStream, DisconnectWatch
from edge.policy.http import cors
from edge.policy.http.client_address import NOBODY, Caller, Peer, TrustedProxies
from edge.protocol import names
from edge.protocol.http_grammar import reason_phrase

__all__ = ["Dependencies", "WsgiApp", "create_app"]

WsgiApp: TypeAlias = "falcon.App[falcon.Request, falcon.Response]"

# All requests, also the asterisk-form and paths that Falcon's router cannot take.
_ANY_PATH = re.compile("")

_BY_STATUS = {404: Reason.NOT_FOUND}

KEY = "ds_edge.exchange"

Environ = MutableMapping[str, Any]

_UNPREFIXED = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}


def create_app(parts: Dependencies) -> WsgiApp:
    """The application that answers with these parts."""
    app: WsgiApp = falcon.App(middleware=[CommonFields(parts.options)])
    # An answer without Content-Type must stay so. Falcon's code takes None for
    # that (see Response._wsgi_headers); only its annotation says str.
    app.resp_options.default_media_type = None  # type: ignore[assignment]
    adapter = _FalconAdapter(RequestHandler(parts))
    app.add_sink(adapter.serve, _ANY_PATH)
    app.add_error_handler(Exception, adapter.failed)
    app.add_error_handler(falcon.HTTPError, adapter.failed)
    app.add_error_handler(ClientGone, adapter.hang_up)
    return app


class _FalconAdapter:
    """Falcon's one sink, and its handlers of errors."""

    def __init__(self, handler: RequestHandler) -> None:
        self._handler = handler

    def serve(
        self, req: falcon.Request, resp: falcon.Response, **_named: object
    ) -> None:
        """Every request. Raises ClientGone."""
        request, ctx = exchange_of(req.env)
        fill(resp, self._handler.respond(request, ctx), request.method)

    def failed(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        error: Exception,
        params: object,
    ) -> None:
        """What Falcon finds wrong with a request, or a defect of this adapter."""
        request, ctx = exchange_of(req.env)
        resp.stream = None
        response = self._handler.problem(ctx, _as_fault(error))
        fill(resp, response, request.method)

    def hang_up(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        error: ClientGone,
        params: object,
    ) -> None:
        """The client left: the worker closes the connection."""
        raise error


def _as_fault(error: Exception) -> Exception:
    """A ClientFault for an error by which Falcon blames the client."""
    if not isinstance(error, falcon.HTTPError):
        return error
    status = error.status_code
    reason = _BY_STATUS.get(status, Reason.BAD_HEAD)
    return ClientFault(error.description or "", reason=reason, status=status)


# An environ, as a request.


class WsgiExchange(NamedTuple):
    """One request as the application takes it, and what is known of it."""

    request: Request
    ctx: RequestContext


def begin(
    environ: Environ,
    started: float,
    peer: Peer | None = None,
    proxies: TrustedProxies = NOBODY,
) -> WsgiExchange:
    """Take a new request; ``started`` is monotonic seconds. It stays in its environ.

    It came from ``peer``; under a server that does not say so, from nobody who is
    trusted.
    """
    fields = _fields(environ)
    peer = peer or Peer(environ.get("REMOTE_ADDR", ""))
    client = Caller(peer.address, peer.scheme)
    if peer.believed:
        client = proxies.client(peer, fields.get)
    request = Request(
        environ["REQUEST_METHOD"],
        environ.get("RAW_URI") or _rebuilt(environ),
        fields,
        client.scheme or environ.get("wsgi.url_scheme", "http"),
        client,
        _body(environ),
    )
    stream = environ.get("gunicorn.socket")
    # A worker of gunicorn's own has a socket there, which cannot be watched.
    if isinstance(stream, BlockingStream):
        request.watch = lambda gone: DisconnectWatch(stream.transport, gone)
        request.has_left = lambda: stream.peek() == b""
    own_id = request_id(request.lookup("x-request-id"))
    ctx = RequestContext(
        request.method,
        request.target,
        own_id,
        started,
        origin=request.lookup("origin"),
        client=client.address,
        said=LoggedFields.of(request.lookup, client.host),
        certificate=peer.certificate,
    )
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
    """What the request announces of content (RFC 9112 section 6).

    gunicorn ends a Content-Length body that was cut by FIN as if it were whole;
    Falcon's bounded stream reads every chunked body as empty. So the body is read from
    ``wsgi.input`` itself, and counted. ``100 Continue`` goes out with the first read
    that has to wait (``transport.BlockingStream``).
    """
    if "HTTP_TRANSFER_ENCODING" in environ:
        return RequestBody(_reader(environ), None)
    if "CONTENT_LENGTH" in environ:
        return RequestBody(_reader(environ), int(environ["CONTENT_LENGTH"] or 0))
    return None


def _reader(environ: Environ) -> Callable[[int], bytes]:
    """``wsgi.input``'s read, with its errors turned into the client's faults."""

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


# A response, as Falcon's.


def fill(resp: falcon.Response, response: Response, method: str) -> None:
    """Put ``response``, the answer to a request of ``method``, into ``resp``.

    Falcon computes framing from what is set here: a whole body gets its length, a
    streamed one the length that is known or chunked coding. Large whole bodies go out
    in pieces: the send time-out is then one of progress, not of size.
    """
    answer = response.answer
    if response.per_response is not None:
        _put_per_response(resp, response.per_response)
    # Falcon has other words for some statuses than the fast way.
    resp.status = f"{answer.status} {reason_phrase(answer.status)}"
    for name, value in answer.headers:
        resp.append_header(name, value)
    if answer.content_length is not None:
        resp.content_length = answer.content_length
    if method == "HEAD" and not answer.body:
        # Falcon would announce the length 0 for an absent body.
        resp.stream = ()
    elif answer.body is None:
        resp.stream = response.body
    elif len(answer.body) <= PIECE:
        resp.data = answer.body
    else:
        resp.content_length = len(answer.body)
        resp.stream = in_pieces(answer.body)


def _put_per_response(resp: falcon.Response, per_response: PerResponse) -> None:
    """The fields of one delivery; ``CommonFields`` has the rest."""
    if per_response.age is not None:
        resp.set_header("Age", str(per_response.age))
    if per_response.cursor is not None:
        resp.set_header(names.CURSOR, per_response.cursor)


class CommonFields:
    """Falcon middleware that puts the common fields on every response."""

    def __init__(self, options: FrontOptions) -> None:
        self._node = options.node
        self._link = options.link

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: object,
        req_succeeded: bool,
    ) -> None:
        """Called by Falcon last, for answers and errors alike."""
        ctx = exchange_of(req.env).ctx
        if self._link is not None:
            for name, value in lean_fields(ctx, ctx.told, self._link):
                resp.append_header(name, value)
            return
        resp.set_headers(browser_fields(ctx))
        policy = cors_list(ctx.route)
        if policy is not None:
            resp.append_header(*cors.VARY)
        resp.set_header("X-Request-Id", ctx.request_id)
        if policy is not None:
            resp.set_headers(cors.request_fields(policy, ctx.origin))
        for name, value in path_fields(ctx, self._node):
            resp.append_header(name, value)
