"""When to try again: back-off with jitter, and the server's Retry-After.

One RetryPolicy serves one command and counts failures in a row. The caller reports
failures and progress. Only ``sleep`` and ``clock`` of this module wait and read clocks:
tests replace them and wait for nothing.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from edge.cli.streams.exit_faults import Fault, RequestOutcome

FIRST_PAUSE = 0.25
"""Seconds before the first retry; doubled for each one after it."""
MAX_PAUSE = 15.0
"""Seconds of the longest back-off of our own."""
MAX_RETRY_AFTER = 300.0
"""Seconds: a server that asks for a longer wait counts as unreachable."""
MIN_EXCHANGE = 1.0
"""Seconds that a live exchange without data lasts at least (L21: no spinning)."""
FOREVER = -1

sleep = time.sleep
clock = time.monotonic


def _silent(message: str) -> None:
    """Says nothing."""


@dataclass(slots=True)
class RetryPolicy:
    """How often, and when, a command tries again. ``tell`` gets a line for each try."""

    retries: int
    tell: Callable[[str], None] = _silent
    failures: int = 0
    doubt: bool = False
    """Whether a try failed that may have been done all the same."""

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
        """Wait until a live exchange without data has lasted MIN_EXCHANGE seconds."""
        left = MIN_EXCHANGE - (clock() - began)
        if left > 0:
            sleep(left + _jittered(FIRST_PAUSE))


def _jittered(seconds: float) -> float:
    """Between half of ``seconds`` and all: clients must not return all at once."""
    return seconds * (0.5 + random.random() / 2)
