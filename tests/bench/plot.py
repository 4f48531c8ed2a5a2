"""The figures as a picture: bars, and when the last viewer of a crowd had an event.

matplotlib is imported when a picture is drawn; ``ds-edge bench`` draws with it too.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.cases import Case, FanoutCase
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
BARS = {
    "hits": ("closed ranges", "requests_per_second"),
    "streams": ("small streams", "delivered_per_second"),
    "writes": ("writes", "requests_per_second"),
    "single": ("single requests", "p50_ms"),
    "tokens": ("token streams", "delivered_per_second"),
}
"""Kinds that are drawn as bars: the title, and the figure."""

_PANEL = (6.0, 4.5)
"""Inches."""
MANY = 6
"""Cases above which their names stand upright."""


def draw(found: Sequence[Row], machine: Machine, path: Path) -> None:
    """Draw what there is. Raises OSError."""
    from matplotlib.figure import Figure

    panels = panels_of(found)
    picture = Figure(figsize=(_PANEL[0] * len(panels), _PANEL[1]), layout="constrained")
    all_axes = picture.subplots(1, len(panels), squeeze=False)[0]
    for (title, rows), axes in zip(panels, all_axes, strict=True):
        (_lines if isinstance(rows[0].case, FanoutCase) else _bars)(axes, rows)
        axes.set_title(title)
        axes.legend(fontsize="small")
    picture.suptitle(machine.words(), fontsize="x-small", wrap=True)
    picture.savefig(path)


def panels_of(found: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """A title and its rows for each kind of cases, and for each mode of crowds."""
    panels: dict[str, list[Row]] = {}
    for row in found:
        title, _ = BARS.get(row.case.kind, ("", ""))
        if isinstance(row.case, FanoutCase):
            title = "SSE" if row.case.work is Work.SSE else "long-poll"
        panels.setdefault(title, []).append(row)
    return list(panels.items())


def bars(
    rows: Sequence[Row], name: str = "requests_per_second"
) -> dict[str, list[float]]:
    """A figure of each server, by the cases' order; 0 where there is none."""
    cases = list(dict.fromkeys(row.case for row in rows))
    found: dict[str, list[float]] = {}
    for row in rows:
        heights = found.setdefault(row.peer, [0.0] * len(cases))
        value = row.medians[name]
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


def _bars(axes: "Axes", rows: Sequence[Row]) -> None:
    cases = list(dict.fromkeys(row.case for row in rows))
    _, name = BARS[cases[0].kind]
    heights = bars(rows, name)
    width = 0.8 / max(1, len(heights))
    for place, (peer, values) in enumerate(heights.items()):
        across = [number + place * width for number in range(len(cases))]
        axes.bar(across, values, width, label=peer, color=COLORS.get(peer))
    names = [_broken(case) for case in cases]
    middle = 0.4 - width / 2
    axes.set_xticks([number + middle for number in range(len(cases))], names)
    if len(cases) > MANY:
        axes.tick_params("x", labelrotation=90, labelsize="small")
    axes.set_yscale("log")
    axes.set_ylabel(name.replace("_per_", " a ").replace("_", " "))


def _broken(case: Case) -> str:
    return case.name.replace(", ", ",\n")


def _lines(axes: "Axes", rows: Sequence[Row]) -> None:
    for peer, points in lines(rows).items():
        across, up = zip(*sorted(points), strict=True)
        axes.plot(across, up, marker="o", label=peer, color=COLORS.get(peer))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("viewers")
    axes.set_ylabel("the last has an event after, ms")
    axes.grid(alpha=0.4, which="both")
