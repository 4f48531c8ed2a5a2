"""The parts that the front is built from. Wiring makes them, once per worker.

``Dependencies`` is all that answering requests needs; the application and the fast way
hold the same one. ``Runtime`` is what a worker starts, drains and stops around it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.access.revoker import Revoker
from edge.core.counters import Counters
from edge.core.node_counters import CounterSet
from edge.core.ports import (
    NO_TICKS,
    Clock,
    Control,
    Origin,
    Peek,
    ReadService,
    Ticks,
    never_ready,
)
from edge.front.options import FrontOptions
from edge.front.spans import ServerSpans
from edge.policy.streams.authorize import Authorizer, authorize
from edge.policy.streams.pipeline import RequestPipeline
from edge.policy.streams.routes import Route


def never() -> bool:
    """For a front that never drains."""
    return False


@dataclass(frozen=True, slots=True)
class Dependencies:
    """The parts that answer: ``read_service`` for reads, ``origin`` for the rest.

    ``peek`` is the hub's entrance for reads that are asked again, ``ticks`` the
    worker's one ticker. ``authorizer`` says whether a request may go on, and with whom
    it shares (``edge.policy.streams.authorize``). ``draining``: whether the worker has
    begun to take its leave. ``spans`` None: no traces are made.
    """

    read_service: ReadService
    origin: Origin
    routes: Sequence[Route]
    counters: Counters
    clock: Clock
    options: FrontOptions
    peek: Peek = never_ready
    ticks: Ticks = NO_TICKS
    authorizer: Authorizer = authorize
    draining: Callable[[], bool] = never
    spans: ServerSpans | None = None

    @property
    def pipeline(self) -> RequestPipeline:
        """The pipeline that every request of every front goes through."""
        return RequestPipeline(tuple(self.routes), self.authorizer)


class Runtime(Protocol):
    """One worker's parts, alive."""

    @property
    def parts(self) -> Dependencies: ...

    @property
    def control(self) -> Control:
        """What an operator may ask of the worker. Its gauges serve the metrics, too."""

    @property
    def revoker(self) -> Revoker | None:
        """Who takes orders to revoke; None where the edge lets nobody in itself."""

    @property
    def counter_set(self) -> CounterSet:
        """All that this process counts; ``parts.counters`` are its ``own``."""

    def end_hand_over(self) -> None:
        """Ask a keeper that leaves for nothing more: it may not have carried out what
        was ordered (L27). No effect where none is asked."""

    def start(self) -> None:
        """Begin what runs by itself (tickers). Called once, in the worker."""

    def ready(self) -> bool:
        """Whether reads can be answered: started and not draining."""

    def drain(self, grace: float) -> None:
        """Release every parked reader within ``grace`` seconds; park no more.

        Returns at once. Reads that arrive later are still answered.
        """

    def let_go(self) -> None:
        """The grace is over: release at once every reader that waits here for its
        time, and not for the origin."""

    def stop(self) -> None:
        """Close everything. Called once, when no client is served any more."""
