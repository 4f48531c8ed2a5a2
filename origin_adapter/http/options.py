"""The options of an origin, and the address that its url names.

Settings fill ``HttpOptions``; the pool dials ``OriginAddress``. A url that cannot be
used raises ValueError, in words for the person who wrote it.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from edge.core.values import Purpose
from origin_adapter.tls import TlsOptions

_PORTS = {"http": 80, "https": 443}
_PREFIX = re.compile(r"(/[!-\"$-~]*)?", re.ASCII)


class CallTimeouts(NamedTuple):
    """How long one call may take, in seconds.

    ``send`` and ``body`` are for each step without progress, ``head`` for the answer
    to begin, ``total`` for all of it; None: no limit. Each may be noticed up to a
    quarter of a second late (``pool.Deadlines``).
    """

    send: float
    head: float
    body: float | None
    total: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOptions:
    """How one origin is called. Times in seconds, sizes in bytes.

    ``url`` is ``http://host:port``, ``https://host``, either with a path that is put
    before every target, or ``unix:/path``. ``host`` is the Host field that is sent; by
    default what the url names, and ``localhost`` for a socket file. ``tls`` is for
    ``https``.

    ``head_timeout`` is how long an answer may take to begin once the request is sent.
    ``hold_timeout`` is the same for calls that an origin may hold (long-polls:
    followers and relayed reads). ``idle_timeout`` is how long a body may make no
    progress in either direction. For relayed bodies that is ``hold_timeout`` if longer,
    because an idle SSE stream is silent. A follower's event stream has no such limit:
    its follower knows when it is to speak. ``total_timeout`` is how long a catch-up
    read may take in all.

    Writes, catch-up reads, followers and relayed calls have separate connections, and
    none can starve another (L24): a call that one client has the origin hold must not
    cost a crowd its follower. A call that finds all of its kind taken waits in a queue,
    at most ``queue_timeout`` and at most ``queue_limit`` of them. Idle connections live
    for ``keep_alive``, shorter than the five seconds after which Node closes its end.
    """

    url: str
    host: str | None
    connect_timeout: float
    head_timeout: float
    hold_timeout: float
    idle_timeout: float
    max_head: int
    write_connections: int
    catch_up_connections: int
    follow_connections: int
    relay_connections: int
    keep_alive: float
    tls: TlsOptions
    total_timeout: float | None = None
    queue_timeout: float = 5.0
    queue_limit: int = 1024
    max_idle: int = 64

    def timeouts(self, purpose: Purpose) -> CallTimeouts:
        """How long a call of this kind may take."""
        held = purpose in (Purpose.FOLLOW, Purpose.RELAY)
        body: float | None = self.idle_timeout
        if purpose is Purpose.RELAY:
            body = max(self.hold_timeout, self.idle_timeout)
        elif purpose is Purpose.EVENTS:
            body = None
        return CallTimeouts(
            send=self.idle_timeout,
            head=self.hold_timeout if held else self.head_timeout,
            body=body,
            total=self.total_timeout if purpose is Purpose.CATCH_UP else None,
        )


@dataclass(frozen=True, slots=True)
class OriginAddress:
    """Where an origin listens: a socket file, or host and port with or without TLS.

    ``authority`` is the default Host field, ``prefix`` the path before every
    target, without a slash at its end. ``server_name`` is whose certificate is
    expected, if it is not the host's.
    """

    authority: str
    prefix: str = ""
    unix_path: str | None = None
    host: str = ""
    port: int = 0
    tls: bool = False
    server_name: str = ""

    @property
    def certified_name(self) -> str:
        """Whose certificate is expected, where there is TLS."""
        return self.server_name or self.host

    @property
    def place(self) -> str:
        """Where it listens, for the operator."""
        return self.unix_path or f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> "OriginAddress":
        """Read an origin's url. ValueError says what is wrong with it."""
        if url.startswith("unix:"):
            return cls._unix(url.removeprefix("unix:"))
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(f"origin url {url!r}: http://, https:// or unix:/path")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(f"origin url {url!r}: no user, query or fragment")
        if not _PREFIX.fullmatch(parts.path):
            raise ValueError(f"origin url {url!r}: the path must be visible ASCII")
        return cls._network(parts)

    @classmethod
    def _unix(cls, path: str) -> "OriginAddress":
        if not path.startswith("/"):
            raise ValueError(f"origin url unix:{path}: the path must be absolute")
        return cls("localhost", unix_path=path)

    @classmethod
    def _network(cls, parts: SplitResult) -> "OriginAddress":
        return cls(
            authority=parts.netloc,
            prefix=parts.path.rstrip("/"),
            host=parts.hostname or "",
            port=parts.port if parts.port is not None else _PORTS[parts.scheme],
            tls=parts.scheme == "https",
        )
