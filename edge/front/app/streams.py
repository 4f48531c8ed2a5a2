"""Streams: the one Falcon sink. Every request comes by here and is told apart.

======================== ==================================================
OPTIONS                  answered here, with CORS; off the routes it passes
CONNECT, TRACE           refused: one is no proxy, the other would show the
                         edge's own credential to whoever asks
a read of a stream       to the hub (``reads``)
everything else          to the origin, one to one (``edge.front.app.pass_through``)
======================== ==================================================

What a request is, ``edge.policy.streams.classify`` says; nothing is decided twice.
"""

import falcon

from edge.core.errors import ClientFault, Refusal
from edge.core.reasons import Reason
from edge.core.values import Answer, Read
from edge.front.app.falcon_response import fill
from edge.front.app.pass_through import PassThrough
from edge.front.app.reads import Reads
from edge.front.common_fields import OFF_ROUTE
from edge.front.dependencies import FrontParts
from edge.front.head_rules import origin_form
from edge.front.request_context import Record
from edge.policy.http import cors, forwarding, request_target
from edge.policy.streams import classify, routes
from edge.policy.streams.classify import Passing

ALLOW = "GET, HEAD, POST, PUT, DELETE, OPTIONS"
_REFUSED = frozenset({"CONNECT", "TRACE"})


class Streams:
    """Answers every request with a part of the edge made for it."""

    def __init__(self, parts: FrontParts) -> None:
        self._routes = parts.routes
        self._node_id = parts.options.node_id
        self._reads = Reads(parts)
        self._passing = PassThrough(parts)

    def __call__(
        self, req: falcon.Request, resp: falcon.Response, **_named: object
    ) -> None:
        """Raises EdgeError, ClientGone."""
        record = Record.of(req.env)
        self._check(record)
        authority, target = origin_form(record.target)
        if authority is not None:
            record.environ["HTTP_HOST"] = authority
        record.route = routes.find(self._routes, target.partition("?")[0])
        if record.method == "OPTIONS" and _answered_here(record, target):
            _options(record, resp)
            return
        self._serve(record, resp, self._classified(record, target))

    def _check(self, record: Record) -> None:
        if record.method in _REFUSED:
            raise ClientFault("This method is not served here.", status=501)
        if record.lookup("via") is None and record.lookup("cdn-loop") is None:
            return
        if forwarding.is_loop(record.fields(), self._node_id):
            detail = "The request has been at this node before."
            raise Refusal(detail, reason=Reason.LOOP, status=508, retry_after=None)

    def _classified(self, record: Record, target: str) -> Read | Passing:
        if record.route is None:
            request_target.split(target)
            return Passing(Reason.NOT_A_STREAM, target)
        if record.body_left and record.method in ("GET", "HEAD"):
            detail = "A read takes no body."
            raise ClientFault(detail, reason=Reason.BODY_ON_READ)
        return classify.classify(record.method, target, record.lookup, record.route)

    def _serve(
        self, record: Record, resp: falcon.Response, what: Read | Passing
    ) -> None:
        if isinstance(what, Read):
            self._reads.serve(record, resp, what)
        else:
            self._passing.serve(record, resp, what)


def _answered_here(record: Record, target: str) -> bool:
    """Preflights always; other OPTIONS where the edge knows what is allowed."""
    asked = record.lookup("access-control-request-method")
    return target == "*" or record.route is not None or asked is not None


def _options(record: Record, resp: falcon.Response) -> None:
    record.mode = "options"
    headers = cors.preflight(
        record.route or OFF_ROUTE,
        record.lookup("access-control-request-method"),
        record.lookup("access-control-request-headers"),
    )
    fill(record, resp, Answer(204, (("Allow", ALLOW), *headers), b""))
