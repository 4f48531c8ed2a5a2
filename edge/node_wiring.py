"""Wiring of the link: options and parts of the fronts and keepers of one node.

A node of many processes is made of the same parts as one worker, with other options.
Here each of them is made from what ``edge.wiring`` has for one worker, which calls this
module. ``docs/architecture.md`` has the shape.
"""

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import replace

from edge.core.ports import Clock, Origin
from edge.core.values import Purpose
from edge.front.options import KIB, FrontOptions, Limits
from edge.link.keepers import Keepers, KeepersOptions, KeepersView
from edge.live.context import HubOptions
from edge.policy.http.link_fields import KeeperEnd
from edge.policy.streams.routes import Route
from origin_adapter.http import HttpOptions, HttpOrigin
from origin_adapter.tls import TlsOptions

MARGIN_SECONDS = 5.0
"""A keeper tells that its origin is late; a front waits longer than that takes."""

LINK_IDLE_SECONDS = 30.0
"""How long a front keeps a connection over which nothing goes. A keeper closes none."""

NO_TIMEOUT = 365 * 24 * 3600.0

LINK_CONNECTIONS = 1024
"""Of each kind, and at least: the bounds that count are those of the keeper's pool."""

ROUND_SHARE = 8
"""Of the connections to the origin, an eighth may go round a keeper (W7)."""

TERMS_BYTES = 32 * KIB
"""What the fields of the link add to a head at most, beside twice what a client may
send: a credential is packed."""


def lean_routes(table: Iterable[Route]) -> tuple[Route, ...]:
    """The routes of a keeper."""
    return tuple(route.made_lean() for route in table)


def front_hub_options(options: HubOptions) -> HubOptions:
    """Of a front's hub. The breaker is the keeper's, who speaks to the origin."""
    return replace(options, asks_keepers=True, breaker=False)


def keeper_hub_options(options: HubOptions, boot: int) -> HubOptions:
    """Of a keeper's hub, whose viewers are the fronts' (W13)."""
    return replace(
        options,
        routes=lean_routes(options.routes),
        serves_fronts=True,
        boot=boot,
        max_viewers=NO_LIMIT,
        max_viewers_per_stream=NO_LIMIT,
    )


NO_LIMIT = 1 << 40


def front_front_options(options: FrontOptions) -> FrontOptions:
    """Of the clients' side of a front."""
    return replace(options, asks_keepers=True)


def keeper_front_options(options: FrontOptions, end: KeeperEnd) -> FrontOptions:
    """Of the fronts' side of a keeper: only a front closes an idle connection (W12)."""
    limits = options.limits
    wide: Limits = replace(
        limits,
        max_connections=NO_LIMIT,
        head=2 * limits.head + TERMS_BYTES,
        idle_timeout=NO_TIMEOUT,
    )
    return replace(options, link=end, limits=wide)


def link_options(origin: HttpOptions, path: str, hold: float) -> HttpOptions:
    """How a front calls the keeper that listens at ``path``, before an origin that is
    called by ``origin``. ``hold``: how long the keeper lets a poll wait."""
    most = origin.connect_timeout + origin.queue_timeout + MARGIN_SECONDS
    return replace(
        origin,
        url=f"unix:{path}",
        host="keeper",
        tls=TlsOptions(),
        head_timeout=origin.head_timeout + most,
        hold_timeout=max(origin.hold_timeout, hold) + most,
        idle_timeout=origin.idle_timeout + MARGIN_SECONDS,
        max_head=origin.max_head + TERMS_BYTES,
        write_connections=max(origin.write_connections, LINK_CONNECTIONS),
        catch_up_connections=max(origin.catch_up_connections, LINK_CONNECTIONS),
        follow_connections=max(origin.follow_connections, LINK_CONNECTIONS),
        relay_connections=max(origin.relay_connections, LINK_CONNECTIONS),
        keep_alive=LINK_IDLE_SECONDS,
    )


def round_connections(origin: HttpOptions) -> Mapping[Purpose, int]:
    """How many requests of each kind may go round keepers at once."""
    held = max(1, origin.follow_connections // ROUND_SHARE)
    return {
        Purpose.CATCH_UP: max(1, origin.catch_up_connections // ROUND_SHARE),
        Purpose.FOLLOW: held,
        Purpose.EVENTS: held,
        Purpose.WRITE: max(1, origin.write_connections // ROUND_SHARE),
        Purpose.RELAY: max(1, origin.relay_connections // ROUND_SHARE),
    }


class FrontOrigin:
    """A front's keepers, each with a pool of connections of its own."""

    def __init__(
        self,
        view: KeepersView,
        paths: Iterable[str],
        origin: Origin,
        options: HttpOptions,
        board: str,
        hold: float,
        clock: Clock,
        requests: MutableMapping[str, int],
    ) -> None:
        self._links = [HttpOrigin(link_options(options, one, hold)) for one in paths]
        limits = round_connections(options)
        how = KeepersOptions(board=board, round_connections=limits)
        self.origin = Keepers(view, self._links, origin, how, clock, requests)

    def close(self) -> None:
        """Close all connections to keepers."""
        for link in self._links:
            link.close()
