"""ErrorHandlers: every error that leaves a resource becomes a problem, and is counted.

The outermost guard of the application: what nobody expected is logged with its
traceback, counted as an internal error, and told to the client without detail.
"""

import dataclasses
import logging
from typing import TypeAlias

import falcon

from edge.core.counters import Counters
from edge.core.errors import ClientFault, EdgeError
from edge.core.reasons import Reason
from edge.core.values import CacheStatus
from edge.front import problems
from edge.front.app.falcon_response import fill
from edge.front.app.falcon_sink import AnswerCut, ClientGone
from edge.front.request_context import RequestContext

WsgiApp: TypeAlias = "falcon.App[falcon.Request, falcon.Response]"

_log = logging.getLogger("edge.front")

_BY_STATUS = {404: Reason.NOT_FOUND}


class ErrorHandlers:
    """The error handlers of the application."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def install(self, app: WsgiApp) -> None:
        """Answer for all errors of ``app``."""
        app.add_error_handler(Exception, self.unexpected)
        app.add_error_handler(falcon.HTTPError, self.falcon_error)
        app.add_error_handler(EdgeError, self.edge_error)
        app.add_error_handler(ClientGone, self.hang_up)
        app.add_error_handler(AnswerCut, self.hang_up)

    def edge_error(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        error: EdgeError,
        params: object,
    ) -> None:
        """Something that the edge refuses, or that failed behind it."""
        ctx = RequestContext.of(req.env)
        note(ctx, error, self._counters)
        resp.stream = None
        fill(ctx, resp, problems.answer_of(error, ctx.request_id))

    def falcon_error(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        error: falcon.HTTPError,
        params: object,
    ) -> None:
        """What Falcon itself finds wrong with a request."""
        status = error.status_code
        reason = _BY_STATUS.get(status, Reason.BAD_HEAD)
        detail = error.description or ""
        fault = ClientFault(detail, reason=reason, status=status)
        self.edge_error(req, resp, fault, params)

    def unexpected(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        error: Exception,
        params: object,
    ) -> None:
        """A defect of the edge."""
        ctx = RequestContext.of(req.env)
        self._counters.internal_errors += 1
        said = "unexpected error answering request %s"
        _log.error(said, ctx.request_id, exc_info=error)
        self.edge_error(req, resp, problems.INTERNAL, params)

    def hang_up(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        error: OSError,
        params: object,
    ) -> None:
        """Nobody is left to answer: the worker closes the connection."""
        raise error


def note(ctx: RequestContext, error: EdgeError, counters: Counters) -> None:
    """Write down in record and counters that a request ended with ``error``."""
    ctx.reason = error.reason
    cache = ctx.cache or CacheStatus()
    ctx.cache = dataclasses.replace(cache, detail=error.reason)
    counters.problems[str(error.status)] += 1
    if isinstance(error, ClientFault):
        counters.client_faults[error.reason.value] += 1
