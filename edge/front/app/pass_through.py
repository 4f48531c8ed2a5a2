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
from dataclasses import dataclass, replace

import gevent

from edge.core.errors import ClientFault, OriginFault, Refusal
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import (
    DIRECT,
    NO_END,
    UNLIMITED,
    Answer,
    Headers,
    Lease,
    LinkTerms,
    Node,
    OriginRequest,
    Provenance,
    Purpose,
)
from edge.front.app.passed_body import PassedBody, PassedEvents, grant_ended
from edge.front.dependencies import Dependencies
from edge.front.exchange import (
    PASS,
    ClientGone,
    Request,
    RequestBody,
    RequestContext,
    Response,
    next_hop_fields,
)
from edge.front.spans import without_state
from edge.policy.http import forwarding, url_rewrite
from edge.policy.streams import answers, pass_fields, upstream_requests
from edge.policy.streams.classify import PassRequest
from edge.policy.streams.pass_fields import AskedAt, ClientTold
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
        self._knows_names = parts.options.trusted_proxies.any
        self._identity = pass_fields.identity_names(parts.routes)

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
        _describe(ctx, passed)
        self._parts.counters.passes[passed.reason.value] += 1
        begun_at = self._parts.clock.monotonic()
        if begun_at >= lease.ends_at:
            # Between its verdict and now another one was waited for (B22).
            raise grant_ended(lease)
        exchange = self._open(request, ctx, passed, begun_at, lease)
        ctx.defer(exchange.close)
        _describe(ctx, passed, exchange.status, exchange.headers)
        provenance = getattr(exchange, "provenance", DIRECT)
        told = exchange.status, exchange.headers, begun_at, provenance
        self._tell(ctx, passed, *told)
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
        if self._parts.options.link is not None and request.has_left():
            # It may be long ago that the front has told its client so (W3).
            raise ClientGone("the front has hung up")
        upstream = self._upstream(request, ctx, passed, lease)
        sent = _Sent(request.body)
        self._parts.counters.origin_requests[upstream.purpose.value] += 1
        try:
            return self._parts.origin.open(upstream, sent.is_whole)
        except (ClientFault, OriginFault, Refusal) as fault:
            unsent = False
            if isinstance(fault, OriginFault):
                self._parts.counters.origin_faults[fault.reason.value] += 1
                unsent = fault.unsent
            # It is unknown whether the origin acted; assume that it did (L4, L5).
            if sent.anything and not unsent:
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
            most = self._parts.options.limits.max_body
            pieces = _unless_revoked(body.pieces(most), lease)
        node = self._parts.options.node
        route = ctx.route
        if passed.reason is Reason.UNKNOWN_LIVE and route is not None:
            built = upstream_requests.pass_request(
                passed, route, node=node, lease=lease
            )
            trace = next_hop_fields(self._parts.spans, ctx, request.lookup)
            return replace(built, headers=(*built.headers, *trace))
        safe = request.method in _SAFE_METHODS
        return OriginRequest(
            request.method,
            passed.target,
            self._forwarded(request, ctx, passed, node),
            Purpose.RELAY if safe else Purpose.WRITE,
            pieces,
            None if body is None else body.length,
            self._link_terms(request, ctx, passed),
        )

    def _link_terms(
        self, request: Request, ctx: RequestContext, passed: PassRequest
    ) -> LinkTerms | None:
        if not self._parts.options.asks_keepers:
            return None
        return pass_fields.link_terms(request.method, passed, ctx.route)

    def _forwarded(
        self, request: Request, ctx: RequestContext, passed: PassRequest, node: Node
    ) -> Headers:
        """The client's end-to-end fields, and those in which the edge tells of it."""
        spans = self._parts.spans
        trace = next_hop_fields(spans, ctx, request.lookup)
        if self._parts.options.link is not None:
            linked = forwarding.link_request(request.fields.items())
            return (linked if spans is None else without_state(linked)) + trace
        told = ClientTold(
            *(request.client, request.scheme, request.host),
            self._knows_names or bool(request.client.scheme),
        )
        fields = pass_fields.request_fields(
            request.fields.items(),
            ctx.route,
            passed,
            told=told,
            subject=ctx.subject,
            identity=self._identity,
            node=node,
        )
        return (fields if spans is None else without_state(fields)) + trace

    def _tell(
        self,
        ctx: RequestContext,
        passed: PassRequest,
        status: int | None,
        headers: Headers,
        begun_at: float,
        provenance: Provenance = DIRECT,
    ) -> None:
        """Tell the hub of a write's end. Reads are no writes."""
        if ctx.method in _SAFE_METHODS:
            return
        self._parts.counters.writes[pass_fields.write_label(status)] += 1
        write = pass_fields.write_outcome(
            ctx.route, ctx.method, passed, status, headers, begun_at, provenance
        )
        if write is not None:
            self._parts.read_service.wrote(write)


def _unless_revoked(pieces: Iterator[bytes], lease: Lease) -> Iterator[bytes]:
    """A body as it comes. A write is judged at its head and may end after its grant,
    but not after it was revoked (B13): then it is cut. Raises Refusal."""
    for piece in pieces:
        if lease.why is Reason.REVOKED:
            raise grant_ended(lease)
        yield piece


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
    ctx: RequestContext,
    passed: PassRequest,
    status: int | None = None,
    headers: Headers = (),
) -> None:
    """Say in ``ctx`` that the request passes, and what the origin answered."""
    ctx.mode = PASS
    ctx.reason = passed.reason
    ctx.cache = pass_fields.passed_status(passed, status, headers)


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
        self._events = PassedEvents(parts.draining, parts.ticks)

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
        if self._clock.monotonic() >= lease.ends_at:
            raise grant_ended(lease)
        ctx.of_origin = True
        asked_at = AskedAt(
            request.target.partition("?")[0],
            self._public_base(request),
            self._options.origin_bases,
        )
        headers = pass_fields.response_fields(
            exchange.headers,
            exchange.status,
            exchange.content_length,
            asked_at,
            ctx.route,
            passed,
            judged=bool(ctx.way),
        )
        length = len(read.body) if read.whole else _length(request, exchange)
        answer = Answer(exchange.status, headers, None, length)
        if request.method == "HEAD" or exchange.status in BODILESS_STATUSES:
            return Response(answer)
        return Response(answer, body=self._body(request, ctx, exchange, read, lease))

    # Addresses.

    def _public_base(self, request: Request) -> str:
        public_url = self._options.public_url
        return url_rewrite.public_base(request.scheme, request.host, public_url)

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
        lease: Lease,
    ) -> Iterable[bytes]:
        if read.whole:
            return (read.body,)
        events = answers.is_endless(exchange.headers, exchange.content_length)
        body = PassedBody(
            exchange, read.body, self._received, lease, self._clock, events
        )
        if events:
            ctx.defer(self._events.add(body))
        # Closing an exchange may block; a watch's callback must not.
        watch = request.watch(lambda: _spawn(body.give_up))
        ctx.defer(watch.close)
        watch.start()
        if lease.ends_at != NO_END:
            ending = gevent.spawn(body.end_with_lease)
            ctx.defer(lambda: ending.kill(block=False))
        return body

    def _received(self, piece: bytes) -> bytes:
        self._counters.bytes_from_origin += len(piece)
        return piece


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
