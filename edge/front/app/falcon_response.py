"""From a neutral Response to Falcon's, and the fields that every one carries.

Falcon computes framing from what is set here: a whole body gets its length, a streamed
one the length that is known or chunked coding. Large whole bodies go out in pieces, so
that the send time-out is one of progress, not of size.
"""

import falcon

from edge.core.values import PerResponse
from edge.front.app.wsgi import exchange_of
from edge.front.exchange import PIECE, Response, in_pieces, path_fields, route_fields
from edge.front.options import FrontOptions
from edge.protocol import names


def fill(resp: falcon.Response, response: Response, method: str) -> None:
    """Put ``response``, the answer to a request of ``method``, into ``resp``."""
    answer = response.answer
    if response.per_response is not None:
        _put_per_response(resp, response.per_response)
    resp.status = answer.status
    for name, value in answer.headers:
        resp.append_header(name, value)
    if answer.content_length is not None:
        resp.content_length = answer.content_length
    if method == "HEAD" and not answer.body:
        # Falcon would announce the length 0 for an absent body.
        resp.stream = ()
    elif answer.body is None:
        resp.stream = response.body
    elif len(answer.body) <= PIECE:
        resp.data = answer.body
    else:
        resp.content_length = len(answer.body)
        resp.stream = in_pieces(answer.body)


def _put_per_response(resp: falcon.Response, per_response: PerResponse) -> None:
    """What differs between two deliveries; ``CommonFields`` has the rest."""
    if per_response.age is not None:
        resp.set_header("Age", str(per_response.age))
    if per_response.cursor is not None:
        resp.set_header(names.CURSOR, per_response.cursor)


class CommonFields:
    """Falcon middleware that puts the common fields on every response."""

    def __init__(self, options: FrontOptions) -> None:
        self._name = options.name

    def process_response(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        resource: object,
        req_succeeded: bool,
    ) -> None:
        """Called by Falcon last, for answers and errors alike."""
        ctx = exchange_of(req.env).ctx
        resp.set_headers(route_fields(ctx.route))
        resp.set_header("X-Request-Id", ctx.request_id)
        for name, value in path_fields(ctx, self._name):
            resp.append_header(name, value)
