"""A span for each upstream call, and links from those whom it served."""

from typing import NamedTuple

from edge.core.counters import Counters
from edge.core.errors import OriginTimeout
from edge.core.tracing import RequestTrace, SpanContext, SpanKind, TraceSpan, Value
from edge.core.values import Mode, Purpose
from edge.live.traced_origin import TracedOrigin
from origin_adapter.scripted import Call, ScriptedOrigin, data
from tests.live.support import Asked, House, RecordingSink, settle, warm, watch
from tests.support.spans import PARENT, TRACE, UNSAMPLED, Recorded, context_of

CALLED: dict[str, Value] = {"server.address": "origin.test", "server.port": 4437}
BASE = "http://origin.test:4437"
CROWD = 1000


class Traced(NamedTuple):
    """A house that makes traces, the origin behind, and what was recorded."""

    house: House
    origin: ScriptedOrigin
    made: Recorded


def traced(draw: float = 1.0) -> Traced:
    made, origin = Recorded(draw=draw), ScriptedOrigin()
    house = House(TracedOrigin(origin, made.tracer, CALLED, BASE))
    return Traced(house, origin, made)


def told(call: Call) -> SpanContext:
    """The span that the origin was told, by the one field that says so."""
    [named] = [v for name, v in call.request.headers if name == "traceparent"]
    return context_of(named)


def asked_by(parent: str) -> RecordingSink:
    return RecordingSink(trace=(("traceparent", parent), ("x-request-id", "one")))


def only(spans: list[TraceSpan]) -> TraceSpan:
    [span] = spans
    return span


def test_a_fetch_is_below_its_request_and_the_origin_below_the_fetch() -> None:
    house, origin, made = traced()
    asked = house.ask(sink=asked_by(PARENT))
    call = origin.expect(Purpose.CATCH_UP)
    call.reply(data(b"abc", "0003"))
    asked.done()

    span = only(made.spans)
    assert told(call) == span.context
    assert (span.context.trace_id, span.parent) == (TRACE, "b7ad6b7169203331")
    assert span.kind is SpanKind.CLIENT and span.name == "GET catch-up"
    assert span.attributes == {
        "http.request.method": "GET",
        "url.full": f"{BASE}/v1/stream/a",
        "server.address": "origin.test",
        "server.port": 4437,
        "ds_edge.purpose": "catch-up",
        "http.response.status_code": 200,
    }
    assert span.error == ""


def test_what_nobody_sampled_is_not_recorded_and_tells_the_origin_so() -> None:
    house, origin, made = traced()
    asked = house.ask(sink=asked_by(UNSAMPLED))
    call = origin.expect(Purpose.CATCH_UP)
    call.reply(data(b"abc", "0003"))
    asked.done()

    assert made.spans == [] and not told(call).sampled


def test_a_call_that_fails_says_why_and_one_that_is_refused_its_status() -> None:
    house, origin, made = traced()
    house.ask(sink=asked_by(PARENT))
    origin.expect(Purpose.CATCH_UP).fail(OriginTimeout("late"))
    settle()
    house.ask(sink=asked_by(PARENT))
    origin.expect(Purpose.CATCH_UP).answer(404, [])
    settle()

    assert [span.error for span in made.spans] == ["origin-timeout", "404"]


def test_a_poll_that_is_given_up_ends_as_that() -> None:
    house, origin, made = traced(draw=0.0)
    watch(house, origin)
    house.hub.stop()

    poll = made.spans[-1]
    assert poll.name == "GET follow" and poll.attributes["ds_edge.given_up"] is True


def test_a_followers_poll_begins_a_trace_that_is_sampled_by_itself() -> None:
    house, origin, made = traced(draw=0.0)
    _, poll = watch(house, origin)
    poll.reply(data(b"de", "0005"))
    settle()

    span = next(span for span in made.spans if span.name == "GET follow")
    assert span.parent == "" and span.context == told(poll)


def viewer(asked: Asked, sampled: bool = True) -> RequestTrace:
    """The trace of a viewer, as a front has it once it was answered."""
    trace = RequestTrace(SpanContext(TRACE, "00000000000000aa", sampled), "")
    assert asked.sink.per_response is not None
    trace.heard(asked.sink.per_response.span)
    return trace


def test_a_crowd_is_linked_to_the_one_poll_that_woke_it() -> None:
    """It was not sampled: the first sampled viewer has it recorded, once."""
    house, origin, made = traced()
    first, poll = watch(house, origin)
    crowd = [first, *(house.poll("0003") for _ in range(CROWD))]
    poll.reply(data(b"de", "0005"))
    for one in crowd:
        one.done()
    assert made.spans == []
    links = [viewer(one).links for one in crowd]

    span = only(made.spans)
    assert span.context.trace_id == told(poll).trace_id
    assert links == [[span.context]] * (CROWD + 1)
    assert viewer(first, sampled=False).links == []


def test_readers_that_share_a_fetch_are_linked_to_it() -> None:
    house, origin, made = traced()
    leader = house.ask(sink=asked_by(PARENT))
    other = house.ask(sink=asked_by(UNSAMPLED))
    origin.expect(Purpose.CATCH_UP).reply(data(b"abc", "0003"))
    leader.done()
    other.done()

    assert viewer(other).links == [only(made.spans).context]


def test_an_event_stream_hears_by_which_call_each_event_came() -> None:
    house, origin, _ = traced(draw=0.0)
    asked, poll = watch(house, origin, mode=Mode.SSE)
    assert asked.pending is not None
    brought = []
    for offset in ("0005", "0007"):
        poll.reply(data(b"de", offset))
        following = origin.expect(Purpose.FOLLOW)
        settle()
        assert asked.pending.brought_by is not None
        brought.append(asked.pending.brought_by.span.context)
        assert brought[-1] == told(poll)
        poll = following

    assert brought[0] != brought[1]


def test_what_failed_served_nobody() -> None:
    house, origin, _ = traced(draw=0.0)
    warm(house, origin)
    house.pass_time(3600.0)
    late = house.ask()
    origin.expect(Purpose.CATCH_UP).fail(OriginTimeout("late"))
    settle()

    per_response = late.sink.per_response
    assert per_response is None or per_response.span is None


def test_without_traces_no_answer_names_a_call() -> None:
    origin = ScriptedOrigin()
    house = House(origin)
    asked, poll = watch(house, origin)
    poll.reply(data(b"de", "0005"))
    per_response = asked.done().per_response

    assert per_response is not None and per_response.span is None
    assert Counters().spans_exported == 0
