"""``/metrics`` of a node of several processes: any front answers for all of them.

Counters are sums over all processes, those that have ended among them, so none goes
back when one is replaced. Gauges are of the processes that give signs of life. What
means nothing as a sum (memory, processor time, pauses) is told for each process, with
its name as the label ``process``. The names are those of one worker, and some more for
the way between fronts and keepers (``edge.core.node_counters``).

Where there is one worker, ``edge.admin.metrics`` answers.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from edge.admin.metrics import (
    PREFIX,
    MoreMetrics,
    build_info,
    counter_family,
    gauge_family,
    histogram_families,
    metrics_page,
)
from edge.admin.routes import AdminRequest, AdminRoute
from edge.core.histograms import HISTOGRAMS, Exemplars
from edge.core.node_counters import NODE_DESCRIPTIONS, Number, requests_per_delivery
from edge.core.values import Answer


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """One process of the node: its place's name, its pid, and what it alone can say."""

    name: str
    pid: int
    gauges: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class NodeNumbers:
    """The node at one moment. ``counters`` has every name of NODE_DESCRIPTIONS;
    ``gauges`` are of the whole node; no two of ``processes`` share a name.
    ``exemplars`` are the latest ones."""

    counters: Mapping[str, Number]
    gauges: Mapping[str, float]
    processes: tuple[ProcessFigures, ...]
    exemplars: Exemplars = field(default_factory=dict)


class NodeMetrics(Collector):
    """A collector over the numbers of a node."""

    def __init__(self, numbers: Callable[[], NodeNumbers], *more: MoreMetrics) -> None:
        self._numbers = numbers
        self._more = more

    def routes(self) -> tuple[AdminRoute, ...]:
        """The page that this part contributes to the admin address."""
        return (AdminRoute("/metrics", self._page),)

    def _page(self, request: AdminRequest) -> Answer:
        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return metrics_page(registry, request.accept)

    def collect(self) -> Iterator[Metric]:
        """See prometheus_client."""
        found = self._numbers()
        for described in NODE_DESCRIPTIONS:
            yield counter_family(described, found.counters[described.name])
        yield gauge_family(
            "origin_requests_per_delivery",
            "Requests to the origin for reads, for each answer delivered.",
            requests_per_delivery(found.counters),
        )
        yield build_info()
        for more in self._more:
            yield from more()
        yield from histogram_families(
            {one.name: counts_of(found.counters, one.name) for one in HISTOGRAMS},
            found.exemplars,
        )
        for name, value in found.gauges.items():
            yield gauge_family(name, _now(name), value)
        yield from _gauges_of_each(found.processes)
        yield from _of_the_system(found.processes)


def counts_of(counters: Mapping[str, Number], name: str) -> Mapping[str, int]:
    """The numbers of one that has labels."""
    found = counters[name]
    return {} if isinstance(found, int) else found


def _now(name: str) -> str:
    return f"{name.replace('_', ' ').capitalize()}, now."


def _gauges_of_each(processes: Iterable[ProcessFigures]) -> Iterable[Metric]:
    families: dict[str, GaugeMetricFamily] = {}
    for process in processes:
        for name, value in process.gauges.items():
            if name not in families:
                families[name] = GaugeMetricFamily(
                    PREFIX + name, _now(name), labels=["process"]
                )
            families[name].add_metric([process.name], value)
    return families.values()


def _of_the_system(processes: Iterable[ProcessFigures]) -> Iterable[Metric]:
    """What the system says of each process; nothing of one that has just ended."""
    families: dict[str, Metric] = {}
    for process in processes:
        collector = ProcessCollector(pid=_always(process.pid), registry=None)
        for metric in collector.collect():
            name, text, kind = metric.name, metric.documentation, metric.type
            family = families.setdefault(name, Metric(name, text, kind))
            for sample in metric.samples:
                labels = {**sample.labels, "process": process.name}
                family.add_sample(sample.name, labels, sample.value)
    return families.values()


def _always(pid: int) -> Callable[[], int]:
    return lambda: pid
