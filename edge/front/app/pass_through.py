"""PassThrough: requests that go to the origin one to one, and its answers back.

It carries writes, control paths, unknown methods and paths that are no stream. They are
neither shared nor stored. Bodies stream both ways in pieces, so a 2 GiB append takes
constant memory. A write is never sent twice here (the adapter's one retry is for GETs).
The hub is told of every write before the client is answered (L4, L5).

On the way back ``PassResponse`` carries status, end-to-end fields and body. It rewrites
the origin's own address in ``Location`` and in the small JSON documents of control
paths. It watches the client meanwhile: an endless answer ends when its reader leaves.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import gevent

from edge.core.errors import ClientFault, OriginFault, Refusal
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import (
    NO_END,
    UNLIMITED,
    Answer,
    CacheStatus,
    Header,
    Headers,
    Lease,
    Node,
    OriginRequest,
    PartitionKind,
    Purpose,
    WriteOutcome,
)
from edge.front.dependencies import Dependencies
from edge.front.exchange import (
    PASS,
    AnswerCut,
    ClientGone,
    Request,
    RequestBody,
    RequestContext,
    Response,
)
from edge.policy.http import forwarding, url_rewrite
from edge.policy.streams import answers, upstream_requests
from edge.policy.streams.classify import PassRequest
from edge.protocol import names
from edge.protocol.http_grammar import BODILESS_STATUSES

MAX_DOCUMENT = 1024 * 1024
"""Control documents up to this size are rewritten; larger ones pass untouched."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


# To the origin.


class PassThrough:
    """Carries requests to the origin; one instance serves them all."""

    def __init__(self, parts: Dependencies) -> None:
        self._parts = parts
        self._responses = PassResponse(parts)
        # What the origin believes of these comes from the edge, on every route (B9).
        self._identity = frozenset(
            name for route in parts.routes for name in route.identity
        )

    def respond(
        self,
        request: Request,
        ctx: RequestContext,
        passed: PassRequest,
        lease: Lease = UNLIMITED,
    ) -> Response:
        """Answer with the origin's answer. Raises ClientFault, OriginFault, Refusal.

        No read is given any of it from the end of ``lease`` on.
        """
        _describe(ctx, passed, None)
        self._parts.counters.passes[passed.reason.value] += 1
        begun_at = self._parts.clock.monotonic()
        exchange = self._open(request, ctx, passed, begun_at, lease)
        ctx.defer(exchange.close)
        _describe(ctx, passed, exchange)
        self._tell(ctx, passed, exchange.status, exchange.headers, begun_at)
        if request.method not in _SAFE_METHODS:
            # It was done, and its client is told.
            lease = UNLIMITED
        return self._responses.respond(request, ctx, passed, exchange, lease)

    def _open(
        self,
        request: Request,
        ctx: RequestContext,
        passed: PassRequest,
        begun_at: float,
        lease: Lease,
    ) -> Exchange:
        upstream = self._upstream(request, ctx, passed, lease)
        sent = _Sent(request.body)
        self._parts.counters.origin_requests[upstream.purpose.value] += 1
        try:
            return self._parts.origin.open(upstream, sent.is_whole)
        except (ClientFault, OriginFault) as fault:
            if isinstance(fault, OriginFault):
                self._parts.counters.origin_faults[fault.reason.value] += 1
            # It is unknown whether the origin acted; assume that it did (L4, L5).
            if sent.anything:
                self._tell(ctx, passed, None, (), begun_at)
            raise

    def _upstream(
        self,
        request: Request,
        ctx: RequestContext,
        passed: PassRequest,
        lease: Lease,
    ) -> OriginRequest:
        body = request.body
        pieces = None
        if body is not None:
            pieces = body.pieces(self._parts.options.limits.max_body)
        node = self._parts.options.node
        route = ctx.route
        if passed.reason is Reason.UNKNOWN_LIVE and route is not None:
            return upstream_requests.pass_request(passed, route, node=node, lease=lease)
        safe = request.method in _SAFE_METHODS
        return OriginRequest(
            request.method,
            passed.target,
            self._forwarded(request, ctx, passed, node),
            Purpose.RELAY if safe else Purpose.WRITE,
            pieces,
            None if body is None else body.length,
        )

    def _forwarded(
        self, request: Request, ctx: RequestContext, passed: PassRequest, node: Node
    ) -> Headers:
        """The client's end-to-end fields, and those in which the edge tells of it. Of
        what a way let in, without what the way judged (B9)."""
        own: list[Header] = [("x-request-id", ctx.request_id)]
        if request.client:
            own.append(("x-forwarded-for", request.client))
        fields = tuple(
            (name, value)
            for name, value in request.fields.items()
            if _is_forwarded(name, value)
            # CGI-like origins read X_User as X-User.
            and name.replace("_", "-") not in self._identity
        )
        if ctx.route is not None and _is_granted(passed):
            fields = upstream_requests.granted_fields(fields, ctx.route)
            # Beside the client's: its Connection must not name them, and take them off.
            own += upstream_requests.own_fields(ctx.route)
            own += upstream_requests.identity_fields(ctx.route, ctx.subject)
        elif ctx.route is not None:
            fields = upstream_requests.without_cookies(fields, ctx.route)
        return forwarding.request_headers(fields, node=node, forwarded=tuple(own))

    def _tell(
        self,
        ctx: RequestContext,
        passed: PassRequest,
        status: int | None,
        headers: Headers,
        begun_at: float,
    ) -> None:
        """Tell the hub of a write's end. Control paths and reads are no writes."""
        if ctx.method in _SAFE_METHODS:
            return
        label = "lost" if status is None else f"{status // 100}xx"
        self._parts.counters.writes[label] += 1
        if passed.reason is Reason.METHOD and ctx.route is not None:
            write = WriteOutcome(
                ctx.route.match,
                passed.target.partition("?")[0],
                passed.extension,
                ctx.method,
                status,
                headers,
                begun_at,
            )
            self._parts.read_service.wrote(write)


@dataclass(slots=True)
class _Sent:
    """How much of a request may have reached the origin."""

    body: RequestBody | None
    whole: bool = False

    def is_whole(self) -> None:
        """Called by the adapter once all of it is on the wire."""
        self.whole = True

    @property
    def anything(self) -> bool:
        """Whether an origin could have acted on what it got.

        Without a body, only a whole head can be acted upon. With one, some origins
        take the part before the cut for all of it.
        """
        return self.whole or (self.body is not None and self.body.begun)


def _describe(
    ctx: RequestContext, passed: PassRequest, exchange: Exchange | None
) -> None:
    """Say in ``ctx`` that the request passes, and what the origin answered."""
    ctx.mode = PASS
    ctx.reason = passed.reason
    ctx.cache = CacheStatus(
        fwd="method" if passed.reason is Reason.METHOD else "bypass",
        fwd_status=None if exchange is None else exchange.status,
        detail=passed.reason,
        upstream="" if exchange is None else forwarding.cache_members(exchange.headers),
    )


def _is_granted(passed: PassRequest) -> bool:
    return passed.partition.kind is PartitionKind.GRANTED


def _is_forwarded(name: str, value: str) -> bool:
    # WSGI has an empty Content-Type where there is none.
    return name != "x-request-id" and (name != "content-type" or value != "")


# And back.


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
        self._clock = parts.clock

    def respond(
        self,
        request: Request,
        ctx: RequestContext,
        passed: PassRequest,
        exchange: Exchange,
        lease: Lease,
    ) -> Response:
        """The Response for ``exchange``, cut when ``lease`` ends.

        Raises OriginFault, and Refusal when that has passed.
        """
        read = self._document(request, ctx, passed, exchange)
        left = lease.ends_at - self._clock.monotonic()
        if left <= 0:
            raise _grant_ended()
        headers = tuple(
            self._rewritten(request, exchange.status, header)
            for header in forwarding.response_headers(exchange.headers)
        )
        if _is_granted(passed):
            headers = answers.granted_headers(headers)
        elif ctx.way:
            headers = answers.unkept_headers(headers)
        length = len(read.body) if read.whole else _length(request, exchange)
        answer = Answer(exchange.status, headers, None, length)
        if request.method == "HEAD" or exchange.status in BODILESS_STATUSES:
            return Response(answer)
        return Response(answer, body=self._body(request, ctx, exchange, read, left))

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
        self,
        request: Request,
        ctx: RequestContext,
        exchange: Exchange,
        read: _Read,
        left: float,
    ) -> Iterable[bytes]:
        if read.whole:
            return (read.body,)
        body = PassedBody(exchange, read.body, self._received)
        # Closing an exchange may block; a watch's callback must not.
        watch = request.watch(lambda: _spawn(body.give_up))
        ctx.defer(watch.close)
        watch.start()
        if left != NO_END:
            timer = gevent.spawn_later(left, body.end_grant)
            ctx.defer(lambda: timer.kill(block=False))
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
        self._over = False

    def __iter__(self) -> Iterator[bytes]:
        # A first piece makes the head go out, even an empty one.
        yield self._first
        while piece := self._read():
            yield self._received(piece)

    def give_up(self) -> None:
        """The client left: a greenlet that reads is released."""
        self._given_up = True
        self._exchange.close()

    def end_grant(self) -> None:
        """What let this in has ended: not a byte more (B3)."""
        self._over = True
        self._exchange.close()

    def _read(self) -> bytes:
        try:
            piece = self._exchange.read()
        except OriginFault as fault:
            if self._given_up:
                raise ClientGone("the client closed the connection") from fault
            if not self._over:
                raise AnswerCut(fault) from fault
        if self._over:
            raise AnswerCut(_grant_ended())
        return piece


def _grant_ended() -> Refusal:
    detail = "What let this request in has ended."
    return Refusal(detail, reason=Reason.GRANT_ENDED)


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
