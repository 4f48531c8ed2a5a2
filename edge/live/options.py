"""What the live floor is configured with.

Settings fill it, and hold the defaults. What no setting names has its value here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.policy.streams.decide import Rules
from edge.policy.streams.freshness import FreshnessOptions
from edge.policy.streams.routes import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions:
    """All times in seconds, all sizes in bytes.

    ``follow_reads`` reads of a tail within ``follow_within`` seconds make it
    followed without viewers (L24). ``hold`` is how long an origin is expected
    to hold a poll until one was seen (L3). ``viewer_lag`` is how far an SSE
    viewer may fall behind before its response ends after a whole event.
    """

    routes: Sequence[Route]
    rules: Rules
    freshness: FreshnessOptions
    node_id: str
    long_poll_timeout: float
    sse_lifetime: float
    sse_keep_alive: float
    linger: float
    follow_reads: int
    follow_within: float
    hold: float
    memory: int
    max_object: int
    viewer_lag: int
    max_viewers: int
    max_viewers_per_stream: int
    max_flights: int
    max_followers: int
    max_streams: int
    pass_for: float = 60.0
    backoff_first: float = 0.1
    backoff_most: float = 5.0
