"""A thousand viewers with a thousand credentials on one stream, by each way.

A2, A3, A10, B3, B7, B12: one poll for each event, everything delivered, and nobody is
asked about a credential twice. In the middle one credential is revoked, and one ends:
their viewers end, without a byte that came later, and nobody else notices. Real
processes on both sides; the writer writes behind the edge's back.
"""

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import pytest

from edge.access.signed import sign
from tests.front.edge_process import Client
from tests.support.processes import Edge, NodeOrigin, edge, node_origin
from tests.support.talk import ask
from tests.whole.authorize_server import authorize_server
from tests.whole.crowd import PATH, Crowd, metric, origin_requests
from tests.whole.test_access import BOTH, LINKS, bearer, client, token
from tests.whole.token_gate import token_gate

VIEWERS = 1000
EVENTS = 10
PATIENCE = 60.0
MODES = ("long-poll", "sse")
LEEWAY = 30
OF_THE_HUB = 5
"""Reads of the hub's own that look like asks: a HEAD before it parks the first."""

BRIEF, FEW = 2, 40
"""Seconds for which who is asked about again is believed; and how many viewers."""

SOON = 5
"""Seconds for which a credential is good that ends in the middle."""


class Credential(NamedTuple):
    """A header field, and parameters with an ``&`` before them; ``text`` is what an
    operator would call it by."""

    field: str = "X-Any: a"
    query: str = ""
    text: str = ""


def held(text: str) -> Credential:
    return Credential(bearer(text), text=text)


@dataclass(frozen=True)
class Stage:
    """An edge whose one route has one way, before an origin.

    ``made`` gives a credential by its name, ``ending`` one that is good for ``SOON``,
    None if there is none; ``asked`` tells how often who judges was asked about whom.
    """

    running: Edge
    origin: NodeOrigin
    made: Callable[[str], Credential]
    ending: Callable[[str], Credential] | None
    asked: Callable[[], Counter[str]]
    can_revoke: bool = True

    def create(self) -> str:
        """A new stream; its tail."""
        ask(self.origin.url + PATH, "DELETE")
        ask(self.origin.url + PATH, "PUT", content_type="text/plain")
        return self.append(b"<begin>")

    def append(self, data: bytes) -> str:
        url = self.origin.url + PATH
        status, fields, _ = ask(url, "POST", data, content_type="text/plain")
        assert status in (200, 204)
        return fields["stream-next-offset"]

    def crowd(self, mode: str, viewers: int, offset: str) -> Crowd:
        made = [self.made(f"{mode}-{number}") for number in range(viewers)]
        return Crowd(
            self.running.url,
            viewers,
            mode,
            offset,
            lambda number: made[number].field + "\r\n",
            lambda number: made[number].query,
        )

    def watch(self, held: Credential, mode: str, offset: str) -> Client:
        """A viewer that waits, or has its event stream."""
        one = client(self.running)
        one.get(f"{PATH}?offset={offset}&live={mode}{held.query}", held.field)
        if mode == "sse":
            one.until(b"upToDate")
        return one

    def revoke(self, held: Credential) -> None:
        url, body = self.running.admin + "/access/revoke", {"token": held.text}
        said = json.dumps(body).encode()
        status, _, told = ask(url, "POST", said, content_type="application/json")
        assert status == 200, told


@pytest.fixture(scope="module")
def origin() -> Iterator[NodeOrigin]:
    with node_origin(long_poll_ms=30_000) as running:
        yield running


def before(url: str, workers: int, ways: dict[str, Any]) -> Any:
    """An edge that logs no requests: it has thousands."""
    routes = [{"match": "/v1/stream/**", "access": ways}]
    return edge(url, routes=routes, log={"access": "off"}, workers=workers)


@contextlib.contextmanager
def by_jwt(origin: NodeOrigin, workers: int) -> Iterator[Stage]:
    with before(origin.url, workers, {"jwt": BOTH["jwt"]}) as running:
        yield Stage(
            running,
            origin,
            lambda name: held(token(name)),
            lambda name: held(token(name, SOON - LEEWAY)),
            Counter,
        )


@contextlib.contextmanager
def by_links(origin: NodeOrigin, workers: int) -> Iterator[Stage]:
    """No two links end in the same second; one link cannot be revoked (B21)."""
    later = count(600)

    def link(seconds: int) -> Credential:
        url = sign(PATH, LINKS, "k1", int(time.time()) + seconds)
        return Credential(query="&" + url.partition("?")[2])

    with before(origin.url, workers, {"signed": BOTH["signed"]}) as running:
        yield Stage(
            running,
            origin,
            lambda _: link(next(later)),
            lambda _: link(SOON),
            Counter,
            can_revoke=False,
        )


@contextlib.contextmanager
def by_an_app(origin: NodeOrigin, workers: int, cache: str = "10m") -> Iterator[Stage]:
    with authorize_server() as app:

        def ending(name: str) -> Credential:
            app.brief[name] = SOON
            return held(name)

        ways = {"forward": {"url": app.url, "timeout": "30s", "cache": cache}}
        with before(origin.url, workers, ways) as running:
            yield Stage(
                running,
                origin,
                held,
                ending,
                lambda: Counter(name for _, name in app.asked),
            )


@contextlib.contextmanager
def by_the_origin(
    origin: NodeOrigin, workers: int, trust: str = "10m"
) -> Iterator[Stage]:
    names = [f"{mode}-{number}" for mode in MODES for number in range(VIEWERS)]
    names += [f"{mode}-gone-{number}" for number, mode in enumerate(MODES)]
    with (
        token_gate(origin.url, *names) as gate,
        before(gate.url, workers, {"origin": {"trust": trust}}) as running,
    ):
        yield Stage(
            running,
            origin,
            held,
            None,
            lambda: Counter(name for kind, name in gate.lenders if kind != "live"),
        )


WAYS = {
    "jwt": by_jwt,
    "signed": by_links,
    "forward": by_an_app,
    "origin": by_the_origin,
}


@pytest.mark.parametrize(
    ("way", "workers"),
    [*((way, 1) for way in WAYS), ("origin", 2)],
    indirect=["workers"],
)
def test_a_thousand_credentials_are_one_crowd(
    way: str, origin: NodeOrigin, workers: int
) -> None:
    """Counted by the edge itself, before and after some of them end."""
    with WAYS[way](origin, workers) as stage, contextlib.ExitStack() as leaving:
        offset = stage.create()
        leavers = 2 * (stage.can_revoke + (stage.ending is not None))
        crowds = list[Crowd]()
        for mode in MODES:
            crowd = stage.crowd(mode, (VIEWERS - leavers) // 2, offset)
            leaving.callback(crowd.close)
            crowds.append(crowd)
            if mode == "long-poll":
                # So that the first of them have been judged when the others come.
                stage.append(b"<-1>")
                crowd.await_event(-1, PATIENCE)

        def write(numbers: range) -> str:
            for number in numbers:
                tail = stage.append(b"<%d>" % number)
                for crowd in crowds:
                    crowd.await_event(number, PATIENCE)
            return tail

        write(range(1))
        some = origin_requests(stage.running.admin)
        middle = write(range(1, EVENTS // 2 + 1))
        assert origin_requests(stage.running.admin) - some == EVENTS // 2

        gone = _some_end(stage, middle, leaving)
        judged = stage.asked()
        more = origin_requests(stage.running.admin)
        write(range(EVENTS // 2 + 1, EVENTS + 1))
        assert origin_requests(stage.running.admin) - more == EVENTS // 2
        assert stage.asked() == judged
        _have_ended(stage, gone)
        _asked_once(way, judged)


def _some_end(
    stage: Stage, offset: str, leaving: contextlib.ExitStack
) -> list[tuple[Credential, Client, bytes]]:
    """In each mode one credential is revoked, and one ends: what their viewers saw."""
    made = [stage.made] * stage.can_revoke
    made += [] if stage.ending is None else [stage.ending]
    gone = list[tuple[Credential, Client, str]]()
    for make in made:
        for mode in MODES:
            held = make(f"{mode}-gone-{len(gone)}")
            one = leaving.enter_context(stage.watch(held, mode, offset))
            gone.append((held, one, mode))
    # One that is still being judged when it is revoked would be refused.
    for _ in range(int(PATIENCE / 0.02)):
        if metric(stage.running.admin, "ds_edge_viewers ") >= VIEWERS:
            break
        threading.Event().wait(0.02)
    for held, _, _ in gone[: len(MODES) * stage.can_revoke]:
        stage.revoke(held)
    return [(held, one, _to_its_end(one, mode)) for held, one, mode in gone]


def _to_its_end(one: Client, mode: str) -> bytes:
    """A 204 without a claim, or an event stream that ends after a whole event."""
    if mode == "sse":
        return one.until(b"0\r\n\r\n")
    ended = one.read()
    assert (ended.status, ended.all("stream-up-to-date")) == (204, [])
    return ended.body


def _have_ended(stage: Stage, gone: list[tuple[Credential, Client, bytes]]) -> None:
    """Not a byte came after the end, and the next request hears why."""
    for held, one, seen in gone:
        assert b"<%d>" % (EVENTS // 2 + 1) not in seen
        one.get(f"{PATH}?offset=-1{held.query}", held.field)
        assert one.read().status in (401, 403)


def _asked_once(way: str, judged: Counter[str]) -> None:
    """Nobody was asked about, or everybody once (B16)."""
    if way in ("jwt", "signed"):
        assert not judged
        return
    assert len(judged) == VIEWERS
    more = OF_THE_HUB * (way == "origin")
    assert judged.total() <= VIEWERS + more
    assert max(judged.values()) <= 1 + more


@pytest.mark.parametrize(
    ("way", "workers"),
    [("forward", 1), ("origin", 1), ("origin", 2)],
    indirect=["workers"],
)
def test_each_credential_is_asked_about_once_in_its_time(
    way: str, origin: NodeOrigin, workers: int
) -> None:
    """A3, B12: by whoever comes again, in the last fifth of that time at the earliest;
    the viewers notice nothing."""
    making = by_an_app if way == "forward" else by_the_origin
    with (
        making(origin, workers, f"{BRIEF}s") as stage,
        contextlib.ExitStack() as leaving,
    ):
        offset, begun = stage.create(), time.monotonic()
        crowd = stage.crowd("long-poll", FEW, offset)
        leaving.callback(crowd.close)
        for number in count():
            stage.append(b"<%d>" % number)
            crowd.await_event(number, PATIENCE)
            if min(stage.asked().values()) > 2:
                break
            threading.Event().wait(0.1)
        asked = stage.asked()
        times = 1 + (time.monotonic() - begun) / (0.8 * BRIEF)

    assert len(asked) == FEW
    # The hub sends a HEAD each time that nobody is parked, by whoever lends.
    assert max(asked.values()) <= 2 * times + 1
    assert asked.total() <= FEW * times + 2 * times
