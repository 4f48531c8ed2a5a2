"""Tracing: spans, what carries them from hop to hop, and which are recorded. Pure.

A *span* is one request or one upstream call, with its times and attributes; a *trace*
is all spans with one id. Contexts go from hop to hop in ``traceparent`` and
``tracestate`` (W3C Trace Context). A span is recorded if it is *sampled*. What a client
says of that counts as the operator has set (``Trust``); a trace that begins here is
sampled by chance, never by its id, for a client may choose that (P15).

One upstream call serves many readers: its span is linked from theirs. Hardly ever is it
sampled itself where one in a thousand is. So it is kept for as long as a reader may
still be served by it, and recorded once a sampled reader links to it (*late
sampling*): no link leads nowhere in this process. Where it is below a span of another
process of the node, as what a keeper pushed, that is told, and records its own
(``LateSpans``).

The span of a call that lasts for hours, by which a stream is followed, says nothing of
one event. So each batch that such a call brings has a span of its own (``EventsSpan``).

Nothing here knows who takes the spans. Clocks and chance are given; all times of spans
are Unix seconds.
"""

import enum
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from edge.protocol.http_grammar import trace_parts

MAX_LINKS = 32
"""Links of one span: an event stream may be served by thousands of calls."""

MAX_LATE = 1024
"""Spans that a process keeps for others of its node, which may want them recorded."""

MAX_OFFSET = 256
"""Characters of an offset that a span tells."""

MAX_STATE = 512
"""Characters of a ``tracestate`` that is handed on (section 3.3.1.5)."""

TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
_SAMPLED = 1

Value = str | int | float | bool
"""What an attribute may say."""


class Trust(enum.Enum):
    """What the trace context of a client counts for.

    IGNORE: a trace of its own, linked to the client's. JOIN: the client's trace, and
    whether it is sampled is decided here. OBEY: that counts as well.
    """

    IGNORE = "ignore"
    JOIN = "join"
    OBEY = "obey"


class SpanKind(enum.Enum):
    """On which side of a call a span is."""

    SERVER = "server"
    CLIENT = "client"
    CONSUMER = "consumer"


class SpanContext(NamedTuple):
    """By what a span is known, here and at the next hop. ``state`` is the raw
    ``tracestate``, "" for none."""

    trace_id: str
    span_id: str
    sampled: bool = False
    state: str = ""

    @property
    def traceparent(self) -> str:
        """As it goes to the next hop."""
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"

    @classmethod
    def told(cls, traceparent: str | None, state: str | None) -> "SpanContext | None":
        """What the fields of a request say; None: nothing that is well-formed."""
        parts = trace_parts(traceparent)
        if parts is None:
            return None
        trace, span, flags = parts
        kept = state if state and len(state) <= MAX_STATE and state.isascii() else ""
        return cls(trace, span, bool(flags & _SAMPLED), kept)


@dataclass(slots=True, eq=False)
class TraceSpan:
    """One span. ``parent`` is a span id, "" for none. ``error`` is what went wrong, as
    one word; "" for nothing."""

    name: str
    kind: SpanKind
    context: SpanContext
    parent: str
    started: float
    ended: float = 0.0
    attributes: dict[str, Value] = field(default_factory=dict)
    links: list[SpanContext] = field(default_factory=list)
    error: str = ""


PutSpan = Callable[[TraceSpan], None]
"""Takes a finished span that is to be recorded. Never blocks, never raises."""


class UpstreamSpan:
    """The span of one upstream call, recorded if it is sampled or linked to. ``late``
    keeps it once another process knows it."""

    __slots__ = ("_late", "_put", "_recorded", "over", "span")

    def __init__(
        self, span: TraceSpan, put: PutSpan, late: "LateSpans | None" = None
    ) -> None:
        self.span = span
        self._put = put
        self._late = late
        self.over = self._recorded = False

    def end(self, now: float) -> None:
        """The call is over. Idempotent."""
        if not self.over:
            self.over = True
            self.span.ended = now
            if self.span.context.sampled:
                self._record()

    def link(self) -> SpanContext:
        """A span that is sampled links to it: it is recorded in any case."""
        span = self.span
        if not span.context.sampled:
            span.context = span.context._replace(sampled=True)
            self._sampled_late()
        if self.over:
            self._record()
        return span.context

    def told(self) -> str:
        """By what another process of the node is told of it: its ``traceparent``."""
        if self._late is not None and not self.span.context.sampled:
            self._late.keep(self)
        return self.span.context.traceparent

    def received(
        self, trace: str, offset: str, size: int, now: float
    ) -> "UpstreamSpan":
        """The span of a batch that the call brings now, up to ``offset`` and of so many
        octets. ``trace``: what its sender told of it, "" for nothing."""
        return self

    def _sampled_late(self) -> None:
        # Whatever began the call is not recorded: it is the first of its trace.
        self.span.parent = ""

    def _record(self) -> None:
        if not self._recorded:
            self._recorded = True
            self._put(self.span)


class LateSpans:
    """Spans of this process that were not sampled, and that others of its node know:
    the last MAX_LATE. One that records its own, for the sake of a sampled viewer, says
    so, and the one above is recorded here."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, UpstreamSpan] = OrderedDict()

    def keep(self, span: UpstreamSpan) -> None:
        """Another process is told of it. Idempotent."""
        self._kept[span.span.context.span_id] = span
        if len(self._kept) > MAX_LATE:
            self._kept.popitem(last=False)

    def record(self, traceparent: str) -> None:
        """Have this one recorded, if it is known."""
        told = SpanContext.told(traceparent, None)
        span = None if told is None else self._kept.pop(told.span_id, None)
        if span is not None:
            span.link()


Ask = Callable[[str], None]
"""Has the process that told this ``traceparent`` record its span. Never blocks."""


class EventsSpan(UpstreamSpan):
    """The span of a call by which a stream is followed, with one for each batch that it
    brings. ``ask`` is told which spans of the sender are to be recorded."""

    __slots__ = ("_ask", "_shared", "_tracer")

    def __init__(self, span: TraceSpan, tracer: "Tracer", ask: Ask | None) -> None:
        super().__init__(span, tracer.put, tracer.late)
        self._tracer = tracer
        self._ask = ask
        self._shared = {
            name: value
            for name, value in span.attributes.items()
            if name != "http.request.method"
        }

    def received(self, trace: str, offset: str, size: int, now: float) -> UpstreamSpan:
        """See ``UpstreamSpan``."""
        tracer = self._tracer
        context, parent = tracer.call(trace or None, begins=False)
        attributes: dict[str, Value] = {
            **self._shared,
            "ds_edge.offset": offset[:MAX_OFFSET],
            "ds_edge.bytes": size,
        }
        how = "receive events", SpanKind.CONSUMER, context, parent
        span = TraceSpan(*how, now, attributes=attributes)
        return _Received(span, self, tracer, self._ask if parent else None)


class _Received(UpstreamSpan):
    """That of one batch. Without one above it, it is linked to that of its call, which
    is recorded when it ends."""

    __slots__ = ("_ask", "_call")

    def __init__(
        self, span: TraceSpan, call: EventsSpan, tracer: "Tracer", ask: Ask | None
    ) -> None:
        super().__init__(span, tracer.put, tracer.late)
        self._call = call
        self._ask = ask

    def _sampled_late(self) -> None:
        span = self.span
        if self._ask is not None:
            self._ask(span.context._replace(span_id=span.parent).traceparent)
        else:
            super()._sampled_late()

    def _record(self) -> None:
        if not self._recorded and not self.span.parent:
            self.span.links.append(self._call.link())
        super()._record()


class RequestTrace:
    """What is decided of one client's request. ``parent`` is a span id; ``links`` go to
    the calls that served it, ``unlinked`` more are not kept."""

    __slots__ = ("_last", "answered_at", "context", "links", "parent", "unlinked")

    def __init__(
        self, context: SpanContext, parent: str, linked: SpanContext | None = None
    ) -> None:
        self.context = context
        self.parent = parent
        self.links = [] if linked is None else [linked]
        self.unlinked = 0
        # When its answer began, monotonic; None: at once, from memory.
        self.answered_at: float | None = None
        self._last: UpstreamSpan | None = None

    def heard(self, call: UpstreamSpan | None) -> None:
        """It is being served by what ``call`` brought."""
        if call is None or call is self._last or not self.context.sampled:
            return
        self._last = call
        if call.span.parent == self.context.span_id:
            # It asked by itself: the call is below it.
            return
        if len(self.links) < MAX_LINKS:
            self.links.append(call.link())
        else:
            self.unlinked += 1

    def fields(self, request_id: str) -> tuple[tuple[str, str], ...]:
        """The fields that tell the next hop for which request it is asked."""
        told = ((TRACEPARENT, self.context.traceparent), ("x-request-id", request_id))
        if self.context.state:
            return ((TRACESTATE, self.context.state), *told)
        return told


class Tracer:
    """Makes contexts, and says which are sampled: one in ``one_in`` of the traces that
    begin here, 0 for none.

    ``bits`` gives random numbers of so many bits, ``chance`` one below 1.
    """

    def __init__(
        self,
        one_in: int,
        put: PutSpan,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
        bits: Callable[[int], int],
        chance: Callable[[], float],
    ) -> None:
        self.put = put
        self.late = LateSpans()
        self._share = 1 / one_in if one_in else 0.0
        self._wall = wall
        self._monotonic = monotonic
        self._bits = bits
        self._chance = chance

    def now(self) -> float:
        """Unix seconds."""
        return self._wall()

    def unix(self, monotonic: float) -> float:
        """A moment of the monotonic clock, in Unix seconds as of now."""
        return self._wall() - (self._monotonic() - monotonic)

    def samples(self) -> bool:
        """Whether a trace that begins here is sampled: another answer each time."""
        return self._chance() < self._share

    def request(
        self, traceparent: str | None, state: str | None, trust: Trust
    ) -> RequestTrace:
        """The trace of a request that came with these fields."""
        told = SpanContext.told(traceparent, state)
        if told is None or trust is Trust.IGNORE:
            trace = f"{self._bits(128) or 1:032x}"
            context = SpanContext(trace, self._span_id(), self.samples())
            return RequestTrace(context, "", told)
        sampled = told.sampled if trust is Trust.OBEY else self.samples()
        context = told._replace(span_id=self._span_id(), sampled=sampled)
        return RequestTrace(context, told.span_id)

    def call(self, traceparent: str | None, begins: bool) -> tuple[SpanContext, str]:
        """The context of an upstream call for whom ``traceparent`` names, and its
        parent. ``begins``: if that is not sampled, nobody asked, and the ids are the
        call's own."""
        told = SpanContext.told(traceparent, None)
        if told is None:
            trace = f"{self._bits(128) or 1:032x}"
            return SpanContext(trace, self._span_id(), self.samples()), ""
        if begins and not told.sampled:
            return told._replace(sampled=self.samples()), ""
        return told._replace(span_id=self._span_id()), told.span_id

    def _span_id(self) -> str:
        return f"{self._bits(64) or 1:016x}"
