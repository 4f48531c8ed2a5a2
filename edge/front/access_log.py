"""The access log: one line per request, whoever answered it.

A line has the words of the metrics and of Cache-Status. The value of a parameter that
its route counts as a credential is blanked, in any spelling. Header fields are never
logged.
"""

import re
from collections.abc import Callable
from json.encoder import encode_basestring_ascii
from urllib.parse import unquote_plus

from edge.front.common_fields import cache_status
from edge.front.log_writer import Put, timestamp
from edge.front.options import LogOptions
from edge.front.request_context import RequestContext
from edge.policy.streams.routes import Route

_DEFAULT = Route()
_MIN_FAILURE = 500
_USERINFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]*://)[^/@]*(?:@[^/@]*)*@")
_BLANK = "***"

MAX_PATHS = 2048
MAX_PATH_LENGTH = 1024
"""Redacted targets that are remembered, and how long one may be. Most are asked for
again, and redacting one takes as long as the rest of its line."""


class AccessLog:
    """Writes lines through ``put``; ``wall`` tells Unix time."""

    def __init__(
        self, options: LogOptions, put: Put, wall: Callable[[], float]
    ) -> None:
        self._put = put
        self._wall = wall
        self._one_in = options.access
        self._line = _json_line if options.format == "json" else _text_line
        self._quiet = options.level in ("warning", "error")
        self._seen = 0
        # By target and the identity of its route, which lives as long as this.
        self._paths: dict[tuple[str, int], str] = {}

    def write(
        self, ctx: RequestContext, status: int, sent: int, seconds: float
    ) -> None:
        """Log a request that is over; ``sent`` are bytes of its answer's body.

        ``status`` is 0 when the client left before an answer began.
        """
        if self.wants(status, ctx.lost):
            self.put(ctx, status, sent, seconds)

    @property
    def writes(self) -> bool:
        """Whether requests that ended well are logged at all."""
        return self._one_in > 0 and not self._quiet

    def wants(self, status: int, lost: bool) -> bool:
        """Whether a request that ended so gets a line. It counts: ask once for each."""
        if status >= _MIN_FAILURE:
            return True
        if not self.writes:
            return False
        self._seen += 1
        return lost or self._seen % self._one_in == 0

    def put(self, ctx: RequestContext, status: int, sent: int, seconds: float) -> None:
        """Write the line of a request for which one is wanted."""
        fields: Fields = {
            "method": ctx.method,
            "path": self._path(ctx.target, ctx.route or _DEFAULT),
            "status": status,
            "bytes": sent,
            "ms": round(seconds * 1000, 1),
            "mode": ctx.mode,
            "cache": _cache(ctx),
            "reason": ctx.reason.value if ctx.reason else "",
            "lost": int(ctx.lost),
            "id": ctx.request_id,
        }
        self._put(self._line(timestamp(self._wall()), fields))

    def _path(self, target: str, route: Route) -> str:
        key = (target, id(route))
        path = self._paths.get(key)
        if path is None:
            path = redacted(target, route)
            if len(self._paths) >= MAX_PATHS:
                self._paths.clear()
            if len(target) <= MAX_PATH_LENGTH:
                self._paths[key] = path
        return path


Fields = dict[str, str | int | float]


def _cache(ctx: RequestContext) -> str:
    """Cache-Status without the cache's own name."""
    if ctx.cache is None:
        return ""
    return cache_status("-", ctx.cache)[3:]


def redacted(target: str, route: Route) -> str:
    """The target with the values of credential parameters and userinfo blanked.

    A target with userinfo is refused, but it is logged all the same.
    """
    path, mark, query = target.partition("?")
    path = _USERINFO.sub(rf"\1{_BLANK}@", path)
    if not query:
        return path + mark
    secret = frozenset(name.lower() for name in route.credential_parameters)
    pieces = (_redacted_piece(piece, secret) for piece in query.split("&"))
    return path + mark + "&".join(pieces)


def _redacted_piece(piece: str, secret: frozenset[str]) -> str:
    name, equals, _ = piece.partition("=")
    if equals and unquote_plus(name).lower() in secret:
        return f"{name}={_BLANK}"
    return piece


def _json_line(when: str, fields: Fields) -> str:
    """As ``json.dumps`` does, in a third of its time: the names need no escaping."""
    members = [
        f', "{key}": {encode_basestring_ascii(value)}'
        if isinstance(value, str)
        else f', "{key}": {value}'
        for key, value in fields.items()
        if value != ""
    ]
    return f'{{"time": "{when}", "event": "request"{"".join(members)}}}'


def _text_line(when: str, fields: Fields) -> str:
    words = (f"{key}={value}" for key, value in fields.items() if value != "")
    return f"{when} request " + " ".join(words)
