"""``/forget``: what an operator may have forgotten of a running edge.

``POST /forget?path=...`` drops what is held of a path; its viewers are served on. It
asks ``edge.core.ports.Control``, which the hub implements, or where there are several
processes all of these, by a ``OperatorView``.
"""

import logging
from collections.abc import Sequence
from typing import Protocol

from edge.admin.routes import AdminRequest, AdminRoute, TokenRule, json_page
from edge.core.errors import ClientFault
from edge.core.ports import Control
from edge.core.reasons import Reason
from edge.core.values import Answer
from edge.policy.streams.pipeline import find_route
from edge.policy.streams.routes import Route

_log = logging.getLogger("edge.admin")


class OperatorView(Protocol):
    """All processes of a node as one. Blocks the calling greenlet, two seconds or so
    at most for each order that it takes."""

    def forget(self, route: str, path: str) -> int:
        """As ``Control.forget``, in all processes. Raises Refusal."""


class AloneView:
    """A worker that is alone is the whole node."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def forget(self, route: str, path: str) -> int:
        """See OperatorView."""
        return self._control.forget(route, path)


class ControlPages:
    """The pages of one worker, or of all. ``routes`` are those of its streams."""

    def __init__(self, node: OperatorView, routes: Sequence[Route]) -> None:
        self._node = node
        self._routes = routes

    def routes(self) -> tuple[AdminRoute, ...]:
        """The pages that this part contributes to the admin address."""
        return (AdminRoute("/forget", self._forget, ("POST",), TokenRule.MUST_BE_SET),)

    def _forget(self, request: AdminRequest) -> Answer:
        path = request.parameter("path")
        if not path:
            detail = "Say which: POST /forget?path=/v1/stream/..."
            raise ClientFault(detail, reason=Reason.BAD_QUERY)
        route = find_route(self._routes, path)
        count = 0 if route is None else self._node.forget(route.match, path)
        if route is None or not count:
            detail = "Nothing is held of this path."
            raise ClientFault(detail, reason=Reason.NOT_FOUND, status=404)
        _log.info("forgot %s as asked: %d held", path, count)
        return json_page({"path": path, "route": route.match, "forgotten": count})
