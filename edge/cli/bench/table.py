"""Figures for people: a table on standard output, plain where it is no terminal."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.cli.bench.results import (
    FanoutFigures,
    Figures,
    HitsFigures,
    Summary,
    title,
)

_COLUMNS = ("p50", "p90", "p99", "p99_9", "max")


def show(figures: Figures) -> None:
    """Print them."""
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
    yield "resumed, failed", f"{of.resumed:,}, {of.failed:,}"
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
