"""The figures on a terminal: one table of each kind of cases."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table

from tests.bench.cases import FanoutCase, HitsCase
from tests.bench.machine import Machine
from tests.bench.peers import PEERS
from tests.bench.results import Row, remarks

WIDTH = 118
LONGEST_NAME = 24
"""Letters of a case's name in a line, where there are many columns beside it."""

_OF_STREAMS = {
    "events/s": ("delivered_per_second", 0),
    "µs each": ("cpu_per_event_us", 0),
    "origin": ("origin_cpu_per_event_us", 0),
    "load": ("generator_us_per_event", 0),
    "p50 ms": ("p50_ms", 1),
    "p99 ms": ("p99_ms", 1),
    "at once": ("events_per_reception", 1),
    "used": ("origin_connections", 0),
    "of": ("max_followers", 0),
}
LISTED = {
    "streams": (
        "small streams, written at the origin; connections to it, of followers",
        _OF_STREAMS,
    ),
    "tokens": (
        "token streams, written through the server; connections as above",
        _OF_STREAMS,
    ),
    "writes": (
        "writes through the server",
        {
            "requests/s": ("requests_per_second", 0),
            "p50 ms": ("p50_ms", 2),
            "p99 ms": ("p99_ms", 2),
            "µs each": ("cpu_per_request_us", 0),
            "origin": ("origin_cpu_per_request_us", 0),
            "load": ("generator_us_per_request", 0),
        },
    ),
    "single": (
        "single requests, all servers in turn",
        {
            "p50 ms": ("p50_ms", 3),
            "added ms": ("added_ms", 3),
            "p99 ms": ("p99_ms", 3),
        },
    ),
}
"""Kinds whose figures are listed: title, and columns."""

GB = 1e9


def show(
    console: Console,
    machine: Machine,
    versions: dict[str, str],
    absent: dict[str, str],
    found: list[Row],
) -> None:
    """All of it."""
    console.print(machine.words(), soft_wrap=True)
    for name, said in versions.items():
        console.print(f"  {name}: {said}", soft_wrap=True)
    for name, how in absent.items():
        console.print(f"  {name}: left out, not installed ({how})", soft_wrap=True)
    if any(isinstance(row.case, HitsCase) for row in found):
        console.print(hits(found))
    if any(isinstance(row.case, FanoutCase) for row in found):
        console.print(crowds(found))
        for line in left_out(found, versions):
            console.print(line, soft_wrap=True)
    for kind, (title, columns) in LISTED.items():
        if any(row.case.kind == kind for row in found):
            console.print(listed(found, kind, title, columns))
    for line in remarks(found):
        console.print(f"! {line}", soft_wrap=True)


def hits(found: Iterable[Row]) -> Table:
    """Requests and bytes a second, the slowest of a hundred, and the ratios."""
    table = _table(
        "closed ranges, 64 connections; medians, and how many times faster the edge is"
    )
    _columns(table, "", "server", "requests/s", "MB/s", "p99 ms")
    _columns(table, "generator", "edge faster")
    for row, first in _grouped(table, found, HitsCase):
        value = row.medians
        rate = value["bytes_per_second"]
        table.add_row(
            row.case.name if first else "",
            row.peer,
            _number(value["requests_per_second"], 0),
            _number(None if rate is None else rate / 1e6, 0),
            _number(value["p99_ms"], 2),
            _share(value["generator_cpu_share"]),
            _ratio(row),
        )
    return table


def crowds(found: Iterable[Row]) -> Table:
    """When the first and the last viewer had an event, and what it cost."""
    table = _table(
        "viewers who ask again at once; medians, and how many times sooner the edge is"
    )
    _columns(table, "viewers", "server", "first ms", "last ms", "origin reads/event")
    _columns(table, "KiB/viewer", "µs/message", "generator", "edge sooner")
    for row, first in _grouped(table, found, FanoutCase):
        value = row.medians
        table.add_row(
            row.case.name if first else "",
            row.peer,
            _number(value["first_ms"], 1),
            _number(value["last_ms"], 1),
            _number(value["origin_requests_per_event"], 2),
            _number(value["memory_per_viewer_kib"], 1),
            _number(value["cpu_per_message_us"], 0),
            _number(value["generator_us_per_message"], 0, " µs"),
            _ratio(row),
        )
    return table


def listed(
    found: Iterable[Row], kind: str, title: str, columns: dict[str, tuple[str, int]]
) -> Table:
    """A row for each case and server; ``columns``: figure and digits by head."""
    table = _table(f"{title}; medians, and how many times better the edge is")
    table.add_column("", max_width=LONGEST_NAME)
    table.add_column("server")
    for name in (*columns, "edge better"):
        table.add_column(name, justify="right")
    last = None
    for row in found:
        if row.case.kind != kind:
            continue
        if last is not None and row.case != last:
            table.add_section()
        cells = [
            _number(row.medians[name], digits) for name, digits in columns.values()
        ]
        first = row.case.name if row.case != last else ""
        table.add_row(first, row.peer, *cells, _ratio(row))
        last = row.case
    return table


def left_out(found: Iterable[Row], peers: Iterable[str]) -> list[str]:
    """Why a server has no line where others have one."""
    works = {row.case.work for row in found}
    return [
        f"{name}: not asked for {work.upper()}: {why}"
        for name in peers
        for work, why in PEERS[name].cannot.items()
        if work in works
    ]


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold")


def _columns(table: Table, *names: str) -> None:
    for name in names:
        left = name in ("", "viewers", "server")
        whole = left or name.startswith("edge")
        table.add_column(name, justify="left" if left else "right", no_wrap=whole)


def _grouped(
    table: Table, found: Iterable[Row], kind: type[HitsCase] | type[FanoutCase]
) -> Iterable[tuple[Row, bool]]:
    """Rows of one kind, and whether each is the first of its case."""
    last = None
    for row in found:
        if isinstance(row.case, kind):
            if last is not None and row.case != last:
                table.add_section()
            yield row, row.case != last
            last = row.case


def _number(value: float | None, digits: int, unit: str = "") -> str:
    return "-" if value is None else f"{value:,.{digits}f}{unit}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _ratio(row: Row) -> str:
    if row.ratio is None or row.least is None or row.most is None:
        return ""
    spread = f" ({row.least:.1f}-{row.most:.1f})" if row.least != row.most else ""
    return f"{row.ratio:.2f}{spread}"
