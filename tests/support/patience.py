"""Waiting for what was promised: as long as it takes on a machine that is busy.

A patience ends a test that would wait for ever. It is no claim about speed, so it is
long enough for two cores that serve twenty others.
"""

import time
from collections.abc import Callable
from threading import Event

PATIENCE = 60.0
PAUSE = 0.01


def until(happened: Callable[[], object], patience: float = PATIENCE) -> None:
    """Look again and again until it has happened. Raises AssertionError."""
    ends = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < ends, "it never happened"
        Event().wait(PAUSE)
