"""The traces of one process, made of the settings.

Called by ``edge.wiring`` in the process, after the fork: the queue has a thread. Where
``tracing.endpoint`` is not set nothing of it is made, and none of its packages is
imported.
"""

import importlib
import random
from urllib.parse import urlsplit

from edge import __version__
from edge.core.counters import Counters
from edge.core.ports import Clock, Origin
from edge.core.tracing import Tracer, Trust, Value
from edge.core.values import Role
from edge.front.spans import ServerSpans
from edge.live.traced_origin import AskToRecord, TracedOrigin
from edge.process.seat import Seat
from edge.settings import Settings
from edge.telemetry.span_queue import Export, SpanQueue


class Traces:
    """The traces of one process: ``spans`` of who asks it, and of whom it asks."""

    def __init__(
        self,
        settings: Settings,
        seat: Seat,
        export: Export,
        counters: Counters,
        clock: Clock,
    ) -> None:
        role = seat.place.role
        self._queue = SpanQueue(export, counters)
        self._origin_url = "" if role is Role.FRONT else settings.origin.call_url
        self._tracer = Tracer(
            settings.tracing.sample,
            self._queue.put,
            *(clock.wall, clock.monotonic),
            *(random.getrandbits, random.random),
        )
        # Who asks a keeper is a front of this node, which has decided.
        trust = Trust.OBEY if role is Role.KEEPER else settings.tracing.clients
        self._timings = counters.timings
        self.spans = ServerSpans(self._tracer, trust, counters.timings)

    def around(self, origin: Origin, record: AskToRecord | None) -> Origin:
        """All that this process asks, with a span for each call. ``record``: see
        ``TracedOrigin``."""
        called = called_attributes(self._origin_url)
        base = self._origin_url if called.get("server.port") else ""
        # How long keepers take until a head is not observed.
        timed = self._timings if self._origin_url else None
        return TracedOrigin(origin, self._tracer, called, base, timed, record)

    def start(self) -> None:
        """Begin to export."""
        self._queue.start()

    def stop(self) -> None:
        """Export what is left, for a bounded time."""
        self._queue.stop()


def traces_of(
    settings: Settings, seat: Seat, node: str, counters: Counters, clock: Clock
) -> Traces | None:
    """The traces of this process; None: none are made. ``node`` is the node's name."""
    if settings.tracing.endpoint is None:
        return None
    export = exporter(settings, node, seat.place.name)
    return Traces(settings, seat, export, counters, clock)


def import_early(settings: Settings) -> None:
    """In the master, before it forks who makes traces: import what they need for that.
    A package that is upgraded later is nothing to them (W7)."""
    if settings.tracing.endpoint is not None:
        # The last two its exporter imports, when it is made, and when it sends.
        for name in ("edge.telemetry.otlp", "requests", "netrc"):
            importlib.import_module(name)


def exporter(settings: Settings, node: str, process: str) -> Export:
    """What sends spans to the collector of the settings."""
    # Only here and above are the packages of the extra needed.
    from edge.telemetry.otlp import CollectorOptions, OtlpExport

    tracing = settings.tracing
    assert tracing.endpoint is not None
    resource = {
        "service.name": tracing.service,
        "service.version": __version__,
        "service.instance.id": f"{node}/{process}",
    }
    headers = tracing.plain_headers
    options = CollectorOptions(tracing.endpoint, headers, resource, __version__)
    return OtlpExport(options)


def called_attributes(url: str) -> dict[str, Value]:
    """What tells of whom a process asks: its origin, or for "" the node's keepers."""
    if not url:
        return {"ds_edge.asked": "keeper"}
    if url.startswith("unix:"):
        return {"server.address": url.removeprefix("unix:")}
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return {"server.address": parts.hostname or "", "server.port": port}
