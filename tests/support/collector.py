"""A collector of traces: takes OTLP over HTTP in a thread, and keeps each span.

It reads protobuf by OpenTelemetry's own messages. ``refuses``: batches are answered
with 400, which an exporter does not try again.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support.processes import free_port

messages = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2",
    reason="the extra otel is not installed",
)

CLIENT, SERVER, CONSUMER = 3, 2, 5


@dataclass(frozen=True, slots=True)
class Seen:
    """One span as it came. Ids are hexadecimal, ``links`` have the trace's and the
    span's; ``process`` is the name at the end of ``service.instance.id``."""

    name: str
    kind: int
    trace: str
    span: str
    parent: str
    links: tuple[tuple[str, str], ...]
    attributes: dict[str, Any]
    took: float
    failed: bool
    process: str
    service: str


@dataclass(eq=False)
class Collector:
    """What came, and how it is answered."""

    url: str
    spans: list[Seen] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    refuses: bool = False

    def take(self, octets: bytes) -> None:
        self.raw.append(octets)
        for told in messages.ExportTraceServiceRequest.FromString(
            octets
        ).resource_spans:
            resource = _plain(told.resource.attributes)
            for scope in told.scope_spans:
                self.spans += [_seen(span, resource) for span in scope.spans]

    def servers(self, **wanted: object) -> list[Seen]:
        """The spans of requests that have these attributes of the edge's."""
        return [
            one
            for one in self.spans
            if one.kind == SERVER
            and all(one.attributes.get(f"ds_edge.{k}") == v for k, v in wanted.items())
        ]

    def below(self, parent: Seen) -> Seen:
        """The one span below this one."""
        [found] = [one for one in self.spans if one.parent == parent.span]
        return found


def _plain(attributes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in attributes:
        kind = one.value.WhichOneof("value")
        found[one.key] = getattr(one.value, kind)
    return found


def _seen(span: Any, resource: dict[str, Any]) -> Seen:
    return Seen(
        span.name,
        span.kind,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        _plain(span.attributes),
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        span.status.code == 2,
        resource["service.instance.id"].rpartition("/")[2],
        resource["service.name"],
    )


@contextmanager
def collector() -> Iterator[Collector]:
    """One that listens."""
    port = free_port()
    made = Collector(f"http://127.0.0.1:{port}/v1/traces")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            octets = self.rfile.read(int(self.headers["content-length"]))
            made.keys.append(self.headers["x-api-key"])
            if not made.refuses:
                made.take(octets)
            self.send_response(400 if made.refuses else 200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing is printed."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
