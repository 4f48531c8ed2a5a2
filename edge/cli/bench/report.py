"""How a bench ends: results on standard output, faults on stderr, an exit code.

Standard output gets a table for people, or one JSON object. What was measured before a
fault or an interruption is printed too. Exit codes: 0 done, 1 could not be done, 2 the
command line is wrong, 130 interrupted. The command imports this module when it runs.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.cli import console
from edge.cli.bench import plot as drawing
from edge.cli.bench.progress import Bar, bar
from edge.cli.bench.results import (
    FanoutFigures,
    Figures,
    HitsFigures,
    Summary,
    title,
    warnings,
)
from edge.cli.streams.exit_faults import Exit, Fault

_COLUMNS = ("p50", "p90", "p99", "p99_9", "max")


class Run(Protocol):
    """Something to measure."""

    def run(self) -> None:
        """Measure. Raises Fault."""

    def figures(self) -> Figures | None:
        """What was measured so far."""


def conclude(
    kind: str, make: Callable[[Bar], Run], as_json: bool, plot: Path | None
) -> int:
    """Run it, tell and draw what it measured; the exit code."""
    run: Run | None = None
    code, error = Exit.OK, None
    try:
        if plot is not None:
            drawing.check(plot)
        with bar() as painted:
            run = make(painted)
            run.run()
    except Fault as fault:
        code = Exit.WRONG if fault.exit_code is Exit.WRONG else Exit.FAILED
        error = str(fault)
    except KeyboardInterrupt:
        code, error = Exit.INTERRUPTED, "interrupted"
    figures = None if run is None else run.figures()
    _tell(kind, figures, error, as_json)
    if figures is not None and plot is not None and not _drawn(figures, plot):
        code = code or Exit.FAILED
    return code


def _drawn(figures: Figures, plot: Path) -> bool:
    try:
        drawing.draw(figures, plot)
    except Fault as fault:
        console.error(str(fault))
        return False
    console.note(f"plot: {plot}")
    return True


def _tell(kind: str, figures: Figures | None, error: str | None, as_json: bool) -> None:
    if as_json:
        told = {"kind": kind} if figures is None else figures.data()
        if error is not None:
            told = told | {"error": error}
        print(json.dumps(told), flush=True)
    elif figures is not None:
        _show(figures)
    for warning in [] if figures is None else warnings(figures):
        console.note(warning)
    if error is not None:
        console.error(error)


def _show(figures: Figures) -> None:
    """For people: a table, plain where standard output is no terminal."""
    out = Console(soft_wrap=True, highlight=False)
    if isinstance(figures, FanoutFigures):
        rows = _rows_of_fanout(figures)
        facts = list(_facts_of_fanout(figures))
    else:
        rows = _rows_of_hits(figures)
        facts = list(_facts_of_hits(figures))
    out.print(Text(title(figures), style="bold"))
    out.print(_table(rows))
    out.print(_list(facts))


def _table(rows: list[tuple[str, Summary]]) -> Table:
    table = Table("milliseconds", box=None, pad_edge=False, header_style="dim")
    for column in _COLUMNS:
        table.add_column(column.replace("_", "."), justify="right", min_width=9)
    for name, summary in rows:
        found = summary or {}
        cells = [f"{found[c]:,.2f}" if c in found else "" for c in _COLUMNS]
        table.add_row(name, *cells)
    return table


def _list(facts: list[tuple[str, str]]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, value in facts:
        table.add_row(Text(name, style="dim"), value)
    return table


def _rows_of_fanout(of: FanoutFigures) -> list[tuple[str, Summary]]:
    return [
        ("first viewer", of.first_ms),
        ("each viewer", of.each_ms),
        ("last viewer", of.last_ms),
        ("append's answer", of.append_ms),
    ]


def _facts_of_fanout(of: FanoutFigures) -> Iterator[tuple[str, str]]:
    yield "delivered", f"{of.delivered:,} of {of.expected:,}"
    told = f"{of.resumed:,}, {of.failed:,}, {of.repeated:,}"
    yield "resumed, failed, repeated", told
    if of.origin_requests_per_event is not None:
        yield "origin requests per event", f"{of.origin_requests_per_event:,.2f}"
    if of.memory_per_viewer_kib is not None:
        yield "memory per viewer", f"{of.memory_per_viewer_kib:,.2f} KiB"
    if of.cpu_per_message_us is not None:
        yield "processor time per delivery", f"{of.cpu_per_message_us:,.1f} µs"
    share = f"{of.generator_cpu_share:.0%} of a core"
    spent = of.generator_us_per_message
    each = "" if spent is None else f", {spent:.1f} µs for each delivery"
    yield "load generator", share + each


def _rows_of_hits(of: HitsFigures) -> list[tuple[str, Summary]]:
    return [("answer", of.latency_ms)]


def _facts_of_hits(of: HitsFigures) -> Iterator[tuple[str, str]]:
    yield "requests per second", f"{of.requests_per_second:,.0f}"
    yield "bytes per second", f"{of.bytes_per_second / 1e6:,.1f} MB"
    yield "requests, errors", f"{of.requests:,}, {of.errors:,}"
    share = f"{of.generator_cpu_share:.0%} of a core"
    yield "load generator", f"{of.generator}, {share}"
