"""The request pipeline: find the route, authorize, classify.

Every request of every front goes through these three phases in this order. Fronts thus
agree on the route of a request, on whether it may go on, and on what it asks. Between
the first two, a front answers a preflight, which needs no credential. The pipeline
holds the routes and an authorizer, and remembers nothing.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from edge.core.reasons import Reason
from edge.core.values import Read
from edge.policy.streams import door
from edge.policy.streams.authorize import (
    UNJUDGED,
    AccessVerdict,
    Ask,
    Authorizer,
    Denied,
    Grant,
    RequestHead,
    authorize,
)
from edge.policy.streams.classify import PassRequest, classify
from edge.policy.streams.routes import Access, Route


@dataclass(frozen=True, slots=True)
class Resolved:
    """A request that may go on: what it asks for, and what let it in.

    At ``expires_at`` (Unix seconds) the same request has to be judged anew.
    """

    request: Read | PassRequest
    grant: Grant = UNJUDGED

    @property
    def expires_at(self) -> float:
        return self.grant.expires_at


@dataclass(frozen=True, slots=True)
class RequestPipeline:
    """The phases of one worker. ``routes`` in order: the first that matches holds. Of
    a keeper there is no door: its fronts have one."""

    routes: tuple[Route, ...]
    authorizer: Authorizer = authorize
    has_door: bool = field(init=False)

    def __post_init__(self) -> None:
        judged = (one for one in self.routes if not one.lean)
        judging = any(one.access is Access.GRANTED for one in judged)
        object.__setattr__(self, "has_door", judging)

    def find_route(self, target: str) -> Route | None:
        """The route of an origin-form target, or None."""
        return find_route(self.routes, target.partition("?")[0])

    def resolve(
        self, request: RequestHead, route: Route | None, now: float
    ) -> Resolved | Denied | Ask:
        """Authorize and classify; ``now`` is Unix time. Raises ClientFault.

        A path without a route passes, unless a route judges (B1). After an Ask,
        ``settle`` continues with the verdict.
        """
        if route is None:
            self._check_door(request.path, None)
            return Resolved(PassRequest(Reason.NOT_A_STREAM, request.target))
        verdict = self.verdict(request, route, now)
        if isinstance(verdict, Ask):
            return verdict
        return self.settle(request, route, verdict)

    def verdict(self, request: RequestHead, route: Route, now: float) -> AccessVerdict:
        """Authorize alone. Raises ClientFault.

        It holds for all reads that differ in the protocol's own parameters (B2).
        """
        self._check_door(request.path, route)
        return self.authorizer(route, request, now)

    def _check_door(self, path: str, route: Route | None) -> None:
        if self.has_door:
            door.check(self.routes, path, route, _covers)

    def settle(
        self, request: RequestHead, route: Route, verdict: Grant | Denied
    ) -> Resolved | Denied:
        """Classify what was granted. Raises ClientFault."""
        if isinstance(verdict, Denied):
            return verdict
        return Resolved(classify(request, route, verdict), verdict)


_WILD = re.compile(r"(\*\*|\*|\{[^{}/]+\})")
"""What stands for something else in a route's glob: ``**``, ``*`` and ``{name}``."""
_NAME = re.compile(r"\{[^{}/*]+\}")


def parts_of(match: str) -> list[str]:
    """A glob in parts: literal text, wild, literal text, and so on, literal last."""
    return _WILD.split(match)


@lru_cache(maxsize=256)
def _pattern(match: str) -> tuple[re.Pattern[str], tuple[str, ...]]:
    """A glob as an expression, and its names in the order of the groups.

    A client chooses the path, so no part of it may be tried in two ways. What stands
    between two ``**`` is put at the first place where it fits, for good: whatever a
    later place would leave over, the next ``**`` takes up.
    """
    parts = parts_of(match)
    names = tuple(part[1:-1] for part in parts[1::2] if part[0] == "{")
    runs = [[parts[0]]]
    for wild, literal in zip(parts[1::2], parts[2::2], strict=True):
        if wild == "**":
            runs.append([literal])
        else:
            runs[-1] += [wild, literal]
    first, *others = runs
    text = _run(first, is_last=not others)
    text += "".join(f"(?>.*?{_run(run, is_last=False)})" for run in others[:-1])
    text += "".join(".*" + _run(run, is_last=True) for run in others[-1:])
    return re.compile(text), names


def _run(parts: Sequence[str], *, is_last: bool) -> str:
    """The expression of what has no ``**``: literal, wild, literal, and so on.

    A name stands for a whole segment. A ``*`` ends where its literal first comes, but
    for the very last one, whose literal ends the path.
    """
    text = re.escape(parts[0])
    for place in range(1, len(parts), 2):
        wild, literal = parts[place], re.escape(parts[place + 1])
        if wild != "*":
            text += f"([^/]+){literal}"
        elif is_last and place == len(parts) - 2:
            text += f"[^/]*{literal}"
        else:
            text += f"(?>[^/]*?{literal})"
    return text


def check_meaning(routes: Sequence[Route], path: str, route: Route | None) -> None:
    """Raises ClientFault for a path that can be read as one on another route (B1)."""
    door.check_meaning(routes, path, route, _covers)


def _covers(match: str, path: str) -> bool:
    return _pattern(match)[0].fullmatch(path) is not None


def find_route(routes: Sequence[Route], path: str) -> Route | None:
    """The first route whose glob covers the whole raw path, or None."""
    for route in routes:
        if _covers(route.match, path):
            return route
    return None


def matcher(match: str) -> Callable[[str], bool]:
    """Whether a glob covers a raw path. It is not remembered, as routes' are."""
    expression, _ = _pattern.__wrapped__(match)
    return lambda path: expression.fullmatch(path) is not None


def captured(match: str, path: str) -> tuple[tuple[str, str], ...] | None:
    """The names in a route's glob, each with the segment for which it stands in a raw
    path (B20); None if the glob does not cover the path.

    Settings refuse a glob for which ``misplaced_name`` has words.
    """
    expression, names = _pattern(match)
    found = expression.fullmatch(path)
    return None if found is None else tuple(zip(names, found.groups(), strict=True))


def misplaced_name(match: str) -> str | None:
    """Why the names of a route's glob would not each stand for one certain segment.

    None: they do. After a ``**`` a client could choose which segment a name stands for.
    """
    segments = match.split("/")
    names = [s for s in segments if "{" in s or "}" in s]
    if any(_NAME.fullmatch(name) is None for name in names):
        return "a {name} is a whole segment"
    if len(set(names)) < len(names):
        return "a {name} stands once"
    wild = next((n for n, s in enumerate(segments) if "**" in s), len(segments))
    if any("{" in s for s in segments[wild:]):
        return "a {name} stands before every **"
    return None
