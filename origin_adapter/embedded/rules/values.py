"""Streams, the commands that change them, and the outcomes of commands.

All are frozen. ``StoredStream`` is all that is known of a stream, without its bytes and
its producers. A change makes a new one by ``dataclasses.replace``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lifetime:
    """When a stream ends by itself: never, after idling, or at a moment.

    ``ttl`` is in seconds and slides. ``at`` is the RFC 3339 text as it was given,
    ``deadline`` the same as Unix seconds. At most one is set.
    """

    ttl: int | None = None
    at: str | None = None
    deadline: float | None = None

    @property
    def endless(self) -> bool:
        return self.ttl is None and self.deadline is None


ENDLESS = Lifetime()


@dataclass(frozen=True, slots=True)
class ProducerClaim:
    """The claim of an idempotent producer in one request (section 5.2.1)."""

    producer: str
    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class ProducerState:
    """What is known of a producer on one stream."""

    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes ``[low, high)`` of a lineage, kept under the stream ``id``."""

    id: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class ForkRequest:
    """A fork as it was asked for: source path, offset text or None, sub-offset."""

    source: str
    offset: str | None = None
    sub: int = 0


@dataclass(frozen=True, slots=True)
class Fork:
    """Where a stream diverged: from which one, at which position, and as asked."""

    source_id: int
    at: int
    request: ForkRequest


@dataclass(frozen=True, slots=True)
class StoredStream:
    """A stream as it was last committed.

    ``id`` is this incarnation's and never used again. ``tag`` is random: no two
    incarnations share an ETag, not even after a restored backup.
    ``base`` is where its own bytes begin (a fork's divergence), ``floor`` the
    earliest position still kept, ``tail`` the end. ``lineage`` holds the
    inherited spans, oldest first. ``touched`` is Unix seconds.
    """

    id: int
    tag: str
    path: str
    content_type: str
    lifetime: Lifetime
    touched: float
    base: int = 0
    floor: int = 0
    tail: int = 0
    closed: bool = False
    closed_by: ProducerClaim | None = None
    last_seq: str | None = None
    inherited_lifetime: bool = False
    fork: Fork | None = None
    lineage: tuple[Span, ...] = ()
    references: int = 0
    soft_deleted: bool = False

    @property
    def spans(self) -> tuple[Span, ...]:
        """Where all of this stream's bytes lie, oldest first."""
        if self.tail == self.base:
            return self.lineage
        return (*self.lineage, Span(self.id, self.base, self.tail))


@dataclass(frozen=True, slots=True)
class MessageBatch:
    """The bytes of one append, never empty. ``json``: checked values with commas."""

    body: bytes
    json: bool = False


@dataclass(frozen=True, slots=True)
class CreateStream:
    """PUT (section 5.1). ``content_type`` None: none was given."""

    path: str
    content_type: str | None = None
    lifetime: Lifetime = ENDLESS
    closed: bool = False
    fork: ForkRequest | None = None
    batch: MessageBatch | None = None


@dataclass(frozen=True, slots=True)
class AppendToStream:
    """POST (sections 5.2 and 5.3). ``batch`` None: close only."""

    path: str
    content_type: str = ""
    batch: MessageBatch | None = None
    seq: str | None = None
    claim: ProducerClaim | None = None
    close: bool = False


@dataclass(frozen=True, slots=True)
class DeleteStream:
    """DELETE (section 5.4)."""

    path: str


@dataclass(frozen=True, slots=True)
class StreamCreated:
    """The stream exists. ``new`` False: it existed before, as asked."""

    stream: StoredStream
    new: bool


@dataclass(frozen=True, slots=True)
class StreamAppended:
    """The stream after a write that was accepted, or was a duplicate.

    ``claim`` carries the highest accepted sequence number of its producer.
    """

    stream: StoredStream
    duplicate: bool = False
    claim: ProducerClaim | None = None
