"""OrderFile: the orders of a node, one to a line, in the run folder (W14).

A line is a JSON object: the order's number, its kind and its facts. Numbers begin at 1
with each start of the edge, and there is no gap between them. Whoever writes holds a
lock and reads first what the last number is. The lines are only ever appended; when
there are many, the oldest are dropped, by a new file in the place of the old one. A
process that has missed so many finds a gap (``Found.gap``), and knows that it does.

A line counts once its line end is there: what a process left behind that ended while it
wrote is cut off by the next one. A file that does not say what it should is a gap, and
is begun anew; the number goes on from what the board says.

It holds no token (one stands there by its digest), and lies in a folder that nobody
else can enter. It is small and in memory mostly, and never waits for a lock.
"""

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEPT_ORDERS = 256
"""Lines that are kept when old ones are dropped, which is when there are twice as
many."""

MAX_BYTES = 16 * 1024 * 1024
"""A larger file is none of ours."""

MODE = 0o600


@dataclass(frozen=True, slots=True)
class NodeOrder:
    """One order: its number, what is to be done, and with what."""

    number: int
    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """Orders after a number, oldest first. ``gap``: some of them are not here."""

    orders: tuple[NodeOrder, ...]
    gap: bool = False


class OrderFile:
    """The file ``orders`` in the run folder ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "orders"
        self._lock = folder / "orders.lock"

    def append(self, kind: str, facts: Mapping[str, Any], least: int) -> int:
        """Append an order; its number, which is above ``least``.

        Raises BlockingIOError while another process writes, and OSError.
        """
        with _locked(self._lock):
            lines = self._lines()
            orders = _orders(lines)
            last = max(least, orders[-1].number if orders else 0)
            order = NodeOrder(last + 1, kind, facts)
            whole = bool(orders) and orders[-1].number == last
            if whole and len(orders) < 2 * KEPT_ORDERS:
                self._put(order, sum(map(len, lines[: len(orders)])))
            else:
                self._replace([*(orders[-KEPT_ORDERS:] if whole else ()), order])
        return order.number

    def after(self, number: int, last: int) -> Found:
        """The orders from after ``number`` to ``last`` at least. Raises OSError."""
        orders = [one for one in _orders(self._lines()) if one.number > number]
        begins = orders[0].number if orders else last + 1
        ends = orders[-1].number if orders else number
        return Found(tuple(orders), gap=ends < last or begins > number + 1)

    def _lines(self) -> list[bytes]:
        """Whole lines, with their ends."""
        try:
            with open(self._path, "rb") as file:
                octets = file.read(MAX_BYTES)
        except FileNotFoundError:
            return []
        return [one for one in octets.splitlines(keepends=True) if one.endswith(b"\n")]

    def _put(self, order: NodeOrder, at: int) -> None:
        file = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            line = _line(order)
            os.ftruncate(file, at)
            if os.pwrite(file, line, at) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(file)

    def _replace(self, orders: list[NodeOrder]) -> None:
        beside = self._path.with_suffix(".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        file = os.open(beside, flags, MODE)
        with open(file, "wb") as writing:
            writing.writelines(map(_line, orders))
        os.replace(beside, self._path)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """While nobody else writes. The lock ends with its process."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)


def _line(order: NodeOrder) -> bytes:
    said = {**order.facts, "n": order.number, "kind": order.kind}
    return json.dumps(said, separators=(",", ":")).encode() + b"\n"


def _orders(lines: list[bytes]) -> list[NodeOrder]:
    """The orders in these lines, up to the first line that is none."""
    orders: list[NodeOrder] = []
    for line in lines:
        order = _parsed(line)
        if order is None or (orders and order.number != orders[-1].number + 1):
            break
        orders.append(order)
    return orders


def _parsed(line: bytes) -> NodeOrder | None:
    try:
        facts = json.loads(line)
        number, kind = facts.pop("n"), facts.pop("kind")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    if type(number) is not int or not isinstance(kind, str):
        return None
    return NodeOrder(number, kind, facts)
