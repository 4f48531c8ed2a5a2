"""What befalls a node's processes under a crowd, and what its clients see of it.

Viewers of one stream, half by event stream and half by long-poll, and a writer that
numbers what it appends and says it again until it is acknowledged. Each kind of process
is killed, stands still for three seconds, and is sent HUP, one after the other. Whoever
is cut comes back with its last offset, as clients do. A table tells for each: what was
lost and what came twice, to viewers and at the origin; the requests that failed; and
how long it took until the last viewer had something that was written after it (a viewer
that is cut waits for half a second before it comes back)::

    python -m tests.bench.faults
    python -m tests.bench.faults --viewers 200 --only HUP

A master that was killed is started anew, as a service manager does. Exits with 1 if
anything was lost, came twice, or failed on HUP.
"""

import argparse
import gc
import http.client
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from operator import sub
from typing import Any
from urllib.parse import urlsplit

from edge.cli import open_files
from tests.bench.load.events import EventText, Found, Journal
from tests.bench.load.kept import Kept, address
from tests.bench.load.loop import Loop
from tests.bench.load.viewers import VIEWERS, Audience, Viewer
from tests.scale.nodes import Node, node, stopped
from tests.support.processes import Process, ProcessFault, ds_edge, node_origin, running

JSON = "Content-Type: application/json"
SIZE = 100
STOPPED_SECONDS = 3.0
QUIET_SECONDS = 3.0
"""Between two faults."""

PATIENCE = 300.0
STEP = 0.05
AT_ONCE = 50
FAULTS = ("HUP", "STOP", "kill -9")
PROCESSES = ("front", "keeper", "master")


class Count(Journal):
    """Counts what must not be, where a journal refuses it."""

    def __init__(self) -> None:
        super().__init__(1)
        self.lost = self.doubled = 0

    def came(
        self, stream: int, expected: int, known: int, found: Found, now: float
    ) -> int:
        """See Journal. What comes again to a viewer that was cut is counted, too."""
        for _, text in found:
            number = int(text)
            self.doubled += number < expected
            self.lost += max(0, number - expected)
            expected = max(expected, number + 1)
        return expected


class Patient(Audience):
    """Viewers that come back while nobody listens, too."""

    def look(self, now: float) -> None:
        """See Audience. One that cannot connect tries again."""
        due = [viewer for at, viewer in self._later if at <= now]
        self._later = [one for one in self._later if one[0] > now]
        for viewer in due:
            try:
                viewer.connect()
            except OSError:
                self.tally.broken += 1
                self.later(viewer, now + 0.5)


class Writer(threading.Thread):
    """Appends numbers at a rate. ``failed``: attempts without a good answer."""

    def __init__(self, base: str, path: str, text: EventText, rate: float) -> None:
        super().__init__(daemon=True)
        self._at, self._path, self._text = urlsplit(base).netloc, path, text
        self._pause = 1 / rate
        self._go, self._over = threading.Event(), False
        self.written = self.failed = 0

    def run(self) -> None:
        self._go.set()
        while True:
            self._go.wait()
            if self._over:
                return
            self._append(self.written)
            self.written += 1
            time.sleep(self._pause)

    def rest(self) -> None:
        """Append no more, until ``go_on``. One may be under way."""
        self._go.clear()

    def go_on(self) -> None:
        self._go.set()

    def end(self) -> None:
        """For good."""
        self._over = True
        self._go.set()
        self.join(PATIENCE)

    def _append(self, number: int) -> None:
        fields = {
            "Content-Type": "application/json",
            "Producer-Id": "faults",
            "Producer-Epoch": "0",
            "Producer-Seq": str(number),
        }
        body = self._text.body(0, number)
        while True:
            with suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection(self._at, timeout=30)
                try:
                    connection.request("POST", self._path, body, fields)
                    if connection.getresponse().status in (200, 204):
                        return
                finally:
                    connection.close()
            self.failed += 1
            time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Row:
    """What was seen of one fault. ``seconds``: until the last viewer had gone on."""

    fault: str
    process: str
    lost: int
    doubled: int
    cut: int
    failed: int
    seconds: float

    def markdown(self) -> str:
        return (
            f"| {self.fault} | {self.process} | {self.lost} | {self.doubled} "
            f"| {self.cut} | {self.failed} | {self.seconds:.1f} |"
        )

    @property
    def is_wrong(self) -> bool:
        """HUP may fail no request. Else, whoever was cut came back."""
        fails = self.fault == "HUP" and (self.cut or self.failed)
        return bool(self.lost or self.doubled or fails)


HEAD = (
    "| fault | process | lost | came twice | connections cut or refused "
    "| appends failed | s until the last viewer had gone on |\n"
    "|---|---|---|---|---|---|---|"
)


Befalls = Callable[["Company", str, str], Callable[[], bool]]
"""Does it; returns how to tell that it is over."""


class Company:
    """The viewers and the writer, before one node."""

    def __init__(self, one: Node, viewers: int, rate: float) -> None:
        run = uuid.uuid4().hex[:8]
        self.node, self.path = one, f"/v1/stream/faults-{run}"
        self.text, self.count = EventText(run, SIZE), Count()
        self.loop = Loop()
        setup = Kept(one.url)
        made = setup.ask("PUT", self.path, b"", JSON)
        setup.close()
        at = address(one.url), urlsplit(one.url).netloc
        self.audience = Patient(self.loop, *at, self.text, self.count)
        self.viewers: list[Viewer] = []
        offset = made.head.offset.decode()
        for number in range(viewers):
            make = VIEWERS[("sse", "long-poll")[number % 2]]
            viewer = make(self.audience, 0, self.path, offset)
            viewer.connect()
            self.viewers.append(viewer)
            if number % AT_ONCE == 0:
                self.until(lambda: all(one.here for one in self.viewers), "connected")
        self.writer = Writer(one.url, self.path, self.text, rate)
        self.writer.start()
        self.has_all(1)

    def turn(self) -> None:
        """Hear what has come."""
        self.audience.look(time.monotonic())
        self.loop.turn(STEP)

    def until(self, happened: Callable[[], bool], what: str) -> None:
        """Turn until it has happened. Raises OSError."""
        ends = time.monotonic() + PATIENCE
        while not happened():
            self.turn()
            if time.monotonic() > ends:
                raise OSError(f"not all viewers {what}: {self.audience.tally}")

    def passes(self, seconds: float) -> None:
        """Turn for so long."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.turn()

    def has_all(self, number: int) -> None:
        """Turn until each viewer has the first ``number`` events."""
        self.until(lambda: self._furthest_back() >= number, f"have event {number}")

    def _furthest_back(self) -> int:
        return min(viewer.expects for viewer in self.viewers)

    def endures(self, fault: str, process: str, befall: Befalls) -> Row:
        """What is seen of it."""
        count, writer = self.count, self.writer
        before = count.lost, count.doubled, self._cut(), writer.failed
        begun = time.monotonic()
        is_over = befall(self, fault, process)
        # What is under way may have been sent before.
        self.has_all(writer.written + 2)
        seconds = time.monotonic() - begun
        self.until(lambda: is_over() and self.node.is_whole(), "saw the node whole")
        self.passes(QUIET_SECONDS)
        writer.rest()
        self.passes(1.0)
        self.has_all(writer.written)
        writer.go_on()
        after = count.lost, count.doubled, self._cut(), writer.failed
        lost, doubled, cut, failed = map(sub, after, before)
        return Row(fault, process, lost, doubled, cut, failed, seconds)

    def _cut(self) -> int:
        tally = self.audience.tally
        return tally.broken + sum(tally.refused.values())

    def at_origin(self, origin: str) -> tuple[int, int]:
        """How many events are missing at the origin, and how many are there twice."""
        self.writer.end()
        whole = read_all(origin, self.path)
        numbers = [int(text) for _, text in self.text.found(whole)]
        missing = set(range(self.writer.written)) - set(numbers)
        return len(missing), len(numbers) - len(set(numbers))


def read_all(base: str, path: str) -> bytes:
    """The whole stream."""
    client, whole, offset = Kept(base), b"", "-1"
    while True:
        answer = client.ask("GET", f"{path}?offset={offset}")
        whole, offset = whole + answer.body, answer.head.offset.decode()
        if not answer.body or len(answer.body) < 3:
            client.close()
            return whole


class Household:
    """The node's processes, and who starts a master anew that was killed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def befall(self, company: Company, fault: str, process: str) -> Callable[[], bool]:
        """Do it to the first process of this kind; see Befalls."""
        one = company.node
        pids = {"front": one.front_pids(), "keeper": one.keeper_pids()}
        pid = pids.get(process, [one.edge.process.pid])[0]
        old = one.pids()
        if fault == "STOP":
            with stopped(pid):
                company.passes(STOPPED_SECONDS)
            return lambda: True
        if fault == "HUP":
            os.kill(pid, signal.SIGHUP)
            # The processes of a node have a hang-up told by their master alone.
            return lambda: process != "master" or not old & company.node.pids()
        os.kill(pid, signal.SIGKILL)
        if process == "master":
            self._again(company)
        return lambda: pid not in company.node.pids()

    def _again(self, company: Company) -> None:
        """Start another one on the same settings, once the addresses are free."""
        one = company.node
        command = [*ds_edge(), "serve", "-c", str(one.edge.config)]
        while True:
            begun, serves = ExitStack(), False
            process = begun.enter_context(running("edge again", command))
            while not process.ended(0) and not (serves := accepts(process)):
                company.turn()
            if serves:
                self._stack.push(begun)
                edge = replace(one.edge, process=process)
                company.node = replace(one, edge=edge)
                return
            begun.close()


def accepts(process: Process) -> bool:
    """Whether it says that it serves. The address tells of those before it, too."""
    return "listening at" in process.log.read_text(errors="replace")


def run(viewers: int, rate: float, faults: tuple[str, ...]) -> bool:
    """Each fault to each process; prints a row for each. Whether all was well."""
    open_files.raise_to_hard_limit()
    well = True
    with ExitStack() as stack:
        origin = stack.enter_context(node_origin(long_poll_ms=30_000))
        household = Household(stack)
        one = stack.enter_context(node(origin.url, 2, 1))
        company = Company(one, viewers, rate)
        print(HEAD, flush=True)
        for fault in faults:
            for process in PROCESSES:
                row = company.endures(fault, process, household.befall)
                print(row.markdown(), flush=True)
                well = well and not row.is_wrong
        missing, twice = company.at_origin(origin.url)
        written = company.writer.written
        print(f"\nof {written} at the origin: {missing} missing, {twice} twice")
        print(f"refused, by status: {company.audience.tally.refused or 'nobody'}")
        return well and not missing and not twice


def main() -> None:
    """Run it, and tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.faults")
    add: Any = parser.add_argument
    add("--viewers", type=int, default=2_000, help="half by SSE, half by long-poll")
    add("--rate", type=float, default=2.0, help="events a second")
    add("--only", choices=FAULTS, action="append", help="this fault alone")
    asked = parser.parse_args()
    gc.disable()  # what is made here has no cycles
    try:
        well = run(asked.viewers, asked.rate, tuple(asked.only or FAULTS))
    except (OSError, ProcessFault) as error:
        sys.exit("\n".join([f"faults: {error}", *getattr(error, "__notes__", ())]))
    sys.exit(not well)


if __name__ == "__main__":
    main()
