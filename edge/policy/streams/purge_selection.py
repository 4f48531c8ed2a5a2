"""PurgeSelection: which streams an order to purge means (L27).

A path is one as clients ask for it, to the letter, as everywhere in this edge: another
spelling is another stream. A glob is that of a route, without names. A tag is one of
``tags``; the stream's own has all spellings of its path. Pure.
"""

import re
from collections.abc import Callable, Sequence

from edge.core.errors import ClientFault
from edge.core.purges import Purge, PurgeBy
from edge.core.reasons import Reason
from edge.core.values import Headers, StreamKey
from edge.policy.http import request_target
from edge.policy.streams.pipeline import find_route, matcher
from edge.policy.streams.routes import Route
from edge.policy.streams.tags import MAX_TAG, TAG, has_tag, keeps_origins

MAX_GLOB = 1024
"""Characters of a glob."""

_GLOB = re.compile(r"/(?!/)(?:[!$&-;=@A-Z\[\]^_a-z|~]|%[0-9A-Fa-f]{2})*")

Chooses = Callable[[str, str, Headers], bool]
"""Whether a stream is meant, by its route's glob, its path, and the fields that its
route keeps of the origin's. May be called on any thread."""


class PurgeSelection:
    """The streams that ``purge`` means, on ``routes``."""

    def __init__(self, purge: Purge, routes: Sequence[Route]) -> None:
        self._text = purge.text
        self._routes = {route.match: route for route in routes}
        # Where there is only one to look at: its route, and its path.
        self.path: tuple[str, str] | None = None
        self._by_tag = purge.by is PurgeBy.TAG
        self.chooses: Chooses = self._has_tag
        if purge.by is PurgeBy.PATH:
            route = find_route(routes, purge.text)
            self.path = "" if route is None else route.match, purge.text
            self.chooses = self._is_path
        elif purge.by is PurgeBy.GLOB:
            covers = matcher(purge.text)
            self.chooses = lambda route, path, headers: covers(path)

    def means(self, key: StreamKey, headers: Headers) -> bool:
        """Whether a row is meant; ``headers`` as in ``Chooses``."""
        return self.chooses(key.route, key.path, headers)

    def cannot_tell(self, key: StreamKey, headers: Headers) -> bool:
        """Whether a stream of which the origin has brought nothing yet may turn out to
        be meant: by a tag that its first answer brings."""
        known = self._routes.get(key.route)
        if not self._by_tag or known is None or headers:
            return False
        return keeps_origins(known)

    def _is_path(self, route: str, path: str, headers: Headers) -> bool:
        return path == self._text

    def _has_tag(self, route: str, path: str, headers: Headers) -> bool:
        return has_tag(self._text, self._routes.get(route), path, headers)


def check(purge: Purge, routes: Sequence[Route]) -> None:
    """Raises ClientFault for an order that can mean no stream: not one that means none
    at the moment."""
    text = purge.text
    if purge.by is PurgeBy.PATH:
        if "?" in text:
            raise _bad("A path has no query: all parameters of it are meant.")
        request_target.split(text)
        if find_route(routes, text) is None:
            detail = "No route has this path, so nothing of it is ever held."
            raise ClientFault(detail, reason=Reason.NOT_FOUND, status=404)
    elif purge.by is PurgeBy.GLOB:
        if len(text) > MAX_GLOB:
            raise _bad(f"A glob has at most {MAX_GLOB} characters.")
        if _GLOB.fullmatch(text) is None:
            raise _bad("A glob is a path, percent-encoded, with * and **.")
    elif TAG.fullmatch(text) is None:
        what = "characters of visible ASCII, without space, comma, quotes or braces"
        raise _bad(f"A tag has 1 to {MAX_TAG} {what}.")


def _bad(detail: str) -> ClientFault:
    return ClientFault(detail, reason=Reason.BAD_ORDER)
