"""The operator's own application: health, readiness, metrics.

Served on an address of its own, which is not for clients. ``/health`` says that
the process answers, ``/ready`` that reads can be answered: started and not
draining. Everything but those two needs the bearer token, if there is one.
Nothing is cached and nothing here asks the origin.
"""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

import falcon

from edge.admin.metrics import CONTENT_TYPE, Metrics, exposition
from edge.core.errors import ClientFault, EdgeError, Refusal
from edge.core.reasons import Reason
from edge.core.values import Answer
from edge.front import problems
from edge.front.app.app import WsgiApp
from edge.front.request_context import request_id

_OPEN = frozenset({"/health", "/ready"})
_METHODS = frozenset({"GET", "HEAD"})
_FIXED = (
    ("X-Content-Type-Options", "nosniff"),
    ("Allow", "GET, HEAD"),
    ("WWW-Authenticate", "Bearer"),
)
"""RFC 9110 asks for the last two on 405 and 401, and allows them anywhere."""


@dataclass(frozen=True, slots=True)
class AdminParts:
    """What the operator may see. ``token`` None: the address alone protects it."""

    metrics: Metrics
    ready: Callable[[], bool]
    token: str | None = None


class AdminApp:
    """Answers every path of the admin address."""

    def __init__(self, parts: AdminParts) -> None:
        self._parts = parts
        self._pages: dict[str, Callable[[], Answer]] = {
            "/health": _health,
            "/ready": self._ready,
            "/metrics": self._metrics,
        }

    def __call__(
        self, req: falcon.Request, resp: falcon.Response, **_named: object
    ) -> None:
        """Falcon's sink: also for what is no page."""
        try:
            answer = self._answer(req)
        except EdgeError as error:
            given = req.get_header("X-Request-Id")
            answer = problems.answer_of(error, request_id(given))
        resp.status = answer.status
        resp.set_headers(answer.headers)
        resp.set_headers(_FIXED)
        resp.data = answer.body

    def _answer(self, req: falcon.Request) -> Answer:
        page = self._pages.get(req.path)
        if req.path not in _OPEN:
            self._check_token(req)
        if page is None:
            raise ClientFault("No such page.", reason=Reason.NOT_FOUND, status=404)
        if req.method not in _METHODS:
            raise ClientFault("This page is read by GET.", status=405)
        return page()

    def _check_token(self, req: falcon.Request) -> None:
        token = self._parts.token
        if token is None:
            return
        scheme, _, given = (req.auth or "").partition(" ")
        same = hmac.compare_digest(given.strip().encode(), token.encode())
        if scheme.lower() != "bearer" or not same:
            raise ClientFault("A bearer token is required.", status=401)

    def _ready(self) -> Answer:
        if not self._parts.ready():
            raise Refusal("Not ready.", reason=Reason.DRAINING)
        return _text("ready\n")

    def _metrics(self) -> Answer:
        return _page(CONTENT_TYPE, exposition(self._parts.metrics))


def _health() -> Answer:
    return _text("healthy\n")


def _text(text: str) -> Answer:
    return _page("text/plain; charset=utf-8", text.encode())


def _page(content_type: str, body: bytes) -> Answer:
    headers = (("Content-Type", content_type), ("Cache-Control", "no-store"))
    return Answer(200, headers, body)


def create_operator_app(parts: AdminParts) -> WsgiApp:
    """The application for the admin address."""
    app: WsgiApp = falcon.App()
    app.add_sink(AdminApp(parts), "/")
    return app
