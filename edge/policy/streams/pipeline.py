"""The request pipeline: find the route, authorize, classify.

Every request of every front goes through these three phases in this order. Fronts thus
agree on the route of a request, on whether it may go on, and on what it asks. Between
the first two, a front answers a preflight, which needs no credential. The pipeline
holds the routes and an authorizer, and remembers nothing.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from edge.core.reasons import Reason
from edge.core.values import NO_END, Read
from edge.policy.streams.authorize import (
    Ask,
    Authorizer,
    Denied,
    Grant,
    RequestHead,
    authorize,
)
from edge.policy.streams.classify import PassRequest, classify
from edge.policy.streams.routes import Route


@dataclass(frozen=True, slots=True)
class Resolved:
    """A request that may go on: what it asks for, and what let it in.

    At ``expires_at`` (Unix seconds) the same request has to be judged anew.
    """

    request: Read | PassRequest
    grant: Grant = Grant()

    @property
    def expires_at(self) -> float:
        return self.grant.expires_at


@dataclass(frozen=True, slots=True)
class RequestPipeline:
    """The phases of one worker. ``routes`` in order: the first that matches holds."""

    routes: tuple[Route, ...]
    authorizer: Authorizer = authorize

    def find_route(self, target: str) -> Route | None:
        """The route of an origin-form target, or None."""
        return find_route(self.routes, target.partition("?")[0])

    def resolve(
        self, request: RequestHead, route: Route | None, now: float
    ) -> Resolved | Denied | Ask:
        """Authorize and classify; ``now`` is Unix time. Raises ClientFault.

        A path without a route passes. After an Ask, ``settle`` continues with the
        verdict.
        """
        if route is None:
            return Resolved(PassRequest(Reason.NOT_A_STREAM, request.target))
        verdict = self.authorizer(route, request, now)
        if isinstance(verdict, Ask):
            return verdict
        return self.settle(request, route, verdict)

    def settle(
        self, request: RequestHead, route: Route, verdict: Grant | Denied
    ) -> Resolved | Denied:
        """Classify what was granted. Raises ClientFault."""
        if isinstance(verdict, Denied):
            return verdict
        return Resolved(classify(request, route, verdict), verdict)


@lru_cache(maxsize=256)
def _pattern(match: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", match)
    words = {"**": ".*", "*": "[^/]*"}
    return re.compile("".join(words.get(part) or re.escape(part) for part in parts))


def find_route(routes: Sequence[Route], path: str) -> Route | None:
    """The first route whose glob covers the whole raw path, or None."""
    for route in routes:
        if _pattern(route.match).fullmatch(path):
            return route
    return None
