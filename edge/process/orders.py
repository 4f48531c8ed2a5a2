"""NodeOrders: what an operator says to one process, and all processes do (W14).

An order is a line in a file (``order_file``) and a number on the board. Whoever gives
one::

    1  makes a folder for the reports, and appends the order
    2  announces its number on the board, and wakes the others
    3  carries it out itself, as all others do
    4  is answered once every process that reads orders has said that it has done so,
       or after two seconds with the names of those that have not

Each process looks at the board at every tick, a quarter second late at most, and at
once when it is woken. It carries out what is new in its order, writes its report, and
only then stores the number in its lane.

A process that starts stores in its lane that it reads orders, *then* reads the file,
and then serves. Whoever gives an order appends it, and then looks at the lanes. So one
of the two always sees the other: no process serves without an order, and none that does
not know of it is waited for. When a process ends it takes the word back; when it was
killed the master does.

Orders that only ask (their handler is not in ``lasting``) mean nothing to a process
that starts. Who finds a gap in the file, or no file, has missed orders and does what
covers all of them (``everything``).

One for each process of a node. Called by the ticker, by the pages of the admin address,
and by the worker at its start and end.
"""

import json
import logging
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import gevent

from edge.core.errors import Refusal
from edge.core.reasons import Reason
from edge.process.order_file import MODE, Found, NodeOrder, OrderFile

GIVE_SECONDS = 2.0
"""How long whoever gives an order waits for the others (W14)."""

LOOK_SECONDS = 0.005
"""Between two looks at what the others have stored."""

MAX_REPORT = 4 * 1024 * 1024
"""Bytes of one report that are read."""

READS = 1
"""Stored in a lane: its holder reads orders, and has carried out none."""

Report = Mapping[str, Any]
"""What came of an order in one process; it goes through JSON."""

Handler = Callable[[NodeOrder], Report]
"""Carries out an order. May block its greenlet, for a second at most."""

_log = logging.getLogger("edge.process")


class OrderLanes(Protocol):
    """What the board holds of orders. Only its holder stores into a lane, and the
    master, which takes back the lane of one that has ended."""

    def announced(self) -> int:
        """The highest number that was announced by anybody; 0 before the first."""

    def store_announced(self, number: int) -> None:
        """Announce an order that was appended."""

    def store_acted(self, word: int) -> None:
        """READS + the number up to which orders were carried out here; 0: none are
        read here any more."""

    def order_lanes(self) -> Sequence[tuple[int, int]]:
        """The lanes in which that word is not 0, with it."""


@dataclass(frozen=True, slots=True)
class OrderOutcome:
    """What came of an order: the reports by process, and the names of those that are
    late, or could not do it."""

    reports: Mapping[str, Report]
    late: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class NodeOrders:
    """The orders as one process knows them. ``name`` is its place's."""

    def __init__(self, folder: Path, name: str, lane: int, lanes: OrderLanes) -> None:
        self.handlers: dict[str, Handler] = {}
        self.lasting: set[str] = set()
        self.everything: Callable[[], object] = lambda: None
        self._folder = folder
        self._file = OrderFile(folder)
        self._name = name
        self._lane = lane
        self._lanes = lanes
        self._done = 0
        self._acting = False
        self._reads = False
        # Whether those are carried out that were given before this process began.
        self.is_starting = False
        self._waker: _Waker | None = None

    # The life of a process.

    def begin(self) -> None:
        """Read the file, before anything is served. Raises OSError.

        1: this process says that it reads; 2: an order is given, and its giver waits
        for this one, too; 3: the file is read. So what somebody waits for is carried
        out whatever it is: without a report it would have failed here.
        """
        self._lanes.store_acted(READS)
        self._reads = self._acting = self.is_starting = True
        self._make_known()
        for order in self._file.after(0, 0).orders:
            if order.kind in self.lasting or self._is_awaited(order):
                self._carry_out(order)
            self._done = order.number
        self._did(self._done)
        self._acting = self.is_starting = False
        self.look()

    def _make_known(self) -> None:
        """Leave the name of this process, and a way to wake it. A folder that is full
        keeps nobody from serving: orders are seen at the next tick, too."""
        for left in self._folder.glob(f"{_REPORTS}{self._lane}-*"):
            shutil.rmtree(left, ignore_errors=True)
        try:
            _write(self._folder / f"{_NAME}{self._lane}", self._name.encode())
            self._waker = _Waker(self._folder / f"{_WAKE}{self._lane}", self.look)
        except OSError as error:
            _log.warning("the run folder takes nothing more: %s", error)

    def end(self) -> None:
        """Read no more: this process serves nobody any more. Idempotent."""
        self._reads = False
        self._lanes.store_acted(0)
        waker, self._waker = self._waker, None
        if waker is not None:
            waker.close()

    def look(self, _now: float = 0.0) -> None:
        """Begin to do what is new, if anything is. Never switches greenlets."""
        if not self._acting and self._lanes.announced() > self._done:
            self._acting = True
            gevent.spawn(self._act)

    # Carrying out.

    def _act(self) -> None:
        try:
            while (last := self._lanes.announced()) > self._done:
                self._act_up_to(last)
        finally:
            self._acting = False

    def _act_up_to(self, last: int) -> None:
        try:
            found = self._file.after(self._done, last)
        except OSError as error:
            _log.error("orders could not be read: %s", error)
            found = Found((), gap=True)
        if found.gap:
            _log.error("orders %d to %d are not all there", self._done + 1, last)
            self._guarded(self.everything)
        for order in found.orders:
            self._carry_out(order)
            self._did(order.number)
        self._did(max(self._done, last))

    def _did(self, number: int) -> None:
        self._done = number
        if self._reads:
            self._lanes.store_acted(READS + number)

    def _carry_out(self, order: NodeOrder) -> None:
        handler = self.handlers.get(order.kind, _unknown)
        report = self._guarded(lambda: handler(order))
        folder = self._reports_of(order)
        if folder is not None:
            octets = json.dumps(report).encode()
            with suppress(OSError):
                # Whoever asked may have gone.
                _write(folder / f"{self._lane}", octets)

    def _is_awaited(self, order: NodeOrder) -> bool:
        """Whether its giver still waits for reports."""
        folder = self._reports_of(order)
        return folder is not None and folder.exists()

    def _reports_of(self, order: NodeOrder) -> Path | None:
        """The folder that its giver has made for reports; None: it wants none."""
        name = order.facts.get("reports")
        if isinstance(name, str) and name.startswith(_REPORTS):
            return self._folder / name
        return None

    def _guarded(self, act: Callable[[], Any]) -> Any:
        """What it returns; None if it could not be done."""
        try:
            return act()
        except Exception:
            # The outermost guard: a defect in one order must not keep back the next.
            _log.exception("an order could not be carried out")
            return None

    # Giving.

    def give(
        self, kind: str, *, within: float | None = None, **facts: Any
    ) -> OrderOutcome:
        """Give an order, and wait for all processes, ``within`` seconds (None: as long
        as for any). Blocks the calling greenlet.

        Raises Refusal (orders-unwritten): it was not given at all.
        """
        until = time.monotonic() + (GIVE_SECONDS if within is None else within)
        reports = f"{_REPORTS}{self._lane}-{secrets.token_hex(4)}"
        folder = self._folder / reports
        try:
            folder.mkdir(0o700)
            number = self._append(kind, {**facts, "reports": reports}, until)
            self._lanes.store_announced(number)
            asked = list(self._late(number))
            self._wake_others()
            self.look()
            late = self._wait(number, until)
            return self._outcome(folder, asked, late)
        except OSError as error:
            _log.error("an order could not be written: %s", error)
            detail = "The order could not be written, and was not given."
            raise Refusal(detail, reason=Reason.ORDERS_UNWRITTEN) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def wait_for(self, number: int, roles: str, seconds: float) -> bool:
        """Wait until all others whose name begins so have carried out an order.
        Returns whether they have."""
        until = time.monotonic() + seconds
        while not self.is_done(number, roles):
            if time.monotonic() >= until:
                return False
            gevent.sleep(LOOK_SECONDS)
        return True

    def is_done(self, number: int, roles: str) -> bool:
        """Whether they all have, but for this process. Never switches greenlets."""
        others = (lane for lane in self._late(number) if lane != self._lane)
        return not any(self._name_of(lane).startswith(roles) for lane in others)

    def _append(self, kind: str, facts: Mapping[str, Any], until: float) -> int:
        while True:
            try:
                return self._file.append(kind, facts, self._lanes.announced())
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise
                gevent.sleep(LOOK_SECONDS)

    def _wake_others(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            for lane, _ in self._lanes.order_lanes():
                # One that cannot be woken looks by itself.
                with suppress(OSError):
                    sender.sendto(b"", str(self._folder / f"{_WAKE}{lane}"))

    def _late(self, number: int) -> Iterator[int]:
        """The lanes that have yet to say that they have carried it out."""
        lanes = self._lanes.order_lanes()
        return (lane for lane, word in lanes if word < READS + number)

    def _wait(self, number: int, until: float) -> list[int]:
        while (late := list(self._late(number))) and time.monotonic() < until:
            gevent.sleep(LOOK_SECONDS)
        return late

    def _outcome(
        self, folder: Path, asked: Collection[int], late: Collection[int]
    ) -> OrderOutcome:
        reports: dict[str, Report] = {}
        failed: list[str] = []
        for lane in sorted({*asked, *_lanes_in(folder)} - {*late}):
            report = _read(folder / f"{lane}")
            if report is not None:
                # Two may be in one place: one of them is about to end.
                reports[f"{self._name_of(lane)}/{lane}"] = report
            elif lane in dict(self._lanes.order_lanes()):
                failed.append(self._name_of(lane))
        return OrderOutcome(reports, tuple(map(self._name_of, late)), tuple(failed))

    def _name_of(self, lane: int) -> str:
        try:
            return (self._folder / f"{_NAME}{lane}").read_text()
        except OSError:
            return f"lane {lane}"


class _Waker:
    """A socket in the run folder: whatever comes there wakes this process."""

    def __init__(self, path: Path, wake: Callable[[], object]) -> None:
        self._path = path
        self._wake = wake
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        try:
            # Of one that was killed.
            path.unlink(missing_ok=True)
            self._socket.bind(str(path))
        except OSError:
            self._socket.close()
            raise
        self._watcher = gevent.get_hub().loop.io(self._socket.fileno(), 1)
        self._watcher.start(self._woken)

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(1)
        self._wake()

    def close(self) -> None:
        self._watcher.stop()
        self._watcher.close()
        self._socket.close()
        with suppress(OSError):
            self._path.unlink()


_REPORTS = "reports-"
_WAKE = "wake-"
_NAME = "lane-"
"""How names in the run folder begin; a lane's number follows."""


def _unknown(order: NodeOrder) -> Report:
    raise LookupError(f"no such order: {order.kind}")


def _lanes_in(folder: Path) -> Iterator[int]:
    """The lanes that have reported."""
    return (int(one.name) for one in folder.iterdir() if one.name.isdigit())


def _read(path: Path) -> Report | None:
    """A report; None where there is none, or the order could not be carried out."""
    try:
        with open(path, "rb") as file:
            octets = file.read(MAX_REPORT + 1)
    except FileNotFoundError:
        return None
    found: Report | None = json.loads(octets) if len(octets) <= MAX_REPORT else None
    return found


def _write(path: Path, octets: bytes) -> None:
    """A file of mode 0600. Whoever looks for it sees all of it, or nothing."""
    beside = path.with_suffix(".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with open(os.open(beside, flags, MODE), "wb") as file:
        file.write(octets)
    os.replace(beside, path)
