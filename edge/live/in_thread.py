"""Work that takes long, on a thread: the event loop goes on meanwhile."""

from collections.abc import Callable
from typing import TypeVar

import gevent

V = TypeVar("V")


def run_in_thread(work: Callable[[], V], then: Callable[[V], None]) -> None:
    """Run ``work`` on a thread, then ``then`` with its result on the event loop."""

    def both() -> None:
        then(gevent.get_hub().threadpool.apply(work))

    gevent.spawn(both)
