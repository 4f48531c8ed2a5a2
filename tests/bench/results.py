"""What all rounds say together: medians, ratios, one document. Pure.

A ratio is how many times better the edge is: more requests or events, or the last
viewer or a single answer sooner.
"""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tests.bench.cases import Case
from tests.bench.load.streams import Figures
from tests.bench.machine import Machine
from tests.bench.measure import ALIKE, Sample

OURS = "edge"
BUSY = 0.9
"""The generator's share of its core from which on it may be what was measured."""

SCHEMA = 1
"""Raised when a member of the document changes its meaning or goes."""

_OF_STREAMS = {
    "delivered_per_second": ("delivered_per_second",),
    "delivered": ("delivered",),
    "expected": ("expected",),
    "p50_ms": ("latency_ms", "p50"),
    "p99_ms": ("latency_ms", "p99"),
    "cpu_per_event_us": ("cpu_per_event_us",),
    "origin_cpu_per_event_us": ("origin_cpu_per_event_us",),
    "events_per_reception": ("events_per_reception",),
    "origin_connections": ("origin_connections",),
    "max_followers": ("max_followers",),
    "refused": ("refused",),
    "short": ("short",),
    "generator_us_per_event": ("generator_us_per_event",),
    "generator_cpu_share": ("generator_cpu_share",),
}
METRICS: dict[str, dict[str, tuple[str, ...]]] = {
    "hits": {
        "requests_per_second": ("requests_per_second",),
        "bytes_per_second": ("bytes_per_second",),
        "p99_ms": ("latency_ms", "p99"),
        "generator_cpu_share": ("generator_cpu_share",),
    },
    "fanout": {
        "first_ms": ("first_ms", "p50"),
        "last_ms": ("last_ms", "p50"),
        "origin_requests_per_event": ("origin_requests_per_event",),
        "memory_per_viewer_kib": ("memory_per_viewer_kib",),
        "cpu_per_message_us": ("cpu_per_message_us",),
        "generator_us_per_message": ("generator_us_per_message",),
        "generator_cpu_share": ("generator_cpu_share",),
    },
    "streams": _OF_STREAMS,
    "tokens": _OF_STREAMS | {"asked_per_second": ("asked_per_second",)},
    "writes": {
        "requests_per_second": ("requests_per_second",),
        "p50_ms": ("latency_ms", "p50"),
        "p99_ms": ("latency_ms", "p99"),
        "cpu_per_request_us": ("cpu_per_request_us",),
        "origin_cpu_per_request_us": ("origin_cpu_per_request_us",),
        "generator_us_per_request": ("generator_us_per_request",),
        "generator_cpu_share": ("generator_cpu_share",),
    },
    "single": {
        "p50_ms": ("ms", "p50"),
        "p99_ms": ("ms", "p99"),
        "added_ms": ("added_ms",),
    },
}
"""Where each figure that is shown stands in what a load generator says."""

COMPARED: dict[str, tuple[tuple[str, ...], bool]] = {
    "hits": (("requests_per_second",), True),
    "fanout": (("last_ms", "p50"), False),
    "streams": (("delivered_per_second",), True),
    "tokens": (("delivered_per_second",), True),
    "writes": (("requests_per_second",), True),
    "single": (("ms", "p50"), False),
}
"""The figure by which servers are compared, and whether more of it is better."""


@dataclass(frozen=True, slots=True)
class Row:
    """One server in one case: the medians of all rounds that went well.

    ``ratio``: how many times better the edge is; None where one of them is missing.
    ``least`` and ``most``: the ratio in the single rounds.
    """

    case: Case
    peer: str
    medians: dict[str, float | None]
    errors: tuple[str, ...]
    ratio: float | None = None
    least: float | None = None
    most: float | None = None


def rows(samples: Sequence[Sample], cases: Iterable[Case]) -> list[Row]:
    """One for each case and server that was measured, in their order."""
    found = []
    for case in cases:
        of_case = [sample for sample in samples if sample.case == case]
        for peer in dict.fromkeys(sample.peer for sample in of_case):
            found.append(_row(case, peer, of_case))
    return found


def _row(case: Case, peer: str, samples: list[Sample]) -> Row:
    theirs = [sample.figures for sample in samples if sample.peer == peer]
    metrics = METRICS[case.kind]
    good = [told for told in theirs if "error" not in told]
    medians = {name: _median(good, path) for name, path in metrics.items()}
    errors = tuple(str(told["error"]) for told in theirs if "error" in told)
    single = _ratios(case, peer, samples)
    if peer == OURS or not single:
        return Row(case, peer, medians, errors)
    ratio = _ratio(case, _middle(case, OURS, samples), _middle(case, peer, samples))
    return Row(case, peer, medians, errors, ratio, min(single), max(single))


def _ratios(case: Case, peer: str, samples: list[Sample]) -> list[float]:
    """Round by round: what disturbs a round meets both."""
    by_round = {
        name: {s.round: _value(s) for s in samples if s.peer == name}
        for name in (OURS, peer)
    }
    found = (
        _ratio(case, by_round[OURS].get(number), theirs)
        for number, theirs in by_round[peer].items()
    )
    return [one for one in found if one is not None]


def _middle(case: Case, peer: str, samples: list[Sample]) -> float | None:
    known = [_value(s) for s in samples if s.peer == peer]
    values = [value for value in known if value is not None]
    return statistics.median(values) if values else None


def _value(sample: Sample) -> float | None:
    """The figure by which servers are compared."""
    if "error" in sample.figures:
        return None
    return _figure(sample.figures, COMPARED[sample.case.kind][0])


def _ratio(case: Case, ours: float | None, theirs: float | None) -> float | None:
    if not ours or not theirs:
        return None
    return ours / theirs if COMPARED[case.kind][1] else theirs / ours


def _figure(told: Figures, path: tuple[str, ...]) -> float | None:
    found: Any = told
    for name in path:
        found = None if found is None else found.get(name)
    return None if found is None else float(found)


def _median(of: list[Figures], path: tuple[str, ...]) -> float | None:
    known = [_figure(told, path) for told in of]
    values = [value for value in known if value is not None]
    return statistics.median(values) if values else None


def remarks(found: Iterable[Row]) -> list[str]:
    """What somebody who reads the figures should know."""
    told = []
    for row in found:
        where = f"{row.case.name}: {row.peer}"
        told += [f"{where}: failed: {error}" for error in dict.fromkeys(row.errors)]
        share = row.medians.get("generator_cpu_share")
        if share is not None and share > BUSY and row.peer != "floor":
            told.append(f"{where}: the generator was busy ({share:.0%} of its core)")
        asked = row.medians.get("origin_requests_per_event")
        if asked is not None and asked > ALIKE:
            told.append(f"{where}: {asked:g} origin requests an event: not shared")
        refused = sum(row.medians.get(name) or 0 for name in ("refused", "short"))
        if refused:
            came, all_ = row.medians["delivered"], row.medians["expected"]
            told.append(
                f"{where}: viewers were refused {refused:,.0f} times; "
                f"{came:,.0f} of {all_:,.0f} events were delivered"
            )
    return told


def document(
    machine: Machine,
    versions: dict[str, str],
    absent: dict[str, str],
    found: Iterable[Row],
    samples: Iterable[Sample],
) -> dict[str, object]:
    """Everything, for programs."""
    return {
        "schema": SCHEMA,
        "machine": asdict(machine),
        "versions": versions,
        "absent": absent,
        "rows": [_of_case(row.case) | _of_row(row) for row in found],
        "samples": [
            _of_case(one.case)
            | {"peer": one.peer, "round": one.round, "figures": one.figures}
            for one in samples
        ],
    }


def _of_case(case: Case) -> dict[str, object]:
    return {"kind": case.kind, "case": case.name} | asdict(case)


def _of_row(row: Row) -> dict[str, object]:
    told = {name: getattr(row, name) for name in ("peer", "ratio", "least", "most")}
    return told | {"medians": row.medians, "errors": list(row.errors)}
