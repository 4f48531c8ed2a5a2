"""HubContext: what every part of the hub is given.

The options, the counters, the clock, and the guard. The guard is the outermost one of
this floor. Readers are served in passes (a wake-up, a flight that lands, the ticker's
round). An exception in a pass, a defect of this program or of a front's sink, must not
leave the other readers waiting. It is counted and reported to gevent's hub, which
prints the traceback as for any greenlet that fails, and takes no lock. Only the reader
that met it is ended.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import length_hint
from typing import ParamSpec

import gevent

from edge.core.counters import Counters
from edge.core.errors import EdgeError
from edge.core.fault_notes import StreamFaults
from edge.core.node_bounds import NodeBounds
from edge.core.ports import Board, Clock
from edge.core.reasons import Reason
from edge.core.values import Mode, Node, Result
from edge.live.looks import Looks
from edge.live.rows import Reader, State, Stream
from edge.policy.streams.answers import FreshnessOptions
from edge.policy.streams.decide import Rules
from edge.policy.streams.routes import Route

P = ParamSpec("P")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubOptions:
    """All times in seconds, all sizes in bytes. Settings fill the fields and hold their
    defaults; what no setting names has its value here.

    ``follow_reads`` reads of a tail within ``follow_within`` seconds make it
    followed without viewers (L24). ``hold`` is how long an origin is expected
    to hold a poll until one was seen (L3). ``viewer_lag`` is how far an SSE
    viewer may fall behind before its response ends after a whole event.
    ``breaker``: whether reads stop while most calls of the origin fail (U6).
    ``bypass_for`` is how long a key that must not be joined passes one to one (L15),
    ``no_head_for`` how long one is read without HEAD when HEAD does not tell (U12).
    ``max_retry_after`` is the longest that a Retry-After is obeyed (U7).
    ``cold_patience`` is how long a live reader waits for an origin that is away when
    nothing is known of its stream (U2). ``spool_size``: bytes of the files of all
    spooled answers (S1). ``asks_keepers``: what is shared is asked of a keeper of this
    node (W10). ``serves_fronts``: this is a keeper, whose readers are fronts, and
    ``boot`` the number by which they know its process. ``board``: the node's, as this
    process sees it; None: it is alone. ``bounds``: where the node bounds its
    clients in all its processes together, and not each by itself (W13).
    """

    routes: Sequence[Route]
    rules: Rules
    freshness: FreshnessOptions
    node: Node
    long_poll_timeout: float
    sse_lifetime: float
    sse_keep_alive: float
    linger: float
    follow_reads: int
    follow_within: float
    hold: float
    memory: int
    max_object: int
    spool_size: int
    viewer_lag: int
    max_viewers: int
    max_viewers_per_stream: int
    max_flights: int
    max_relays: int
    max_relays_per_stream: int
    max_relays_per_client: int
    max_followers: int
    max_streams: int
    max_retry_after: float
    breaker: bool
    bypass_for: float = 60.0
    no_head_for: float = 60.0
    backoff_first: float = 0.1
    backoff_max: float = 5.0
    cold_patience: float = 2.0
    asks_keepers: bool = False
    serves_fronts: bool = False
    boot: int = 0
    board: Board | None = None
    bounds: NodeBounds | None = None

    @property
    def is_front(self) -> bool:
        """Whether what is new is pushed here (W15): by the keepers of this node."""
        return self.asks_keepers and not self.serves_fronts


class Guard:
    """Calls the code that serves readers."""

    __slots__ = ("_counters",)

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def serve(self, act: Callable[[Reader], None], reader: Reader) -> None:
        """Call ``act``; should it raise, the reader is ended with a 500."""
        try:
            act(reader)
        except Exception:
            self.end(reader)

    def serve_all(
        self, act: Callable[[Iterator[Reader]], None], readers: Sequence[Reader]
    ) -> None:
        """Call ``act`` with all of them in one loop; should it raise, the reader that
        it was at is ended with a 500, and the others are served."""
        left, number = iter(readers), len(readers)
        while length_hint(left):
            try:
                act(left)
            except Exception:
                if length_hint(left) == number:
                    # It took nobody: do not call it for ever.
                    next(left)
                number = length_hint(left)
                self.end(readers[-number - 1])

    def call(self, act: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call ``act``; should it raise, that is counted and reported."""
        try:
            act(*args, **kwargs)
        except Exception:
            self.report(act)

    def end(self, reader: Reader) -> None:
        """Report the exception that is being handled, and end its reader with a 500.

        Never raises: a defect of the sink stops here, too.
        """
        self.report(reader)
        self.call(self._abort, reader)

    def _abort(self, reader: Reader) -> None:
        if not reader.done:
            reader.move(State.DONE)
            self._counters.answers["error"] += 1
            reader.sink.abort(EdgeError("the edge could not serve this read"))

    def report(self, where: object) -> None:
        """Count the exception that is being handled, and have gevent's hub print it."""
        self._counters.internal_errors += 1
        gevent.get_hub().handle_error(where, *sys.exc_info())


class HubContext:
    """Made once, by the hub."""

    __slots__ = ("clock", "counters", "faults", "guard", "looks", "options")

    def __init__(self, options: HubOptions, counters: Counters, clock: Clock) -> None:
        self.options = options
        self.counters = counters
        self.clock = clock
        self.guard = Guard(counters)
        self.faults = StreamFaults()
        board, keeps = options.board, options.serves_fronts
        self.looks = None if board is None else Looks(board, polls_origin=keeps)

    def first_byte(self, reader: Reader, result: Result) -> None:
        """The first byte of an answer goes out: count how long that took, unless the
        reader waited for an event, and not for this edge or its origin."""
        mode = reader.read.mode
        held = mode is Mode.LONG_POLL and result in (Result.PASS, Result.EMPTY)
        if not held and reader.asked is not Reason.FOLLOWED:
            took = self.clock.monotonic() - reader.arrived
            self.counters.timings.first_byte[mode, result].observe(took)

    def origin_failed(self, path: str, reason: Reason) -> None:
        """Count a failure of the origin that was met for a stream, and note it."""
        self.counters.origin_faults[reason.value] += 1
        self.faults.note(path, reason, self.clock.wall())

    def asks_keeper(self, stream: Stream) -> bool:
        """Whether a keeper is asked for this row: by a front always; by a keeper whose
        predecessor is there, unless the row has a life of its own (W8)."""
        options = self.options
        if not options.asks_keepers:
            return False
        return not (options.serves_fronts and stream.log.has_own_life)
