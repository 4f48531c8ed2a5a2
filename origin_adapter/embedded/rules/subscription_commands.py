"""Commands for subscriptions, and the deliveries they cause (sections 6 and 7).

``http.control`` and the webhook dispatcher make the commands; a commit returns the
deliveries.
"""

from dataclasses import dataclass

from origin_adapter.embedded.rules.control import WorkerReport
from origin_adapter.embedded.rules.subscriptions import Fence, SubscriptionConfig


@dataclass(frozen=True, slots=True)
class Subscribe:
    """PUT: make or confirm a subscription. ``base_url`` is this server's."""

    id: str
    config: SubscriptionConfig
    base_url: str


@dataclass(frozen=True, slots=True)
class Inspect:
    """GET: a subscription, and the positions of its cursors."""

    id: str


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    """DELETE."""

    id: str


@dataclass(frozen=True, slots=True)
class LinkStreams:
    """POST streams: link explicitly, at the current tails."""

    id: str
    paths: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnlinkStream:
    """DELETE streams/path: remove the explicit link."""

    id: str
    path: str


@dataclass(frozen=True, slots=True)
class ClaimWake:
    """POST claim, by a worker."""

    id: str
    worker: str


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """POST callback (webhook) or ack (pull-wake)."""

    id: str
    fence: Fence
    report: WorkerReport
    webhook: bool


@dataclass(frozen=True, slots=True)
class ReleaseWake:
    """POST release."""

    id: str
    fence: Fence


@dataclass(frozen=True, slots=True)
class ReportDelivery:
    """The outcome of a webhook attempt. ``chance`` spreads the next one."""

    id: str
    wake_id: str
    taken: bool
    done: bool
    chance: float


SubscriptionCommand = (
    Subscribe
    | Inspect
    | Unsubscribe
    | LinkStreams
    | UnlinkStream
    | ClaimWake
    | Acknowledge
    | ReleaseWake
    | ReportDelivery
)


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """A webhook, due at ``due`` (Unix seconds) unless its wake is over by then."""

    id: str
    wake_id: str
    generation: int
    url: str
    base_url: str
    snapshot: str
    due: float
