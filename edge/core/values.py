"""The values that floors hand to each other.

All are frozen. They hold facts and parse nothing from the network themselves:
``edge.policy.streams.classify`` makes Reads, ``origin_adapter`` makes Exchanges,
``edge.policy.streams.answers`` makes Answers.
"""

import enum
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from edge.core.lent_refusals import LentRefusals
from edge.core.reasons import Reason
from edge.core.tracing import UpstreamSpan
from edge.protocol.http_grammar import age_seconds, via_member
from edge.protocol.offsets import BEGIN

Header = tuple[str, str]
Headers = tuple[Header, ...]
"""Header fields in order; names from an origin are lower-case."""

PRODUCT = "ds-edge"  # in Server, CDN-Loop and Cache-Status


@dataclass(frozen=True, slots=True)
class Node:
    """One running edge, as it tells others who it is (U10).

    ``name`` is for people, and never compared: two nodes may have the same. ``id`` is
    random, made at each start: a request that brings it has been at this node before.
    """

    name: str
    id: str

    @property
    def via(self) -> str:
        """Its member of Via (RFC 9110 section 7.6.3)."""
        return via_member(self.name)

    @property
    def cdn_loop(self) -> str:
        """Its member of CDN-Loop (RFC 8586)."""
        return loop_member(self.id)

    @property
    def cache(self) -> str:
        """The name of its cache in Cache-Status, a token (RFC 9211 section 2)."""
        return f"{PRODUCT}/{self.name}"


def loop_member(node_id: str) -> str:
    """The member of CDN-Loop of the node with this id."""
    return f"{PRODUCT};node={node_id}"


class Role(enum.StrEnum):
    """What a process of the edge does.

    WORKER: everything, alone. Where there are several, a FRONT serves clients, and a
    KEEPER serves fronts: it alone follows its streams.
    """

    WORKER = "worker"
    FRONT = "front"
    KEEPER = "keeper"


class Place(NamedTuple):
    """Where a process stands. Its successor stands in the same place."""

    role: Role
    number: int

    @property
    def name(self) -> str:
        """``front-1``, ``keeper-0``; ``worker`` for the one that is alone."""
        number = "" if self.role is Role.WORKER else f"-{self.number}"
        return self.role.value + number


class Mode(enum.StrEnum):
    """How a stream is read (PROTOCOL.md sections 5.5 to 5.8)."""

    CATCH_UP = "catch-up"
    LONG_POLL = "long-poll"
    SSE = "sse"
    HEAD = "head"

    @property
    def live(self) -> bool:
        """Whether the reader waits for data (long-poll or SSE)."""
        return self is Mode.LONG_POLL or self is Mode.SSE


class PartitionKind(enum.StrEnum):
    """Who may share an answer.

    GRANTED: whom the edge itself has let in (B6), and nobody else. No credential of
    theirs goes upstream.
    """

    ANONYMOUS = "anonymous"
    PUBLIC = "public"
    CREDENTIAL = "credential"
    GRANTED = "granted"


@dataclass(frozen=True, slots=True)
class Partition:
    """Who shares a log. ``headers`` go upstream with every read of it.

    Two are equal when kind and digest are, which covers every header (L13).
    """

    kind: PartitionKind = field(default=PartitionKind.ANONYMOUS, hash=False)
    digest: str = ""
    headers: Headers = field(default=(), compare=False, repr=False)


ANONYMOUS = Partition()
PUBLIC = Partition(PartitionKind.PUBLIC)
GRANTED = Partition(PartitionKind.GRANTED)

NO_END = math.inf
"""The end of what has none."""


def _nobody() -> None:
    """Nobody is told."""


@dataclass(frozen=True, slots=True)
class LentCredential:
    """A credential that the origin let in, with which it may be asked for what all
    share (B7).

    ``digest`` tells two of them apart. ``headers`` are the fields as received, names in
    lower case, ``parameters`` the raw pieces of the query: all that the origin judged.
    From ``fresh_until`` (monotonic seconds) on it lends no more. ``refused`` is called
    when the origin refuses it. ``heard``: its front's mark; None: it hears of none.
    """

    digest: str
    headers: Headers = field(repr=False)
    parameters: tuple[str, ...] = field(repr=False)
    fresh_until: float
    refused: Callable[[], None] = field(default=_nobody, compare=False, repr=False)
    heard: int | None = None


@dataclass(slots=True, eq=False, weakref_slot=True)
class Lease:
    """For how long a reader is given anything: until ``ends_at`` (monotonic seconds).

    Everybody who came by the same grant may hold the same lease. Its end only ever
    moves nearer, and whatever is given looks at it first (B3, B12). ``lends``: what its
    holder lends to the fetch that all share; None: nothing. ``why`` it ends.
    """

    ends_at: float = NO_END
    lends: LentCredential | None = None
    why: Reason = Reason.GRANT_ENDED

    def end(self, when: float, why: Reason = Reason.GRANT_ENDED) -> None:
        """Let it end at ``when``, unless it ends before that."""
        if when < self.ends_at:
            self.ends_at = when
            self.why = why


UNLIMITED = Lease()
"""The lease of whoever nobody judged. It never ends."""


@dataclass(frozen=True, slots=True)
class StreamKey:
    """What identifies a log: route, path, extension parameters, partition.

    ``path`` is percent-encoded as received (L26), ``extension`` the canonical query
    string of parameters that the protocol does not define, or "".
    """

    # A dozen look-ups for one read; few keys differ in the route or the kind alone.
    route: str = field(hash=False)
    path: str
    extension: str = ""
    partition: Partition = ANONYMOUS


@dataclass(frozen=True, slots=True)
class Read:
    """One read of a stream, validated. Made by ``edge.policy.streams.classify``.

    ``cursor`` is the client's own, None when absent or not a number. ``codings`` are
    those that the client takes, best first, without identity. ``if_none_match`` is raw.
    ``expires_at`` (Unix seconds) is the end of a signed URL: it caps how long an answer
    may be used. ``hops``: ids of the nodes by which it came, the nearest last (U10).
    ``ends_soon``: the grant behind it ends so soon that nobody may keep the answer
    (B17); when exactly is no part of the read. ``only_held``: a keeper's successor asks
    (``edge.live.heirs``). ``opens``: a front's own HEAD, not a client's (U12).
    """

    key: StreamKey
    offset: str = BEGIN
    mode: Mode = Mode.CATCH_UP
    cursor: int | None = None
    if_none_match: str | None = None
    codings: tuple[str, ...] = ()
    expires_at: float | None = None
    hops: tuple[str, ...] = ()
    ends_soon: bool = False
    only_held: bool = False
    opens: bool = False


class Purpose(enum.Enum):
    """What an upstream call is for: chooses its pool and its time-outs (L24).

    EVENTS: the event stream of a follower. It has the connections of FOLLOW, and once
    it has begun, only its receiver judges whether it is still alive.
    """

    CATCH_UP = "catch-up"
    FOLLOW = "follow"
    EVENTS = "events"
    WRITE = "write"
    RELAY = "relay"


@dataclass(frozen=True, slots=True)
class LinkTerms:
    """What a front tells a keeper of a request, beside its target and its fields (W10).

    The front has judged: ``route`` (its name) and ``partition`` say whose log it is
    about, and ``hops`` are the ids of the nodes by which its client's came. ``lent``:
    the credential to ask the origin with, in no key. Nothing is given from ``until`` on
    (monotonic seconds, which one machine has once). ``only_held``: the settings by
    which a keeper's successor asks; "": another one does. ``opens``: see ``Read``.
    """

    route: str
    partition: Partition = ANONYMOUS
    lent: LentCredential | None = None
    hops: tuple[str, ...] = ()
    until: float = NO_END
    only_held: str = ""
    opens: bool = False


@dataclass(frozen=True, slots=True)
class OriginRequest:
    """One request to the origin, built, not forwarded.

    ``target`` is in origin-form. ``headers`` carry no framing, no Host, no hop-by-hop
    field. A body is its bytes, or an iterator of pieces with its length, or with None
    for chunked coding; None: there is none. ``link``: a keeper may be asked instead, on
    these terms; None: the origin alone (W11).
    """

    method: str
    target: str
    headers: Headers = ()
    purpose: Purpose = Purpose.CATCH_UP
    body: bytes | Iterator[bytes] | None = None
    content_length: int | None = None
    link: LinkTerms | None = None


class Framing(enum.Enum):
    """How the end of an origin's body is known (RFC 9112 section 6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Lineage:
    """Which life of a stream a keeper's answer is of (W8).

    ``boot`` numbers the keeper's process, ``row`` its row: in another one nothing of
    before is held. ``incarnation`` moves where a new one begins there (L5). None: the
    row was made, and may have been made anew.
    """

    boot: int
    incarnation: int | None = None
    row: int = 0


@dataclass(frozen=True, slots=True)
class Provenance:
    """How old an answer was when it arrived, if something in between (a tier, another
    process) answered for the origin. Seconds, to the millisecond.

    ``age`` is what an ``Age`` field tells: the time since the origin sent or last
    validated it; ``confirmed_ago`` since the origin last said that this is what it has
    (None: no less than the age), and ``read_ago`` since a client's read of the stream
    last went upstream (L23; None: not told). ``lineage``: a keeper of this node
    answered, from this life of the stream (W8); if it ``inherits``, the origin did, for
    a stream that a keeper has handed over.
    """

    age: float = 0.0
    confirmed_ago: float | None = None
    read_ago: float | None = None
    lineage: Lineage | None = None
    inherits: bool = False

    @property
    def by_keeper(self) -> bool:
        """Whether a keeper answered, who has looked at the same board."""
        return self.lineage is not None and not self.inherits

    @property
    def since_confirmed(self) -> float:
        """Seconds since the last confirmation by the origin itself."""
        return self.age if self.confirmed_ago is None else self.confirmed_ago

    @classmethod
    def told_by(cls, headers: Headers) -> "Provenance":
        """What plain HTTP tells: ``Age``, in whole seconds (RFC 9111 section 4.2.3). A
        Date says nothing here: clocks differ by more than an answer is old."""
        told = next((value for name, value in headers if name == "age"), None)
        return DIRECT if told is None else cls(float(age_seconds(told)))


DIRECT = Provenance()
"""The origin said so just now."""


class OriginAnswerHead(NamedTuple):
    """The head of an answer of the origin, before its body.

    ``content_length`` is the declared length (of the representation, for HEAD and 304).
    """

    status: int
    headers: Headers
    framing: Framing
    content_length: int | None
    provenance: Provenance = DIRECT
    span: UpstreamSpan | None = None


@dataclass(frozen=True, slots=True)
class OriginAnswer:
    """A whole answer of the origin, its body checked against its framing."""

    status: int
    headers: Headers
    body: bytes = b""
    framing: Framing = Framing.LENGTH
    provenance: Provenance = DIRECT
    span: UpstreamSpan | None = field(default=None, compare=False, repr=False)
    _first: dict[str, str] = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        # A dozen fields of each answer are looked at.
        object.__setattr__(self, "_first", dict(reversed(self.headers)))

    def get(self, name: str) -> str | None:
        """The first value of a field, by lower-case name."""
        return self._first.get(name)

    def get_all(self, name: str) -> str:
        """All values of a list field, joined by commas (RFC 9110 section 5.3)."""
        if name not in self._first:
            return ""
        return ", ".join(value for key, value in self.headers if key == name)


@dataclass(frozen=True, slots=True)
class WriteOutcome:
    """A write that passed through this edge, and how it was answered (L4, L5).

    ``extension`` are its extension parameters, canonical, without credentials (U13).
    ``status`` None: the answer was lost, and nobody knows whether the write happened;
    then there are no ``headers``. Nothing of it was sent upstream before ``begun_at``
    (monotonic seconds). ``by_keeper``: a keeper of this node heard the answer, and has
    stored on the board that it did (W4).
    """

    route: str
    path: str
    extension: str
    method: str
    status: int | None
    headers: Headers
    begun_at: float
    by_keeper: bool = False


class Result(enum.StrEnum):
    """How one answered read came about: the label of ``answers``."""

    HIT = "hit"
    MISS = "miss"
    COLLAPSED = "collapsed"
    STALE = "stale"
    PASS = "pass"
    NOT_MODIFIED = "not-modified"
    EMPTY = "empty"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """How an answer came about, for ``Cache-Status`` (RFC 9211) and the counters.

    ``fwd`` is RFC 9211's reason for asking the origin, None on a hit; ``collapsed``:
    another reader's request served this one, too. ``upstream`` has the members of the
    caches from here to the origin, nearest the origin first; "" on a hit.
    """

    hit: bool = False
    fwd: Literal["miss", "stale", "bypass", "method", "request", "partial"] | None = (
        None
    )
    fwd_status: int | None = None
    collapsed: bool = False
    stored: bool = False
    ttl: int | None = None
    detail: Reason | None = None
    upstream: str = ""

    def result(self, status: int) -> Result:
        """The one word for an answer: by its HTTP status first, then by these fields.
        Metric and header thus cannot disagree (E55). EMPTY is a 204: a poll that ended
        without data, however many shared it.
        """
        if status >= 400:
            return Result.ERROR
        if status == 304:
            return Result.NOT_MODIFIED
        if status == 204:
            return Result.EMPTY
        if self.detail is Reason.STALE:
            return Result.STALE
        if self.hit:
            return Result.HIT
        if self.collapsed:
            return Result.COLLAPSED
        return Result.PASS if self.fwd in ("bypass", "method") else Result.MISS


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out, made once and shared: status, fixed header fields, body.

    Each response adds ``Date``, ``Age``, the cursor, ``Cache-Status`` and the request's
    id (see PerResponse). ``body`` None announces a streamed body (SSE, relay) that
    follows through ``Sink.write``; ``content_length`` is its length where known.
    """

    status: int
    headers: Headers
    body: bytes | None = b""
    content_length: int | None = None


class RowWord(NamedTuple):
    """What a keeper tells a front of the row behind an answer (W8).
    ``confirmed_at`` and ``read_at`` are monotonic seconds, so that an answer stays
    right when it is given again. ``armed``: confirmed as of now. None: not told.
    """

    lineage: Lineage
    confirmed_at: float | None = None
    armed: bool = False
    read_at: float | None = None


class FaultWord(NamedTuple):
    """A keeper's own error, as it tells a front: what stands in an EdgeError, whether
    nothing was sent, the ``lineage`` handed over, and the ``refusals`` of lenders."""

    reason: Reason
    status: int
    detail: str
    retry_after: int | None
    unsent: bool
    lineage: Lineage | None = None
    refusals: LentRefusals | None = None


@dataclass(frozen=True, slots=True)
class PerResponse:
    """What differs between two deliveries of one Answer. ``told``: to a front alone.
    ``span``: of the upstream call that told of its stream last, in no field."""

    status: CacheStatus
    age: int | None = None
    cursor: str | None = None
    told: RowWord | FaultWord | None = None
    span: UpstreamSpan | None = field(default=None, compare=False)
