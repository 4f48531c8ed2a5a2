"""Routes: what an operator declares about a family of paths.

A Route is plain data. Settings fill it in, and the rules of this floor read it. It
decides nothing; ``edge.policy.streams.pipeline`` finds the route of a path.
"""

import enum
from dataclasses import dataclass, field, replace

from edge.core.values import Headers
from edge.policy.http import link_fields
from edge.policy.http.cors import EVERYBODY
from edge.policy.streams.ways import SignedWay, Way


class Access(enum.Enum):
    """Who shares an answer on this route (L13).

    PARTITIONED: a request with a credential lives in its own partition.
    PUBLIC: everybody shares; client credentials never go upstream on reads.
    GRANTED: the edge judges, by the route's ways, and all whom it lets in share (A2).
    """

    PARTITIONED = "partitioned"
    PUBLIC = "public"
    GRANTED = "granted"


class UpstreamCredential(enum.Enum):
    """With whose credential a route with ways asks the origin for what all share.

    OWN: the edge's own, or none. LENT: that of a reader whom the origin itself has let
    in, which takes an ``OriginWay``.
    """

    OWN = "own"
    LENT = "lent"


class Recreate(enum.Enum):
    """Whether a stream may be deleted and created again at the same URL."""

    POSSIBLE = "possible"
    NEVER = "never"


class TailMode(enum.Enum):
    """Whether an armed poll's knowledge of the tail is good enough (L3)."""

    FOLLOWED = "followed"
    STRICT = "strict"


class Follow(enum.Enum):
    """How a stream is followed at its end (U16, U20).

    AUTO: by an event stream while events are frequent and it is exact, else by
    long-polls. SSE: by an event stream from the start, wherever it is exact.
    """

    AUTO = "auto"
    LONG_POLL = "long-poll"
    SSE = "sse"


class OriginNoStore(enum.Enum):
    """What ``no-store`` on the origin's data means to this edge (L15)."""

    HONOUR = "honour"
    IGNORE = "ignore"


class TagHeader(enum.Enum):
    """A field in which caches below read tags (L28)."""

    SURROGATE_KEY = "surrogate-key"
    CACHE_TAG = "cache-tag"


CREDENTIAL_PARAMETERS = (
    *("access_token", "token", "jwt", "api_key", "key", "signature", "secret", "sig"),
)
"""Parameters that hold a credential wherever nobody says otherwise (RFC 6750 section
2.3, signed URLs, keys of APIs)."""

AWAY_STATUSES = frozenset({500, 502, 503, 504, *range(520, 531)})
"""What origins that are away are answered for by servers and proxies before them."""


@dataclass(frozen=True, slots=True)
class Route:
    """One declared family of streams. ``match`` is also its name.

    ``match`` is a glob over the raw path: ``*`` within a segment, ``**`` over
    segments. Header names are lower-case. ``request_headers`` go upstream on
    reads and so are part of the partition (L13); ``response_headers`` of the
    origin are kept on answers (L18). ``cors_origins`` and ``cors_credentials`` are a
    ``CorsPolicy``.

    ``stale_if_error``: statuses of an origin that is away (U1). Held bytes then go out
    stale for ``stale_for`` seconds at most (U4), and the first reader waits at most
    ``stale_after`` seconds for an answer before it gets them (U3).

    ``ways``: by which a client is let in, in the order in which they are tried.
    ``upstream``: with whose credential the origin is then asked. ``judged_headers``:
    what the ways look at beside the credentials (B4). ``identity``: fields in which
    the origin is told who was let in (B9).

    ``json_types``: types, in lower case with ``*``, whose streams are in JSON mode as
    those of application/json are (L8).

    ``tags``: templates of tags under which its streams can be purged; ``tag_headers``:
    the fields in which caches below are told of all tags (L28).

    ``lean``: of a keeper, which answers fronts alone. What clients and caches below are
    told beside the stream itself, its front adds (W8).
    """

    match: str = "/v1/stream/**"
    access: Access = Access.PARTITIONED
    recreate: Recreate = Recreate.POSSIBLE
    tail: TailMode = TailMode.FOLLOWED
    follow: Follow = Follow.AUTO
    origin_no_store: OriginNoStore = OriginNoStore.HONOUR
    credential_headers: tuple[str, ...] = ("authorization", "cookie")
    credential_parameters: tuple[str, ...] = CREDENTIAL_PARAMETERS
    expires_parameters: tuple[str, ...] = ("expires",)
    request_headers: tuple[str, ...] = ()
    response_headers: tuple[str, ...] = ()
    origin_headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    compress: bool = True
    cors_origins: tuple[str, ...] = (EVERYBODY,)
    cors_credentials: bool = False
    stale_if_error: frozenset[int] = AWAY_STATUSES
    stale_for: float = 3600.0
    stale_after: float = 1.0
    ways: tuple[Way, ...] = ()
    upstream: UpstreamCredential = UpstreamCredential.OWN
    judged_headers: tuple[str, ...] = ()
    identity: tuple[str, ...] = ()
    json_types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    tag_headers: tuple[TagHeader, ...] = ()
    lean: bool = False

    def kept(self, headers: Headers) -> Headers:
        """The fields of the origin that go along on answers (L18)."""
        keeps = self.response_headers
        return tuple(field for field in headers if field[0] in keeps)

    def made_lean(self) -> "Route":
        """The same in a keeper: all that decides is in the terms that a front tells."""
        return replace(
            self,
            lean=True,
            compress=False,
            cors_origins=(EVERYBODY,),
            cors_credentials=False,
            judged_headers=(link_fields.FIELD, link_fields.LENT),
        )

    @property
    def is_public(self) -> bool:
        """Whether caches downstream may share what the ways of this route let in (A6):
        a signed URL alone does, and the operator says so."""
        return any(isinstance(way, SignedWay) and way.public for way in self.ways)
