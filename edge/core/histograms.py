"""Histograms of plain integers: how long things take, and how far viewers lag. Pure.

A ``Histogram`` is a list of counts and a sum, and to observe is a look into a tuple of
bounds and two additions. ``Timings`` are all of one process, a part of its counters
(``edge.core.counters``); ``HISTOGRAMS`` says what each means. Among the processes of a
node they go as counters do: ``as_counts`` makes them numbers by label, which add up.

What is observed of answers is the time from when the whole request was read until the
first byte was handed to its connection. An answer that is repeated from memory goes out
in that same turn: it counts in the lowest bucket, and no clock is read for it. A poll
that was parked waited for an event and not for this edge, and is no part of it.

Where traces are made, a bucket keeps an ``Exemplar``: the last sampled request in it.
Of several processes' the latest one is kept.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

from edge.core.values import Mode, Purpose, Result

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
BYTES = tuple(float(4096 << 2 * n) for n in range(8))
"""Upper bounds of buckets, each with what equals it; above the last one is one more."""

MICROSECONDS = 1_000_000
"""Sums of seconds are kept as whole microseconds."""

SUM = "sum"
"""The word behind a label under which a sum goes."""


@dataclass(frozen=True, slots=True)
class DescribedHistogram:
    """One histogram: its meaning, its labels, and all that they may say. ``scale``:
    what one of its sum's units is multiplied by, to be a whole number."""

    name: str
    help: str
    labels: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    bounds: tuple[float, ...]
    scale: int


HISTOGRAMS = (
    DescribedHistogram(
        "first_byte_seconds",
        "Seconds from a whole read until the first byte of its answer, by mode and "
        "result; of polls only those that were not parked.",
        ("mode", "result"),
        tuple((mode.value, result.value) for mode, result in product(Mode, Result)),
        SECONDS,
        MICROSECONDS,
    ),
    DescribedHistogram(
        "fan_out_seconds",
        "Seconds from when a stream grew here until the last viewer that waited for it "
        "was served.",
        (),
        ((),),
        SECONDS,
        MICROSECONDS,
    ),
    DescribedHistogram(
        "origin_head_seconds",
        "Seconds until the head of the origin's answer, by purpose; not of polls, "
        "which it holds.",
        ("purpose",),
        tuple((one.value,) for one in (Purpose.CATCH_UP, Purpose.WRITE, Purpose.RELAY)),
        SECONDS,
        MICROSECONDS,
    ),
    DescribedHistogram(
        "viewer_lag_bytes",
        "Bytes that an event stream whose client takes nothing has yet to be given, "
        "looked at with each keep-alive.",
        (),
        ((),),
        BYTES,
        1,
    ),
)
"""All histograms."""


class Exemplar(NamedTuple):
    """A request that was sampled: its trace, what was observed of it, and when (Unix
    seconds)."""

    trace_id: str
    value: float
    at: float


Exemplars = Mapping[str, Mapping[str, Exemplar]]
"""By the name of their histogram, and by its labels and the number of the bucket."""

MAX_EXEMPLARS = 64
"""The latest ones of a process are told, and no more: its text on the board has an
end."""


class Histogram:
    """Counts by bucket, and the sum of all that was observed, times ``scale``."""

    __slots__ = ("_bounds", "_scale", "counts", "exemplars", "total")

    def __init__(self, described: DescribedHistogram) -> None:
        self._bounds = described.bounds
        self._scale = described.scale
        self.counts = [0] * (len(described.bounds) + 1)
        self.total = 0
        self.exemplars: dict[int, Exemplar] | None = None

    def note(self, exemplar: Exemplar) -> None:
        """Keep it as the last one of its bucket. It was observed by itself."""
        if self.exemplars is None:
            self.exemplars = {}
        self.exemplars[bisect_left(self._bounds, exemplar.value)] = exemplar

    def observe(self, value: float) -> None:
        """Count it. What is below 0 counts as 0."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += max(0, round(value * self._scale))


class Timings:
    """The histograms of one process."""

    __slots__ = ("_all", "fan_out", "first_byte", "origin_head", "viewer_lag")

    def __init__(self) -> None:
        self._all = {
            described.name: {
                labels: Histogram(described) for labels in described.values
            }
            for described in HISTOGRAMS
        }
        self.first_byte = self._all["first_byte_seconds"]
        self.origin_head = self._all["origin_head_seconds"]
        self.fan_out = self._all["fan_out_seconds"][()]
        self.viewer_lag = self._all["viewer_lag_bytes"][()]

    def as_counts(self) -> dict[str, dict[str, int]]:
        """Every histogram as numbers by label, without those that are 0."""
        return {name: dict(_counts(by_labels)) for name, by_labels in self._all.items()}

    def exemplars(self) -> dict[str, dict[str, Exemplar]]:
        """The latest exemplars, of histograms that have any."""
        found = [
            (exemplar.at, name, " ".join((*labels, str(bucket))), exemplar)
            for name, by_labels in self._all.items()
            for labels, histogram in by_labels.items()
            for bucket, exemplar in (histogram.exemplars or {}).items()
        ]
        kept: dict[str, dict[str, Exemplar]] = {}
        for _, name, place, exemplar in sorted(found)[-MAX_EXEMPLARS:]:
            kept.setdefault(name, {})[place] = exemplar
        return kept


def _counts(
    by_labels: Mapping[tuple[str, ...], Histogram],
) -> Iterable[tuple[str, int]]:
    for labels, histogram in by_labels.items():
        if not any(histogram.counts):
            continue
        for bucket, count in enumerate(histogram.counts):
            if count:
                yield " ".join((*labels, str(bucket))), count
        yield " ".join((*labels, SUM)), histogram.total


def latest(parts: Iterable[Exemplars]) -> dict[str, dict[str, Exemplar]]:
    """The latest exemplar of each bucket."""
    kept: dict[str, dict[str, Exemplar]] = {}
    for part in parts:
        for name, places in part.items():
            mine = kept.setdefault(name, {})
            for place, exemplar in places.items():
                if place not in mine or mine[place].at < exemplar.at:
                    mine[place] = exemplar
    return kept


def series(
    described: DescribedHistogram, counts: Mapping[str, int]
) -> Iterable[tuple[tuple[str, ...], list[int], float]]:
    """For each labels the counts of all buckets, each with those below it, and the sum:
    every series, observed or not."""
    for labels in described.values:
        cumulative, below = [], 0
        for bucket in range(len(described.bounds) + 1):
            below += counts.get(" ".join((*labels, str(bucket))), 0)
            cumulative.append(below)
        total = counts.get(" ".join((*labels, SUM)), 0)
        yield labels, cumulative, total / described.scale
