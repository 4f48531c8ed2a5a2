"""Settings that are right alone and wrong together.

Each rule looks at whole, typed settings. It yields the key to change, with one sentence
why. A rule is for a combination that cannot work, or that does not mean what it seems
to mean. What is merely odd is the operator's business. Pure; called by ``load``.
"""

from collections.abc import Callable, Iterator

from edge.core.values import Role
from edge.policy.http.cors import EVERYBODY
from edge.policy.streams import coverage
from edge.policy.streams.pipeline import misplaced_name
from edge.policy.streams.routes import Access, UpstreamCredential
from edge.policy.streams.tags import MAX_TEMPLATES, NAMES_IN_TEMPLATE
from edge.policy.streams.ways import KeySource
from edge.settings import processes, tls_checks
from edge.settings.access import WaysSettings
from edge.settings.addresses import ListenAddress, authority_of
from edge.settings.problems import Conflict, Path, key_name
from edge.settings.process_fields import AUTO
from edge.settings.schema import OriginSettings, RouteSettings, Settings
from edge.settings.units import MiB, write_duration, write_size

EMBEDDED_KEYS = (
    "data",
    "durability",
    "retention_age",
    "retention_size",
    "max_body",
    "local_webhooks",
)
"""Keys of ``origin`` that only the embedded origin has."""

PLURAL = (Role.FRONT, Role.KEEPER)
"""The roles of several processes."""

BESIDE_CACHE = 128 * MiB
"""Memory of a worker beside its cache, with some tens of thousands of viewers."""


def conflicts(settings: Settings) -> Iterator[Conflict]:
    """All conflicts, in the order of the rules."""
    for rule in _RULES:
        yield from rule(settings)


def _places_fit(settings: Settings) -> Iterator[Conflict]:
    """So many processes can share what there is (W13). ``auto`` always fits."""
    workers, keepers = settings.workers, settings.keepers
    path, other = ("keepers",), ("workers",)
    if workers == 1 and keepers not in (AUTO, 0):
        message = "is for several workers, and workers is 1: one needs no keeper"
        yield Conflict(path, message, other)
    elif keepers == 0 and workers not in (AUTO, 1):
        message = "must be at least 1: workers share their streams by keepers alone"
        yield Conflict(path, message, other)
    elif workers != AUTO:
        counts = processes.counts_of(settings)
        if (fault := processes.share_fault(settings, counts)) is not None:
            yield Conflict(other, fault, ("cache", "memory"))
        if (fault := processes.origin_fault(settings, counts)) is not None:
            yield Conflict(path, fault, ("origin", "connections"))


def _own_addresses(settings: Settings) -> Iterator[Conflict]:
    for number, address in enumerate(settings.listen):
        if settings.admin.listen.collides(address):
            message = f"is taken by listen ({address}); choose another address"
            yield Conflict(("admin", "listen"), message, ("listen",))
        if any(address.collides(other) for other in settings.listen[:number]):
            yield Conflict(("listen",), f"has {address} twice")


def _not_before_itself(settings: Settings) -> Iterator[Conflict]:
    own: tuple[tuple[Path, ListenAddress], ...] = (
        *((("listen",), address) for address in settings.listen),
        (("admin", "listen"), settings.admin.listen),
    )
    for path, address in own:
        if _names(settings.origin.call_url, address):
            name = key_name(path)
            message = f"is this edge's own address ({name}); it would ask itself"
            yield Conflict(("origin", "url"), message, path)


def _names(url: str, address: ListenAddress) -> bool:
    """Whether ``url`` leads to ``address``, by their texts alone.

    Where that is every interface, any other name may be another machine's: containers
    all listen at one port. If it is ours all the same, requests end as loops.
    """
    authority = authority_of(url)
    if authority is None:
        return bool(address.path) and url == str(address)
    named = ListenAddress(*authority)
    told = named.local or named.everywhere or not address.everywhere
    return told and not address.path and named.collides(address)


def _embedded_alone(settings: Settings) -> Iterator[Conflict]:
    """No key of the embedded origin is set when ``origin.url`` names another one."""
    origin = settings.origin
    if origin.embedded:
        return
    for key in EMBEDDED_KEYS:
        if getattr(origin, key) != OriginSettings.model_fields[key].default:
            message = "is for the embedded origin, and origin.url names another"
            yield Conflict(("origin", key), message, ("origin", "url"))


def _sizes_fit(settings: Settings) -> Iterator[Conflict]:
    cache = settings.cache
    if cache.max_page > cache.max_object:
        bound = write_size(cache.max_object)
        message = f"is above cache.max_object ({bound}); no page could be that large"
        yield Conflict(("cache", "max_page"), message, ("cache", "max_object"))
    if cache.max_object > cache.memory:
        bound = write_size(cache.memory)
        message = f"is above cache.memory ({bound}); one object would evict everything"
        yield Conflict(("cache", "max_object"), message, ("cache", "memory"))


def _spool_fits(settings: Settings) -> Iterator[Conflict]:
    cache = settings.cache
    size = cache.spool.size
    if size is None and cache.spool.path is not None:
        message = "is of no use: cache.spool.size is null, which is no spool"
        yield Conflict(("cache", "spool", "path"), message, ("cache", "spool", "size"))
    if 0 < cache.spool_size < cache.max_object + MiB:
        least = write_size(cache.max_object + MiB)
        message = (
            f"must be at least {least}, which is 1MiB above cache.max_object: what "
            "goes there is larger than that. null: no spool"
        )
        path = ("cache", "spool", "size")
        yield Conflict(path, message, ("cache", "max_object"))


def _disk_fits(settings: Settings) -> Iterator[Conflict]:
    cache = settings.cache
    if cache.disk.path is not None and cache.disk.size < cache.max_object:
        bound = write_size(cache.max_object)
        message = f"is below cache.max_object ({bound}); no history would fit"
        yield Conflict(("cache", "disk", "size"), message, ("cache", "max_object"))


def _recycling_ends(settings: Settings) -> Iterator[Conflict]:
    """A full cache alone must not put a worker over its memory bound."""
    memory = settings.recycle.memory
    roles = (Role.WORKER,) if processes.counts_of(settings).alone else PLURAL
    cache = max(processes.memory_share(settings, role) for role in roles)
    if memory is not None and memory < cache + BESIDE_CACHE:
        least = write_size(cache + BESIDE_CACHE)
        message = (
            f"must be at least {least}, which is {write_size(BESIDE_CACHE)} above "
            "cache.memory, or above a keeper's share of it: a process with a full "
            "cache would be replaced again and again"
        )
        yield Conflict(("recycle", "memory"), message, ("cache", "memory"))


def _trust_is_reached(settings: Settings) -> Iterator[Conflict]:
    cache = settings.cache
    if cache.trust > cache.verify:
        bound = write_duration(cache.verify)
        message = f"is above cache.verify ({bound}), after which the origin is asked"
        yield Conflict(("cache", "trust"), message, ("cache", "verify"))


def _age_stays_below(settings: Settings) -> Iterator[Conflict]:
    """Age counts from the last confirmation and must stay below max-age (L16)."""
    cache = settings.cache
    if 0 < cache.closed_max_age < cache.verify:
        bound = write_duration(cache.verify)
        message = (
            f"is below cache.verify ({bound}); an answer could leave older than that. "
            "Take 0 to let nobody keep one, or lower cache.verify"
        )
        yield Conflict(("cache", "closed_max_age"), message, ("cache", "verify"))


def _pools_leave_room(settings: Settings) -> Iterator[Conflict]:
    origin = settings.origin
    if origin.write_connections < 1:
        message = (
            f"must be at least 3 below origin.connections ({origin.connections}): "
            "reads, writes and what passes need connections too"
        )
        yield Conflict(("origin", "max_followers"), message, ("origin", "connections"))


def _routes_are_told_apart(settings: Settings) -> Iterator[Conflict]:
    first: dict[str, int] = {}
    for index, route in enumerate(settings.routes):
        before = first.setdefault(route.match, index)
        if before != index:
            message = f"is the same as routes[{before}].match; this route is never met"
            yield Conflict(("routes", index, "match"), message)


def _route_headers(settings: Settings) -> Iterator[Conflict]:
    for index, route in enumerate(settings.routes):
        for key, name, why in _wrong_headers(route):
            yield Conflict(("routes", index, key), f"cannot hold {name}: {why}")


def _routes_by_ways(settings: Settings) -> Iterator[Conflict]:
    """What the ways of a route say fits the route (B8, B20)."""
    for index, route in enumerate(settings.routes):
        for key, why in _wrong_by_ways(route):
            yield Conflict(("routes", index, *key), why)


def _wrong_by_ways(route: RouteSettings) -> Iterator[tuple[Path, str]]:
    misplaced = misplaced_name(route.match)
    if misplaced is not None:
        yield ("match",), misplaced
    for why in _wrong_upstream(route):
        yield ("upstream",), why
    if not isinstance(route.access, WaysSettings):
        return
    for key in ("credential_headers", "credential_parameters", "expires_parameters"):
        if getattr(route, key) != RouteSettings.model_fields[key].default:
            yield (key,), "is for other routes: here the ways say what is a credential"
    signed = route.access.signed
    if signed is not None and signed.public and len(route.access.names) > 1:
        why = "a cache that shares answers would not judge the tokens of another way"
        yield ("access", "signed", "public"), f"is for routes with no other way: {why}"
    jwt = route.access.jwt
    for name in jwt.bind if jwt is not None else ():
        if f"{{{name}}}" not in route.match.split("/"):
            why = f"bind: match has no segment {{{name}}}"
            yield ("access", "jwt"), why


def _wrong_upstream(route: RouteSettings) -> Iterator[str]:
    """With whose credential the origin is asked for what all share (B7)."""
    names = route.access.names if isinstance(route.access, WaysSettings) else ()
    if route.upstream is UpstreamCredential.LENT and names != ("origin",):
        yield "lent is for the way origin alone: who else lends a credential to it"
    if route.upstream is UpstreamCredential.OWN and not names:
        yield "is for routes with ways: on others each client's credential goes along"
    if route.upstream is None and "origin" in names and len(names) > 1:
        yield (
            "must be own where origin stands beside another way: who comes by the "
            "other one has no credential of the origin's to lend"
        )


def _own_endpoints(settings: Settings) -> Iterator[Conflict]:
    """No endpoint of the way ``forward`` is this edge, which would ask itself."""
    own = (
        *(("listen", address) for address in settings.listen),
        ("admin.listen", settings.admin.listen),
    )
    why = "url: is this edge's own address ({}); it would ask itself"
    for index, route in enumerate(settings.routes):
        ways = route.access
        forward = ways.forward if isinstance(ways, WaysSettings) else None
        for name, address in own:
            if forward is not None and _names(forward.url, address):
                path = ("routes", index, "access", "forward")
                yield Conflict(path, why.format(name))


def _credentials_by_list(settings: Settings) -> Iterator[Conflict]:
    """Pages that may use what a browser sends by itself are named (A11)."""
    for index, route in enumerate(settings.routes):
        if not route.cors_credentials:
            continue
        path, other = ("routes", index, "cors_credentials"), ("routes", index)
        why = ""
        if EVERYBODY in route.cors_origins:
            why = (
                'cannot be with "*": every page on the web could read in the name of '
                "whoever visits it; list the pages that may"
            )
        elif not route.cors_origins:
            why = "is without effect: cors_origins lists nobody"
        if why:
            yield Conflict(path, why, (*other, "cors_origins"))


def _identity_is_the_edges(settings: Settings) -> Iterator[Conflict]:
    """No client, and nothing else, sets a field that tells the origin who asks (B9)."""
    named = {name for route in settings.routes for name in route.identity}
    for index, route in enumerate(settings.routes):
        path = ("routes", index)
        if route.identity and not isinstance(route.access, WaysSettings):
            yield Conflict(
                (*path, "identity"), "is for routes with ways: who else says"
            )
        for key, names in (
            ("request_headers", route.request_headers),
            ("origin_headers", tuple(name.lower() for name in route.origin_headers)),
            ("credential_headers", route.credential_headers),
        ):
            for name in sorted(named.intersection(names)):
                why = f"cannot hold {name}: it tells the origin who asks (identity)"
                yield Conflict((*path, key), why)
    for name in sorted(named.intersection(n.lower() for n in settings.origin.headers)):
        why = f"cannot hold {name}: it tells the origin who asks (identity)"
        yield Conflict(("origin", "headers"), why)


def _tags_of_routes(settings: Settings) -> Iterator[Conflict]:
    """Templates of tags name what the glob of their route names (L28)."""
    for index, route in enumerate(settings.routes):
        path, segments = ("routes", index, "tags"), route.match.split("/")
        if len(route.tags) > MAX_TEMPLATES:
            yield Conflict(path, f"expected at most {MAX_TEMPLATES} of them")
        names = {n for tag in route.tags for n in NAMES_IN_TEMPLATE.findall(tag)}
        for name in sorted(names):
            if f"{{{name}}}" not in segments:
                yield Conflict(path, f"match has no segment {{{name}}}")


def _one_issuer_for_each_key(settings: Settings) -> Iterator[Conflict]:
    """A key belongs to one issuer: what signs tokens of another could sign these."""
    first: dict[KeySource, str | None] = {}
    for index, route in enumerate(settings.routes):
        jwt = route.access.jwt if isinstance(route.access, WaysSettings) else None
        for key in jwt.keys if jwt is not None else ():
            assert jwt is not None
            if first.setdefault(key.source, jwt.issuer) != jwt.issuer:
                why = "keys: one of them is another issuer's on another route"
                yield Conflict(("routes", index, "access", "jwt"), why)


def warnings(settings: Settings) -> Iterator[Conflict]:
    """What works, and may not be what was meant."""
    for rule in _WARNINGS:
        yield from rule(settings)


def _routes_are_met(settings: Settings) -> Iterator[Conflict]:
    """Each route has a path that no route before it covers."""
    matches = [route.match for route in settings.routes]
    for index, match in enumerate(matches):
        found = coverage.covering(match, matches[:index])
        if not found:
            continue
        names = " and ".join(f"routes[{n}].match ({matches[n]})" for n in found)
        verb = "covers" if len(found) == 1 else "together cover"
        message = f"is never met: {names} {verb} all of its paths; put it before"
        yield Conflict(("routes", index, "match"), message)


def _admin_is_guarded(settings: Settings) -> Iterator[Conflict]:
    admin = settings.admin
    if admin.token is None and not admin.listen.local:
        message = (
            f"{admin.listen} is reached from other machines, and no admin.token guards "
            "it: whoever reaches it reads metrics and the paths of streams"
        )
        yield Conflict(("admin", "listen"), message)


def _signed_is_first(settings: Settings) -> Iterator[Conflict]:
    for index, route in enumerate(settings.routes):
        ways = route.access
        if not isinstance(ways, WaysSettings) or "signed" not in ways.names[1:]:
            continue
        message = (
            "signed is not the first way: a signed URL is refused to whoever also "
            "sends a bad token, as browsers do with an old cookie"
        )
        yield Conflict(("routes", index, "access", "signed"), message)
    proxied = any(address.proxy_protocol for address in settings.listen)
    if proxied and not settings.trusted_proxies:
        message = (
            "proxy_protocol without trusted_proxies: whoever reaches that address can "
            "say that it is anybody"
        )
        yield Conflict(("listen",), message)


def _wrong_headers(route: RouteSettings) -> Iterator[tuple[str, str, str]]:
    public = route.access is Access.PUBLIC
    by_ways = isinstance(route.access, WaysSettings)
    for name in route.request_headers:
        if name in _BUILT_UPSTREAM:
            yield "request_headers", name, "the edge builds its own"
        elif by_ways and name in ("authorization", "cookie"):
            why = "no client's credential goes upstream where ways judge"
            yield "request_headers", name, why
        elif public and name in route.credential_headers:
            why = "a public route sends no client's credential upstream"
            yield "request_headers", name, why
    for name in route.response_headers:
        if name in _BUILT_DOWNSTREAM or name.startswith("access-control-"):
            yield "response_headers", name, "the edge builds its own"
        elif name == "set-cookie":
            why = "an answer that sets a cookie is never shared"
            yield "response_headers", name, why


# The edge sends a read in its own name: the terms of one client must not apply to all
# who share the answer (E30, E31; L13).
_BUILT_UPSTREAM = frozenset(
    (
        "accept-encoding",
        "cache-control",
        "cdn-loop",
        "forwarded",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "pragma",
        "range",
        "traceparent",
        "via",
        "x-request-id",
    )
)

# Answers are built, not forwarded (L15, L18).
_BUILT_DOWNSTREAM = frozenset(
    (
        "age",
        "cache-control",
        "cache-status",
        "cdn-cache-control",
        "content-encoding",
        "content-type",
        "cross-origin-resource-policy",
        "date",
        "etag",
        "expires",
        "surrogate-control",
        "vary",
        "via",
        "x-content-type-options",
    )
)

_WARNINGS: tuple[Callable[[Settings], Iterator[Conflict]], ...] = (
    _admin_is_guarded,
    tls_checks.certificates_last,
    _routes_are_met,
    _signed_is_first,
)

_RULES: tuple[Callable[[Settings], Iterator[Conflict]], ...] = (
    _places_fit,
    _own_addresses,
    _not_before_itself,
    _embedded_alone,
    tls_checks.origin_by_tls,
    tls_checks.listeners_by_tls,
    _sizes_fit,
    _spool_fits,
    _disk_fits,
    _recycling_ends,
    _trust_is_reached,
    _age_stays_below,
    _pools_leave_room,
    _routes_are_told_apart,
    _route_headers,
    _routes_by_ways,
    _own_endpoints,
    _credentials_by_list,
    _identity_is_the_edges,
    _one_issuer_for_each_key,
    _tags_of_routes,
)
