"""The figures as a picture: bars of hits, and when the last viewer had an event.

matplotlib is imported when a picture is drawn; ``ds-edge bench`` draws with it too.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.cases import FanoutCase, HitsCase
from tests.bench.machine import Machine
from tests.bench.peers import Work
from tests.bench.results import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = {
    "edge": "#c2410c",
    "nginx": "#15803d",
    "varnish": "#1d4ed8",
    "node": "#6b7280",
    "floor": "#d4d4d8",
}
_PANEL = (6.0, 4.5)
"""Inches."""


def draw(found: Sequence[Row], machine: Machine, path: Path) -> None:
    """Draw what there is. Raises OSError."""
    from matplotlib.figure import Figure

    works = [work for work in Work if any(row.case.work is work for row in found)]
    picture = Figure(figsize=(_PANEL[0] * len(works), _PANEL[1]), layout="constrained")
    panels = picture.subplots(1, len(works), squeeze=False)[0]
    for work, axes in zip(works, panels, strict=True):
        rows = [row for row in found if row.case.work is work]
        (_bars if work is Work.HITS else _lines)(axes, rows, work)
    picture.suptitle(machine.words(), fontsize="x-small", wrap=True)
    picture.savefig(path)


def bars(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Requests a second of each server, by the cases' order; 0 where there are none."""
    cases = list(dict.fromkeys(row.case for row in rows))
    found: dict[str, list[float]] = {}
    for row in rows:
        heights = found.setdefault(row.peer, [0.0] * len(cases))
        value = row.medians["requests_per_second"]
        heights[cases.index(row.case)] = value or 0.0
    return found


def lines(rows: Sequence[Row]) -> dict[str, list[tuple[int, float]]]:
    """Viewers and milliseconds until the last one, for each server."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        last = row.medians["last_ms"]
        if isinstance(row.case, FanoutCase) and last is not None:
            found.setdefault(row.peer, []).append((row.case.viewers, last))
    return found


def _bars(axes: "Axes", rows: Sequence[Row], work: Work) -> None:
    cases = list(dict.fromkeys(row.case for row in rows))
    heights = bars(rows)
    width = 0.8 / max(1, len(heights))
    for place, (peer, values) in enumerate(heights.items()):
        across = [number + place * width for number in range(len(cases))]
        axes.bar(across, values, width, label=peer, color=COLORS.get(peer))
    names = [_broken(case) for case in cases if isinstance(case, HitsCase)]
    middle = 0.4 - width / 2
    axes.set_xticks([number + middle for number in range(len(cases))], names)
    axes.set_yscale("log")
    axes.set_ylabel("requests a second")
    axes.set_title("closed ranges")
    axes.legend(fontsize="small")


def _broken(case: HitsCase) -> str:
    return case.name.replace(", ", ",\n")


def _lines(axes: "Axes", rows: Sequence[Row], work: Work) -> None:
    for peer, points in lines(rows).items():
        across, up = zip(*sorted(points), strict=True)
        axes.plot(across, up, marker="o", label=peer, color=COLORS.get(peer))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("viewers")
    axes.set_ylabel("the last has an event after, ms")
    axes.set_title("SSE" if work is Work.SSE else "long-poll")
    axes.grid(alpha=0.4, which="both")
    axes.legend(fontsize="small")
