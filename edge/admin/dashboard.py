"""``/dashboard``: a page that shows the edge live, and what it reads.

``GET /dashboard`` and ``GET /follow`` are pages that come with the program
(``docs/dashboard.html``, ``docs/follow.html``). They are the same for everybody and
tell nothing, so no token guards them. ``GET /dashboard/events`` is the status as an
event stream, under the token's rule. A page may run the scripts and styles that it came
with and nothing else: their digests stand in its Content-Security-Policy. It may ask
this address alone; the page that follows streams may ask any.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from edge.admin import shipped
from edge.admin.routes import (
    AdminRequest,
    AdminRoute,
    AdminStream,
    TokenRule,
    page,
)
from edge.admin.status_feed import StatusFeed
from edge.core.values import Answer

_EVENTS = (
    ("Content-Type", "text/event-stream"),
    ("Cache-Control", "no-store"),
    # nginx, if it stands in front.
    ("X-Accel-Buffering", "no"),
)

_ALONE = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class DashboardPages:
    """The pages of one process, and its ``feed``."""

    def __init__(self, feed: StatusFeed) -> None:
        self._feed = feed

    def routes(self) -> tuple[AdminRoute, ...]:
        """The pages that this part contributes to the admin address. A page that was
        not installed is none."""
        files = {
            "/dashboard": (shipped.path_of(shipped.DASHBOARD), "'self'"),
            "/follow": (shipped.page(), "http: https:"),
        }
        pages = [
            AdminRoute(path, _handler(file, asks), token=TokenRule.OPEN)
            for path, (file, asks) in files.items()
            if file is not None
        ]
        rule = TokenRule.OWN_PAGE
        events = AdminRoute("/dashboard/events", self._events, ("GET",), rule)
        return (*pages, events)

    def _events(self, _request: AdminRequest) -> AdminStream:
        return AdminStream(_EVENTS, self._feed.watch())


def _handler(file: Path, asks: str) -> Callable[[AdminRequest], Answer]:
    """Gives the page in ``file``, which is read when it is asked for."""

    def handler(_request: AdminRequest) -> Answer:
        text = file.read_text(encoding="utf-8")
        made = page("text/html; charset=utf-8", text.encode())
        fields = (
            ("Content-Security-Policy", policy_of(text, asks)),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
        )
        return Answer(made.status, (*made.headers, *fields), made.body)

    return handler


def policy_of(text: str, asks: str) -> str:
    """What a page may do: run its own scripts and styles, and ask whom ``asks``
    names."""
    scripts, styles = (_digests(text, tag) for tag in ("script", "style"))
    return f"{_ALONE}; script-src {scripts}; style-src {styles}; connect-src {asks}"


def _digests(text: str, tag: str) -> str:
    found = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    digests = (hashlib.sha256(one.encode()).digest() for one in found)
    return " ".join(f"'sha256-{base64.b64encode(one).decode()}'" for one in digests)
