"""The Falcon application: a neutral handler behind WSGI.

``create_app`` puts the parts together; it holds no state of its own. It runs under any
WSGI server; what only the worker can do (noticing that a parked client left, refusing a
malformed head, keeping time-outs) is not needed for its answers to be right.

Only this module and ``falcon_response`` know Falcon: it routes nothing and judges
nothing here, but computes framing and calls WSGI's start_response.
"""

import re
from typing import TypeAlias

import falcon

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.front.app.falcon_response import CommonFields, fill
from edge.front.app.handler import RequestHandler
from edge.front.app.wsgi import exchange_of
from edge.front.dependencies import Dependencies
from edge.front.exchange import ClientGone

__all__ = ["Dependencies", "WsgiApp", "create_app"]

WsgiApp: TypeAlias = "falcon.App[falcon.Request, falcon.Response]"

# Everything, the asterisk-form and paths that Falcon's router cannot take too.
_ANY_PATH = re.compile("")

_BY_STATUS = {404: Reason.NOT_FOUND}


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
        """Nobody is left to answer: the worker closes the connection."""
        raise error


def _as_fault(error: Exception) -> Exception:
    """Falcon's own words for a fault of the client, in ours."""
    if not isinstance(error, falcon.HTTPError):
        return error
    status = error.status_code
    reason = _BY_STATUS.get(status, Reason.BAD_HEAD)
    return ClientFault(error.description or "", reason=reason, status=status)
