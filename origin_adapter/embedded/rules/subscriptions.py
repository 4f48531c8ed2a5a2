"""Subscriptions: cursors that wake workers (PROTOCOL.md sections 6 and 7).

A subscription is idle, woken (a wake is in flight) or held (a worker claimed it). A
table moves it. An event without a row in the present phase is refused and changes
nothing. Generation and wake id fence off requests that belong to an older wake. Time is
Unix seconds, leases are milliseconds.

The store's writer calls these functions inside the transaction of the append,
the ack or the tick that causes them.
"""

import enum
import hashlib
import json
from dataclasses import asdict, dataclass, replace

BEFORE_FIRST = -1
"""The acked position of a stream while none of it is processed."""

MIN_LEASE = 1_000
MAX_LEASE = 600_000
DEFAULT_LEASE = 30_000
MAX_DELAY = 60.0
JITTER = 0.2


class ControlRefused(Exception):
    """A refused control request: status, code, and the rest of the error."""

    def __init__(
        self, status: int, code: str, message: str = "", **more: str | int
    ) -> None:
        super().__init__(message or code)
        self.status = status
        self.code = code
        self.message = message
        self.more = more


class SubscriptionKind(enum.Enum):
    """How a subscription reaches its workers."""

    WEBHOOK = "webhook"
    PULL_WAKE = "pull-wake"


class SubscriptionPhase(enum.Enum):
    """The phase of a subscription."""

    IDLE = "idle"
    WOKEN = "woken"
    HELD = "held"


class SubscriptionEvent(enum.Enum):
    """What may happen to a subscription."""

    WAKE = "wake"
    CLAIM = "claim"
    HEARTBEAT = "heartbeat"
    DONE = "done"
    RELEASE = "release"
    LEASE_OVER = "lease-over"
    LAPSE = "lapse"


_WEBHOOK: dict[tuple[SubscriptionPhase, SubscriptionEvent], SubscriptionPhase] = {
    (SubscriptionPhase.IDLE, SubscriptionEvent.WAKE): SubscriptionPhase.WOKEN,
    (SubscriptionPhase.WOKEN, SubscriptionEvent.HEARTBEAT): SubscriptionPhase.WOKEN,
    (SubscriptionPhase.WOKEN, SubscriptionEvent.DONE): SubscriptionPhase.IDLE,
    (SubscriptionPhase.WOKEN, SubscriptionEvent.LEASE_OVER): SubscriptionPhase.IDLE,
}
_PULL_WAKE: dict[tuple[SubscriptionPhase, SubscriptionEvent], SubscriptionPhase] = {
    (SubscriptionPhase.IDLE, SubscriptionEvent.WAKE): SubscriptionPhase.WOKEN,
    (SubscriptionPhase.WOKEN, SubscriptionEvent.CLAIM): SubscriptionPhase.HELD,
    (SubscriptionPhase.WOKEN, SubscriptionEvent.LAPSE): SubscriptionPhase.IDLE,
    (SubscriptionPhase.HELD, SubscriptionEvent.HEARTBEAT): SubscriptionPhase.HELD,
    (SubscriptionPhase.HELD, SubscriptionEvent.DONE): SubscriptionPhase.IDLE,
    (SubscriptionPhase.HELD, SubscriptionEvent.RELEASE): SubscriptionPhase.IDLE,
    (SubscriptionPhase.HELD, SubscriptionEvent.LEASE_OVER): SubscriptionPhase.IDLE,
}
TABLE = {SubscriptionKind.WEBHOOK: _WEBHOOK, SubscriptionKind.PULL_WAKE: _PULL_WAKE}


@dataclass(frozen=True, slots=True)
class SubscriptionConfig:
    """The requested form of a subscription. Normalised, so equal means equal."""

    type: str
    pattern: str | None
    streams: tuple[str, ...]
    webhook: str | None
    wake_stream: str | None
    lease_ttl_ms: int
    description: str | None

    @property
    def kind(self) -> SubscriptionKind:
        return SubscriptionKind(self.type)

    @property
    def hash(self) -> str:
        """The hash that a repeated PUT is compared by (section 6.2)."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription as it was last committed, without its links.

    At ``lease_until`` its wake is given up. At ``next_attempt`` a webhook has to be
    sent (again); None: none is due. ``snapshot`` has the streams as the wake's webhook
    reports them.
    """

    id: str
    config: SubscriptionConfig
    created_at: str
    base_url: str
    generation: int = 0
    wake_id: str | None = None
    holder: str | None = None
    lease_until: float | None = None
    retries: int = 0
    next_attempt: float | None = None
    snapshot: str | None = None

    @property
    def phase(self) -> SubscriptionPhase:
        if self.wake_id is None:
            return SubscriptionPhase.IDLE
        return (
            SubscriptionPhase.WOKEN if self.holder is None else SubscriptionPhase.HELD
        )


@dataclass(frozen=True, slots=True)
class StreamLink:
    """A stream of a subscription, by its stream-root-relative path."""

    path: str
    explicit: bool
    glob: bool
    acked: int


@dataclass(frozen=True, slots=True)
class Fence:
    """The wake that a request belongs to. ``token`` is the generation of its token."""

    token: int
    generation: object
    wake_id: object


def wake(sub: Subscription, wake_id: str, now: float) -> Subscription:
    """A new wake. A webhook's lease starts with it, or later, after its back-off."""
    _move(sub, SubscriptionEvent.WAKE)
    woken = replace(sub, generation=sub.generation + 1, wake_id=wake_id, holder=None)
    if sub.config.kind is SubscriptionKind.PULL_WAKE:
        return woken
    due = max(now, sub.next_attempt or now)
    return replace(woken, next_attempt=due, lease_until=due + _lease(sub))


def claim(sub: Subscription, worker: str, now: float) -> Subscription:
    """A worker takes the wake; its lease starts. Raises ControlRefused if held."""
    if sub.phase is SubscriptionPhase.HELD and sub.holder is not None:
        raise ControlRefused(
            409,
            "ALREADY_CLAIMED",
            current_holder=sub.holder,
            generation=sub.generation,
        )
    _move(sub, SubscriptionEvent.CLAIM)
    return replace(sub, holder=worker, lease_until=now + _lease(sub))


def check_fence(sub: Subscription, fence: Fence) -> None:
    """Check that a request speaks for the current wake (section 7.3).

    Raises ControlRefused.
    """
    current = (
        fence.token == sub.generation
        and type(fence.generation) is int
        and fence.generation == sub.generation
        and sub.wake_id is not None
        and fence.wake_id == sub.wake_id
    )
    if not current:
        raise ControlRefused(409, "FENCED", "the wake is stale")


def heartbeat(sub: Subscription, now: float) -> Subscription:
    """The lease is extended."""
    _move(sub, SubscriptionEvent.HEARTBEAT)
    return replace(sub, lease_until=now + _lease(sub))


def finish(sub: Subscription, event: SubscriptionEvent) -> Subscription:
    """The wake is over: done, released, expired, or without anything left to do."""
    _move(sub, event)
    return replace(
        sub,
        wake_id=None,
        holder=None,
        lease_until=None,
        snapshot=None,
        # A failing webhook keeps its schedule across wakes.
        next_attempt=sub.next_attempt if sub.retries else None,
    )


def delivered(sub: Subscription) -> Subscription:
    """The webhook took the wake (2xx)."""
    return replace(sub, retries=0, next_attempt=None)


def failed(sub: Subscription, now: float, chance: float) -> Subscription:
    """The webhook failed. ``chance`` in [0, 1) spreads the next attempt."""
    retries = sub.retries + 1
    delay: float = min(2.0 ** min(sub.retries, 16), MAX_DELAY)
    delay *= 1 + JITTER * (2 * chance - 1)
    return replace(sub, retries=retries, next_attempt=now + delay)


def check_ack(link: StreamLink | None, position: int, tail: int) -> StreamLink:
    """The link after an ack of ``position``; raises ControlRefused."""
    if link is None:
        raise ControlRefused(409, "INVALID_OFFSET", "the stream is not part of it")
    if position < link.acked:
        raise ControlRefused(409, "INVALID_OFFSET", "the cursor does not go back")
    if position > tail:
        raise ControlRefused(409, "INVALID_OFFSET", "the offset is beyond the tail")
    return replace(link, acked=position)


def _move(sub: Subscription, event: SubscriptionEvent) -> SubscriptionPhase:
    try:
        return TABLE[sub.config.kind][sub.phase, event]
    except KeyError:
        raise ControlRefused(
            409, "FENCED", f"no {event.value} while {sub.phase.value}"
        ) from (None)


def _lease(sub: Subscription) -> float:
    return sub.config.lease_ttl_ms / 1000
