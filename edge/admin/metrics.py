"""``/metrics``: counters, histograms and gauges, in Prometheus' text format or in
OpenMetrics.

Each scrape walks ``Counters.snapshot()``; nothing is registered while requests are
served. Every name begins with ``ds_edge_``. One number says whether the edge does its
job, ``ds_edge_origin_requests_per_delivery``: requests to the origin for reads, for
each answer delivered (E55).
"""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as ShownExemplar
from prometheus_client.utils import floatToGoString

from edge import __version__
from edge.admin.routes import AdminRequest, AdminRoute, page
from edge.core.counters import DESCRIPTIONS, Counters, Described
from edge.core.histograms import HISTOGRAMS, Exemplar, Exemplars, series
from edge.core.node_counters import requests_per_delivery
from edge.core.values import Answer

PREFIX = "ds_edge_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text"

Gauges = Callable[[], Mapping[str, float]]

MoreMetrics = Callable[[], Iterable[Metric]]
"""What other parts tell beside counters and gauges."""


class Metrics(Collector):
    """A collector over one worker's numbers."""

    def __init__(self, counters: Counters, gauges: Gauges, *more: MoreMetrics) -> None:
        self._counters = counters
        self._gauges = gauges
        self._more = more

    def routes(self) -> tuple[AdminRoute, ...]:
        """The page that this part contributes to the admin address."""
        return (AdminRoute("/metrics", self._page),)

    def _page(self, request: AdminRequest) -> Answer:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        ProcessCollector(registry=registry)
        return metrics_page(registry, request.accept)

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        numbers = self._counters.snapshot()
        for described in DESCRIPTIONS:
            yield counter_family(described, numbers[described.name])
        yield gauge_family(
            "origin_requests_per_delivery",
            "Requests to the origin for reads, for each answer delivered.",
            requests_per_delivery(numbers),
        )
        yield build_info()
        for more in self._more:
            yield from more()
        timings = self._counters.timings
        yield from histogram_families(timings.as_counts(), timings.exemplars())
        for name, value in self._gauges().items():
            yield gauge_family(
                name, f"{name.replace('_', ' ').capitalize()}, now.", value
            )


def metrics_page(registry: CollectorRegistry, accept: str) -> Answer:
    """The page in the format that a scraper takes: OpenMetrics if it names that."""
    if OPEN_METRICS in accept.lower():
        octets = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]
        return page(openmetrics.CONTENT_TYPE_LATEST, octets)
    return page(CONTENT_TYPE, generate_latest(registry))


def counter_family(described: Described, number: int | dict[str, int]) -> Metric:
    """A counter, with a line for each of its labels: those that it may have are there
    from the start, if it is known which."""
    name = PREFIX + described.name
    if isinstance(number, int):
        return CounterMetricFamily(name, described.help, value=number)
    labels = [described.label or "label"]
    family = CounterMetricFamily(name, described.help, labels=labels)
    every = {**dict.fromkeys(described.values, 0), **number}
    for label, value in sorted(every.items()):
        family.add_metric([label], value)
    return family


def histogram_families(
    counts: Mapping[str, Mapping[str, int]],
    exemplars: Exemplars,
) -> Iterator[Metric]:
    """All histograms, with every series. ``counts`` and ``exemplars``: as ``Timings``
    tells them. Only OpenMetrics shows exemplars."""
    for described in HISTOGRAMS:
        name, labels = PREFIX + described.name, list(described.labels)
        family = HistogramMetricFamily(name, described.help, labels=labels)
        bounds = [*map(floatToGoString, described.bounds), "+Inf"]
        found, noted = counts.get(described.name, {}), exemplars.get(described.name, {})
        for values, buckets, total in series(described, found):
            words = (" ".join((*values, str(n))) for n in range(len(bounds)))
            told = list(map(_bucket, bounds, buckets, map(noted.get, words)))
            family.add_metric(list(values), told, total)
        yield family


def _bucket(
    bound: str, count: int, exemplar: Exemplar | None
) -> tuple[str, float] | tuple[str, float, ShownExemplar]:
    if exemplar is None:
        return bound, float(count)
    labels = {"trace_id": exemplar.trace_id}
    return bound, float(count), ShownExemplar(labels, exemplar.value, exemplar.at)


def build_info() -> Metric:
    """Which program this is; its value is always 1."""
    labels = {"version": __version__, "python": platform.python_version()}
    name, text = f"{PREFIX}build_info", "The program that runs, by its version."
    family = GaugeMetricFamily(name, text, labels=list(labels))
    family.add_metric(list(labels.values()), 1)
    return family


def gauge_family(name: str, text: str, value: float) -> Metric:
    """A gauge. ``name`` is without the prefix."""
    return GaugeMetricFamily(PREFIX + name, text, value=value)
