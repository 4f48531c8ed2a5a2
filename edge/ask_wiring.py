"""Asking others than the origin's streams: for keys, and who is let in.

Keys at a URL are fetched, and whoever judges is asked, by pools of their own: apart
from those that streams come by, and each for one endpoint. Part of the wiring:
``edge.wiring`` alone calls this module.
"""

import re
import socket
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

import gevent

from edge.access.ask_line import ASKS
from edge.access.asking import Open
from edge.access.judges import Askers, origin_of
from edge.access.keys import MAX_JWKS_BYTES
from edge.core.errors import OriginFault, OriginTimeout
from edge.core.values import PRODUCT, Headers, Node, OriginRequest
from edge.policy.http.url_rewrite import OriginAddresses
from edge.policy.streams.ways import ForwardWay
from edge.protocol.http_grammar import TOKEN_CHARS
from edge.settings import Settings
from origin_adapter.http import HttpOptions, HttpOrigin
from origin_adapter.tls import TlsOptions

KEYS_SECONDS = 2.0
"""How long keys at a URL may take to come (B15)."""

ASK_SECONDS = 10.0
"""How long the origin may take at most to say whom it lets in."""

KEPT_SECONDS = 4.0
"""How long a connection is kept by which somebody was asked: Node closes its end after
five."""


def node_of(settings: Settings, node_id: str) -> Node:
    """Who this edge is. Without a name it has the host's, made a token (U10)."""
    name = settings.node.name
    if name is None:
        name = re.sub(rf"[^{TOKEN_CHARS}]", "-", socket.gethostname()) or PRODUCT
    return Node(name, node_id)


def origin_bases(settings: Settings) -> tuple[str, ...]:
    """The base URLs by which the origin may call itself: where it is called, by the
    Host that it is sent, and what the operator adds."""
    origin = settings.origin
    bases = [origin.call_url, *origin.addresses]
    host = origin.host or ("localhost" if origin.call_url.startswith("unix:") else "")
    if host:
        bases += [f"http://{host}", f"https://{host}"]
    if origin.embedded and settings.known_as:
        bases.append(settings.known_as)
    return tuple(base for base in bases if not base.startswith("unix:"))


def fetch_keys(url: str) -> bytes:
    """The octets at a URL, by the pool that also calls origins, within KEYS_SECONDS.

    No redirect is followed. Raises EdgeError.
    """
    parts = urlsplit(url)
    options = _ask_options(f"{parts.scheme}://{parts.netloc}", KEYS_SECONDS, 1)
    origin = HttpOrigin(options)
    target = f"{parts.path or '/'}{'?' * bool(parts.query)}{parts.query}"
    headers = (("accept", "application/json"), ("accept-encoding", "identity"))
    late = OriginTimeout("the keys did not come in time")
    try:
        with gevent.Timeout(KEYS_SECONDS, late):
            exchange = origin.open(OriginRequest("GET", target, headers))
            if exchange.status != 200:
                raise OriginFault(f"the answer was {exchange.status}")
            octets = bytearray()
            while piece := exchange.read():
                octets += piece
                if len(octets) > MAX_JWKS_BYTES:
                    raise OriginFault("the answer is too large")
            return bytes(octets)
    finally:
        origin.close()


class AskPools:
    """The connections by which others are asked who is let in: a pool for each
    endpoint, and one for the origin, apart from those that its streams come by."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pools: dict[HttpOptions, HttpOrigin] = {}

    def askers(self, node_id: str) -> Askers:
        """What judges ask by. A pool is made when a judge is made that asks by it."""
        public_url = self._settings.public_url or ""
        timeout = min(self._settings.origin.head_timeout, ASK_SECONDS)
        return Askers(
            endpoint=self._endpoint,
            origin=lambda: self._origin(timeout),
            timeout=timeout,
            node=node_of(self._settings, node_id),
            scheme=urlsplit(public_url).scheme or "http",
        )

    def _endpoint(self, way: ForwardWay) -> Open:
        return self._opened(_ask_options(origin_of(way.url), way.timeout, ASKS))

    def _origin(self, timeout: float) -> Open:
        origin = self._settings.origin
        options = _ask_options(origin.call_url, timeout, ASKS)
        options = replace(
            options, host=origin.host, keep_alive=origin.keep_alive, tls=origin.tls
        )
        addresses = OriginAddresses(origin_bases(self._settings))
        return self._opened(options, addresses.hidden)

    def _opened(
        self,
        options: HttpOptions,
        hidden: Callable[[Headers], Headers] | None = None,
    ) -> Open:
        if options not in self._pools:
            self._pools[options] = HttpOrigin(options, hidden=hidden)
        return self._pools[options].open

    def close(self) -> None:
        """End all asks."""
        for pool in self._pools.values():
            pool.close()


def _ask_options(url: str, seconds: float, connections: int) -> HttpOptions:
    """How somebody is asked for a short answer that must come in time."""
    return HttpOptions(
        url=url,
        host=None,
        connect_timeout=seconds,
        head_timeout=seconds,
        hold_timeout=seconds,
        idle_timeout=seconds,
        max_head=64 * 1024,
        write_connections=1,
        catch_up_connections=connections,
        follow_connections=1,
        relay_connections=1,
        keep_alive=KEPT_SECONDS,
        tls=TlsOptions(),
    )
