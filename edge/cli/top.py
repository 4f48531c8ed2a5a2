"""``ds-edge top``: the running edge, live: its figures as rates, and its first streams.

Once a second two documents of the admin address are asked for, ``/status`` and
``/streams``; rates are the difference of two. Keys: v, b, r and l sort the streams by
viewers, bytes, requests and lag; q ends it. Where there is no terminal it prints once.
An edge that does not answer is said to be away, and asked again.

``screen`` is a function of what was told; ``Keys`` is the only part that knows the
terminal. Called by ``edge.cli.app``.
"""

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge.cli.admin_client import NotWell
from edge.cli.status import (
    Document,
    clean,
    document,
    fault_of,
    number,
    part,
    size,
    title,
    worries,
)
from edge.core.stream_snapshot import StreamOrder
from edge.settings import Settings

EVERY_SECONDS = 1.0
MAX_FAULTS = 5
MARGIN_LINES = 16
"""Lines of a screen that are not streams."""

SORTS: Mapping[str, StreamOrder] = {
    "v": StreamOrder.VIEWERS,
    "b": StreamOrder.BYTES,
    "r": StreamOrder.REQUESTS,
    "l": StreamOrder.LAG,
}
"""The key of each order."""

KEYS_TOLD = "sort: v viewers  b bytes  r requests  l lag    q: end"

ENDS = frozenset({"q", "\x03", "\x04", "\x1b", ""})
"""Keys that end it. The empty one: no more can come."""

NO_KEY = "-"


class Told(NamedTuple):
    """What the edge told at one moment."""

    status: Document
    streams: Document


class Rates(NamedTuple):
    """What happened a second between two documents."""

    answers: float
    delivered: float
    origin_requests: float
    bytes_out: float
    growths: float
    woken: float


def ask(settings: Settings, order: StreamOrder, rows: int, within: float) -> Told:
    """Ask for both documents. Raises NotWell."""
    status = document(settings, "/status", within)
    page = f"/streams?sort={order.value}&limit={rows}"
    return Told(status, document(settings, page, within))


def rates(before: Document, after: Document) -> Rates | None:
    """None where there is no time between them, or another process has begun to count:
    its numbers are not those from before."""
    seconds = after.get("at", 0.0) - before.get("at", 0.0)
    old, new = _numbers(before), _numbers(after)
    grown = [b - a for a, b in zip(old, new, strict=True)]
    if seconds <= 0 or min(grown) < 0:
        return None
    return Rates(*(each / seconds for each in grown))


def _numbers(status: Document) -> Rates:
    fan_out = part(status, "fan_out")
    return Rates(
        sum(part(status, "answers").values()),
        fan_out.get("delivered", 0),
        sum(part(part(status, "origin"), "requests").values()),
        part(status, "bytes").get("out", 0),
        fan_out.get("growths", 0),
        fan_out.get("woken", 0),
    )


def screen(told: Told, before: Told | None, order: StreamOrder) -> RenderableType:
    """All that is shown of what was told, but for the keys."""
    status = told.status
    found = None if before is None else rates(before.status, status)
    worried = [Text(f"! {words}", style="bold red") for words in worries(status)]
    faults = status.get("faults", ())[:MAX_FAULTS]
    return Group(
        Text(title(status), style="bold"),
        *worried,
        _figures(status, found),
        _streams(told.streams, order),
        *(Text(fault_of(fault, status), style="yellow") for fault in faults),
    )


def _figures(status: Document, found: Rates | None) -> Table:
    viewers, followers = part(status, "viewers"), part(status, "followers")
    memory = part(part(status, "limits"), "memory")
    table = Table(box=None, show_header=False, pad_edge=False)
    for _ in range(4):
        table.add_column()
    table.add_row(
        "viewers",
        number(viewers.get("all", 0)),
        "sse / long-poll",
        f"{number(viewers.get('sse', 0))} / {number(viewers.get('long-poll', 0))}",
    )
    table.add_row(
        "memory",
        f"{size(memory.get('used', 0))} of {size(memory.get('limit', 0))}",
        "streams / followers",
        f"{number(status.get('streams', 0))} / {number(followers.get('all', 0))}",
    )
    if found is not None:
        each = found.woken / found.growths if found.growths else 0.0
        table.add_row(
            "delivered/s",
            number(found.delivered),
            "origin requests/s",
            f"{found.origin_requests:.1f}",
        )
        table.add_row("out/s", size(found.bytes_out), "fan-out", number(each))
    return table


def _streams(streams: Document, order: StreamOrder) -> Table:
    table = Table(box=None, pad_edge=False, expand=True, header_style="bold")
    table.add_column("stream", ratio=1, no_wrap=True, overflow="ellipsis")
    for one in StreamOrder:
        arrow = " ▼" if one is order else ""
        table.add_column(f"{one.value}{arrow}", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for row in streams.get("streams", ()):
        table.add_row(
            Text(clean(row.get("path"))),
            number(row.get("viewers", 0)),
            size(row.get("bytes_held", 0)),
            number(row.get("requests", 0)),
            size(row.get("lag", 0)),
            _state(row),
        )
    return table


def _state(row: Document) -> str:
    if row.get("closed"):
        return "closed"
    if row.get("armed"):
        return "live"
    return "followed" if row.get("followed") else "idle"


class Keys:
    """The keys that are pressed, one by one, without waiting for a line's end. The
    terminal is as it was afterwards."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._before: list[Any] = []

    def __enter__(self) -> "Keys":
        self._before = termios.tcgetattr(self._descriptor)
        tty.setcbreak(self._descriptor)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def next(self, seconds: float) -> str:
        """The next key within so many seconds, or NO_KEY; "" when no more can come."""
        ready, _, _ = select.select([self._descriptor], [], [], max(0.0, seconds))
        if not ready:
            return NO_KEY
        # What an arrow sends begins with an escape: it is one key.
        return os.read(self._descriptor, 32).decode("latin-1").lower()


def once(settings: Settings, order: StreamOrder, rows: int, within: float) -> None:
    """Print one screen. Raises NotWell."""
    told = ask(settings, order, rows, within)
    Console().print(screen(told, None, order))


def watch(settings: Settings, order: StreamOrder, within: float) -> None:
    """Show the edge until a key ends it. Called where there is a terminal."""
    console = Console()
    with (
        Keys(sys.stdin.fileno()) as keys,
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        before: Told | None = None
        while True:
            began = time.monotonic()
            rows = max(1, console.height - MARGIN_LINES)
            told, shown = _look(settings, order, rows, within, before)
            live.update(shown, refresh=True)
            key = _pressed(keys, began + EVERY_SECONDS)
            if key in ENDS:
                return
            order = SORTS.get(key, order)
            before = told


def _look(
    settings: Settings,
    order: StreamOrder,
    rows: int,
    within: float,
    before: Told | None,
) -> tuple[Told | None, RenderableType]:
    """What is told now, and the screen for it."""
    try:
        told = ask(settings, order, rows, within)
    except NotWell as why:
        return None, Text(f"{why}\nasking again; q: end", style="bold red")
    return told, Group(screen(told, before, order), Text(KEYS_TOLD, style="dim"))


def _pressed(keys: Keys, until: float) -> str:
    """A key that means something; NO_KEY once the time is over."""
    while (seconds := until - time.monotonic()) > 0:
        key = keys.next(seconds)
        if key in ENDS or key in SORTS:
            return key
    return NO_KEY
