"""Wiring of the link: options and parts of the fronts and keepers of one node.

A node of many processes is made of the same parts as one worker, with other options.
Here each of them is made from what ``edge.wiring`` has for one worker, which calls this
module. ``docs/architecture.md`` has the shape.
"""

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import replace
from typing import NamedTuple

from edge.board.keeper_health import KeeperHealth
from edge.board.lane_view import LaneView
from edge.core.node_counters import CounterSet
from edge.core.ports import Clock, Look, Origin
from edge.core.values import OriginRequest, Purpose, Role
from edge.front.options import KIB, FrontOptions, Limits
from edge.link.channels import Channel
from edge.link.hand_over import HandOver
from edge.link.keepers import Keepers, KeepersOptions, KeepersView
from edge.link.terms_authorizer import authorizer_of
from edge.live.context import HubOptions
from edge.live.counted_origin import CountedOrigin
from edge.live.traced_origin import AskToRecord
from edge.policy.http.link_fields import KeeperEnd
from edge.policy.streams.authorize import Authorizer
from edge.policy.streams.routes import Route
from edge.process.seat import Seat
from origin_adapter.http import HttpOptions, HttpOrigin
from origin_adapter.http.request_encoder import EncodedRequest
from origin_adapter.tls import TlsOptions

MARGIN_SECONDS = 5.0
"""A keeper tells that its origin is late; a front waits longer than that takes."""

LINK_IDLE_SECONDS = 30.0
"""How long a front keeps a connection over which nothing goes. A keeper closes none."""

HAND_OVER_IDLE_SECONDS = 1.0
"""How long a successor keeps a connection to the keeper before it, which waits for it
to be closed."""

HAND_OVER_BEAT_SECONDS = 1.0
"""A keeper whose last beat is older tells its successor nothing any more (W6)."""

LINK_HOST = "keeper"

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


def keeper_hub_options(
    options: HubOptions, boot: int, succeeds: bool = False
) -> HubOptions:
    """Of a keeper's hub, whose viewers are the fronts' (W13). ``succeeds``: there is
    one before it, which is asked while it lives."""
    return replace(
        options,
        routes=lean_routes(options.routes),
        asks_keepers=succeeds,
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
        max_connections_each=NO_LIMIT,
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
        host=LINK_HOST,
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


class BoardKeepers:
    """Implements ``KeepersView`` by the board, as the process with this ``view`` has
    it."""

    def __init__(self, view: LaneView, keepers: int) -> None:
        self._view = view
        self._health = [KeeperHealth() for _ in range(keepers)]
        self.owner = view.owner
        self.is_leaving = view.is_leaving
        self.store_life = view.store_life

    def goes_round(self, keeper: int, now: float) -> bool:
        """See ``KeepersView``."""
        beat = self._view.keeper_beat(keeper)
        return self._health[keeper].look(beat, now).goes_round

    def look(self, now: float) -> None:
        """At each tick: a keeper is gone round by looks that follow each other."""
        for keeper in range(len(self._health)):
            self.goes_round(keeper, now)


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
        max_object: int,
    ) -> None:
        places = tuple(paths)
        self._links = [HttpOrigin(link_options(options, one, hold)) for one in places]
        self._channels = [Channel(one, encoded, max_object) for one in places]
        limits = round_connections(options)
        how = KeepersOptions(board=board, round_connections=limits)
        to = self._links, self._channels, origin
        self.origin = Keepers(view, *to, how, clock, requests)

    def close(self) -> None:
        """Close all connections to keepers."""
        for link in self._links:
            link.close()
        for channel in self._channels:
            channel.close()


def encoded(request: OriginRequest) -> bytes:
    """The head of a read as it goes over a channel. Raises ClientFault."""
    return EncodedRequest.prepare(request, LINK_HOST, "").first


class RoleParts(NamedTuple):
    """What a process is made of in its place: whom it asks, and by what it goes.

    ``authorizer`` None: it judges by itself. ``looks`` are called at each tick, and
    ``close`` at the end. ``end_hand_over``: see ``edge.front.dependencies.Runtime``;
    ``record``: see ``edge.live.traced_origin``.
    """

    origin: Origin
    hub: HubOptions
    front: FrontOptions
    table: tuple[Route, ...]
    authorizer: Authorizer | None = None
    looks: tuple[Look, ...] = ()
    close: Callable[[], None] = lambda: None
    end_hand_over: Callable[[], None] = lambda: None
    record: AskToRecord | None = None


def meaning_of(table: Iterable[Route], origin: HttpOptions) -> str:
    """Stands for the settings that say which stream of which origin is read, and as
    what. Equal in all processes of a node that have the same: they are forked."""
    meant = lean_routes(table), origin.url, origin.host, origin.tls
    return format(hash(meant) & 0xFFFF_FFFF_FFFF_FFFF, "016x")


def hand_over_of(
    seat: Seat, alone: RoleParts, origin: HttpOptions, hold: float, clock: Clock
) -> HandOver | None:
    """Whom a keeper asks while the one before it is there; None: there is none."""
    node, view, path, before = seat.node, seat.view, seat.predecessor_path, seat.before
    if node is None or view is None or path is None:
        return None
    how = link_options(origin, path, hold)
    old = HttpOrigin(replace(how, keep_alive=HAND_OVER_IDLE_SECONDS))

    def lives(now: float) -> bool:
        return now - view.beat_of(before) < HAND_OVER_BEAT_SECONDS

    means = meaning_of(alone.table, origin)
    told = node.board.id, means, clock
    return HandOver(old, alone.origin, *told, lives, old.close)


def role_parts(
    seat: Seat,
    alone: RoleParts,
    origin: HttpOptions,
    hold: float,
    clock: Clock,
    counters: CounterSet,
) -> RoleParts:
    """The parts of the process in this seat, where ``alone`` are those of one worker.
    ``origin`` and ``hold``: see ``link_options``."""
    node, view = seat.node, seat.view
    if node is None or view is None:
        return alone
    board = node.board.id
    if seat.place.role is Role.KEEPER:
        hand_over = hand_over_of(seat, alone, origin, hold, clock)
        end = KeeperEnd(board, seat.boot)
        kept = alone._replace(
            hub=keeper_hub_options(alone.hub, seat.boot, hand_over is not None),
            front=keeper_front_options(alone.front, end),
            table=lean_routes(alone.table),
            authorizer=authorizer_of(board, meaning_of(alone.table, origin)),
        )
        if hand_over is None:
            return kept
        looks, leave = (hand_over.look,), hand_over.end
        return kept._replace(
            origin=hand_over, looks=looks, close=leave, end_hand_over=leave
        )
    keepers = BoardKeepers(view, node.keepers)
    real = CountedOrigin(alone.origin, counters.direct)
    how = origin, board, hold, clock, counters.link_requests, alone.hub.max_object
    front = FrontOrigin(keepers, node.links, real, *how)
    return alone._replace(
        origin=front.origin,
        hub=front_hub_options(alone.hub),
        front=front_front_options(alone.front),
        looks=(keepers.look, front.origin.look),
        close=front.close,
        record=front.origin.record,
    )
