"""Work apart: what would hold up the event loop goes to a thread (L19)."""

from collections.abc import Callable
from typing import TypeVar

import gevent

T = TypeVar("T")


def run_apart(work: Callable[[], T], then: Callable[[T], None]) -> None:
    """Run ``work`` on a thread, then ``then`` with its result on the event loop."""

    def both() -> None:
        then(gevent.get_hub().threadpool.apply(work))

    gevent.spawn(both)
