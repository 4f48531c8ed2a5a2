"""``/metrics``: counters and gauges in Prometheus' text format.

Each scrape walks ``Counters.snapshot()``; nothing is registered while requests are
served. Every name begins with ``ds_edge_``. One number says whether the edge does its
job, ``ds_edge_origin_requests_per_delivery``: requests to the origin for reads, for
each answer delivered (E55).
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edge.admin.routes import AdminRequest, AdminRoute, page
from edge.core.counters import DESCRIPTIONS, Counters, Described
from edge.core.node_counters import requests_per_delivery
from edge.core.values import Answer

PREFIX = "ds_edge_"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Gauges = Callable[[], Mapping[str, float]]


class Metrics(Collector):
    """A collector over one worker's numbers."""

    def __init__(self, counters: Counters, gauges: Gauges) -> None:
        self._counters = counters
        self._gauges = gauges

    def routes(self) -> tuple[AdminRoute, ...]:
        """The page that this part contributes to the admin address."""
        return (AdminRoute("/metrics", self._page),)

    def _page(self, _request: AdminRequest) -> Answer:
        return page(CONTENT_TYPE, exposition(self))

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
        for name, value in self._gauges().items():
            yield gauge_family(
                name, f"{name.replace('_', ' ').capitalize()}, now.", value
            )


def exposition(metrics: Metrics) -> bytes:
    """The page that a scraper gets, with the process's own figures."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def counter_family(described: Described, number: int | dict[str, int]) -> Metric:
    """A counter, with a line for each of its labels."""
    name = PREFIX + described.name
    if isinstance(number, int):
        return CounterMetricFamily(name, described.help, value=number)
    labels = [described.label or "label"]
    family = CounterMetricFamily(name, described.help, labels=labels)
    for label, value in sorted(number.items()):
        family.add_metric([label], value)
    return family


def gauge_family(name: str, text: str, value: float) -> Metric:
    """A gauge. ``name`` is without the prefix."""
    return GaugeMetricFamily(PREFIX + name, text, value=value)
