"""What the live floor is configured with. Settings fill it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from edge.policy.streams.decide import Rules
from edge.policy.streams.freshness import FreshnessOptions
from edge.policy.streams.routes import Route


@dataclass(frozen=True, slots=True)
class HubOptions:
    """All times in seconds, all sizes in bytes.

    ``follow_reads`` reads of a tail within ``follow_within`` seconds make it
    followed without viewers (L24). ``hold`` is how long an origin is expected
    to hold a poll until one was seen (L3). ``viewer_lag`` is how far an SSE
    viewer may fall behind before its response ends after a whole event.
    """

    routes: Sequence[Route] = (Route(),)
    rules: Rules = field(default_factory=Rules)
    freshness: FreshnessOptions = field(default_factory=FreshnessOptions)
    node_id: str = "ds-edge"
    long_poll_timeout: float = 30.0
    sse_lifetime: float = 60.0
    sse_keep_alive: float = 15.0
    linger: float = 5.0
    follow_reads: int = 4
    follow_within: float = 1.0
    hold: float = 65.0
    memory: int = 256 * 1024 * 1024
    max_object: int = 16 * 1024 * 1024
    pass_for: float = 60.0
    viewer_lag: int = 64 * 1024 * 1024
    max_viewers: int = 50_000
    max_viewers_per_stream: int = 50_000
    max_flights: int = 1000
    max_followers: int = 512
    max_streams: int = 100_000
    backoff_first: float = 0.1
    backoff_most: float = 5.0
