"""A4, B7: each reader has a token that the origin alone can judge; all are one crowd.

The reference server behind a gate that checks tokens; real processes on both sides. The
writer writes behind the edge's back. With two workers each story is the same: viewers
meet either front, and a keeper asks the origin (W10, W16).
"""

from collections.abc import Callable, Iterator
from threading import Event

import pytest

from tests.front.edge_process import Client
from tests.scale.nodes import node
from tests.support.processes import Edge, edge, node_origin
from tests.support.talk import ask
from tests.whole.following import Following
from tests.whole.token_gate import TokenGate, token_gate

PATH = "/v1/stream/lent"
END = b"<end>"
NAMES = ("ann", "ben", "cai")
CROWD = tuple(f"v{number}" for number in range(60))
WITHIN = 60.0


class Named(Following):
    """A follower with a token of its own."""

    def __init__(self, base: str, name: str, mode: str, offset: str) -> None:
        super().__init__(base, PATH, mode, offset, END)
        self.name = name

    def begin_at(self, client: Client) -> None:
        """Ask by this connection first."""
        self._client = client

    def get(self, query: str) -> Client:
        if self._client is None:
            self._client = self._connect()
        self._client.get(f"{PATH}?{query}", f"Authorization: Bearer {self.name}")
        return self._client


class Stage:
    """Origin, gate and edge; the stream holds ``<begin>``, and ends at ``tail``."""

    def __init__(
        self, origin: str, gate: TokenGate, running: Edge, workers: int
    ) -> None:
        self._origin, self.gate, self.running = origin, gate, running
        self.workers = workers
        self._call("PUT", b"")
        self.tail = self.append(b"<begin>")

    def _call(self, method: str, data: bytes) -> str:
        text = {"content_type": "text/plain"}
        status, fields, _ = ask(self._origin + PATH, method, data, **text)
        assert status in (200, 201, 204)
        return fields["stream-next-offset"]

    def append(self, data: bytes) -> str:
        """Write behind the edge's back; the new tail."""
        return self._call("POST", data)

    def follow(self, mode: str, *names: str) -> dict[str, Named]:
        """Viewers from the tail on, who wait."""
        crowd = {n: Named(self.running.url, n, mode, self.tail) for n in names}
        self.start(*crowd.values())
        return crowd

    def start(self, *crowd: Named) -> None:
        """Wait until they wait, too."""
        for viewer in crowd:
            viewer.start()
        parked = f'"parked": {len(crowd)}'.encode()
        self.until(
            lambda: parked in self._shown() and b'"armed": true' in self._shown()
        )

    def append_until_refused(self, name: str, crowd: dict[str, Named]) -> bytes:
        """Words for this crowd, until this one's turn to lend came; all of them. The
        origin is believed still when it comes, however slow the machine."""
        seen = b""
        while ("live", name) not in self.gate.refused:
            assert len(seen) < 100, "its turn never came"
            self.append(b"<word>")
            seen += b"<word>"
            self.until_seen(crowd, seen)
        return seen

    def until_seen(self, crowd: dict[str, Named], seen: bytes) -> None:
        """Wait until each of them has seen exactly this."""
        self.until(lambda: all(viewer.seen == seen for viewer in crowd.values()))

    def _shown(self) -> bytes:
        return ask(self.running.admin + "/streams?limit=1")[2]

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until it does."""
        for _ in range(int(WITHIN / 0.05)):
            if holds():
                return
            Event().wait(0.05)
        raise AssertionError(f"it never came to that: {self._shown()!r}")


def routes(trust: str) -> list[dict[str, object]]:
    return [{"match": "/v1/stream/**", "access": {"origin": {"trust": trust}}}]


@pytest.fixture
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    trust, workers = request.param
    settings = {"routes": routes(trust), "workers": workers, "log": {"access": "off"}}
    with (
        node_origin(long_poll_ms=30_000) as origin,
        token_gate(origin.url, *NAMES, *CROWD) as standing,
        edge(standing.url, **settings) as running,
    ):
        yield Stage(origin.url, standing, running, workers)


def staged(trust: str, *ways: tuple[str, int]) -> pytest.MarkDecorator:
    """The story with this ``trust``, by each mode and number of workers."""
    told = [pytest.param((trust, n), mode, id=f"{mode}-{n}") for mode, n in ways]
    return pytest.mark.parametrize(("stage", "mode"), told, indirect=["stage"])


@staged("10m", ("long-poll", 1), ("sse", 1), ("long-poll", 2))
def test_a_crowd_of_tokens_costs_one_poll_for_each_event(
    stage: Stage, mode: str
) -> None:
    """Each token is judged once; whose turn it is asks for all."""
    crowd = stage.follow(mode, *CROWD)
    judged = stage.gate.asked["HEAD"] + stage.gate.asked["GET"]
    before = stage.gate.asked["live"]
    words = [b"<%d>" % number for number in range(5)]
    for count, word in enumerate(words, 1):
        stage.append(word)
        stage.until_seen(crowd, b"".join(words[:count]))
    polls = stage.gate.asked["live"] - before
    stage.append(END)
    for viewer in crowd.values():
        viewer.join(WITHIN)

    assert [viewer.odd for viewer in crowd.values() if viewer.odd] == []
    assert polls == len(words)
    # One ask for each, and in each front the comparison of GET and HEAD, and its HEAD.
    assert len(CROWD) <= judged <= len(CROWD) + 3 * stage.workers
    assert len({name for kind, name in stage.gate.lenders if kind == "live"}) > 1


@staged("2s", ("long-poll", 1), ("sse", 1), ("sse", 2))
def test_a_token_that_is_taken_back_ends_its_viewer_and_nobody_elses(
    stage: Stage, mode: str
) -> None:
    """Within ``trust``, by a 204 or the end of the event stream, and then the 401; the
    others see every word, and no other status."""
    crowd = stage.follow(mode, *NAMES)
    gone = crowd.pop("ben")
    stage.gate.valid.discard("ben")
    gone.join(WITHIN)
    words = [b"<%d>" % number for number in range(4)]
    for word in (*words, END):
        stage.append(word)
    for viewer in crowd.values():
        viewer.join(WITHIN)

    assert [viewer.odd for viewer in crowd.values() if viewer.odd] == []
    assert {viewer.seen for viewer in crowd.values()} == {b"".join(words) + END}
    assert gone.seen == b""
    (odd,) = gone.odd
    assert "401" in odd


@staged("10m", ("long-poll", 1), ("sse", 1))
def test_a_refusal_in_the_shared_poll_is_heard_by_nobody_else(
    stage: Stage, mode: str
) -> None:
    """It lends once, and no more."""
    crowd = stage.follow(mode, *NAMES)
    gone = crowd.pop("ben")
    stage.gate.valid.discard("ben")
    seen = stage.append_until_refused("ben", crowd)
    for _ in range(4):
        stage.append(b"<word>")
        seen += b"<word>"
        stage.until_seen(crowd, seen)
    stage.append(END)
    for viewer in crowd.values():
        viewer.join(WITHIN)

    assert [viewer.odd for viewer in crowd.values() if viewer.odd] == []
    assert {viewer.seen for viewer in crowd.values()} == {seen + END}
    assert stage.gate.refused.count(("live", "ben")) == 1
    gone.join(WITHIN)
    assert gone.odd and len(gone.seen) <= seen.rindex(b"<word>") - 3 * len(b"<word>")


def test_at_every_front_a_refused_credential_ends_without_another_event() -> None:
    """W16. One token has viewers at both fronts, and its turn comes at one of them. The
    origin is believed for long: nobody is asked about meanwhile."""
    with (
        node_origin(long_poll_ms=30_000) as origin,
        token_gate(origin.url, *NAMES) as gate,
        node(gate.url, routes=routes("10m")) as running,
    ):
        stage = Stage(origin.url, gate, running.edge, running.fronts)
        base, tail = running.url, stage.tail
        gone, others = list[Named](), dict[str, Named]()
        for front, name in zip(running.front_pids(), ("ann", "cai"), strict=True):
            gone += [Named(base, "ben", mode, tail) for mode in ("sse", "long-poll")]
            others[name] = Named(base, name, "sse", tail)
            for viewer in (*gone[-2:], others[name]):
                viewer.begin_at(running.client(front))
        stage.start(*gone, *others.values())
        gate.valid.discard("ben")
        seen = stage.append_until_refused("ben", others)
        for viewer in gone:
            viewer.join(WITHIN)
        refusals = [viewer.odd for viewer in gone]
        stage.append(END)
        for viewer in others.values():
            viewer.join(WITHIN)

        assert all(len(odd) == 1 and "401" in odd[0] for odd in refusals), refusals
        assert gate.refused.count(("live", "ben")) == 1
        assert [viewer.odd for viewer in others.values()] == [[], []]
        assert {viewer.seen for viewer in others.values()} == {seen + END}
