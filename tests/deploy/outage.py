"""``python -m tests.deploy.outage docs``: two regions lose their origin, in pictures.

The services of ``deploy/compose.yaml`` run as plain processes (``regions``), with their
writer. In each region viewers follow by long-poll and by SSE, and somebody reads all
once a second. The dashboards of an edge and of the shield are open in Chromium. The
origin is killed, and started again on its streams; then the shield. Pictures go to the
folder; what clients met in each phase, and what the dashboards said, is printed.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.regions import EDGES, PATH, POPS, Places, edge, origin, writer
from tests.support import chromium, node
from tests.support.patience import until
from tests.support.processes import Process
from tests.support.talk import ask
from tests.whole.outage.audience import BEGIN, BROKEN, Asking, Viewer
from tests.whole.outage.tally import Tally

VIEWERS = 20
"""Of each mode, in each region."""
MODES = ("long-poll", "sse")
SIZE = (1000, 560)


class Follower(Viewer):
    path = PATH


class Reader(Asking):
    """Reads everything from a PoP once a second."""

    kind = "catch-up"

    def __init__(self, tally: Tally, number: int, base: str) -> None:
        super().__init__(tally, number, 1.0)
        self._url = f"{base}{PATH}?offset={BEGIN}"

    def ask(self) -> bool:
        try:
            status, fields, _body = ask(self._url, connection="close")
        except BROKEN:
            self.met("cut")
            return False
        stale = fields.get("cache-status", "").endswith("detail=stale")
        self.met(f"{status} stale" if stale else str(status))
        return False


@dataclass
class Dashboards:
    """The pages, and the browser that has them open."""

    process: subprocess.Popen[str]

    def says(self, page: str, what: str) -> str:
        """Its headline, once it is ``away`` or ``calm``."""
        return str(self._order({"page": page, "says": what}))

    def shoot(self, page: str, scheme: str, to: Path) -> None:
        self._order({"page": page, "scheme": scheme, "to": str(to)})

    def _order(self, order: dict[str, str]) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self.heard()

    def heard(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the browser ended"
        return json.loads(line)


@contextlib.contextmanager
def dashboards(places: Places, folder: Path) -> Iterator[Dashboards]:
    told = {
        "chromium": chromium.ensure(),
        "profile": str(folder / "profile"),
        "size": SIZE,
        "pages": {name: f"http://{places.admin(name)}/dashboard" for name in EDGES},
    }
    script = str(node.FOLDER / "outage.mjs")
    command = [str(node.install().binary), script, json.dumps(told)]
    environment = {**os.environ, "HOME": str(folder)}
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, text=True, env=environment
    ) as process:
        pages = Dashboards(process)
        try:
            pages.heard()
            yield pages
        finally:
            assert process.stdin is not None
            process.stdin.close()


@contextlib.contextmanager
def audience(tally: Tally, places: Places) -> Iterator[None]:
    """Viewers and a reader in each region, until the end."""
    people: list[Asking] = []
    for region, name in enumerate(POPS):
        base = places.streams(name)
        people.append(Reader(tally, region, base))
        people += [
            Follower(tally, number, 1.0, base, mode, BEGIN, 0)
            for mode in MODES
            for number in range(VIEWERS)
        ]
    for one in people:
        one.start()
    try:
        yield
    finally:
        for one in people:
            one.stop.set()
        for one in people:
            one.join()


@dataclass
class Play:
    """The service, its audience and the pages that show it, in their phases."""

    places: Places
    tally: Tally
    pages: Dashboards
    pictures: Path
    seconds: int

    def phase(self, name: str, away: Sequence[str]) -> None:
        """Wait until the dashboards say who is away, and let it last. Edges that are
        dead themselves are not asked."""
        print(f"\n{name}", flush=True)
        for page in EDGES:
            if page in away:
                said = " | ".join(self.pages.says(page, "away").split("\n"))
                print(f"  {page}: {said}")
            elif not (page == "shield" and name == "shield killed"):
                self.pages.says(page, "calm")
                print(f"  {page}: calm")
        time.sleep(self.seconds)
        # Whoever met what may not be has ended, and said so.
        self.tally.await_met({}, 0)
        for who, met in sorted(self.tally.phases[-1].met.items()):
            print(f"  {who}: {', '.join(f'{n} x {what}' for what, n in met.items())}")

    def shoot(self, page: str, scheme: str, name: str) -> None:
        to = self.pictures / f"outage-{name}-{scheme}.png"
        self.pages.shoot(page, scheme, to)


def play(folder: Path, pictures: Path, seconds: int) -> None:
    places, tally = Places(folder), Tally()
    tally.begin("start")
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(origin(places))
        between = stack.enter_context(edge("shield", places))
        for name in POPS:
            stack.enter_context(edge(name, places))
        stack.enter_context(writer(places))
        until(lambda: ask(places.streams(POPS[1]) + PATH)[0] == 200)
        stack.enter_context(audience(tally, places))
        pages = stack.enter_context(dashboards(places, folder))
        told = Play(places, tally, pages, pictures, seconds)

        tally.begin("calm")
        told.phase("calm", ())
        told.shoot("pop-east", "light", "calm")

        tally.begin("origin killed")
        kill(source)
        told.phase("origin killed", EDGES)
        told.shoot("pop-east", "light", "away")
        told.shoot("shield", "dark", "away")

        tally.begin("origin back")
        stack.enter_context(origin(places))
        told.phase("origin back", ())
        told.shoot("pop-east", "dark", "back")

        tally.begin("shield killed")
        kill(between)
        told.phase("shield killed", POPS)

        tally.begin("shield back")
        stack.enter_context(edge("shield", places))
        told.phase("shield back", ())


def kill(process: Process) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.handle.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.outage")
    parser.add_argument("pictures", type=Path, help="the folder that they go to")
    parser.add_argument("--seconds", type=int, default=45, help="each phase lasts")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ds-outage-") as folder:
        play(Path(folder), asked.pictures, asked.seconds)


if __name__ == "__main__":
    main()
