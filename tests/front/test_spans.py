"""What the span of a request says, and what it never says."""

from dataclasses import replace

import pytest

from edge.core.histograms import Timings
from edge.core.reasons import Reason
from edge.core.tracing import RequestTrace, TraceSpan, Trust, Value
from edge.core.values import CacheStatus, Mode, Result
from edge.front.exchange import PASS, LoggedFields, RequestContext, next_hop_fields
from edge.front.spans import Ended, ServerSpans, path_of, without_state
from edge.policy.streams.routes import Route
from tests.support.spans import PARENT, TRACE, UNSAMPLED, Recorded

TARGET = "/v1/stream/a?offset=0001&live=long-poll&token=s3cret"
SAID = LoggedFields("edge.test:8443", "curl/8", "", "")
ENDED = Ended(200, 3, "https", "edge.test:8443")
MISS = CacheStatus(fwd="miss", detail=Reason.MISS)


def context(target: str = TARGET, method: str = "GET") -> RequestContext:
    ctx = RequestContext(method, target, "id-1", 998.0, Route(), "catch-up", MISS)
    ctx.client, ctx.said, ctx.reason = "192.0.2.7", SAID, Reason.MISS
    return ctx


def ended(
    ctx: RequestContext, how: Ended = ENDED, told: str | None = None
) -> TraceSpan:
    made = Recorded(draw=0.0)
    spans = made.server(Trust.OBEY)
    spans.of(ctx, {"traceparent": told}.get)
    spans.end(ctx, how)
    [span] = made.spans
    return span


def said_of(target: str) -> dict[str, Value]:
    return ended(context(target)).attributes


def test_a_span_has_the_words_of_the_log_and_of_the_conventions() -> None:
    span = ended(context(), told=PARENT)
    assert (span.name, span.error) == ("GET /v1/stream/**", "")
    assert (span.context.trace_id, span.parent) == (TRACE, "b7ad6b7169203331")
    # It began two seconds ago, by the monotonic clock, and ends now.
    assert (span.started, span.ended) == (1_799_999_998.0, 1_800_000_000.0)
    assert span.attributes == {
        "http.request.method": "GET",
        "url.scheme": "https",
        "url.path": "/v1/stream/a",
        "http.route": "/v1/stream/**",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "server.address": "edge.test",
        "server.port": 8443,
        "client.address": "192.0.2.7",
        "user_agent.original": "curl/8",
        "ds_edge.mode": "catch-up",
        "ds_edge.result": "miss",
        "ds_edge.reason": "miss",
        "ds_edge.offset": "0001",
        "ds_edge.bytes": 3,
        "ds_edge.request_id": "id-1",
    }


@pytest.mark.parametrize(
    "target",
    [
        "/v1/stream/a?token=s3cret&offset=-1",
        "/v1/stream/a?offset=-1&s3cret",
        "http://me:s3cret@edge.test/v1/stream/a?offset=-1#s3cret",
        "HTTP://s3cret/v1/stream/a?offset=-1",
    ],
)
def test_no_credential_of_a_target_is_told(target: str) -> None:
    found = said_of(target)
    assert (found["url.path"], found["ds_edge.offset"]) == ("/v1/stream/a", "-1")
    assert not any("s3cret" in str(value) for value in found.values())


@pytest.mark.parametrize(
    ("target", "path"), [("*", "*"), ("http://edge.test", "/"), ("/a//b", "/a//b")]
)
def test_a_path_is_told_of_a_target_in_any_form(target: str, path: str) -> None:
    assert path_of(target) == path


def test_a_method_that_nobody_knows_makes_no_new_name() -> None:
    """A stranger could make a thousand of them."""
    span = ended(context(method="BREW"))
    assert span.name == "HTTP /v1/stream/**"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "BREW"


@pytest.mark.parametrize(
    ("status", "lost", "reason", "error"),
    [
        (502, False, Reason.ORIGIN_TIMEOUT, "origin-timeout"),
        (500, False, None, "500"),
        (404, False, Reason.STATUS, ""),
        (0, True, Reason.CLIENT_GONE, ""),
        (200, True, Reason.ORIGIN_BODY_CUT, "origin-body-cut"),
    ],
)
def test_only_what_went_wrong_here_is_an_error(
    status: int, lost: bool, reason: Reason | None, error: str
) -> None:
    ctx = context()
    ctx.lost, ctx.reason = lost, reason
    assert ended(ctx, ENDED._replace(status=status)).error == error


def test_a_request_that_is_not_sampled_has_no_span() -> None:
    made = Recorded()
    spans, ctx = made.server(Trust.OBEY), context()
    spans.of(ctx, {"traceparent": UNSAMPLED}.get)
    spans.end(ctx, ENDED)
    assert made.spans == []


def test_the_origin_is_told_the_trace_that_the_span_is_in() -> None:
    made, ctx = Recorded(draw=0.0), context()
    spans = made.server(Trust.JOIN)
    told = {"traceparent": PARENT, "tracestate": "a=b"}
    fields = dict(next_hop_fields(spans, ctx, told.get))
    spans.end(ctx, ENDED)
    [span] = made.spans
    assert fields["traceparent"] == span.context.traceparent
    assert (fields["tracestate"], fields["x-request-id"]) == ("a=b", "id-1")


def test_without_traces_the_clients_own_goes_on_as_it_came() -> None:
    fields = next_hop_fields(None, context(), {"traceparent": PARENT}.get)
    assert fields == (("traceparent", PARENT), ("x-request-id", "id-1"))


def test_a_state_without_its_trace_does_not_go_on() -> None:
    fields = (("Accept", "*/*"), ("Tracestate", "a=b"), ("tracestate", "c=d"))
    assert without_state(fields) == (("Accept", "*/*"),)


# Exemplars.


def noted(ctx: RequestContext, status: int = 200) -> Timings:
    made, timings = Recorded(draw=0.0), Timings()
    spans = ServerSpans(made.tracer, Trust.OBEY, timings)
    trace: RequestTrace = spans.of(ctx, lambda _: None)
    trace.answered_at = 998.04
    spans.end(ctx, ENDED._replace(status=status))
    return timings


def test_a_read_is_an_exemplar_of_the_time_until_its_first_byte() -> None:
    timings = noted(context())
    kept = timings.first_byte[Mode.CATCH_UP, Result.MISS].exemplars
    assert kept is not None
    [(bucket, exemplar)] = kept.items()
    assert (bucket, round(exemplar.value, 3)) == (6 - 1, 0.04)


def test_what_is_not_observed_is_no_exemplar() -> None:
    """A write, a poll that waited for an event, and what was never answered."""
    write, poll, followed, lost = context(), context(), context(), context()
    write.mode, poll.mode = PASS, "long-poll"
    followed.reason = Reason.FOLLOWED
    for ctx, status in ((write, 200), (poll, 204), (followed, 200), (lost, 0)):
        assert noted(replace(ctx), status).exemplars() == {}
