"""The dashboard at a real admin server: the pages, and the event stream that they read.

``tests/client/test_dashboard.py`` has a browser look at it.
"""

import http.client
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from typing import TypeVar

import gevent
import pytest

from edge.admin.dashboard import DashboardPages, policy_of
from edge.admin.server import AdminServer
from edge.admin.status_feed import MAX_WATCHERS, StatusFeed
from edge.core.counters import Counters
from tests.support.processes import ROOT

PATIENCE = 20.0
SOON = 0.01

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Address:
    """A running admin address, and its feed."""

    host: str
    port: int
    feed: StatusFeed
    server: AdminServer

    def ask(
        self, path: str, headers: dict[str, str] | None = None, method: str = "GET"
    ) -> tuple[int, Message, bytes]:
        """The whole answer, read in a thread: the server's loop goes on."""

        def do() -> tuple[int, Message, bytes]:
            connection = http.client.HTTPConnection(self.host, self.port, PATIENCE)
            connection.request(method, path, headers=headers or {})
            answer = connection.getresponse()
            told = answer.status, answer.headers, answer.read()
            connection.close()
            return told

        return in_thread(do)

    def watch(self) -> socket.socket:
        """A connection that reads the event stream, from its first event on."""

        def do() -> socket.socket:
            sock = socket.create_connection((self.host, self.port), PATIENCE)
            sock.sendall(b"GET /dashboard/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            heard = b""
            while b"event: status" not in heard:
                heard += sock.recv(65_536)
            return sock

        return in_thread(do)


def in_thread(do: Callable[[], T]) -> T:
    """What it returns, while the event loop goes on."""
    found: T = gevent.get_hub().threadpool.apply(do)
    return found


@contextmanager
def running(token: str | None = None) -> Iterator[Address]:
    feed = StatusFeed(lambda: {"viewers": 5}, interval=SOON)
    pages = DashboardPages(feed).routes()
    server = AdminServer(pages, token, (), Counters(), 1.0, feed)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        bound.setblocking(False)
        server.start(bound)
        host, port = bound.getsockname()
        try:
            yield Address(host, port, feed, server)
        finally:
            server.stop()


@pytest.fixture
def address() -> Iterator[Address]:
    with running() as found:
        yield found


def until(happened: Callable[[], bool]) -> None:
    with gevent.Timeout(PATIENCE):
        while not happened():
            gevent.sleep(SOON)


@pytest.mark.parametrize(
    ("path", "file"), [("/dashboard", "dashboard.html"), ("/follow", "follow.html")]
)
def test_the_pages_are_those_of_the_documents_and_need_no_token(
    path: str, file: str
) -> None:
    with running(token="a-token") as found:
        status, headers, body = found.ask(path)

    assert (status, body) == (200, (ROOT / "docs" / file).read_bytes())
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_a_page_may_run_what_it_came_with_and_ask_this_address(
    address: Address,
) -> None:
    _, headers, _ = address.ask("/dashboard")
    policy = headers["Content-Security-Policy"]

    assert policy.startswith("default-src 'none'; ")
    assert "connect-src 'self'" in policy and "frame-ancestors 'none'" in policy
    assert len(re.findall("'sha256-[^']{44}'", policy)) == 2
    assert "unsafe" not in policy


def test_another_script_has_another_digest() -> None:
    page = "<script>{}</script>"

    assert policy_of(page.format("a()"), "'self'") != policy_of(
        page.format("b()"), "'self'"
    )


def test_the_pages_load_nothing_and_have_no_script_but_one() -> None:
    for file in ("dashboard.html", "follow.html"):
        text = (ROOT / "docs" / file).read_text()

        assert len(re.findall("<script", text)) == text.count("<script>\n") == 1
        assert not re.findall(r"<link|<img|\ssrc=|@import|url\(|\son\w+=\"", text)
        assert "innerHTML" not in text and "eval(" not in text


def test_the_status_comes_as_an_event_stream(address: Address) -> None:
    with address.watch() as sock:

        def head() -> bytes:
            return sock.recv(65_536)

        assert b'data: {"viewers":5}' in in_thread(head)


def test_the_token_guards_the_event_stream() -> None:
    with running(token="a-token") as found:
        assert found.ask("/dashboard/events")[0] == 401


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_no_other_page_holds_a_connection(address: Address, site: str) -> None:
    status, _, body = address.ask("/dashboard/events", {"Sec-Fetch-Site": site})

    assert status == 403 and b"from-a-page" in body
    assert address.feed.watchers == 0


def test_it_is_read_by_get_alone(address: Address) -> None:
    status, headers, _ = address.ask("/dashboard/events", method="HEAD")

    assert (status, headers["Allow"]) == (405, "GET")


def test_one_more_than_may_is_told_so(address: Address) -> None:
    watching = [address.watch() for _ in range(MAX_WATCHERS)]
    try:
        status, _, body = address.ask("/dashboard/events")
    finally:
        for one in watching:
            one.close()

    assert status == 503 and b"limit-watchers" in body


def test_who_has_left_is_forgotten(address: Address) -> None:
    address.watch().close()

    until(lambda: address.feed.watchers == 0 and not address.feed.ticks)


def test_when_the_address_stops_the_streams_end(address: Address) -> None:
    """With a last chunk, as an answer that is whole."""
    with address.watch() as sock:

        def rest() -> bytes:
            heard = b""
            while piece := sock.recv(65_536):
                heard += piece
            return heard

        reader = gevent.spawn(in_thread, rest)
        gevent.sleep(0)
        address.server.stop()

        assert reader.get(timeout=PATIENCE).endswith(b"0\r\n\r\n")
