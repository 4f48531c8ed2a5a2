"""The settings: every key, its type and its default.

The rest of the edge is given ``Settings``: frozen, whole, and each key valid by itself.
``cross_checks`` compares keys with each other. Durations are seconds, sizes are bytes.
Secrets are ``SecretStr``: no log and no ``repr`` shows one. Properties that return
secrets in plain have names that begin with ``plain_``.

A key exists here only if it has an effect: a key without one would promise a protection
that is not there. ``config/edge.yaml`` and ``docs/configuration.md`` describe the keys;
tests compare all three.
"""

import enum
import os
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, PrivateAttr

from edge.access.credentials import by_ways
from edge.policy.streams.routes import (
    Access,
    Follow,
    OriginNoStore,
    Recreate,
    Route,
    TagHeader,
    TailMode,
    UpstreamCredential,
)
from edge.settings.access import AccessSettings, WaysSettings
from edge.settings.addresses import EMBEDDED, ListenAddress
from edge.settings.fields import (
    Authority,
    BaseUrl,
    BodySize,
    CorsOrigins,
    Count,
    Duration,
    FilePath,
    Flag,
    Folder,
    HeaderName,
    HostName,
    LifeTime,
    Listen,
    MaxAge,
    MediaRange,
    NodeName,
    OriginUrl,
    ParameterName,
    PathGlob,
    RateLimit,
    SecretHeaders,
    Share,
    Size,
    Statuses,
    TagTemplate,
    Timeout,
    Token,
    TrustedProxy,
)
from edge.settings.files import KeyFile, PemFile
from edge.settings.listeners import Listeners
from edge.settings.process_fields import AUTO, Keepers, Workers
from edge.settings.section import Section
from edge.settings.tracing import TracingSettings
from edge.settings.units import DAY, GiB, KiB, MiB, Rate
from origin_adapter.embedded.options import Durability
from origin_adapter.tls import TlsOptions


class LogFormat(enum.Enum):
    """How a log line is written."""

    JSON = "json"
    TEXT = "text"


class LogLevel(enum.Enum):
    """The least severe line that is written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def plain_headers(headers: SecretHeaders) -> tuple[tuple[str, str], ...]:
    """Header fields with their secret values in plain, to be sent upstream."""
    return tuple((name, value.get_secret_value()) for name, value in headers.items())


def _octets(file: KeyFile | None) -> bytes | None:
    return None if file is None else file.octets


class NodeSettings(Section):
    """How this edge calls itself among others."""

    name: NodeName | None = None


class OriginSettings(Section):
    """Where the streams live, and how the edge speaks to it.

    The keys from ``data`` to ``local_webhooks`` are the embedded origin's.
    """

    url: OriginUrl = EMBEDDED
    data: Folder = "var/origin"
    durability: Durability = Durability.FULL
    retention_age: Timeout | None = None
    retention_size: Size | None = None
    max_body: BodySize = 16 * MiB
    local_webhooks: Flag = False
    host: Authority | None = None
    addresses: tuple[BaseUrl, ...] = ()
    ca_file: PemFile | None = None
    certificate_file: PemFile | None = None
    key_file: PemFile | None = None
    server_name: HostName | None = None
    headers: SecretHeaders = Field(default_factory=dict)
    connect_timeout: Timeout = 2.0
    head_timeout: Timeout = 30.0
    read_timeout: Timeout = 65.0
    idle_timeout: Timeout = 30.0
    keep_alive: Timeout = 4.0
    connections: Count = 1024
    max_followers: Count = 512
    max_head: Size = 64 * KiB
    max_retry_after: Duration = 60.0
    breaker: Flag = True

    @property
    def embedded(self) -> bool:
        """Whether the origin is the one that comes with the edge."""
        return self.url == EMBEDDED

    @property
    def folder(self) -> str:
        """``data``, absolute."""
        return os.path.abspath(self.data)

    @property
    def socket(self) -> str:
        """The path at which the embedded origin listens for its edge."""
        return os.path.join(self.folder, "origin.sock")

    @property
    def call_url(self) -> str:
        """Where calls go: ``url``, or the embedded origin's socket."""
        return f"unix:{self.socket}" if self.embedded else self.url

    @property
    def tls(self) -> TlsOptions:
        """How the origin is spoken to by TLS."""
        return TlsOptions(
            ca=_octets(self.ca_file),
            certificate=_octets(self.certificate_file),
            key=_octets(self.key_file),
            server_name=self.server_name,
        )

    @property
    def catch_up_connections(self) -> int:
        """Connections for reads: what the other purposes leave (L24)."""
        taken = self.max_followers + self.write_connections + self.relay_connections
        return self.connections - taken

    @property
    def write_connections(self) -> int:
        """Connections for writes: a third of what followers leave (L24)."""
        return (self.connections - self.max_followers) // 3

    @property
    def relay_connections(self) -> int:
        """Connections for what passes one to one: as many as for writes."""
        return self.write_connections

    @property
    def max_relays(self) -> int:
        """Of these, those that reads of streams may take: three quarters. The rest is
        for requests that are no reads of streams."""
        return max(1, self.relay_connections * 3 // 4)

    @property
    def plain_headers(self) -> tuple[tuple[str, str], ...]:
        """``headers`` with the secrets in plain."""
        return plain_headers(self.headers)


_ROUTE = Route()
"""Settings of a path that no route matches, and defaults of every route."""


class RouteSettings(Section):
    """A family of paths and what its operator declares about it."""

    match: PathGlob = _ROUTE.match
    access: AccessSettings = _ROUTE.access
    recreate: Recreate = _ROUTE.recreate
    tail: TailMode = _ROUTE.tail
    follow: Follow = _ROUTE.follow
    origin_no_store: OriginNoStore = _ROUTE.origin_no_store
    credential_headers: tuple[HeaderName, ...] = _ROUTE.credential_headers
    credential_parameters: tuple[ParameterName, ...] = _ROUTE.credential_parameters
    expires_parameters: tuple[ParameterName, ...] = _ROUTE.expires_parameters
    request_headers: tuple[HeaderName, ...] = _ROUTE.request_headers
    response_headers: tuple[HeaderName, ...] = _ROUTE.response_headers
    tags: tuple[TagTemplate, ...] = _ROUTE.tags
    origin_headers: SecretHeaders = Field(default_factory=dict)
    identity: tuple[HeaderName, ...] = _ROUTE.identity
    upstream: UpstreamCredential | None = None
    json_types: tuple[MediaRange, ...] = Field(default=_ROUTE.json_types, alias="json")
    compress: Flag = _ROUTE.compress
    cors_origins: CorsOrigins = _ROUTE.cors_origins
    cors_credentials: Flag = _ROUTE.cors_credentials
    stale_if_error: Statuses = _ROUTE.stale_if_error
    stale_for: Duration = _ROUTE.stale_for
    stale_after: Duration = _ROUTE.stale_after

    def to_route(self) -> Route:
        """The route as ``edge.policy`` reads it, with secrets in plain."""
        plain = {name: getattr(self, name) for name in type(self).model_fields}
        plain["origin_headers"] = plain_headers(self.origin_headers)
        plain["upstream"] = self.upstream or self._usual_upstream
        if not isinstance(self.access, WaysSettings):
            return Route(**plain)
        plain["access"] = Access.GRANTED
        return by_ways(Route(**plain), self.access.ways)

    @property
    def _usual_upstream(self) -> UpstreamCredential:
        """``upstream`` where it is not set: who was let in by the origin lends."""
        ways = self.access.names if isinstance(self.access, WaysSettings) else ()
        return (
            UpstreamCredential.LENT if ways == ("origin",) else UpstreamCredential.OWN
        )


class JudgingSettings(Section):
    """What all routes with ways have in common."""

    revocations: FilePath | None = None


class LiveSettings(Section):
    """Long-polls and SSE."""

    long_poll_timeout: Timeout = 30.0
    sse_lifetime: LifeTime = 60.0
    sse_keep_alive: Timeout = 15.0
    linger: Duration = 5.0
    follow_after: RateLimit = Rate(4, 1.0)


class SpoolSettings(Section):
    """Where answers go that are too large to be held (S1)."""

    path: Folder | None = None
    size: Size | None = 2 * GiB


class DiskSettings(Section):
    """Where ranges outlive the memory and the process (S2)."""

    path: Folder | None = None
    size: Size = 16 * GiB


class CacheSettings(Section):
    """What is held, how long it is taken to be right, and what clients may keep."""

    memory: Size = 256 * MiB
    max_page: Size = MiB
    max_object: Size = 16 * MiB
    spool: SpoolSettings = SpoolSettings()
    disk: DiskSettings = DiskSettings()
    verify: Timeout = 60.0
    trust: Duration = 30.0
    closed_max_age: MaxAge = 60
    stale_while_revalidate: MaxAge = 300
    immutable_max_age: MaxAge = int(365 * DAY)
    live_max_age: MaxAge = 20
    tag_headers: tuple[TagHeader, ...] = ()

    @property
    def spool_size(self) -> int:
        """``spool.size``, 0 for none. Where nobody has set it, it grows with
        ``max_object``."""
        size = self.spool.size or 0
        usual = size == SpoolSettings.model_fields["size"].default
        return max(size, 4 * self.max_object) if usual else size


class LimitSettings(Section):
    """Limits beyond which the edge refuses."""

    connections: Count = 50_000
    viewers: Count = 50_000
    viewers_per_stream: Count = 50_000
    flights: Count = 1_000
    relays_per_stream: Count = 64
    relays_per_client: Count = 32
    denied_per_client: RateLimit | None = Rate(100, 10.0)
    streams: Count = 100_000
    viewer_lag: Size = 64 * MiB
    head: Size = 64 * KiB
    max_body: BodySize | None = None
    idle_timeout: Timeout = 75.0
    head_timeout: Timeout = 10.0
    body_timeout: Timeout = 30.0
    send_timeout: Timeout = 30.0
    _each: int | None = PrivateAttr(None)

    @property
    def connections_each(self) -> int:
        """What one process may have of ``connections``: as many as its open files
        bear, once the start has looked."""
        return self.connections if self._each is None else self._each

    def capped(self, connections: int, each: int) -> Self:
        """These limits, with so many connections in all, and in each process."""
        made = self.model_copy(update={"connections": connections})
        made._each = each
        return made


class ShutdownSettings(Section):
    """How the edge stops."""

    delay: Duration = 0.0
    grace: Duration = 5.0


class RecycleSettings(Section):
    """When a worker is replaced by a new one."""

    after_requests: Count | None = None
    memory: Size | None = None
    least_age: Duration = 60.0


class AdminSettings(Section):
    """The operator's own address: health, readiness, metrics."""

    listen: Listen = ListenAddress("127.0.0.1", 8081)
    token: Token | None = None
    names: tuple[HostName, ...] = ()

    @property
    def all_names(self) -> frozenset[str]:
        """``names``, and the one in ``listen``."""
        listen = self.listen.host.lower()
        return frozenset(self.names) | ({listen} if listen else set())

    @property
    def plain_token(self) -> str | None:
        """``token`` in plain."""
        return None if self.token is None else self.token.get_secret_value()


class LogSettings(Section):
    """What is logged, and how."""

    format: LogFormat = LogFormat.JSON
    level: LogLevel = LogLevel.INFO
    access: Share = 1


def _at_least_one(given: object) -> object:
    if isinstance(given, list | tuple) and not given:
        raise ValueError("expected at least one route; without any nothing is shared")
    return given


class Settings(Section):
    """All settings of one edge."""

    listen: Listeners = (ListenAddress("127.0.0.1", 8080),)
    trusted_proxies: tuple[TrustedProxy, ...] = ()
    public_url: BaseUrl | None = None
    workers: Workers = 1
    keepers: Keepers = AUTO
    run_folder: Folder | None = None
    node: NodeSettings = NodeSettings()
    origin: OriginSettings = OriginSettings()
    routes: Annotated[tuple[RouteSettings, ...], BeforeValidator(_at_least_one)] = (
        RouteSettings(),
    )
    access: JudgingSettings = JudgingSettings()
    live: LiveSettings = LiveSettings()
    cache: CacheSettings = CacheSettings()
    limits: LimitSettings = LimitSettings()
    shutdown: ShutdownSettings = ShutdownSettings()
    recycle: RecycleSettings = RecycleSettings()
    admin: AdminSettings = AdminSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()

    @property
    def known_as(self) -> str | None:
        """The address that clients call, None: the settings do not tell it. Nobody
        calls a listener of the PROXY protocol but its balancer."""
        plain = (one.url for one in self.listen if not one.proxy_protocol)
        return self.public_url or next(filter(None, plain), None)

    @property
    def key_files(self) -> dict[str, bytes]:
        """What the files with public keys held that ways name, by their paths."""
        found: dict[str, bytes] = {}
        for route in self.routes:
            if isinstance(route.access, WaysSettings):
                found |= route.access.key_files
        return found

    @property
    def route_table(self) -> tuple[Route, ...]:
        """``routes`` as the rules of ``edge.policy`` read them, in order."""
        return tuple(route.to_route() for route in self.routes)
