"""A span for each batch by which a stream is followed: of events, and of pushes."""

from functools import partial

from edge.core.ports import Origin
from edge.core.tracing import RequestTrace, SpanContext, SpanKind, TraceSpan
from edge.core.values import Mode, Provenance, Purpose
from edge.live.traced_origin import AskToRecord, TracedOrigin
from edge.policy.http.link_frames import push_payload
from origin_adapter.scripted import Call, ScriptedOrigin, data, head_answer
from tests.live.node_house import NodeHouse, front, keeper
from tests.live.support import QUICK, Asked, House, settle, warm, watch
from tests.live.test_following_by_events import SSE, batch, body, follow
from tests.live.test_pushes import FrontSink, pushes, told
from tests.support.spans import TRACE, Recorded, context_of

BASE = "http://origin.test:4437"


def only(spans: list[TraceSpan]) -> TraceSpan:
    [span] = spans
    return span


def links_of(asked: Asked) -> list[SpanContext]:
    """To what the span of this viewer is linked, which is sampled."""
    trace = RequestTrace(SpanContext(TRACE, "00000000000000aa", True), "")
    assert asked.pending is not None
    trace.heard(asked.pending.brought_by)
    return trace.links


def named_by(call: Call) -> SpanContext:
    """The span that was told with this call."""
    [named] = [v for name, v in call.request.headers if name == "traceparent"]
    return context_of(named)


def traced(made: Recorded, origin: Origin, ask: AskToRecord | None = None) -> Origin:
    return TracedOrigin(origin, made.tracer, {}, BASE, ask=ask)


def test_an_event_has_a_span_while_the_call_that_brings_it_goes_on() -> None:
    """A viewer that it woke is linked to that, and it to the call: both are recorded
    for the viewer's sake."""
    made, origin = Recorded(), ScriptedOrigin()
    house = House(traced(made, origin), routes=(SSE,), **QUICK)
    viewer, call = follow(house, origin)
    call.piece(batch("0002", "b"))
    settle()
    assert made.spans == []
    links = links_of(viewer)

    span = only(made.spans)
    assert links == [span.context]
    assert (span.name, span.kind) == ("receive events", SpanKind.CONSUMER)
    assert span.attributes["url.full"] == f"{BASE}/v1/stream/a"
    assert span.attributes["ds_edge.offset"] == "0002"
    assert span.attributes["ds_edge.bytes"] == len(body("b")) - 2 + len(",")
    house.hub.stop()
    ended = made.spans[-1]
    assert ended.name == "GET events" and span.links == [ended.context]
    assert named_by(call)[:2] == ended.context[:2]


def test_each_event_has_a_span_of_its_own() -> None:
    made, origin = Recorded(draw=0.0), ScriptedOrigin()
    house = House(traced(made, origin), routes=(SSE,), **QUICK)
    viewer, call = follow(house, origin)
    found = []
    for offset in ("0002", "0003"):
        call.piece(batch(offset, offset))
        settle()
        found += links_of(viewer)

    assert len({one.span_id for one in found}) == len({one.trace_id for one in found})
    received = [span.context for span in made.spans if span.name == "receive events"]
    assert received[-2:] == found


def following(made: Recorded, ask: AskToRecord) -> tuple[NodeHouse, Asked, Call]:
    """A front that makes traces, its viewer, and how it follows its keeper."""
    around = partial(traced, made, ask=ask)
    node = front(around=around, asks_keepers=True)
    warm(node.house, node.origin)
    viewer = node.house.ask("0003", Mode.SSE)
    node.origin.expect(Purpose.CATCH_UP).reply(head_answer("0003"))
    call = node.origin.expect(Purpose.EVENTS)
    call.head(200, provenance=Provenance(0.0, 0.0, 0.0, None))
    return node, viewer, call


def test_a_push_names_what_brought_it_and_what_its_front_makes_is_below_that() -> None:
    """Nobody sampled either. For a sampled viewer of the front both are recorded."""
    kept, made = Recorded(), Recorded()
    node = keeper(around=partial(traced, kept))
    _, poll = watch(node.house, node.origin)
    pushed = node.house.ask("0003", Mode.SSE, sink=FrontSink())
    settle()
    poll.reply(data(b"de", "0005"))
    settle()
    push = pushes(pushed)[-1]
    assert context_of(push.trace) == named_by(poll)
    assert kept.spans == []

    asked: list[str] = []

    def ask(path: str, traceparent: str) -> None:
        asked.append(path)
        kept.tracer.late.record(traceparent)

    _, viewer, call = following(made, ask)
    call.piece(told("0003"))
    call.piece(push_payload(push))
    settle()
    assert made.spans == [] and asked == []
    links = links_of(viewer)

    above, below = only(kept.spans), only(made.spans)
    assert links == [below.context] and asked == ["/v1/stream/a"]
    assert (above.name, below.name) == ("GET follow", "receive events")
    assert (below.context.trace_id, below.parent) == above.context[:2]


def test_what_the_keeper_samples_its_front_does() -> None:
    kept, made = Recorded(draw=0.0), Recorded(draw=1.0)
    context, _ = kept.tracer.call(None, begins=True)
    _, _, call = following(made, lambda *_: None)
    call.piece(told("0003"))
    call.piece(told("0005", b"de", trace=context.traceparent))
    settle()

    span = only(made.spans)
    assert (span.context.trace_id, span.parent) == context[:2]


def test_where_no_traces_are_made_a_push_names_nothing() -> None:
    node = keeper()
    watch(node.house, node.origin)
    pushed = node.house.ask("0003", Mode.SSE, sink=FrontSink())
    settle()

    assert [push.trace for push in pushes(pushed)] == [""]
