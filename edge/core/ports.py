"""The ports: what the edge's floors need from the world.

``Origin`` and ``Exchange`` are implemented by ``origin_adapter``; ``Sink`` by the
front; ``PendingRead`` and the entrance ``ReadService`` by the hub; ``Control`` by
``HubControl``; ``Ticks`` by the hub's ticker; ``Board`` and ``SharedDenials`` by
``edge.board``; ``Clock`` by wiring and by tests.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from edge.core.errors import EdgeError
from edge.core.node_board import News, SlotWatch
from edge.core.purges import Purge, PurgeReport
from edge.core.stream_snapshot import (
    BY_VIEWERS,
    StreamDetail,
    StreamFilter,
    StreamSnapshot,
)
from edge.core.tracing import UpstreamSpan
from edge.core.values import (
    UNLIMITED,
    Answer,
    Framing,
    Headers,
    Lease,
    OriginAnswerHead,
    OriginRequest,
    PerResponse,
    Read,
    WriteOutcome,
)

DISK_SECONDS = 1.0
"""For so long an order to purge waits for the disk, which goes on deleting behind it.
"""


class Clock(Protocol):
    """Both clocks, in seconds."""

    def wall(self) -> float:
        """Unix time: cursors, Date, expiry. May step back."""

    def monotonic(self) -> float:
        """Never goes back: deadlines, ages, time-outs."""


class Exchange(Protocol):
    """One answer of the origin while it arrives. Owns its connection.

    Every exit gives the connection back or closes it: reading to the end, an
    error, or ``close()``. One that does not come straight from the origin also has a
    ``provenance`` (``edge.core.values.Provenance``).
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    @property
    def framing(self) -> Framing: ...

    @property
    def content_length(self) -> int | None: ...

    def read(self) -> bytes:
        """The next piece of the body; b"" only at its verified end.

        Blocks the calling greenlet. Raises OriginFault.
        """

    def close(self) -> None:
        """Give up. May be called at any time, from any greenlet, many times.

        A reader blocked in ``read`` is released with OriginFault.
        """


class Receiver(Protocol):
    """Whoever is told what becomes of an upstream call (see ``Origin.begin``).

    The order is: ``sent`` at most once, ``head`` once, ``data`` any number of times,
    ``ended`` once. ``failed`` may come instead of any of these and is the last then. An
    early answer to a write comes without ``sent``. Called on the event loop: none of
    them switches greenlets.
    """

    def sent(self) -> None:
        """The whole request is on the wire. A GET that is sent again tells it once."""

    def head(self, head: OriginAnswerHead) -> None:
        """The head of the final answer is here."""

    def data(self, piece: bytes) -> None:
        """The next piece of the body, never empty."""

    def ended(self) -> None:
        """The verified end of the body. The connection has been given back."""

    def failed(self, fault: EdgeError) -> None:
        """Nothing more comes: an OriginFault (NotAsked: not one byte was sent), or the
        ClientFault of a request that cannot be put on the wire."""


class UpstreamCall(Protocol):
    """An upstream call under way. Never blocks, never switches greenlets."""

    def cancel(self) -> None:
        """Give up; the receiver hears nothing more. Idempotent, also after the end.

        A connection whose answer is not over is closed.
        """

    def pause(self) -> None:
        """Read no more of the answer until ``resume``; what is here may still come."""

    def resume(self) -> None:
        """Read on."""


class Turn(Protocol):
    """What the event loop is to call at some time."""

    def stop(self) -> None:
        """Do not call it. Idempotent, also after the call."""


class Origin(Protocol):
    """Where streams live. ``open`` blocks the calling greenlet only, ``begin``
    nobody."""

    def begin(self, request: OriginRequest, receiver: Receiver) -> UpstreamCall:
        """Send a request whose body, if it has one, is bytes; tell ``receiver`` what
        becomes of it.

        ``sent`` may be told before this returns, all else is told later. An exception
        of the receiver ends the call: it is reported, and the receiver is told
        ``failed`` with the reason ``internal``, unless it raised from the last word.
        """

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """Send a request and wait for the head of its answer.

        ``on_sent`` is called once the whole request is on the wire, at most once per
        call (a retried GET counts from its first sending). It never switches
        greenlets. Raises OriginFault, and whatever ``request.body`` raises while it is
        being sent. In that case the connection is dropped: a cut body must never look
        complete to the origin.
        """


class Ready(Protocol):
    """A whole answer that many are given, as a front sees it.

    ``encoded`` belongs to the front: it keeps its encoding there. None at first.
    """

    @property
    def answer(self) -> Answer: ...

    @property
    def per_response(self) -> PerResponse: ...

    encoded: object


class Sink(Protocol):
    """Where one reader's answer goes. Never blocks, never switches greenlets.

    The hub calls ``send_whole`` once; or ``begin`` once, then ``write`` any number of
    times when the answer's body is streamed, then ``finish`` or ``abort`` once.
    """

    @property
    def client(self) -> str:
        """The client's network address, without a port; "" when it has none."""

    @property
    def trace(self) -> Headers:
        """``traceparent`` and ``x-request-id`` of what is asked upstream on its behalf;
        () where nobody asked."""

    def send_whole(self, ready: Ready, pause_reads: bool = False) -> None:
        """The whole answer: ``begin`` and ``finish`` in one.

        ``pause_reads``: a crowd is being served. This client's next request may wait
        until ``resume``, which follows in any case once the whole crowd is served.
        """

    def resume(self) -> None:
        """The crowd of a ``send_whole`` with ``pause_reads`` has been served."""

    def begin(self, answer: Answer, per_response: PerResponse) -> None:
        """The head, and the whole body where ``answer.body`` is not None."""

    def write(self, buffers: Sequence[bytes]) -> bool:
        """Take buffers whole; False: full, no more until ``PendingRead.drained``.

        The sink keeps what the socket does not take now: at most one write.
        """

    def finish(self) -> None:
        """The answer is complete."""

    def abort(self, error: EdgeError) -> None:
        """Nothing more comes.

        Before ``begin`` the sink answers with the error's own problem; after
        it, the connection is cut so that the body cannot look complete.
        """


class PendingRead(Protocol):
    """A reader that is not answered yet, as the front sees it."""

    @property
    def brought_by(self) -> UpstreamSpan | None:
        """The upstream call by which what it is given came last; None: it has no
        span."""

    def drained(self) -> None:
        """The sink can take more."""

    def gone(self) -> None:
        """The client left. Idempotent; the sink is not called afterwards."""


Peek = Callable[[Read, float], Ready | None]
"""The entrance for reads that are asked again. ``peek(read, now)`` returns an answer
that was given before and is still right, and counts it as ``ask`` would; or None: then
call ``ask``. It never switches. It knows a read by identity: a front passes the same
object again."""


def never_ready(read: Read, now: float) -> Ready | None:
    """A Peek that has no answer."""
    return None


class ReadService(Protocol):
    """The entrance for every read that is decided, for every front (the Hub)."""

    def ask(
        self, read: Read, sink: Sink, now: float, lease: Lease = UNLIMITED
    ) -> PendingRead | None:
        """Answer into ``sink`` now (None), or keep it and return its PendingRead.

        ``now`` is monotonic seconds. The reader is given nothing from the end of its
        ``lease`` on (B3). Never switches greenlets.
        """

    def wrote(self, write: WriteOutcome) -> None:
        """A write passed through this edge, and was answered or its answer was lost.

        Called before the client gets its answer (L4, L5). Never switches.
        """


Look = Callable[[float], None]
"""Called at a tick, with monotonic seconds."""


class Ticks(Protocol):
    """The one ticker of a worker (the hub's): it calls its looks every 0.25 s."""

    def register(self, look: Look) -> None:
        """Call ``look`` at each tick from now on, for as long as the worker lives.

        Each look is guarded by itself: if one raises, that is counted and reported,
        and all others still run. A look never switches greenlets.
        """


class NoTicks:
    """Ticks that never come, for a front without a hub."""

    def register(self, look: Look) -> None:
        """Forget ``look``."""


NO_TICKS: Ticks = NoTicks()


class Control(Protocol):
    """What an operator may ask of a running edge (the Hub). Only ``purge`` switches."""

    def snapshot(
        self, limit: int, wanted: StreamFilter = BY_VIEWERS
    ) -> Sequence[StreamSnapshot]:
        """At most ``limit`` of the streams that are asked for, in their order."""

    def of_path(self, route: str, path: str) -> Sequence[StreamSnapshot]:
        """The streams of a path: one for each partition and extension."""

    def details(self, route: str, path: str) -> Sequence[StreamDetail]:
        """The same in full."""

    def purge(self, purge: Purge, patience: float = DISK_SECONDS) -> PurgeReport:
        """Soften or forget what it means, in every partition (L27).

        Whoever waits there is served on. Blocks the calling greenlet: the disk is
        waited for, twice, ``patience`` seconds at most. Raises EdgeError if the disk
        may still have some of it.
        """

    def gauges(self) -> Mapping[str, float]:
        """What goes up and down, by metric name without prefix."""


class Board(Protocol):
    """One process's view of the node's board (W4 to W6). Where a process is alone,
    there is none. ``now`` is monotonic seconds, one clock for all processes of a
    machine. Nothing here blocks or switches greenlets.
    """

    def watch(self, path: str) -> SlotWatch:
        """For a new row: what stands there now counts as seen."""

    def news(self, watch: SlotWatch, now: float) -> News | None:
        """What is new for this row since it last asked, or None; then it is seen.

        What this process stored itself is no news to it. ``silent`` is said at each
        call for as long as it lasts, and once after it.
        """

    def covers(self, watch: SlotWatch, news: News, ends: Iterable[str]) -> bool:
        """Whether a row that has reached all of ``ends`` shows all writes of ``news``.

        Each must be an offset that the origin gave out and that is not above the row's
        end. Its last end is enough; those just before it save a look where answers to
        reads come before the acknowledgements.
        """

    def leaving(self) -> frozenset[int]:
        """The boots of the processes that are about to end (W12)."""

    def store_write(self, path: str, offset: str | None) -> None:
        """A write was acknowledged, or its answer was lost: before the writer hears it.

        ``offset`` is the next offset that the acknowledgement named. None where it
        named none, and where it told more than that: that the stream is closed.
        """

    def store_life(self, path: str) -> None:
        """A PUT made the stream, or a DELETE ended it, or either was lost: before its
        sender hears it. One that is sent to the origin directly is stored before it is
        sent, too."""


class SharedDenials(Protocol):
    """What all fronts of a node know of bad credentials and of good ones (W17). Where a
    process is alone, there is none. ``client`` is an address as it is counted,
    ``credential`` a digest. Times are monotonic, in units. Nothing here blocks or
    switches.

    What is stored at the same instant by two processes may be stored for one of them.
    """

    @property
    def units_per_second(self) -> int: ...

    def back_at(self, client: str) -> int:
        """When a client has all of its allowance back; 0: it has used up nothing."""

    def store_back_at(self, client: str, back_at: int) -> None:
        """It has used up some. A time never goes back."""

    def knows(self, credential: str) -> bool:
        """Whether a credential let somebody in lately."""

    def let_in(self, credential: str) -> None:
        """It did, now."""

    def forget(self, credential: str) -> None:
        """It is good no more."""
