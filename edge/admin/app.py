"""AdminApp: the application of the admin address.

It finds the route of a request, checks the bearer token, and turns errors into problem
documents. What the pages say is left to the parts that contribute them
(``edge.admin.routes``). Without a token, a page is not given to who calls the address
by a name that it does not know: a web page whose own name was made to lead here would
read it as a page of its own origin (DNS rebinding). The address is not for clients:
nothing is cached, and there is no CORS, so no page of another origin may read an
answer.

The only module of the admin address that knows Falcon.
"""

import hmac
import ipaddress
import json
import logging
import re
from collections.abc import Collection, Sequence
from urllib.parse import parse_qsl

import falcon
import gevent

from edge.admin.routes import (
    READ,
    AdminRequest,
    AdminRoute,
    AdminStream,
    TokenRule,
)
from edge.core.errors import ClientFault, EdgeError
from edge.core.reasons import Reason
from edge.core.values import Answer
from edge.front import problems
from edge.front.app.app import WsgiApp
from edge.front.exchange import request_id

_log = logging.getLogger("edge.admin")

MAX_BODY = 16 * 1024
BODY_SECONDS = 10.0
"""How large a body may be, and how long it may take to come."""

_OF_PAGES = ("Origin", "Sec-Fetch-Site")
"""Fields that a browser sends by itself, and no page can leave out."""

_NO_SNIFF = ("X-Content-Type-Options", "nosniff")
_CHALLENGE = ("WWW-Authenticate", "Bearer")
"""RFC 9110 asks for the one on 401, the other on 405. Both may be on any answer."""


class AdminApp:
    """Answers every path of the admin address.

    ``token`` None: the address alone protects the pages. ``names`` are the hosts, in
    lower case, by which it may then be called, beside IP addresses and localhost; None:
    any.
    """

    def __init__(
        self,
        routes: Sequence[AdminRoute],
        token: str | None,
        names: Collection[str] | None = None,
    ) -> None:
        self._routes = {route.path: route for route in routes}
        self._token = token
        self._names = names

    def __call__(
        self, req: falcon.Request, resp: falcon.Response, **_named: object
    ) -> None:
        """Falcon's sink."""
        route = self._routes.get(req.path)
        given = req.get_header("X-Request-Id")
        answer: Answer | AdminStream
        try:
            answer = self._answer(req, route)
        except EdgeError as error:
            answer = problems.answer_of(error, request_id(given))
        except Exception:
            # The outermost guard: a defect of one page ends nothing else.
            _log.exception("unexpected error answering %s", req.path)
            answer = problems.answer_of(problems.INTERNAL, request_id(given))
        methods = READ if route is None else route.methods
        resp.set_headers(answer.headers)
        resp.set_headers((_NO_SNIFF, ("Allow", ", ".join(methods)), _CHALLENGE))
        if isinstance(answer, AdminStream):
            resp.stream = answer.pieces
        else:
            resp.status = answer.status
            resp.data = answer.body

    def _answer(
        self, req: falcon.Request, route: AdminRoute | None
    ) -> Answer | AdminStream:
        self._check_token(req, TokenRule.IF_SET if route is None else route.token)
        if route is None:
            raise ClientFault("No such page.", reason=Reason.NOT_FOUND, status=404)
        if req.method not in route.methods:
            raise ClientFault(_wrong_method(route), status=405)
        parameters = parse_qsl(req.query_string, keep_blank_values=True)
        document = _document(req) if route.takes_json else None
        accept = req.get_header("Accept") or ""
        return route.handler(AdminRequest(tuple(parameters), document, accept))

    def _check_token(self, req: falcon.Request, rule: TokenRule) -> None:
        if rule is TokenRule.OPEN:
            return
        if self._token is None:
            self._check_host(req.get_header("Host"))
            if rule is TokenRule.MUST_BE_SET:
                detail = "This page is served only where admin.token is set."
                raise ClientFault(detail, reason=Reason.TOKEN_NOT_SET, status=403)
            if rule is TokenRule.NO_PAGE and any(map(req.get_header, _OF_PAGES)):
                detail = "Where admin.token is not set, no web page may ask for this."
                raise ClientFault(detail, reason=Reason.FROM_A_PAGE, status=403)
            if rule is TokenRule.OWN_PAGE and _is_foreign(req):
                detail = "No web page of another address may ask for this."
                raise ClientFault(detail, reason=Reason.FROM_A_PAGE, status=403)
            return
        scheme, _, given = (req.auth or "").partition(" ")
        same = hmac.compare_digest(given.strip().encode(), self._token.encode())
        if scheme.lower() != "bearer" or not same:
            raise ClientFault("A bearer token is required.", status=401)

    def _check_host(self, given: str | None) -> None:
        """Browsers always say by what name they call."""
        if self._names is None or given is None:
            return
        host = re.sub(r":\d*\Z", "", given).lower().rstrip(".")
        if host != "localhost" and host not in self._names and not _is_ip(host):
            detail = "This address is not known by that name."
            raise ClientFault(detail, reason=Reason.HOST_NOT_KNOWN, status=403)


def _is_foreign(req: falcon.Request) -> bool:
    """Whether a page of another address has sent this. Browsers say so where they
    call by TLS or this machine."""
    return req.get_header("Sec-Fetch-Site") not in (None, "none", "same-origin")


def _is_ip(host: str) -> bool:
    """Whether this is a literal address, which no name can be made to look like."""
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _wrong_method(route: AdminRoute) -> str:
    if "GET" in route.methods:
        return "This page is read by GET."
    return f"This page takes {' and '.join(route.methods)}."


def _document(req: falcon.Request) -> object:
    """The JSON document in the body. Raises ClientFault."""
    kind = (req.content_type or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        detail = "Say it in JSON, with Content-Type: application/json."
        raise ClientFault(detail, reason=Reason.BAD_ORDER, status=415)
    late = ClientFault("The body is late.", reason=Reason.BODY_TIMEOUT, status=408)
    with gevent.Timeout(BODY_SECONDS, late):
        octets = req.stream.read(MAX_BODY + 1)
    if len(octets) > MAX_BODY:
        detail = f"The body is above {MAX_BODY} bytes."
        raise ClientFault(detail, reason=Reason.BODY_TOO_LARGE, status=413)
    try:
        return json.loads(octets)
    except (ValueError, RecursionError):
        raise ClientFault("The body is no JSON.", reason=Reason.BAD_ORDER) from None


def create_admin_app(
    routes: Sequence[AdminRoute],
    token: str | None,
    names: Collection[str] | None = None,
) -> WsgiApp:
    """The application for the admin address."""
    app: WsgiApp = falcon.App()
    app.add_sink(AdminApp(routes, token, names), "/")
    return app
