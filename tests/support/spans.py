"""What tests of traces share: a tracer whose chance a test decides, and its spans."""

from dataclasses import dataclass, field

from edge.core.tracing import SpanContext, SpanKind, Tracer, TraceSpan, Trust
from edge.front.spans import ServerSpans

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
UNSAMPLED = PARENT[:-1] + "0"
TRACE = PARENT.split("-")[1]


@dataclass(eq=False)
class Recorded:
    """A tracer that takes one trace in ``one_in`` by the draws that a test sets: 0.0 is
    always below, 1.0 never. Ids are counted, and its clocks stand still."""

    one_in: int = 10
    draw: float = 1.0
    wall: float = 1_800_000_000.0
    monotonic: float = 1000.0
    spans: list[TraceSpan] = field(default_factory=list)
    made: int = 0

    def __post_init__(self) -> None:
        self.tracer = Tracer(
            self.one_in,
            self.spans.append,
            lambda: self.wall,
            lambda: self.monotonic,
            self._bits,
            lambda: self.draw,
        )

    def _bits(self, _count: int) -> int:
        self.made += 1
        return self.made

    def server(self, trust: Trust = Trust.IGNORE) -> ServerSpans:
        return ServerSpans(self.tracer, trust)

    def of_kind(self, kind: SpanKind) -> list[TraceSpan]:
        return [span for span in self.spans if span.kind is kind]


def context_of(traceparent: str) -> SpanContext:
    """The context in a ``traceparent`` that is right."""
    found = SpanContext.told(traceparent, None)
    assert found is not None
    return found
