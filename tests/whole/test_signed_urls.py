"""U12, A4: signed addresses are read live, cold and warm, by a crowd, at one's cost.

The reference server behind a gate that wants a signature of a GET, and takes no HEAD
with it; real processes on both sides. The writer writes behind the edge's back.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from threading import Event
from typing import Any

import pytest

from tests.front.edge_process import Client
from tests.support.processes import Edge, edge, node_origin
from tests.support.talk import ask
from tests.whole.following import Following
from tests.whole.signed_gate import SIGNED, Gate, gate

PATH = "/v1/stream/signed"
END = b"<end>"
VIEWERS = 20
WITHIN = 60.0
MODES = ("long-poll", "sse")
STARTS = ("beginning", "tail", "warm")


class Signed(Following):
    """A follower whose address is signed."""

    def get(self, query: str) -> Client:
        return super().get(f"{query}&{SIGNED}")


class SignedForOne(Following):
    """A follower with a signature of its own."""

    def __init__(self, number: int, base: str, mode: str, offset: str) -> None:
        super().__init__(base, PATH, mode, offset, END)
        self._signed = f"{SIGNED}-{number}"

    def get(self, query: str) -> Client:
        return super().get(f"{query}&{self._signed}")


class Stage:
    """Origin, gate and edge; the stream holds ``<begin>``, and ends at ``tail``."""

    def __init__(self, origin: str, gate: Gate, running: Edge) -> None:
        self._origin, self.gate, self.running = origin, gate, running
        self._call("PUT", b"")
        self.tail = self._call("POST", b"<begin>")

    def _call(self, method: str, data: bytes) -> str:
        text = {"content_type": "text/plain"}
        status, fields, _ = ask(self._origin + PATH, method, data, **text)
        assert status in (200, 201, 204)
        return fields["stream-next-offset"]

    def read(self) -> bytes:
        """A catch-up read through the edge."""
        target = f"{PATH}?offset=-1&{SIGNED}"
        status, _, body = ask(self.running.url + target)
        assert status == 200
        return body

    def watch(self, mode: str, offset: str) -> list[bytes]:
        """What viewers see who follow from there while two words are written."""
        crowd = [
            Signed(self.running.url, PATH, mode, offset, END) for _ in range(VIEWERS)
        ]
        return self.show(crowd)

    def show(self, crowd: Sequence[Following]) -> list[bytes]:
        """What these viewers see while two words are written."""
        for viewer in crowd:
            viewer.start()
        self._until_all_wait()
        for word in (b"<word>", END):
            self._call("POST", word)
        for viewer in crowd:
            viewer.join(WITHIN)
        assert [odd for viewer in crowd for odd in viewer.odd] == []
        return [viewer.seen for viewer in crowd]

    def _until_all_wait(self) -> None:
        for _ in range(int(WITHIN / 0.05)):
            _, _, shown = ask(self.running.admin + "/streams?limit=1")
            if f'"parked": {VIEWERS}'.encode() in shown and b'"armed": true' in shown:
                return
            Event().wait(0.05)
        raise AssertionError(f"they never waited: {shown!r}")


@pytest.fixture
def stage(workers: int) -> Iterator[Stage]:
    settings: dict[str, Any] = {"log": {"access": "off"}, "workers": workers}
    with (
        node_origin(long_poll_ms=30_000) as origin,
        gate(origin.url) as standing,
        edge(standing.url, **settings) as running,
    ):
        yield Stage(origin.url, standing, running)


@pytest.mark.parametrize(
    ("mode", "start", "workers"),
    [
        *((mode, start, 1) for mode in MODES for start in STARTS),
        ("sse", "beginning", 2),
        ("long-poll", "tail", 2),
        ("sse", "warm", 2),
    ],
    indirect=["workers"],
)
def test_a_signed_address_is_followed_by_a_crowd(
    stage: Stage, mode: str, start: str, workers: int
) -> None:
    """One HEAD, one GET, and a poll for each event. Warm, one GET came before. A front
    that asks for the tail before its keeper's poll is armed asks the origin (L3)."""
    warm = start == "warm"
    if warm:
        assert stage.read() == b"<begin>"
    begun = start == "beginning"
    seen = stage.watch(mode, "-1" if begun else stage.tail)

    expected = b"<begin>" * begun + b"<word>" + END
    assert Counter(seen) == {expected: VIEWERS}
    asked = stage.gate.asked
    assert asked["HEAD"] == 1
    assert 1 + warm <= asked["GET"] <= workers + warm
    # The two words may come in one answer; one poll more may wait for the next.
    assert 1 <= asked["live"] <= 3, stage.gate.polls


@pytest.mark.parametrize(
    ("mode", "workers"),
    [("long-poll", 1), ("sse", 1), ("long-poll", 2)],
    indirect=["workers"],
)
def test_addresses_that_are_each_signed_anew_are_one_crowd(
    mode: str, workers: int
) -> None:
    """A2, B7, B16: where the origin judges them by a GET, since it takes no HEAD. One
    ask for each, and one poll for each event, signed as a viewer's was."""
    way = {"trust": "10m", "parameters": ["expires", "signature"]}
    routes = [{"match": "/v1/stream/**", "access": {"origin": way}}]
    settings: dict[str, Any] = {"log": {"access": "off"}, "workers": workers}
    with (
        node_origin(long_poll_ms=30_000) as origin,
        gate(origin.url) as standing,
        edge(standing.url, routes=routes, **settings) as running,
    ):
        stage = Stage(origin.url, standing, running)
        seen = stage.show(
            [
                SignedForOne(number, running.url, mode, stage.tail)
                for number in range(VIEWERS)
            ]
        )
        unsigned, _, body = ask(f"{running.url}{PATH}?{SIGNED}er")

    assert Counter(seen) == {b"<word>" + END: VIEWERS}
    # The two words may come in one answer; one poll more may wait for the next.
    assert 1 <= standing.asked["live"] <= 3, standing.polls
    # Beside those, each front compares a GET with its HEAD, and opens the stream.
    assert VIEWERS <= standing.asked["GET"] <= VIEWERS + 3 * workers
    assert unsigned == 401 and b"word" not in body
