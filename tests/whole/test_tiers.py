"""Origin, shield, PoP, with real processes: the origin dies, and comes back.

What the hub's own tests show by scripted answers (U8, U9, U10, U11), shown once more on
the wire: below a shield that lost its origin, held bytes go out stale and as old as
they are, viewers stay parked, nothing claims to be all, and nothing is lost.
"""

import contextlib
import http.server
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.chaos.reader import call
from tests.front.edge_process import Answered
from tests.support import patience
from tests.support.processes import Edge, NodeOrigin, edge, free_port, node_origin
from tests.support.talk import ask, ask_json
from tests.whole.following import Following

PATH = "/v1/stream/tiers"
BEFORE = [b"<%d>" % number for number in range(5)]
END = b"<end>"
VIEWERS = 10
CATCH_UPS = 30
PATIENCE = 60.0
SHORT = {"long_poll_timeout": "2s", "sse_lifetime": "2s"}
"""Of the outer tier: its viewers are told something now and then. The shield's own are
held for 30 s, so no time-out of theirs can tell the PoP anything."""

SHIELD, POP, COLD = "ds-edge/shield; ", "ds-edge/pop; ", "ds-edge/cold; "


class Watching(Following):
    """A follower that also notes each claim that it is given while ``lost`` is set, to
    a request that it sent since."""

    lost: threading.Event

    def __init__(self, pop: Edge, mode: str, offset: str) -> None:
        super().__init__(pop.url, PATH, mode, offset, END)
        self.claims: list[str] = []
        self._after = False

    def ask(self) -> None:
        self._after = self.lost.is_set()
        super().ask()

    def _take_answer(self, answered: Answered) -> None:
        if self._after and self.lost.is_set() and answered.all("stream-up-to-date"):
            self.claims.append(repr(answered))
        super()._take_answer(answered)

    def _take_frames(self, text: bytes) -> bytes:
        if self._after and self.lost.is_set() and b"upToDate" in text:
            self.claims.append(repr(text))
        return super()._take_frames(text)


@dataclass
class Tiers:
    """What is running. ``begin`` begins the origin anew, with all its streams."""

    origin: NodeOrigin
    shield: Edge
    pop: Edge
    begin: Callable[[], NodeOrigin]


@pytest.fixture
def tiers(tmp_path: Path) -> Iterator[Tiers]:
    with contextlib.ExitStack() as stack:
        port = free_port()

        def origin() -> NodeOrigin:
            stored = str(tmp_path)
            return stack.enter_context(node_origin(30_000, port=port, dataDir=stored))

        first = origin()
        shield = stack.enter_context(tier("shield", first.url))
        pop = stack.enter_context(tier("pop", shield.url, **SHORT))
        yield Tiers(first, shield, pop, origin)


def tier(
    name: str, origin: str, **live: str
) -> contextlib.AbstractContextManager[Edge]:
    quiet = {"access": "off"}
    return edge(origin, node={"name": name}, live=live, log=quiet)


def get(running: Edge, query: str) -> tuple[int, dict[str, str], bytes]:
    return ask(f"{running.url}{PATH}?{query}", connection="close")


def until(running: Edge, query: str, wanted: Callable[[dict[str, str]], bool]) -> None:
    """Read until an answer's fields are as wanted."""
    for _ in range(int(PATIENCE / 0.05)):
        if wanted(get(running, query)[1]):
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"it never came: {get(running, query)}")


def is_stale(fields: dict[str, str]) -> bool:
    return fields.get("cache-status", "").endswith("detail=stale")


def claims(fields: dict[str, str]) -> bool:
    return "stream-up-to-date" in fields


def drops(running: Edge) -> list[str]:
    """The reasons for which logs were dropped."""
    page = ask(f"{running.admin}/metrics", connection="close")[2].decode()
    return re.findall(r'drops_total\{reason="([^"]+)"\} [1-9]', page)


def begin(tiers: Tiers) -> tuple[bytes, list[Watching]]:
    """A stream that is read and followed through both tiers; what is in it."""
    assert call("PUT", tiers.pop.url, PATH)[0] == 201
    offset = "-1"
    for message in BEFORE:
        offset = call("POST", tiers.pop.url, PATH, message)[1]
    viewers = [
        Watching(tiers.pop, mode, offset)
        for mode in ("long-poll", "sse")
        for _ in range(VIEWERS)
    ]
    Watching.lost = threading.Event()
    for viewer in viewers:
        viewer.start()
    call("POST", tiers.pop.url, PATH, b"<news>")
    for viewer in viewers:
        assert viewer.begun.wait(PATIENCE)
    return b"".join(BEFORE) + b"<news>", viewers


def kill(origin: NodeOrigin) -> float:
    os.killpg(origin.process.pid, signal.SIGKILL)
    assert origin.process.ended(PATIENCE)
    return time.monotonic()


def check_stale(
    running: Edge, members: tuple[str, ...], body: bytes, killed: float, born: float
) -> None:
    """A catch-up is all that is held, as stale as it is, and tells by which way."""
    least = int(time.monotonic() - killed) - len(members) + 1
    status, fields, read = get(running, "offset=-1")

    assert (status, read) == (200, body)
    assert fields["cache-control"] == "no-store" and not claims(fields)
    told = fields["cache-status"].split(", ")
    assert len(told) == len(members), told
    for member, begins in zip(told, members, strict=True):
        assert member.startswith(begins) and member.endswith("detail=stale")
    # Each tier tells whole seconds, and loses less than one.
    assert least <= int(fields["age"]) <= time.monotonic() - born


class Refusing(http.server.BaseHTTPRequestHandler):
    """What stands before an origin that is away: a proxy with its own page."""

    def refuse(self) -> None:
        self.send_response(503)
        self.send_header("Set-Cookie", "lb=1")
        self.send_header("Content-Length", "4")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"soon")

    do_GET = do_HEAD = do_POST = refuse

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def refusing(url: str) -> Iterator[None]:
    """503 to whatever is asked, at the origin's address."""
    address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
    with http.server.ThreadingHTTPServer(address, Refusing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def outage_at(edge: Edge) -> str | None:
    """Where ``/status`` says that it is; None: there is none."""
    outage = ask_json(f"{edge.admin}/status")["outage"]
    return outage and str(outage["where"])


@pytest.mark.parametrize("stand_in", [False, True], ids=["dead", "answers-503"])
def test_the_origin_dies_behind_a_shield_and_comes_back(
    tiers: Tiers, stand_in: bool
) -> None:
    born = time.monotonic()
    held, viewers = begin(tiers)
    until(tiers.pop, "offset=-1", claims)
    with (
        tier("cold", tiers.shield.url, **SHORT) as cold,
        contextlib.ExitStack() as outage,
    ):
        killed = kill(tiers.origin)
        if stand_in:
            outage.enter_context(refusing(tiers.origin.url))
        until(tiers.pop, "offset=-1", is_stale)
        Watching.lost.set()

        for _ in range(CATCH_UPS):
            check_stale(tiers.pop, (SHIELD, POP), held, killed, born)
        check_stale(cold, (SHIELD, COLD), held, killed, born)
        tail = get(tiers.pop, "offset=-1")[1]["stream-next-offset"]
        status, fields, _ = get(tiers.pop, f"offset={tail}")
        assert status >= 500 and fields["retry-after"]
        status, fields, _ = get(cold, f"offset={tail}&live=long-poll")
        assert (status, claims(fields)) == (204, False)
        for viewer in viewers:
            assert viewer.is_alive() and not viewer.odd, viewer.odd
            assert not viewer.claims
        # An operator is told, tier by tier, whose origin it is.
        patience.until(lambda: outage_at(tiers.shield) == "origin")
        patience.until(lambda: outage_at(tiers.pop) == "behind")

        Watching.lost.clear()
        outage.close()
        tiers.begin()
        until(tiers.pop, "offset=-1", claims)
        until(cold, "offset=-1", claims)
        patience.until(lambda: outage_at(tiers.shield) is None)
    call("POST", tiers.pop.url, PATH, END)
    for viewer in viewers:
        viewer.join(PATIENCE)
        assert viewer.seen == b"<news>" + END and not viewer.odd, viewer.odd
    status, fields, read = get(tiers.pop, "offset=-1")
    assert (status, read, claims(fields)) == (200, held + END, True)
    assert drops(tiers.shield) == drops(tiers.pop) == []
