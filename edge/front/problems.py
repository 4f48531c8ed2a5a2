"""Errors as answers: RFC 9457 problem documents.

One place makes them for every front: the hub's refusals, faults found by the front,
errors of Falcon and of gunicorn's parser, and unexpected ones. A problem is never
stored (``no-store``, E38). Its ``reason`` is the word that is in the log and the
metrics too.

``respond`` is the application's outermost guard: it makes a problem of every error that
leaves a handler, and counts it.
"""

import dataclasses
import json
import logging

from edge.core.counters import Counters
from edge.core.errors import (
    AccessDenied,
    ClientFault,
    EdgeError,
    LendersRefused,
    NotHeld,
    OriginFault,
)
from edge.core.reasons import Reason
from edge.core.values import Answer, CacheStatus, FaultWord, Headers, PerResponse
from edge.front.exchange import RequestContext, Response
from edge.protocol.http_grammar import reason_phrase

_log = logging.getLogger("edge.front")

MEDIA_TYPE = "application/problem+json"

INTERNAL = EdgeError("The edge failed to answer.", reason=Reason.INTERNAL)
"""The client's answer to an unexpected exception. It tells nothing of it."""


def respond(ctx: RequestContext, error: Exception, counters: Counters) -> Response:
    """The problem that a request ends with. It is counted and written into ``ctx``.

    An unexpected error is logged with its traceback, counted as an internal error, and
    told to the client without detail.
    """
    if not isinstance(error, EdgeError):
        counters.internal_errors += 1
        said = "unexpected error answering request %s of %s"
        _log.error(said, ctx.request_id, ctx.client or "-", exc_info=error)
        error = INTERNAL
    ctx.reason, ctx.cause = error.reason, error.cause
    ctx.of_origin = False
    ctx.cache = dataclasses.replace(ctx.cache or CacheStatus(), detail=error.reason)
    counters.problems[str(error.status)] += 1
    if isinstance(error, ClientFault):
        counters.client_faults[error.reason.value] += 1
    ctx.told = told = _told(error)
    return Response(answer_of(error, ctx.request_id), PerResponse(ctx.cache, told=told))


def _told(error: EdgeError) -> FaultWord:
    """The error as a front is told of it, by a keeper."""
    how = error.reason, error.status, error.detail, error.retry_after
    lineage = error.lineage if isinstance(error, NotHeld) else None
    unsent = not isinstance(error, OriginFault) or error.unsent
    refusals = error.refusals if isinstance(error, LendersRefused) else None
    return FaultWord(*how, unsent=unsent, lineage=lineage, refusals=refusals)


def answer_of(error: EdgeError, request_id: str) -> Answer:
    """The problem document for ``error``. ``instance`` is the request's id."""
    document = {
        "type": "about:blank",
        "title": reason_phrase(error.status),
        "status": error.status,
        "detail": error.detail,
        "reason": error.reason.value,
        "instance": request_id,
    }
    if not error.detail:
        del document["detail"]
    body = json.dumps(document, separators=(",", ":")).encode()
    if isinstance(error, AccessDenied) and error.body is not None:
        body = error.body
    return Answer(error.status, _headers(error), body)


def _headers(error: EdgeError) -> Headers:
    headers: Headers = (("Content-Type", MEDIA_TYPE), ("Cache-Control", "no-store"))
    if isinstance(error, AccessDenied) and error.body is not None:
        # Somebody who was asked has said it in words of its own, of its own type.
        headers = headers[1:]
    if isinstance(error, AccessDenied):
        headers += error.fields
    if error.retry_after is not None:
        headers += (("Retry-After", str(error.retry_after)),)
    if isinstance(error, AccessDenied) and error.challenge is not None:
        headers += (("WWW-Authenticate", error.challenge),)
    return headers
