"""The door: which paths are asked for at all, once a route judges its clients (B1).

An origin may read a path in another way than the edge does: percent-decoded, with
slashes merged, without regard to case, and without what follows a ``;`` in a segment
or a slash at the end. As soon as one route has ways, a path must therefore mean one
thing. It is on a route, or it is not found. And no other reading must lead to an
earlier route, or to one that judges, when its raw form does not.

Pure; called by the pipeline before anybody authorizes a request, if a route has ways.
"""

import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote

from edge.core.errors import ClientFault
from edge.core.reasons import Reason
from edge.policy.streams.routes import Access, Route

Covers = Callable[[str, str], bool]
"""``covers(match, path)``: whether a route's glob covers the whole path."""

_SLASHES = re.compile("/{2,}")
_PARAMETERS = re.compile(";[^/]*")


def check(
    routes: Sequence[Route], path: str, route: Route | None, covers: Covers
) -> None:
    """Raises ClientFault: 400 for an ambiguous path, 404 for one on no route.

    ``route`` is the route of the raw ``path``, None if it has none.
    """
    check_meaning(routes, path, route, covers)
    if route is None:
        raise ClientFault("no route", reason=Reason.NOT_FOUND, status=404)


def check_meaning(
    routes: Sequence[Route], path: str, route: Route | None, covers: Covers
) -> None:
    """Raises ClientFault: 400 for an ambiguous path."""
    read = other_reading(path)
    readings = (read, cut_reading(read))
    if any(_is_ambiguous(routes, path, one, route, covers) for one in set(readings)):
        detail = "the path can be read as one on another route"
        raise ClientFault(detail, reason=Reason.BAD_PATH)


def other_reading(path: str) -> str:
    """The path percent-decoded once, with slashes merged, in lower case."""
    decoded = unquote(path, encoding="latin-1")
    return _SLASHES.sub("/", decoded).lower()


def cut_reading(path: str) -> str:
    """The path as servlet containers read it, without its segments' parameters, and as
    many servers do, without a slash at its end."""
    return _SLASHES.sub("/", _PARAMETERS.sub("", path)).rstrip("/")


def _is_ambiguous(
    routes: Sequence[Route],
    path: str,
    read: str,
    route: Route | None,
    covers: Covers,
) -> bool:
    """Whether another reading, ``read``, leads to an earlier route, or to one that
    judges.

    A route that also covers the raw form is no other reading's alone: which of the two
    routes holds was the operator's choice. Unless the other reading has lost the first.
    """
    covering = [one for one in routes if covers(other_reading(one.match), read)]
    earlier = True
    for one in routes:
        earlier = earlier and one is not route
        if one is route or one not in covering:
            continue
        matters = earlier or one.access is Access.GRANTED
        if matters and (one is covering[0] or not covers(one.match, path)):
            return True
    return False
