"""The distribution of times as a picture, drawn by matplotlib where it is installed.

The axis of shares is stretched as in plots of HdrHistogram: 90 % to 99 % is as wide as
99 % to 99.9 %, so the tail can be read beside the middle. matplotlib is looked for
before anything is measured, and imported when a picture is drawn.
"""

from importlib.util import find_spec
from math import log10
from pathlib import Path

from edge.cli.bench.results import Figures, title
from edge.cli.streams.exit_faults import Exit, Fault, wrong

FORMATS = (".svg", ".png")
MARKS = (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999)
_INCHES = (9.0, 5.0)


def check(path: Path) -> None:
    """Whether a plot can be drawn there. Raises Fault (WRONG)."""
    if path.suffix.lower() not in FORMATS:
        raise wrong("--plot", "expected a name that ends in .svg or .png")
    if not path.absolute().parent.is_dir():
        raise wrong("--plot", f"there is no folder {path.absolute().parent}")
    if find_spec("matplotlib") is None:
        install = "pip install 'durable-streams-edge[plot]'"
        raise wrong("--plot", f"needs matplotlib: {install}")


def points(figures: Figures) -> tuple[list[float], list[float]]:
    """Places on the axis and milliseconds, as far as the samples tell anything."""
    last = 1 - 1 / max(1, figures.samples)
    known = [(share, ms) for share, ms in figures.latencies_ms if share < last]
    longest = [(last, ms) for _, ms in figures.latencies_ms[-1:]]
    drawn = [*known, *longest]
    return [place(share) for share, _ in drawn], [ms for _, ms in drawn]


def place(share: float) -> float:
    """Where a share is on the axis: 0.9 at 1, 0.99 at 2."""
    return -log10(1 - share)


def draw(figures: Figures, path: Path) -> None:
    """Draw them. Raises Fault when the file cannot be written."""
    # Without pyplot: no window system is looked for, and nothing is global.
    from matplotlib.figure import Figure

    across, up = points(figures)
    picture = Figure(figsize=_INCHES, layout="constrained")
    axes = picture.subplots()
    axes.plot(across, up, linewidth=2)
    marks = [mark for mark in MARKS if place(mark) <= max(across, default=0)]
    axes.set_xticks([place(m) for m in marks], [f"{m * 100:g} %" for m in marks])
    axes.set_xlabel("of all deliveries" if figures.kind == "fanout" else "of all reads")
    axes.set_ylabel("at most, milliseconds")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.4)
    axes.set_title(title(figures), fontsize="small", wrap=True)
    try:
        picture.savefig(path)
    except OSError as error:
        raise Fault(Exit.FAILED, f"{path}: {error.strerror}") from None
