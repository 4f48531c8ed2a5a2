"""Which requests are traced, in whose trace, and what the next hop is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.tracing import (
    MAX_LATE,
    MAX_LINKS,
    MAX_OFFSET,
    MAX_STATE,
    EventsSpan,
    LateSpans,
    RequestTrace,
    SpanContext,
    SpanKind,
    TraceSpan,
    Trust,
    UpstreamSpan,
)
from tests.support.spans import PARENT, TRACE, UNSAMPLED, Recorded, context_of

HEX = "0123456789abcdef"
IDS = st.integers(1, 2**64 - 1)


@given(st.integers(1, 2**128 - 1), IDS, st.booleans())
def test_what_is_told_to_the_next_hop_is_what_it_hears(
    trace: int, span: int, sampled: bool
) -> None:
    context = SpanContext(f"{trace:032x}", f"{span:016x}", sampled)
    assert SpanContext.told(context.traceparent, None) == context


@given(st.text(alphabet=HEX + "-f0 ", max_size=60))
def test_no_field_of_a_client_makes_an_id_that_is_none(told: str) -> None:
    context = SpanContext.told(told, "a=b")
    if context is not None:
        assert len(context.trace_id) == 32 and int(context.trace_id, 16)
        assert len(context.span_id) == 16 and int(context.span_id, 16)


@pytest.mark.parametrize("state", ["x" * (MAX_STATE + 1), "ä=1", "", None])
def test_a_state_that_is_too_long_or_odd_is_not_handed_on(state: str | None) -> None:
    context = SpanContext.told(PARENT, state)
    assert context is not None and context.state == ""


# Whom to trust.


def test_a_client_that_is_not_trusted_is_in_a_trace_of_our_own_linked_to_its_own() -> (
    None
):
    made = Recorded(draw=0.0)
    trace = made.tracer.request(PARENT, "a=b", Trust.IGNORE)
    assert trace.context.trace_id != TRACE and trace.parent == ""
    assert trace.context.sampled and not trace.context.state
    assert trace.links == [SpanContext(TRACE, "b7ad6b7169203331", True, "a=b")]


def test_a_client_that_is_not_trusted_cannot_have_itself_sampled() -> None:
    made = Recorded(draw=1.0)
    for trust in (Trust.IGNORE, Trust.JOIN):
        assert not made.tracer.request(PARENT, None, trust).context.sampled


def test_no_id_that_a_client_chooses_is_sampled_more_often() -> None:
    """A sampler that goes by the trace id would always take an id of zeros (P15)."""
    made = Recorded(one_in=10, draw=0.5)
    low = f"00-{1:032x}-{1:016x}-01"
    assert not made.tracer.request(low, None, Trust.JOIN).context.sampled


def test_a_trace_is_joined_and_sampled_by_our_own_decision() -> None:
    made = Recorded(draw=0.0)
    trace = made.tracer.request(UNSAMPLED, "a=b", Trust.JOIN)
    assert (trace.context.trace_id, trace.parent) == (TRACE, "b7ad6b7169203331")
    assert trace.context.sampled and trace.context.state == "a=b"
    assert trace.context.span_id != trace.parent and not trace.links


@pytest.mark.parametrize(("told", "sampled"), [(PARENT, True), (UNSAMPLED, False)])
def test_who_is_obeyed_decides_for_us_too(told: str, sampled: bool) -> None:
    for draw in (0.0, 1.0):
        trace = Recorded(draw=draw).tracer.request(told, None, Trust.OBEY)
        assert trace.context.sampled is sampled


@pytest.mark.parametrize("trust", Trust)
def test_without_a_trace_one_in_so_many_is_sampled(trust: Trust) -> None:
    for draw, sampled in ((0.09, True), (0.1, False)):
        trace = Recorded(one_in=10, draw=draw).tracer.request("odd", None, trust)
        assert trace.context.sampled is sampled and not trace.links


def test_none_is_sampled_where_nothing_is_to_be_but_who_is_obeyed() -> None:
    made = Recorded(one_in=0, draw=0.0)
    assert not made.tracer.request(None, None, Trust.OBEY).context.sampled
    assert made.tracer.request(PARENT, None, Trust.OBEY).context.sampled


def test_the_next_hop_is_told_our_span_and_the_state_only_of_a_trace_we_joined() -> (
    None
):
    made = Recorded(draw=0.0)
    joined = made.tracer.request(PARENT, "a=b", Trust.JOIN)
    named = ("traceparent", joined.context.traceparent)
    assert joined.fields("id") == (("tracestate", "a=b"), named, ("x-request-id", "id"))
    own = made.tracer.request(PARENT, "a=b", Trust.IGNORE)
    assert [name for name, _ in own.fields("id")] == ["traceparent", "x-request-id"]


# Calls.


def test_a_call_for_a_request_is_below_it_and_a_poll_for_nobody_begins_a_trace() -> (
    None
):
    made = Recorded(draw=0.0)
    context, parent = made.tracer.call(PARENT, begins=False)
    assert (context.trace_id, parent) == (TRACE, "b7ad6b7169203331")
    context, parent = made.tracer.call(UNSAMPLED, begins=True)
    assert (context.trace_id, context.span_id) == (TRACE, "b7ad6b7169203331")
    assert parent == "" and context.sampled
    context, parent = made.tracer.call(PARENT, begins=True)
    assert parent == "b7ad6b7169203331"


def call(made: Recorded, sampled: bool = False, parent: str = "") -> UpstreamSpan:
    context, _ = made.tracer.call(None, begins=True)
    named = context._replace(sampled=sampled)
    return UpstreamSpan(
        TraceSpan("GET", SpanKind.CLIENT, named, parent, 1.0), made.spans.append
    )


def viewer(sampled: bool = True) -> RequestTrace:
    return RequestTrace(SpanContext(TRACE, "00000000000000aa", sampled), "")


def test_a_call_that_nobody_sampled_is_recorded_once_a_sampled_viewer_links_to_it() -> (
    None
):
    made = Recorded()
    poll = call(made, parent="00000000000000bb")
    poll.end(2.0)
    assert made.spans == []
    first, second = viewer(), viewer()
    first.heard(poll)
    second.heard(poll)
    assert made.spans == [poll.span]
    assert first.links == second.links == [poll.span.context]
    # What began it is not recorded, and nobody shall look for that.
    assert poll.span.context.sampled and poll.span.parent == ""


def test_a_call_that_is_linked_to_before_its_end_is_recorded_at_its_end() -> None:
    made = Recorded()
    stream = call(made)
    viewer().heard(stream)
    assert made.spans == []
    stream.end(5.0)
    stream.end(6.0)
    assert [span.ended for span in made.spans] == [5.0]


def test_a_viewer_that_is_not_sampled_records_nothing() -> None:
    made = Recorded()
    poll, other = call(made), viewer(sampled=False)
    other.heard(poll)
    poll.end(2.0)
    assert made.spans == [] and other.links == []


def test_a_call_is_linked_once_and_not_by_who_made_it() -> None:
    made = Recorded()
    one = viewer()
    own, poll = call(made, True, one.context.span_id), call(made)
    for heard in (own, poll, poll, None):
        one.heard(heard)
    assert one.links == [poll.span.context]


def test_a_viewer_of_ten_thousand_calls_links_to_some_and_counts_the_others() -> None:
    made = Recorded()
    one = viewer()
    for _ in range(MAX_LINKS + 5):
        one.heard(call(made))
    assert (len(one.links), one.unlinked) == (MAX_LINKS, 5)


def test_a_moment_of_one_clock_is_told_by_the_other_one() -> None:
    made = Recorded(wall=5000.0, monotonic=100.0)
    assert made.tracer.unix(97.5) == 4997.5


def test_the_fields_name_a_context_that_can_be_read() -> None:
    assert context_of(PARENT).traceparent == PARENT


# What lasts, and what other processes know.


def followed(made: Recorded, asked: list[str] | None = None) -> EventsSpan:
    """The span of a call by which a stream is followed, not sampled."""
    context, _ = made.tracer.call(None, begins=True)
    span = TraceSpan("GET events", SpanKind.CLIENT, context, "", 1.0)
    return EventsSpan(span, made.tracer, None if asked is None else asked.append)


def test_each_batch_of_what_lasts_is_a_span_linked_to_the_call_that_ends_later() -> (
    None
):
    """Nobody told of it: it begins a trace. The link forces the call to be recorded."""
    made = Recorded(draw=1.0)
    call = followed(made)
    batch = call.received("", "0005", 2, made.wall)
    reader = viewer()
    reader.heard(batch)
    made.wall += 2.0
    batch.end(made.wall)

    [span] = made.spans
    assert reader.links == [span.context] and span.parent == ""
    assert (span.name, span.kind) == ("receive events", SpanKind.CONSUMER)
    assert span.ended - span.started == 2.0
    assert span.attributes == {"ds_edge.offset": "0005", "ds_edge.bytes": 2}
    call.end(made.wall)
    assert made.spans[1] is call.span and span.links == [call.span.context]


def test_a_batch_that_its_sender_told_of_is_below_the_span_of_the_sender() -> None:
    """In its trace, and sampled as it was."""
    made = Recorded(draw=0.0)
    asked: list[str] = []
    call = followed(made, asked)
    for told, sampled in ((PARENT, True), (UNSAMPLED, False)):
        batch = call.received(told, "0005", 2, made.wall)
        batch.end(made.wall)
        context = batch.span.context
        assert (context.trace_id, context.sampled) == (TRACE, sampled)
        assert batch.span.parent == "b7ad6b7169203331"
        assert context.span_id != batch.span.parent

    [span] = made.spans
    assert span.context.sampled and span.links == [] and asked == []


def test_for_a_sampled_viewer_the_sender_is_asked_to_record_its_span_too() -> None:
    """Once, however many viewers there are; the batch stays below it."""
    made = Recorded(draw=1.0)
    asked: list[str] = []
    call = followed(made, asked)
    batch = call.received(UNSAMPLED, "0005", 2, made.wall)
    for _ in range(3):
        viewer().heard(batch)
    batch.end(made.wall)

    [span] = made.spans
    assert asked == [PARENT]
    assert (span.parent, span.links) == ("b7ad6b7169203331", [])


def test_an_offset_of_a_batch_is_told_up_to_a_bound() -> None:
    batch = followed(Recorded()).received("", "x" * 5000, 2, 1.0)
    assert batch.span.attributes["ds_edge.offset"] == "x" * MAX_OFFSET


def known_elsewhere(made: Recorded, late: LateSpans) -> UpstreamSpan:
    context, _ = made.tracer.call(None, begins=True)
    span = TraceSpan("GET follow", SpanKind.CLIENT, context, "", 1.0)
    return UpstreamSpan(span, made.spans.append, late)


def test_a_span_that_another_process_knows_is_recorded_when_it_wants_it() -> None:
    made, late = Recorded(draw=1.0), LateSpans()
    span = known_elsewhere(made, late)
    told = span.told()
    span.end(2.0)
    assert made.spans == []
    late.record(told)
    late.record(told)

    assert made.spans == [span.span]
    assert context_of(span.told()).sampled


@pytest.mark.parametrize("told", ["", "odd", PARENT, "\xff" * 55])
def test_what_nobody_was_told_of_is_not_recorded(told: str) -> None:
    made, late = Recorded(draw=1.0), LateSpans()
    known_elsewhere(made, late).told()
    late.record(told)
    assert made.spans == []


def test_so_many_spans_are_kept_for_others_and_no_more() -> None:
    made, late = Recorded(draw=1.0), LateSpans()
    first, *_, last = [known_elsewhere(made, late) for _ in range(MAX_LATE + 1)]
    told = [first.told()]
    for span in _:
        span.told()
    told.append(last.told())
    for span in (first, last):
        span.end(2.0)
    for one in told:
        late.record(one)

    assert made.spans == [last.span]


def test_a_span_that_is_sampled_is_not_kept_for_others() -> None:
    made = Recorded(draw=0.0)
    late = LateSpans()
    span = known_elsewhere(made, late)
    span.told()
    span.end(2.0)
    late.record(span.told())
    assert made.spans == [span.span]
