"""Wiring: the one place that names the concrete parts.

It reads from top to bottom. Settings become each part's options. Options become one
worker's parts (``EdgeRuntime``). ``serve`` runs workers that are made of them. A
runtime is built in its worker, after the fork and gevent's patch, so no socket and no
greenlet crosses a fork. Only ``edge.cli`` calls this module.
"""

import os
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import inf

import gevent

from edge.access.authorizer import AccessAuthorizer
from edge.access.denials import Denials
from edge.access.judges import Askers
from edge.access.key_ring import KeyRings
from edge.access.leases import Leases
from edge.access.revocation_file import RevocationFile
from edge.access.revocations import Revocations
from edge.access.revoker import Revoker
from edge.ask_wiring import AskPools, fetch_keys, node_of, origin_bases
from edge.board.lane_view import LaneView
from edge.core.counters import Counters
from edge.core.node_counters import CounterSet
from edge.core.ports import Clock
from edge.core.values import PRODUCT, Headers, Role
from edge.file_wiring import worker_files
from edge.front.dependencies import Dependencies
from edge.front.options import BLANKED, FrontOptions, Limits, LogOptions
from edge.front.tls import ListenerTls
from edge.live.context import HubOptions
from edge.live.control import HubControl
from edge.live.hub import Hub
from edge.live.timed_origin import TimedOrigin
from edge.node_wiring import RoleParts, role_parts
from edge.policy.http.client_address import TrustedProxies
from edge.policy.http.link_fields import without_internal
from edge.policy.http.url_rewrite import OriginAddresses
from edge.policy.streams.answers import FreshnessOptions
from edge.policy.streams.authorize import Authorizer, authorize
from edge.policy.streams.decide import Rules
from edge.policy.streams.routes import Route
from edge.policy.streams.ways import JwtWay
from edge.process.arbiter import Renewal
from edge.process.gunicorn_app import EdgeApplication, NextPlan, Plan
from edge.process.open_node import OpenNode, open_node
from edge.process.options import RecycleOptions, ServerOptions
from edge.process.seat import Seat
from edge.settings import Settings, processes
from edge.settings.dump import for_people
from edge.settings.listener_tls import TlsSettings, server_context
from edge.settings.renewed import RenewedSettings
from edge.settings.units import DAY, write_rate
from edge.trace_wiring import import_early, traces_of
from origin_adapter.http import HttpOptions, HttpOrigin


def routes(settings: Settings) -> tuple[Route, ...]:
    """The routes, each with the edge's credential for shared partitions (L13).

    That is the route's own credential, or else the one for all of the origin. And with
    the fields in which caches below are told of tags (L28).
    """
    own, tag_headers = settings.origin.plain_headers, settings.cache.tag_headers
    return tuple(
        replace(
            route,
            origin_headers=route.origin_headers or own,
            tag_headers=tag_headers,
        )
        for route in settings.route_table
    )


def hub_options(settings: Settings, node_id: str) -> HubOptions:
    """What the hub goes by: rules, times and bounds of the live part."""
    live, cache, limits = settings.live, settings.cache, settings.limits
    return HubOptions(
        routes=routes(settings),
        rules=Rules(max_page=cache.max_page, verify=cache.verify, trust=cache.trust),
        freshness=FreshnessOptions(
            closed_max_age=cache.closed_max_age,
            stale_while_revalidate=cache.stale_while_revalidate,
            immutable_max_age=cache.immutable_max_age,
            live_max_age=cache.live_max_age,
        ),
        node=node_of(settings, node_id),
        long_poll_timeout=live.long_poll_timeout,
        sse_lifetime=live.sse_lifetime,
        sse_keep_alive=live.sse_keep_alive,
        linger=live.linger,
        follow_reads=live.follow_after.count,
        follow_within=live.follow_after.seconds,
        hold=settings.origin.read_timeout,
        memory=cache.memory,
        max_object=cache.max_object,
        spool_size=cache.spool_size,
        viewer_lag=limits.viewer_lag,
        max_viewers=limits.viewers,
        max_viewers_per_stream=limits.viewers_per_stream,
        max_flights=limits.flights,
        max_relays=settings.origin.max_relays,
        max_relays_per_stream=limits.relays_per_stream,
        max_relays_per_client=limits.relays_per_client,
        max_followers=settings.origin.max_followers,
        max_streams=limits.streams,
        max_retry_after=settings.origin.max_retry_after,
        breaker=settings.origin.breaker,
    )


def seated(options: HubOptions, seat: Seat) -> HubOptions:
    """What the hub goes by in this place. Keepers share the room of the spool."""
    keepers = 1 if seat.node is None else seat.node.keepers
    is_keeper = seat.place.role is Role.KEEPER
    return replace(
        options,
        board=seat.view,
        # A keeper's readers are fronts, who have counted their clients (W13).
        bounds=None if is_keeper else seat.bounds,
        serves_fronts=is_keeper,
        spool_size=options.spool_size // keepers,
    )


def front_options(settings: Settings, node_id: str) -> FrontOptions:
    """How this node presents itself to clients and to the origin."""
    return FrontOptions(
        name=PRODUCT,
        node=node_of(settings, node_id),
        public_url=settings.public_url,
        origin_bases=origin_bases(settings),
        limits=limits_of(settings),
        trusted_proxies=TrustedProxies.of(settings.trusted_proxies),
    )


def limits_of(settings: Settings) -> Limits:
    """Where the edge refuses a client."""
    limits = settings.limits
    return Limits(
        max_connections=limits.connections,
        max_connections_each=limits.connections_each,
        head=limits.head,
        max_body=limits.max_body,
        idle_timeout=limits.idle_timeout,
        head_timeout=limits.head_timeout,
        body_timeout=limits.body_timeout,
        send_timeout=limits.send_timeout,
    )


def server_options(settings: Settings) -> ServerOptions:
    """The process: addresses, workers, how it ends."""
    counts = processes.counts_of(settings)
    log, recycle = settings.log, settings.recycle
    return ServerOptions(
        listen=tuple(map(str, settings.listen)),
        proxy_protocol=tuple(one.proxy_protocol for one in settings.listen),
        admin=str(settings.admin.listen),
        admin_token=settings.admin.plain_token,
        admin_names=settings.admin.all_names,
        workers=counts.workers,
        keepers=counts.keepers,
        delay=settings.shutdown.delay,
        grace=settings.shutdown.grace,
        limits=limits_of(settings),
        recycle=RecycleOptions(
            after_requests=recycle.after_requests,
            memory=recycle.memory,
            least_age=recycle.least_age,
        ),
        log=LogOptions(
            format=log.format.value,
            level=log.level.value,
            access=log.access,
            blanked=BLANKED.union(
                name.lower()
                for route in settings.route_table
                for name in route.credential_parameters
            ),
        ),
    )


def http_options(settings: Settings) -> HttpOptions:
    """How the origin is called."""
    origin = settings.origin
    return HttpOptions(
        url=origin.call_url,
        host=origin.host,
        tls=origin.tls,
        connect_timeout=origin.connect_timeout,
        head_timeout=origin.head_timeout,
        hold_timeout=origin.read_timeout,
        idle_timeout=origin.idle_timeout,
        max_head=origin.max_head,
        write_connections=origin.write_connections,
        catch_up_connections=origin.catch_up_connections,
        follow_connections=origin.max_followers,
        relay_connections=origin.relay_connections,
        keep_alive=origin.keep_alive,
    )


@dataclass(frozen=True, slots=True)
class Judging:
    """Who judges requests, and who takes back what they let in (None: nobody can)."""

    authorizer: Authorizer
    leases: Leases
    revoker: Revoker | None


def judging(
    settings: Settings,
    table: tuple[Route, ...],
    clock: Clock,
    counters: Counters,
    askers: Askers | None = None,
    view: LaneView | None = None,
) -> Judging:
    """Who judges requests: the origin alone, unless a route has ways.

    ``table`` are the routes that requests are found in: judges are known by their ways.
    ``askers``: how somebody else is asked; None: nobody is. ``view``: of the node's
    board; None: there is one worker. Raises RevocationFault, OSError.
    """
    leases = Leases()
    if not any(route.ways for route in table):
        return Judging(authorize, leases, None)
    # As they were when the settings were checked: a worker must not fail to start.
    read = settings.key_files.__getitem__
    rings = KeyRings(table, read, fetch_keys, clock, counters)
    revocations = revocations_of(table)
    judge = AccessAuthorizer(
        table,
        rings,
        clock,
        counters,
        settings.public_url,
        askers=askers,
        revocations=revocations,
        leases=leases,
        denials=denials_of(settings, clock, view),
    )
    path = settings.access.revocations
    file = None if path is None else RevocationFile(path)
    revoker = Revoker(revocations, leases, file, clock, counters)
    revoker.forget = judge.forget
    revoker.load()
    return Judging(judge, leases, revoker)


def denials_of(
    settings: Settings, clock: Clock, view: LaneView | None = None
) -> Denials:
    """How many bad credentials a client may show, in the node where there is one."""
    rate = settings.limits.denied_per_client
    if rate is None:
        return Denials(clock.monotonic, inf)
    shared = None if view is None else view.denials(write_rate(rate))
    return Denials(clock.monotonic, rate.count, rate.seconds, shared)


def revocations_of(table: Iterable[Route]) -> Revocations:
    """No orders yet. Each is kept until the tokens that it names have ended: those that
    were issued before it end so long after it at the latest (B13)."""
    ways = [way for route in table for way in route.ways if isinstance(way, JwtWay)]
    leeway = max((way.leeway for way in ways), default=0.0)
    # One leeway may be in ``exp`` itself, for it is compared with another clock.
    lives = (way.max_lifetime + 2 * way.leeway for way in ways)
    return Revocations(max(lives, default=DAY), leeway)


class SystemClock:
    """The machine's clocks."""

    # Bound directly: each answer reads the clocks several times.
    wall = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)


class EdgeRuntime:
    """One process's parts, alive (``edge.front.dependencies.Runtime``)."""

    def __init__(self, settings: Settings, node_id: str, seat: Seat) -> None:
        settings = processes.in_place(settings, seat.place.role)
        self.counter_set, clock = CounterSet(), SystemClock()
        counters = self.counter_set.own
        addresses = OriginAddresses(origin_bases(settings))

        def hidden(headers: Headers) -> Headers:
            return without_internal(addresses.hidden(headers))

        called = http_options(settings)
        # Alone, nobody here reads a field of the link.
        shown = addresses.hidden if seat.node is None else hidden
        self._origin = HttpOrigin(called, hidden=shown)
        counted = self.counter_set
        is_front = seat.place.role is Role.FRONT
        called_by = counted.direct if is_front else counted.own
        alone = RoleParts(
            TimedOrigin(self._origin, called_by.timings, clock.monotonic),
            seated(hub_options(settings, node_id), seat),
            front_options(settings, node_id),
            routes(settings),
        )
        hold = settings.live.long_poll_timeout
        role = role_parts(seat, alone, called, hold, clock, self.counter_set)
        self._files = files = worker_files(settings, seat)
        stores = files.spool, files.disk
        name = alone.front.node.name
        self._traces = traces = traces_of(settings, seat, name, counters, clock)
        origin = (
            role.origin if traces is None else traces.around(role.origin, role.record)
        )
        self._hub = Hub(origin, role.hub, counters, clock, *stores)
        self._close_role, self._end_hand_over = role.close, role.end_hand_over
        self.control = HubControl(self._hub)
        self._started = False
        self._ask_pools = AskPools(settings)
        askers = self._ask_pools.askers(node_id)
        if role.authorizer is None:
            judged = judging(settings, role.table, clock, counters, askers, seat.view)
        else:
            judged = Judging(role.authorizer, Leases(), None)
        self.revoker = judged.revoker
        judged.leases.cut = self._hub.lapses.look
        looks = () if self.revoker is None else (self.revoker.look,)
        for look in (*looks, *role.looks):
            self._hub.ticker.register(look)
        self.parts = Dependencies(
            self._hub,
            origin,
            role.table,
            counters,
            clock,
            role.front,
            self._hub.answer_cache.peek,
            self._hub.ticker,
            judged.authorizer,
            lambda: self._hub.draining,
            None if traces is None else traces.spans,
        )

    def end_hand_over(self) -> None:
        """See Runtime."""
        self._end_hand_over()

    def start(self) -> None:
        """See Runtime."""
        if self._traces is not None:
            self._traces.start()
        self._hub.start()
        self._started = True

    def ready(self) -> bool:
        """See Runtime."""
        return self._started and not self._hub.draining

    def drain(self, grace: float) -> None:
        """See Runtime."""
        self._hub.begin_drain()
        gevent.spawn(self._hub.drain, grace)

    def let_go(self) -> None:
        """See Runtime."""
        self._hub.let_go()

    def stop(self) -> None:
        """See Runtime."""
        self._hub.stop()
        self._close_role()
        self._origin.close()
        self._ask_pools.close()
        self._files.stop()
        if self._traces is not None:
            self._traces.stop()


def serve(
    settings: Settings,
    written: Settings,
    again: Callable[[Settings], RenewedSettings],
    serving: Callable[[], None],
) -> None:
    """Run the edge until it is told to stop. Does not return.

    ``written`` are the settings before this machine bounded them. ``again`` is given
    those in force at a reload, and gives the ones to go on with, or says why there are
    none. ``serving`` is called once the edge accepts connections. gevent must have
    patched everything already (``edge.cli.serve``). Raises RunFolderFault.
    """
    # All workers are one node: a request that comes back to any of them has been
    # here before (L26, U10).
    node_id = secrets.token_hex(8)

    def planned_again(before: Plan) -> NextPlan:
        assert isinstance(before.settings, Settings)
        found, written, changed, problems = again(before.settings)
        renewal = Renewal(changed, problems)
        next_one = None if found is None else plan(found, written, node_id)
        return NextPlan(next_one, renewal)

    first, node = plan(settings, written, node_id), node_of_processes(settings)
    EdgeApplication(first, planned_again, serving, node).run()


def node_of_processes(settings: Settings) -> OpenNode | None:
    """What several processes share; None where there is one worker.

    Raises RunFolderFault.
    """
    counts = processes.counts_of(settings)
    if counts.alone:
        return None
    return open_node(*counts, settings.run_folder, os.environ)


def plan(settings: Settings, written: Settings, node_id: str) -> Plan:
    """What workers are made of from now on."""
    import_early(settings)
    return Plan(
        lambda seat: EdgeRuntime(settings, node_id, seat),
        server_options(settings),
        listeners_tls(settings),
        written,
        lambda: for_people(written),
    )


def listeners_tls(settings: Settings) -> tuple[ListenerTls | None, ...]:
    """How TLS is spoken at each listener. Made in the master, for all its workers."""
    return tuple(
        None if (tls := one.tls) is None else listener_tls(tls)
        for one in settings.listen
    )


def listener_tls(settings: TlsSettings) -> ListenerTls:
    """How TLS is spoken at one listener."""
    return ListenerTls(server_context(settings), settings.expires_at)
