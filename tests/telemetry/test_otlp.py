"""Spans in OpenTelemetry's words, by the SDK's own exporters."""

from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="the extra otel is not installed")

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind as Kind
from opentelemetry.trace import StatusCode

from edge.core.tracing import SpanContext, SpanKind, TraceSpan
from edge.telemetry.otlp import CollectorOptions, OtlpExport
from tests.support.processes import free_port

CONTEXT = SpanContext(
    "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True, "a=b"
)
OTHER = SpanContext("1" * 32, "2" * 16, True)


def options(port: int = 1) -> CollectorOptions:
    endpoint = f"http://127.0.0.1:{port}/v1/traces"
    return CollectorOptions(endpoint, (), {"service.name": "pop-1"}, "1.2.3", 0.5)


def exported(span: TraceSpan) -> Any:
    exporter = InMemorySpanExporter()
    assert OtlpExport(options(), exporter)([span]) == ""
    [found] = exporter.get_finished_spans()
    return found


def test_a_span_is_told_with_its_place_times_links_and_attributes() -> None:
    told = TraceSpan("GET /v1/**", SpanKind.SERVER, CONTEXT, "c" * 16, 10.5, 12.25)
    told.attributes["http.response.status_code"] = 200
    told.links.append(OTHER)
    found = exported(told)
    assert found.name == "GET /v1/**" and found.kind is Kind.SERVER
    assert f"{found.context.trace_id:032x}" == CONTEXT.trace_id
    assert f"{found.context.span_id:016x}" == CONTEXT.span_id
    assert found.context.trace_state.to_header() == "a=b"
    assert f"{found.parent.span_id:016x}" == "c" * 16
    assert found.parent.trace_id == found.context.trace_id
    assert (found.start_time, found.end_time) == (10_500_000_000, 12_250_000_000)
    assert dict(found.attributes) == {"http.response.status_code": 200}
    [link] = found.links
    assert f"{link.context.trace_id:032x}" == OTHER.trace_id
    assert found.resource.attributes["service.name"] == "pop-1"
    assert found.instrumentation_scope.version == "1.2.3"
    assert found.status.status_code is StatusCode.UNSET


def test_what_went_wrong_is_its_type_of_error() -> None:
    told = TraceSpan(
        "GET", SpanKind.CLIENT, CONTEXT, "", 1.0, 2.0, error="origin-timeout"
    )
    found = exported(told)
    assert found.status.status_code is StatusCode.ERROR and found.parent is None
    assert found.attributes["error.type"] == "origin-timeout"


class Broken(SpanExporter):
    def export(self, spans: object) -> SpanExportResult:
        raise ZeroDivisionError("as the test asked")


def test_a_defect_of_the_exporter_is_a_word_and_no_exception() -> None:
    told = TraceSpan("GET", SpanKind.CLIENT, CONTEXT, "", 1.0, 2.0)
    assert (
        OtlpExport(options(), Broken())([told])
        == "ZeroDivisionError: as the test asked"
    )


def test_where_nobody_listens_it_says_so_and_logs_nothing_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told = TraceSpan("GET", SpanKind.CLIENT, CONTEXT, "", 1.0, 2.0)
    export = OtlpExport(options(free_port()))
    said = export([told])
    assert "Failed to export" in said and not caplog.records
