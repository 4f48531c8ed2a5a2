"""The log: a line per request, and all lines written off the event loop.

``AccessLog`` has one line for each request, whatever part answered it. The line has the
words of the metrics and of Cache-Status. The value of a parameter that its route counts
as a credential, or that often is one, is blanked in any spelling. It tells the client's
address (``edge.policy.http.client_address``); of header fields Host, User-Agent, the
origin of the Referer and the trace id, and never another one. Where a way judged, the
line says which, and whom its credential named. What the system or a library said of a
failure (``cause``) stands here and nowhere else.

All lines have the schema of ``edge.core.log_lines``.

``LogWriter.put`` takes a finished line and returns: it never blocks and never switches
greenlets, so a callback of the event loop may log. Python's ``logging`` goes the same
way (``configure``). One greenlet writes the lines that have gathered, on a thread,
because a slow disk would stop the whole event loop. When nothing reads the pipe, lines
beyond a bound are dropped and counted; their number is written as soon as something
reads again.
"""

import logging
import re
import select
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii
from urllib.parse import unquote_plus

import gevent
from gevent import monkey
from gevent.event import Event

from edge.core.counters import Counters
from edge.core.log_lines import dropped_line, log_line, logfmt_value
from edge.core.ports import Clock
from edge.front.exchange import OFF_ROUTE, RequestContext, cache_status
from edge.front.log_output import STDERR, LogOutput, direct
from edge.front.options import BLANKED, LogOptions
from edge.policy.streams.routes import Route

Put = Callable[[str], None]
"""Takes a line without its end."""

Fields = dict[str, str | int | float]

_MIN_FAILURE = 500
_USERINFO = re.compile(r"^([A-Za-z][A-Za-z0-9+.\-]*://)[^/@]*(?:@[^/@]*)*@")
_BLANK = "***"
_UNPRINTED = re.compile(r"[^!-~]")

MAX_SUBJECT = 128
"""Characters of a token's subject that are logged."""

MAX_CAUSE = 512
"""Characters of what the system said that are logged."""

MAX_SAID = 256
"""Characters of a field that are logged."""

MAX_PATHS = 2048
MAX_PATH_LENGTH = 1024
"""Redacted targets that are remembered, and how long one may be. Most are asked for
again, and redacting one takes as long as the rest of its line."""

MAX_WAITING_LINES = 20_000
GATHER_SECONDS = 0.05
"""How long lines gather before they are written together."""

ACCESS = "edge.access"
"""The logger of the lines of requests."""

READER_SECONDS = 0.2
"""How long a reader may take nothing before it is left alone for a moment."""

STOP_SECONDS = 1.0
"""How long ``stop`` waits for the last lines to be written."""


_Poll = monkey.get_original("select", "poll")
"""Of the system, not of the event loop: threads call it."""


# A line per request.


class AccessLog:
    """Writes lines through ``put``; ``clock`` tells when, and how long it took."""

    def __init__(self, options: LogOptions, put: Put, clock: Clock) -> None:
        self._put = put
        self._clock = clock
        self._one_in = options.access
        self._blanked = options.blanked
        self._line = _json_line if options.format == "json" else _text_line
        self._process = options.process
        # Whether requests that ended well are logged at all.
        self.writes = options.access > 0 and options.level not in ("warning", "error")
        self._seen = 0
        # By target and the identity of its route, which lives as long as this.
        self._paths: dict[tuple[str, int], str] = {}

    def write(self, ctx: RequestContext, status: int, sent: int) -> None:
        """Log a request that is over; ``sent`` are bytes of its answer's body.

        ``status`` is 0 when the client left before an answer began.
        """
        if self.wants(status, ctx.lost):
            self.put(ctx, status, sent)

    def wants(self, status: int, lost: bool) -> bool:
        """Whether a request that ended so gets a line. Counts: call once for each."""
        if status >= _MIN_FAILURE:
            return True
        if not self.writes:
            return False
        self._seen += 1
        return lost or self._seen % self._one_in == 0

    def put(self, ctx: RequestContext, status: int, sent: int) -> None:
        """Write the line of a request for which one is wanted."""
        clock = self._clock
        seconds = clock.monotonic() - ctx.started
        fields: Fields = {
            "method": ctx.method,
            "path": self._path(ctx.target, ctx.route or OFF_ROUTE),
            "status": status,
            "bytes": sent,
            "ms": round(seconds * 1000, 1),
            "mode": ctx.mode,
            "cache": _cache(ctx),
            "reason": ctx.reason.value if ctx.reason else "",
            "lost": int(ctx.lost),
            "id": ctx.request_id,
            "client": ctx.client,
        }
        if ctx.said is not None:
            host, agent, referer, trace = ctx.said
            fields["host"], fields["agent"] = host[:MAX_SAID], agent[:MAX_SAID]
            fields["referer"], fields["trace"] = referer[:MAX_SAID], trace
        if ctx.trace is not None and ctx.trace.context.sampled:
            fields["trace_id"] = ctx.trace.context.trace_id
            fields["span_id"] = ctx.trace.context.span_id
        if ctx.way:
            fields["way"], fields["sub"] = ctx.way, _word(ctx.subject)
        if ctx.certificate:
            fields["certificate"] = _word(ctx.certificate)
        if ctx.cause:
            fields["cause"] = ctx.cause[:MAX_CAUSE]
        level = "error" if status >= _MIN_FAILURE else "info"
        self._put(self._line(_timestamp(clock.wall()), level, fields, self._process))

    def _path(self, target: str, route: Route) -> str:
        key = (target, id(route))
        path = self._paths.get(key)
        if path is None:
            path = redacted(target, route, self._blanked)
            if len(self._paths) >= MAX_PATHS:
                self._paths.clear()
            if len(target) <= MAX_PATH_LENGTH:
                self._paths[key] = path
        return path


def _word(subject: str) -> str:
    """Whom a token names, as one word that cannot be taken for something else."""
    return _UNPRINTED.sub("?", subject[:MAX_SUBJECT])


def _cache(ctx: RequestContext) -> str:
    """Cache-Status without the cache's own name."""
    if ctx.cache is None:
        return ""
    return cache_status("-", ctx.cache)[3:]


def redacted(target: str, route: Route, blanked: frozenset[str] = BLANKED) -> str:
    """The target with the values of credential parameters and userinfo blanked.

    Those of its route, and the ``blanked`` ones: what is none here may be a credential
    elsewhere (B8). A target with userinfo is refused, but it is logged all the same.
    """
    path, mark, query = target.partition("?")
    path = _USERINFO.sub(rf"\1{_BLANK}@", path)
    if not query:
        return path + mark
    secret = blanked.union(name.lower() for name in route.credential_parameters)
    pieces = (_redacted_piece(piece, secret) for piece in query.split("&"))
    return path + mark + "&".join(pieces)


def _redacted_piece(piece: str, secret: frozenset[str]) -> str:
    name, equals, _ = piece.partition("=")
    if equals and unquote_plus(name).lower() in secret:
        return f"{name}={_BLANK}"
    return piece


def _json_line(when: str, level: str, fields: Fields, process: str = "") -> str:
    """As ``json.dumps`` does, in a third of its time: the names need no escaping."""
    members = [
        f', "{key}": {encode_basestring_ascii(value)}'
        if isinstance(value, str)
        else f', "{key}": {value}'
        for key, value in fields.items()
        if value != ""
    ]
    head = f'{{"time": "{when}", "level": "{level}", "logger": "{ACCESS}"'
    if process:
        head += f', "process": "{process}"'
    return f'{head}, "message": "request"{"".join(members)}}}'


def _text_line(when: str, level: str, fields: Fields, process: str = "") -> str:
    words = [f"{k}={logfmt_value(v)}" for k, v in fields.items() if v != ""]
    who = f" process={process}" if process else ""
    head = f"time={when} level={level} logger={ACCESS}{who} message=request"
    return " ".join([head, *words])


def _timestamp(unix: float) -> str:
    """As ``edge.core.log_lines``, which every request would have to enter."""
    second = int(unix)
    return f"{_second(second)}.{int((unix - second) * 1000):03d}Z"


@lru_cache(maxsize=4)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


# Lines, written.


class LogWriter:
    """Writes lines to a file descriptor, in order. ``form`` is that of its own line,
    and ``process`` the name in it."""

    def __init__(
        self,
        fd: int = STDERR,
        max_lines: int = MAX_WAITING_LINES,
        form: str = "json",
        process: str = "",
    ) -> None:
        self.dropped = 0
        self._process = process
        self.counters: Counters | None = None
        self._output = LogOutput(fd)
        self._max_lines = max_lines
        self._form = form
        self._lines: list[str] = []
        self._begun = b""
        self._waiting = Event()
        self._ending = False
        self._writer: gevent.Greenlet[[], None] | None = None

    def put(self, line: str) -> None:
        """Have ``line`` written soon. Never blocks, never switches."""
        if len(self._lines) >= self._max_lines:
            self.dropped += 1
            if self.counters is not None:
                self.counters.log_lines_dropped += 1
            return
        self._lines.append(line)
        self._waiting.set()

    def start(self) -> None:
        """Begin to write in the background."""
        self._writer = gevent.spawn(self._run)

    def stop(self) -> None:
        """Write what is left, and end. Gives up on a pipe that nothing reads."""
        self._ending = True
        self._waiting.set()
        if self._writer is not None:
            self._writer.join(STOP_SECONDS)
            self._writer.kill(block=False)

    def _run(self) -> None:
        while not (self._ending and not self._lines and not self._begun):
            if not self._begun:
                self._waiting.wait()
                self._waiting.clear()
            stuck = bool(self._begun)
            gevent.sleep(0 if self._ending and not stuck else GATHER_SECONDS)
            octets = self._begun or self._take()
            write = self._write_on_thread
            self._begun = gevent.get_hub().threadpool.apply(write, (octets,))

    def _write_on_thread(self, octets: bytes) -> bytes:
        """Write until the reader has taken nothing for a while; the rest."""
        poll = _Poll()
        poll.register(self._output.fileno(), select.POLLOUT)
        octets = self._output.write(octets)
        while octets and poll.poll(READER_SECONDS * 1000):
            octets = self._output.write(octets)
        return octets

    def _take(self) -> bytes:
        lines, self._lines = self._lines, []
        if self.dropped:
            form, now = self._form, time.time()
            lines.append(dropped_line(form, now, self.dropped, self._process))
            self.dropped = 0
        return "".join(line + "\n" for line in lines).encode("utf-8", "replace")


class LineHandler(logging.Handler):
    """A logging handler that passes formatted lines to ``put``."""

    def __init__(self, put: Put) -> None:
        super().__init__()
        self._put = put

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler``."""
        try:
            self._put(self.format(record))
        except (TypeError, ValueError):
            self.handleError(record)


class LineFormatter(logging.Formatter):
    """One line per record, of the schema of all lines. ``form`` is json or text."""

    def __init__(self, form: str, process: str = "") -> None:
        super().__init__()
        self._form = form
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        more = {}
        if record.exc_info:
            more["exception"] = self.formatException(record.exc_info)
        level, message = record.levelname.lower(), record.getMessage()
        unix, name = record.created, record.name
        said = message.strip()
        return log_line(self._form, unix, level, name, said, more, self._process)


def configure(options: LogOptions, put: Put) -> None:
    """Send all logging of this process to ``put``, in the format asked for."""
    handler = LineHandler(put)
    handler.setFormatter(LineFormatter(options.format, options.process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(options.level.upper())
    direct.form, direct.process = options.format, options.process


put_now = direct.put
"""For processes without an event loop, such as the master, and for workers that have
ended theirs."""
