"""Who is let in is said by an endpoint or by the origin, with real processes.

A2, A16, A17, A19; B9, B11, B12, B17.
"""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.front.edge_process import Answered
from tests.support.processes import Edge, NodeOrigin, edge, node_origin
from tests.support.talk import ask
from tests.whole.authorize_server import AuthorizeServer, authorize_server
from tests.whole.crowd import PATH, call
from tests.whole.signed_gate import Gate, Passage, kept
from tests.whole.test_access import PATIENCE, THROUGH, bearer, client, get

WRITER = {"Authorization": "Bearer writer"}


@pytest.fixture(scope="module")
def origin() -> Iterator[NodeOrigin]:
    with node_origin(long_poll_ms=30_000) as running:
        yield running


@pytest.fixture
def app() -> Iterator[AuthorizeServer]:
    with authorize_server() as standing:
        yield standing


@contextlib.contextmanager
def asking(
    app: AuthorizeServer, origin: NodeOrigin, workers: int, **way: Any
) -> Iterator[Edge]:
    """An edge whose one route asks the app."""
    with edge(origin.url, routes=asks(app, **way), workers=workers) as running:
        yield running


def asks(app: AuthorizeServer, **way: Any) -> list[dict[str, Any]]:
    """One route that asks the app."""
    forward = {"url": app.url, "timeout": "30s", "identity_header": "x-user"} | way
    return [{"match": "/v1/stream/**", "access": {"forward": forward}}]


def created(running: Edge) -> str:
    url = running.url + PATH
    with contextlib.suppress(OSError):
        call("DELETE", url, None, **WRITER)
    call("PUT", url, None, **WRITER)
    return call("POST", url, b"<begin>", **WRITER)["stream-next-offset"]


def append(running: Edge, number: int) -> None:
    call("POST", running.url + PATH, b"<%d>" % number, **WRITER)


def metric(running: Edge, name: str) -> float:
    """The sum of a counter over its labels."""
    status, _, page = ask(f"{running.admin}/metrics")
    assert status == 200
    lines = page.decode().splitlines()
    return sum(
        float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)
    )


def wait_for(is_so: Callable[[], bool]) -> None:
    time_out = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < time_out
        threading.Event().wait(0.02)


@THROUGH
def test_a_kept_connection_is_judged_by_each_request(
    app: AuthorizeServer, origin: NodeOrigin, whole: tuple[str, ...], workers: int
) -> None:
    """B4: by every field that the app is sent, and by the host."""
    app.barred.add("mallory")
    with asking(app, origin, workers) as running:
        created(running)
        with client(running) as one:
            for _ in range(4):
                one.get(PATH, bearer("alice"), *whole)
                answered = one.read()
                assert (answered.status, answered.body) == (200, b"<begin>")
                assert answered["cache-control"] == "no-store"
                assert answered["vary"] == "Authorization, Cookie"
            one.get(PATH, bearer("mallory"), *whole)
            refused = one.read()
            assert (refused.status, refused.body) == (403, b"barred")
            assert refused["access-control-allow-origin"] == "*"
            one.get(PATH, bearer("alice"), *whole)
            assert one.read().status == 200
        names = [name for _, name in app.asked if name != "writer"]
        assert names == ["alice", "mallory"]


def test_people_are_sent_to_log_in_and_scripts_are_told(
    app: AuthorizeServer, origin: NodeOrigin, workers: int
) -> None:
    """A16, A19."""
    with asking(app, origin, workers) as running:
        page = get(running, PATH, "Sec-Fetch-Mode: navigate")
        assert (page.status, page["location"]) == (302, "https://login.example/")
        assert page["cache-control"] == "no-store"
        script = get(running, PATH, "Sec-Fetch-Mode: cors")
        assert (script.status, script.all("location")) == (401, [])
        assert script.problem()["reason"] == "access-refused"
        assert script["www-authenticate"].startswith("Bearer ")
        assert "WWW-Authenticate" in script["access-control-expose-headers"]


def test_a_cookie_that_the_app_sets_goes_to_the_one_who_asked(
    app: AuthorizeServer, origin: NodeOrigin, workers: int
) -> None:
    """B11: and with the first one nobody else is let in."""
    with asking(app, origin, workers) as running:
        created(running)
        for _ in range(2):
            answered = get(running, PATH, "Cookie: session=new")
            assert answered.status == 200
            assert answered["set-cookie"] == "session=renewed"
            assert answered["cache-control"] == "no-store"
        assert [name for _, name in app.asked].count("new") == 2


def test_an_app_that_is_away_keeps_its_viewers(
    app: AuthorizeServer, origin: NodeOrigin, workers: int
) -> None:
    """B11: until twice the time; a new one hears 503 and comes back. The log names
    who was let in, and no credential."""
    with asking(app, origin, workers, cache="1s") as running:
        offset = created(running)
        assert get(running, PATH, bearer("alice")).status == 200
        app.away = True
        new = get(running, PATH, bearer("bob"))
        assert (new.status, new["retry-after"]) == (503, "1")
        assert new.problem()["reason"] == "access-unavailable"
        wait_for(lambda: get(running, PATH, bearer("alice")).status == 503)
        app.away = False
        with client(running) as waiting:
            waiting.get(f"{PATH}?offset={offset}&live=long-poll", bearer("alice"))
            ended = waiting.read()
        # B12: the poll ends with its verdict, and claims nothing.
        assert (ended.status, ended.all("stream-up-to-date")) == (204, [])
        log = running.process.log
        wait_for(lambda: '"way": "forward", "sub": "alice"' in log.read_text())
        wait_for(lambda: "nobody says who is let in by forward" in log.read_text())


class _Holding(Passage):
    """Lets everything through, once it may."""

    server: "HoldingGate"

    def do_GET(self) -> None:
        self.server.came.set()
        self.server.may.wait()
        self.forward(self.path)


class HoldingGate(Gate):
    """An origin that answers no GET before it ``may``. ``came``: it was asked."""

    passage = _Holding

    def __init__(self, origin: str) -> None:
        super().__init__(origin)
        self.came, self.may = threading.Event(), threading.Event()


@THROUGH
def test_a_request_whose_verdict_ends_before_its_answer_is_judged_once_more(
    app: AuthorizeServer, origin: NodeOrigin, whole: tuple[str, ...], workers: int
) -> None:
    """B12: here the origin takes longer than the app is believed. The reader, who may
    read, notices nothing."""
    call("PUT", origin.url + PATH + "-slow")
    with (
        kept(HoldingGate(origin.url)) as gate,
        edge(gate.url, routes=asks(app, cache="1s"), workers=workers) as running,
        client(running) as one,
    ):
        try:
            # The app is asked by this one; its verdict is known when the next comes.
            one.get(f"{PATH}-slow?live=long-poll", bearer("alice"), *whole)
            assert one.read().status == 400
            one.get(f"{PATH}-slow?offset=-1", bearer("alice"), *whole)
            assert gate.came.wait(PATIENCE)
            ended = time.monotonic() + 1.0
            wait_for(lambda: time.monotonic() > ended)
        finally:
            gate.may.set()
        assert one.read().status == 200
    assert [name for _, name in app.asked] == ["alice"] * 2


def test_a_client_that_leaves_and_a_reload_in_the_middle_of_an_ask(
    app: AuthorizeServer, origin: NodeOrigin, workers: int
) -> None:
    """Whoever waits is answered; the old worker asks to the end."""
    with asking(app, origin, workers, timeout="20s") as running:
        created(running)
        app.may.clear()
        app.came.clear()
        with client(running) as left:
            left.get(PATH, bearer("alice"))
            assert app.came.wait(PATIENCE)
        with client(running) as stays:
            stays.get(PATH, bearer("alice"), "Connection: close")
            text = running.config.read_text()
            running.config.write_text(text.replace("20s", "21s"))
            os.kill(running.process.pid, signal.SIGHUP)
            wait_for(lambda: _replaced(running))
            app.may.set()
            answered = stays.read()
        assert (answered.status, answered.body) == (200, b"<begin>")
        # The new worker knows nothing of what the old one was told, which accepts until
        # the new one has taken its place.
        judged = len(app.asked)
        wait_for(lambda: _is_asked_about(running, app, judged))


def _is_asked_about(running: Edge, app: AuthorizeServer, before: int) -> bool:
    assert get(running, PATH, bearer("alice")).status == 200
    return len(app.asked) > before


def _replaced(running: Edge) -> bool:
    return metric(running, "ds_edge_replacements") > 0


def test_the_origin_says_who_is_let_in(origin: NodeOrigin, workers: int) -> None:
    """A17: asked by HEAD, once by each front that the credential comes to; and the
    reference origin judges a HEAD as a GET."""
    ways = {"origin": {"trust": "10m"}}
    routes = [{"match": "/v1/stream/**", "access": ways, "upstream": "own"}]
    with edge(origin.url, routes=routes, workers=workers) as running:
        offset = created(running)
        absent: Answered = get(running, PATH + "-absent", bearer("alice"))
        assert (absent.status, absent.problem()["reason"]) == (404, "access-absent")
        assert get(running, PATH).status == 401
        asked = metric(running, "ds_edge_asks")
        for _ in range(3):
            answered = get(running, PATH, bearer("alice"))
            assert (answered.status, answered.body) == (200, b"<begin>")
            assert answered["stream-next-offset"] == offset
        assert asked < metric(running, "ds_edge_asks") <= asked + workers
