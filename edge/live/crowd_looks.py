"""CrowdLooks: looks at the board for viewers who are parked, of whom nothing is asked.

Whether their streams live on is asked for them, once for each doubt that the board has
cast (W5). Called by the hub's tick; it only begins flights.
"""

from contextlib import suppress

from edge.core.errors import Refusal
from edge.live.flights import Flights
from edge.live.looks import Looks
from edge.live.waiters import Waiters


def look_at_crowds(
    looks: Looks, waiters: Waiters, flights: Flights, max_probe: int, now: float
) -> None:
    """Look for all streams at which somebody is parked."""
    for stream in waiters.crowded:
        if looks.look_for_doubt(stream, now):
            start = stream.log.probe_start(max_probe)
            with suppress(Refusal):
                flights.begin(stream, start, (), ())
