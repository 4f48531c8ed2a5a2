"""Otlp: spans in OpenTelemetry's words, sent to a collector by OTLP over HTTP.

This is the only module that imports ``opentelemetry`` (the extra ``otel``). The edge
decides by itself which spans there are (``edge.core.tracing``); what is taken from the
packages is the form of a span and of its resource, the encoding (protobuf), and the
exporter with its variables (``OTEL_EXPORTER_OTLP_CERTIFICATE``, ``..._COMPRESSION``,
``OTEL_RESOURCE_ATTRIBUTES``). Its own queue and thread are not used: they would hold up
the event loop, and count nothing.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)

from edge.core import tracing

_KINDS = {
    tracing.SpanKind.SERVER: SpanKind.SERVER,
    tracing.SpanKind.CLIENT: SpanKind.CLIENT,
    tracing.SpanKind.CONSUMER: SpanKind.CONSUMER,
}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSET = Status(StatusCode.UNSET)
NANOSECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class CollectorOptions:
    """Where the collector is, and what is told with every batch. ``resource`` are the
    attributes of this process; ``version`` is the edge's. A batch may take ``seconds``,
    with what the exporter tries again."""

    endpoint: str
    headers: tuple[tuple[str, str], ...]
    resource: Mapping[str, str]
    version: str
    seconds: float = 5.0


class _LastWord(logging.Handler):
    """Keeps what the exporter said last: it logs each failure, and tells nobody."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        """See ``logging.Handler``."""
        self.said = record.getMessage()


class OtlpExport:
    """Sends batches to a collector (``span_queue.Export``). ``exporter`` stands in for
    its own one, which is made with the first batch, on the thread that uses it."""

    def __init__(
        self, options: CollectorOptions, exporter: SpanExporter | None = None
    ) -> None:
        self._options = options
        self._exporter = exporter
        self._resource = Resource.create(dict(options.resource))
        self._scope = InstrumentationScope("ds-edge", options.version)
        self._last_word = _LastWord()
        # Its failures are told once, in the words of the edge (``SpanQueue``).
        logger = logging.getLogger("opentelemetry")
        logger.propagate = False
        logger.handlers[:] = [self._last_word]

    def __call__(self, spans: Sequence[tracing.TraceSpan]) -> str:
        """Send them; what went wrong, "" for nothing."""
        self._last_word.said = ""
        try:
            if self._exporter is None:
                self._exporter = self._made()
            made = [self._readable(span) for span in spans]
            if self._exporter.export(made) is SpanExportResult.SUCCESS:
                return ""
        except Exception as error:
            # Whatever a library does, no request and no later batch may suffer.
            return f"{type(error).__name__}: {error}"
        return self._last_word.said or "the collector did not take them"

    def _made(self) -> SpanExporter:
        options = self._options
        return OTLPSpanExporter(
            endpoint=options.endpoint,
            headers=dict(options.headers) or None,
            timeout=options.seconds,
        )

    def _readable(self, span: tracing.TraceSpan) -> ReadableSpan:
        status = Status(StatusCode.ERROR) if span.error else _UNSET
        attributes = dict(span.attributes)
        if span.error:
            attributes["error.type"] = span.error
        parent = None
        if span.parent:
            parent = _context(span.context._replace(span_id=span.parent), remote=True)
        return ReadableSpan(
            name=span.name,
            context=_context(span.context),
            parent=parent,
            resource=self._resource,
            attributes=attributes,
            links=[Link(_context(one, remote=True)) for one in span.links],
            kind=_KINDS[span.kind],
            status=status,
            start_time=round(span.started * NANOSECONDS),
            end_time=round(span.ended * NANOSECONDS),
            instrumentation_scope=self._scope,
        )


def _context(told: tracing.SpanContext, remote: bool = False) -> SpanContext:
    state = TraceState.from_header([told.state]) if told.state else None
    return SpanContext(
        int(told.trace_id, 16), int(told.span_id, 16), remote, _SAMPLED, state
    )
