"""When to try again: back-off with jitter, the server's Retry-After, never a spin.

One Pace serves one command. It counts failures in a row; whoever makes progress
says so. It sleeps and reads clocks only through this module's two names, so
tests wait for nothing.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge.cli.streams.exit_faults import Fault, RequestOutcome

FIRST_PAUSE = 0.25
"""Seconds before the first further try; doubled for each one after it."""
MAX_PAUSE = 15.0
"""Seconds that our own back-off never exceeds."""
MAX_RETRY_AFTER = 300.0
"""A server that asks for a longer wait than this is taken as away."""
MIN_EXCHANGE = 1.0
"""Least seconds of a live exchange that brought nothing (L21: no spinning)."""
FOREVER = -1

sleep = time.sleep
clock = time.monotonic


def _silent(message: str) -> None:
    """Says nothing."""


@dataclass(slots=True)
class RetryPolicy:
    """How often, and when, a command tries again. ``tell`` hears of each try."""

    retries: int
    tell: Callable[[str], None] = _silent
    failures: int = 0
    doubt: bool = False
    """Whether a try failed that may have done its work all the same."""

    def progressed(self) -> None:
        """Something arrived: failures count from zero."""
        self.failures = 0

    def failed(self, fault: Fault) -> None:
        """Wait before the next try; raise ``fault`` when none is left."""
        asked = fault.retry_after or 0.0
        if self.failures == self.retries or asked > MAX_RETRY_AFTER:
            raise fault
        wait = max(
            asked, _jittered(min(MAX_PAUSE, FIRST_PAUSE * 2 ** min(self.failures, 16)))
        )
        self.failures += 1
        self.doubt |= fault.known is RequestOutcome.UNKNOWN
        self.tell(f"{fault}; trying again in {wait:.1f} s")
        sleep(wait)

    def hold(self, began: float) -> None:
        """Wait until a live exchange that brought nothing lasted HOLD seconds."""
        left = MIN_EXCHANGE - (clock() - began)
        if left > 0:
            sleep(left + _jittered(FIRST_PAUSE))


def _jittered(seconds: float) -> float:
    """Between half of ``seconds`` and all: a crowd must not return as one."""
    return seconds * (0.5 + random.random() / 2)
