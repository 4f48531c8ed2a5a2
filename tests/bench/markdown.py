"""The figures of small streams, writes and single requests as Markdown. Pure.

What ``make bench ARGS=--markdown`` prints stands in docs/performance.md as it is: a
table for each kind, a row for each case, a column for each server.
"""

from collections.abc import Callable, Iterable, Sequence

from tests.bench.results import Row

Cell = Callable[[Row], str]

_LOAD = "generator_us_per_event"


def lines(found: Sequence[Row]) -> list[str]:
    """All tables of which there are rows."""
    told: list[str] = []
    for kind, (head, cell) in TABLES.items():
        rows = [row for row in found if row.case.kind == kind]
        if rows:
            told += [*table(head, cell, rows), ""]
    return told


def table(head: str, cell: Cell, rows: Sequence[Row]) -> Iterable[str]:
    """One of them."""
    peers = list(dict.fromkeys(row.peer for row in rows))
    yield f"| {' | '.join([head, *peers])} |"
    yield f"|{'---|' * (len(peers) + 1)}"
    for case in dict.fromkeys(row.case for row in rows):
        of_case = {row.peer: row for row in rows if row.case == case}
        cells = [cell(of_case[name]) if name in of_case else "" for name in peers]
        yield f"| {' | '.join([case.name, *cells])} |"


def _number(row: Row, name: str) -> str:
    """To three digits, more or less: nobody measures more here."""
    value = row.medians.get(name)
    if value is None:
        return "-"
    digits = 0 if value >= 99.5 else 1 if value >= 9.95 else 2
    return f"{value:,.{0 if value.is_integer() else digits}f}"


def _failed(row: Row) -> str | None:
    if row.errors and all(value is None for value in row.medians.values()):
        return f"no: {row.errors[0]}"
    return None


def _of_streams(row: Row) -> str:
    if (failed := _failed(row)) is not None:
        return failed
    cpu = f"{_number(row, 'cpu_per_event_us')}"
    if row.medians["origin_connections"] is not None:
        cpu += f" + {_number(row, 'origin_cpu_per_event_us')}"
    said = f"**{_number(row, 'delivered_per_second')}**; {cpu}"
    said += f"; {_number(row, 'p50_ms')}, {_number(row, 'p99_ms')}"
    if (at_once := row.medians["events_per_reception"]) is not None and at_once >= 1.05:
        said += f"; {at_once:.1f} at once"
    return said + _connections(row)


def _of_tokens(row: Row) -> str:
    """With what the load took: it has as many writers as viewers."""
    said = _of_streams(row)
    return said if _failed(row) else f"{said}; {_number(row, _LOAD)} for the load"


def _connections(row: Row) -> str:
    """What it used of the origin, of what it may, and how often it refused."""
    used, may = row.medians["origin_connections"], row.medians["max_followers"]
    if used is None:
        return ""
    said = f" ({used:,.0f} connections"
    said += f", max_followers {may:,.0f}" if may is not None else ""
    refused = (row.medians["refused"] or 0) + (row.medians["short"] or 0)
    if refused:
        said += f", {refused:,.0f} refusals, {_number(row, 'delivered')} of "
        said += f"{_number(row, 'expected')} delivered"
    return said + ")"


def _of_writes(row: Row) -> str:
    if (failed := _failed(row)) is not None:
        return failed
    cpu = _number(row, "cpu_per_request_us")
    if row.peer != "node":
        cpu += f" + {_number(row, 'origin_cpu_per_request_us')}"
    latency = f"{_number(row, 'p50_ms')}, {_number(row, 'p99_ms')}"
    return f"**{_number(row, 'requests_per_second')}**; {cpu}; {latency}"


def _of_single(row: Row) -> str:
    if (failed := _failed(row)) is not None:
        return failed
    if row.peer == "node":
        return _number(row, "p50_ms")
    added = row.medians["added_ms"]
    said = "-" if added is None else f"{added:+.2f}"
    return f"**{said}** ({_number(row, 'p50_ms')})"


TABLES: dict[str, tuple[str, Cell]] = {
    "streams": (
        "events delivered a second; µs an event (server + origin); p50, p99 ms",
        _of_streams,
    ),
    "writes": (
        "requests a second; µs a request (server + origin); p50, p99 ms",
        _of_writes,
    ),
    "single": ("added, ms (p50 of all)", _of_single),
    "tokens": (
        "events delivered a second; µs an event (server + origin); p50, p99 ms",
        _of_tokens,
    ),
}
