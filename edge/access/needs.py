"""What a request needs to be let in: which right, and to what (A5, B5, B10).

GET and HEAD need the right to read, PUT and DELETE to manage, everything else to write.
A control path (``ROOT/__ds``) speaks for every stream below its root: it needs the
right to manage all of them, whatever the method. If it lies on a route that does not
judge, and streams of one that does lie below, nobody has that right. Open without any
judgement are only the requests that carry the origin's own credentials, compared raw.

A browser sends cookies by itself, whichever page asks. So a cookie lets write only if
the browser says that the page is the edge's own, or on an origin that the route lists.

Pure; called by the authorizer.
"""

import re
from collections.abc import Sequence

from edge.policy.http import cors, request_target
from edge.policy.streams.authorize import RequestHead
from edge.policy.streams.routes import Access, Route
from edge.policy.streams.ways import Right

_RIGHTS = {
    "GET": Right.READ,
    "HEAD": Right.READ,
    "PUT": Right.MANAGE,
    "DELETE": Right.MANAGE,
}

_CONTROL = "/__ds"
_KEYS = "/jwks.json"
_WILD = re.compile(r"[*{]")
_OF_A_SUBSCRIBER = re.compile(r"/subscriptions/[^/]+/(?:callback|ack|release)")


def right_of(request: RequestHead) -> Right:
    """The right that a request needs."""
    if request_target.is_control(request.path):
        return Right.MANAGE
    return _RIGHTS.get(request.method, Right.WRITE)


def root_of(path: str) -> str:
    """The part of a control path in front of its first ``/__ds``; where that is not
    written so, all of the origin is the root."""
    root = request_target.before_control(path)
    return root if path.startswith(_CONTROL + "/", len(root)) else ""


def is_open(request: RequestHead) -> bool:
    """Whether nobody judges this: the origin's public keys, and what a subscriber tells
    the origin with a token of the origin's own (PROTOCOL.md section 6)."""
    root = request_target.before_control(request.path)
    if not request.path.startswith(_CONTROL, len(root)):
        return False
    rest = request.path[len(root) + len(_CONTROL) :]
    if request.method == "GET":
        return rest == _KEYS
    return request.method == "POST" and _OF_A_SUBSCRIBER.fullmatch(rest) is not None


def speaks_for_judged(path: str, route: Route, routes: Sequence[Route]) -> bool:
    """Whether a control path on a route whose streams the origin judges speaks for
    streams of one whose streams it does not judge.

    A route is taken to lie below the root when its text says so, and an earlier one
    also when its text leaves it open.
    """
    if not request_target.is_control(path):
        return False
    below = root_of(path) + "/"
    earlier = True
    for one in routes:
        earlier = earlier and one is not route
        if one is route or one.access is not Access.GRANTED:
            continue
        written = _WILD.split(one.match)[0]
        if written.startswith(below) or (earlier and below.startswith(written)):
            return True
    return False


def is_of_another_site(
    request: RequestHead, route: Route, public_url: str | None
) -> bool:
    """Whether a browser may have been made to send this request by a page elsewhere.

    ``public_url`` is the edge's own address; None takes what a trusted proxy told of
    the request, or else its own Host.
    """
    site = request.lookup("sec-fetch-site")
    if site == "same-origin":
        return False
    origin = request.lookup("origin") or ""
    scheme, _, named_there = origin.partition("://")
    if not scheme or not named_there:
        # "null", "*", or none.
        return True
    if cors.is_listed(route.cors_origins, origin):
        return False
    if public_url is None:
        # Host has no scheme. A browser that knows better has said so: a page of the
        # same name over plain http is another site, and may be anybody's.
        told = request.client()
        named = told.host or (request.lookup("host") or "").lower()
        if told.scheme:
            return site is not None or not _names(f"{told.scheme}://{named}", origin)
        return site is not None or named_there.lower() != named
    return origin != cors.serialised(public_url)


def _names(url: str, origin: str) -> bool:
    """Whether this is the web origin of that URL. A port may be no number of one."""
    try:
        return origin == cors.serialised(url)
    except ValueError:
        return False
