"""RequestContext: what is known of one request while it is served.

The worker makes one per request and puts it into the WSGI environ; under any
other server the application makes it itself (``of``). Resources and middleware
write into it what they find out; the access log reads it at the end. It also
keeps the promise that everything a request holds is let go of: whoever takes a
ticket or an exchange says so with ``defer``, and ``release`` runs on every exit.
"""

import os
import re
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from edge.core.reasons import Reason
from edge.core.values import CacheStatus, Header, Headers
from edge.policy.streams.routes import Route

KEY = "ds_edge.record"
PASS = "pass"
"""The mode of what goes to the origin one to one."""

Environ = MutableMapping[str, Any]

_SAFE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_UNPREFIXED = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def is_safe_id(offered: str) -> bool:
    """Whether a client's own id is safe to log and to send back."""
    return _SAFE_ID.fullmatch(offered) is not None


def request_id(offered: str | None) -> str:
    """The client's own id where it is safe, or a new one."""
    if offered is not None and is_safe_id(offered):
        return offered
    return os.urandom(12).hex()


@dataclass(slots=True, eq=False)
class RequestContext:
    """One request. ``started`` is monotonic seconds; ``target`` is as received.

    ``reason`` is the word for an answer that is not simply a success, ``mode``
    how a stream is read (or ``pass``), ``body_left`` that the client's body
    was not read to its end, so that the connection cannot be kept. ``lost``
    says that the answer did not reach the client whole.
    """

    environ: Environ
    method: str
    target: str
    request_id: str
    started: float = 0.0
    route: Route | None = None
    mode: str = ""
    cache: CacheStatus | None = None
    reason: Reason | None = None
    body_left: bool = False
    lost: bool = False
    _held: list[Callable[[], None]] = field(default_factory=list)

    @classmethod
    def begin(cls, environ: Environ, started: float) -> "RequestContext":
        """Make the record of a request and put it into its environ."""
        ctx = cls(
            environ,
            environ["REQUEST_METHOD"],
            environ.get("RAW_URI") or _rebuilt(environ),
            request_id(environ.get("HTTP_X_REQUEST_ID")),
            started,
            body_left=has_body(environ),
        )
        environ[KEY] = ctx
        return ctx

    @classmethod
    def of(cls, environ: Environ) -> "RequestContext":
        """The record of a request; made here under a foreign WSGI server."""
        found = environ.get(KEY)
        return found if isinstance(found, RequestContext) else cls.begin(environ, 0.0)

    def lookup(self, name: str) -> str | None:
        """A request field by lower-case name; repeated ones joined by commas."""
        key = _UNPREFIXED.get(name) or "HTTP_" + name.upper().replace("-", "_")
        value = self.environ.get(key)
        return value if isinstance(value, str) else None

    def fields(self) -> Headers:
        """All request fields, names in lower case."""
        found: list[Header] = []
        for key, value in self.environ.items():
            if key.startswith("HTTP_"):
                found.append((key[5:].replace("_", "-").lower(), value))
        for name, key in _UNPREFIXED.items():
            if self.environ.get(key):
                found.append((name, self.environ[key]))
        return tuple(found)

    def defer(self, let_go: Callable[[], None]) -> None:
        """Run ``let_go`` when this request is over, however it ends."""
        self._held.append(let_go)

    def release(self) -> None:
        """Let go of everything held, last taken first. May be called twice."""
        while self._held:
            self._held.pop()()


def has_body(environ: Environ) -> bool:
    """Whether the request announces content (RFC 9112 section 6)."""
    if "HTTP_TRANSFER_ENCODING" in environ:
        return True
    return (environ.get("CONTENT_LENGTH") or "0") != "0"


def _rebuilt(environ: Environ) -> str:
    """The target for servers that do not hand it over as received."""
    query = environ.get("QUERY_STRING", "")
    path: str = environ.get("PATH_INFO", "/")
    return f"{path}?{query}" if query else path
