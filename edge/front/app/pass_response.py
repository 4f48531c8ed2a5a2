"""PassResponse: an origin's answer that passes through, on its way to one client.

Carries status, end-to-end fields and body; rewrites what an origin says of its
own address, in ``Location`` and in the small JSON documents of control paths.
Watches the client meanwhile: an endless answer ends with its reader.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import gevent

from edge.core.errors import OriginFault
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import Answer, Header
from edge.front.dependencies import Dependencies
from edge.front.exchange import AnswerCut, ClientGone, Request, RequestContext, Response
from edge.policy.http import forwarding, url_rewrite
from edge.policy.streams.classify import PassRequest
from edge.protocol import names
from edge.protocol.http_grammar import BODILESS_STATUSES

MAX_DOCUMENT = 1024 * 1024
"""Control documents up to this size are rewritten; larger ones pass untouched."""


@dataclass(frozen=True, slots=True)
class _Read:
    """What of a body was read before the head goes out; ``whole``: all of it."""

    body: bytes = b""
    whole: bool = False


class PassResponse:
    """Answers clients with exchanges; one instance serves them all."""

    def __init__(self, parts: Dependencies) -> None:
        self._counters = parts.counters
        self._options = parts.options

    def respond(
        self,
        request: Request,
        ctx: RequestContext,
        passed: PassRequest,
        exchange: Exchange,
    ) -> Response:
        """What ``exchange`` answers, as it goes out. Raises OriginFault."""
        read = self._document(request, ctx, passed, exchange)
        headers = tuple(
            self._rewritten(request, exchange.status, header)
            for header in forwarding.response_headers(exchange.headers)
        )
        length = len(read.body) if read.whole else _length(request, exchange)
        answer = Answer(exchange.status, headers, None, length)
        if request.method == "HEAD" or exchange.status in BODILESS_STATUSES:
            return Response(answer)
        return Response(answer, body=self._body(request, ctx, exchange, read))

    # Addresses.

    def _rewritten(self, request: Request, status: int, header: Header) -> Header:
        name, value = header
        if name != "location":
            return header
        moved = url_rewrite.rewrite_location(
            value,
            request.target.partition("?")[0],
            self._public_base(request),
            self._options.origin_bases,
            created=status == 201,
        )
        return name, moved

    def _public_base(self, request: Request) -> str:
        host = request.lookup("host") or ""
        public_url = self._options.public_url
        return url_rewrite.public_base(request.scheme, host, public_url)

    def _document(
        self,
        request: Request,
        ctx: RequestContext,
        passed: PassRequest,
        exchange: Exchange,
    ) -> _Read:
        """A control path's JSON document, rewritten if it is small."""
        if not _is_document(ctx, passed, exchange):
            return _Read()
        read = self._gather(exchange)
        if not read.whole:
            return read
        base = self._public_base(request)
        bases = self._options.origin_bases
        return _Read(url_rewrite.rewrite_document(read.body, bases, base), whole=True)

    def _gather(self, exchange: Exchange) -> _Read:
        gathered = bytearray()
        while len(gathered) <= MAX_DOCUMENT:
            piece = exchange.read()
            if not piece:
                return _Read(bytes(gathered), whole=True)
            gathered += self._received(piece)
        return _Read(bytes(gathered))

    # The body.

    def _body(
        self, request: Request, ctx: RequestContext, exchange: Exchange, read: _Read
    ) -> Iterable[bytes]:
        if read.whole:
            return (read.body,)
        body = PassedBody(exchange, read.body, self._received)
        # Closing an exchange may block; a watch's callback must not.
        watch = request.watch(lambda: _spawn(body.give_up))
        ctx.defer(watch.close)
        watch.start()
        return body

    def _received(self, piece: bytes) -> bytes:
        self._counters.bytes_from_origin += len(piece)
        return piece


class PassedBody:
    """An exchange's body, piece by piece, each sent as soon as it is there."""

    def __init__(
        self, exchange: Exchange, first: bytes, received: Callable[[bytes], bytes]
    ) -> None:
        self._exchange = exchange
        self._first = first
        self._received = received
        self._given_up = False

    def __iter__(self) -> Iterator[bytes]:
        # Even an empty first piece has the head sent.
        yield self._first
        while piece := self._read():
            yield self._received(piece)

    def give_up(self) -> None:
        """The client left: a greenlet that reads is released."""
        self._given_up = True
        self._exchange.close()

    def _read(self) -> bytes:
        try:
            return self._exchange.read()
        except OriginFault as fault:
            if self._given_up:
                raise ClientGone("the client closed the connection") from fault
            raise AnswerCut(fault) from fault


def _spawn(give_up: Callable[[], None]) -> None:
    gevent.spawn(give_up)


def _is_document(ctx: RequestContext, passed: PassRequest, exchange: Exchange) -> bool:
    """Whether this is JSON that a control path answered with, in the clear."""
    if passed.reason is not Reason.NOT_A_STREAM or ctx.route is None:
        return False
    if ctx.method == "HEAD" or exchange.status in BODILESS_STATUSES:
        return False
    fields = dict(exchange.headers)
    kind = names.media_type(fields.get("content-type"))
    is_json = kind == "application/json" or kind.endswith("+json")
    return is_json and "content-encoding" not in fields


def _length(request: Request, exchange: Exchange) -> int | None:
    """The length to announce: of the body, or for a HEAD of what a GET would get."""
    if request.method != "HEAD":
        return exchange.content_length
    announced = dict(exchange.headers).get("content-length", "")
    return int(announced) if announced.isdecimal() and announced.isascii() else None
