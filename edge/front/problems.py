"""Errors as answers: RFC 9457 problem documents.

One place makes them for every front: reads refused by the hub, faults found by
the front, errors of Falcon and of gunicorn's parser, and the unexpected. A
problem is never stored (``no-store``, E38) and says in ``reason`` the word that
stands in the log and the metrics too. Pure.
"""

import json

from edge.core.errors import EdgeError
from edge.core.reasons import Reason
from edge.core.values import Answer, Headers
from edge.protocol.http_grammar import reason_phrase

MEDIA_TYPE = "application/problem+json"

INTERNAL = EdgeError("The edge failed to answer.", reason=Reason.INTERNAL)
"""What a client hears of an exception that nobody expected: nothing of it."""


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
    return Answer(error.status, _headers(error), body)


def _headers(error: EdgeError) -> Headers:
    headers: Headers = (("Content-Type", MEDIA_TYPE), ("Cache-Control", "no-store"))
    if error.retry_after is not None:
        headers += (("Retry-After", str(error.retry_after)),)
    return headers
