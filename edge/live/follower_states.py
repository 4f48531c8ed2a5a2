"""FollowerStates: what a follower does, and what it may do next.

``edge.live.rows.Follower`` keeps to the table; ``edge.live.followers`` moves it. The
theory of the hub tells the life of a follower (``edge.live``).
"""

import enum


class FollowerState(enum.Enum):
    """What a follower does."""

    DUE = "due"  # it asks in the next turn of the event loop
    ASKING = "asking"  # its poll is under way
    PAUSING = "pausing"  # it backs off: until a time, or news
    BOUND = "bound"  # it waits as a Retry-After asked, whatever news there are (U7)
    ENDED = "ended"


_GOES_ON = {FollowerState.ASKING, FollowerState.PAUSING, FollowerState.BOUND}

FOLLOWS = {
    **dict.fromkeys((FollowerState.DUE, FollowerState.ASKING), _GOES_ON),
    FollowerState.PAUSING: {FollowerState.ASKING, FollowerState.BOUND},
    FollowerState.BOUND: {FollowerState.ASKING},
}
"""From each of these it may also end."""
