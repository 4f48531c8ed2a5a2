"""Caddy, HAProxy and nginx before one edge, by HTTP/2, with the files of ``deploy/``.

Clients call from 127.0.0.2. What they say of themselves must not be believed, and what
the server in front says of them must be.
"""

import contextlib
import json
import socket
import ssl
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from tests.deploy.proxies import (
    DEPLOY,
    STARTS,
    Proxies,
    Proxy,
    anybodys,
    edge_behind,
    proxy,
    socket_in,
)
from tests.support.http2 import Connection, Exchange, until
from tests.support.processes import ROOT, Edge
from tests.support.talk import ask
from tests.whole.crowd import metric, origin_requests

CLIENT = "127.0.0.2"
TEXT = ("content-type", "text/plain")
SPOOFED = (
    ("x-forwarded-for", "1.2.3.4"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-host", "evil.test"),
    ("forwarded", "for=1.2.3.4;host=evil.test;proto=http"),
)
CONNECTIONS, STREAMS, EVENTS = 20, 100, 3
REFUSED_STREAM = 7

pytestmark = pytest.mark.timeout(600)

every_proxy = pytest.mark.parametrize("name", STARTS)


def calling(found: Proxy) -> Connection:
    return Connection(found.address, found.believed, CLIENT)


def made(connection: Connection, path: str, body: bytes = b"") -> None:
    assert connection.ask("PUT", path, [TEXT], body).status == 201


def requests(behind: Edge, path: str, count: int) -> list[dict[str, Any]]:
    """The first lines of the access log about a path, once there are so many."""
    for _ in range(1000):
        texts = behind.process.log.read_text().splitlines()
        lines = [json.loads(text) for text in texts if '"message": "request"' in text]
        if len(about := [one for one in lines if path in one["path"]]) >= count:
            return about
        Event().wait(0.02)
    raise AssertionError(behind.process.last_lines())


def comes_to(behind: Edge, name: str, wanted: float) -> None:
    """Wait until a metric of the edge has this value."""
    for _ in range(1000):
        if (value := metric(behind.admin, f"{name} ")) == wanted:
            return
        Event().wait(0.02)
    raise AssertionError(f"{name} stays at {value}")


@every_proxy
def test_a_write_is_read_back(proxies: Proxies, name: str) -> None:
    found = proxies.by_name[name]
    path = f"/v1/stream/{name}-back"
    with calling(found) as connection:
        created = connection.ask("PUT", path, [TEXT], b"one ")
        appended = connection.ask("POST", path, [TEXT], b"two")
        read = connection.ask("GET", f"{path}?offset=-1")
        gone = connection.ask("DELETE", path)

    assert (created.status, appended.status, gone.status) == (201, 204, 204)
    assert created.fields["location"] == found.url + path
    assert (read.status, bytes(read.body)) == (200, b"one two")


@every_proxy
def test_a_large_body_goes_through(proxies: Proxies, name: str) -> None:
    """Larger than any of these servers takes unasked, and than a window."""
    path = f"/v1/stream/{name}-large"
    body = b"0123456789abcdef" * (256 * 1024)
    with calling(proxies.by_name[name]) as connection:
        made(connection, path)
        assert connection.ask("POST", path, [TEXT], body).status == 204
        read = connection.ask("GET", f"{path}?offset=-1")
        while len(read.body) < len(body):
            offset = read.fields["stream-next-offset"]
            before = read.body
            read = connection.ask("GET", f"{path}?offset={offset}")
            read.body[:0] = before

    assert bytes(read.body) == body


@every_proxy
def test_the_client_is_who_called_the_proxy(proxies: Proxies, name: str) -> None:
    """Whatever it says of itself, of reads and of writes."""
    path = f"/v1/stream/{name}-who"
    with calling(proxies.by_name[name]) as connection:
        created = connection.ask("PUT", path, [TEXT, *SPOOFED], b"one")
        connection.ask("POST", path, [TEXT, *SPOOFED], b"two")
        connection.ask("GET", f"{path}?offset=-1", SPOOFED)
        connection.ask("GET", f"{path}?offset=-1", SPOOFED)
    lines = requests(proxies.edge, path, 4)

    url = proxies.by_name[name].url
    assert created.fields["location"] == url + path
    assert {line["client"] for line in lines} == {CLIENT}
    assert {line["host"] for line in lines} == {url.removeprefix("https://")}


@every_proxy
def test_two_thousand_viewers_have_each_event_once(proxies: Proxies, name: str) -> None:
    """Over twenty connections; the origin is asked once for an event."""
    path = f"/v1/stream/{name}-crowd"
    with contextlib.ExitStack() as leaving:
        found, behind = proxies.by_name[name], proxies.edge
        connections, viewers = list[Connection](), list[Exchange]()
        for number in range(CONNECTIONS):
            # Who connects and asks nothing is parted with soon (timeout http-request).
            connections.append(leaving.enter_context(calling(found)))
            if not number:
                made(connections[0], path, b"<begin>")
            viewers += [
                connections[-1].begin("GET", f"{path}?offset=-1&live=sse")
                for _ in range(STREAMS - 1)
            ]
        writer = connections[0]
        until(connections, lambda: all(b"control" in one.body for one in viewers))
        comes_to(behind, "ds_edge_viewers", len(viewers))
        told(writer, connections, viewers, path, 0)
        asked = origin_requests(behind.admin)
        for number in range(1, EVENTS):
            told(writer, connections, viewers, path, number)

        assert origin_requests(behind.admin) - asked <= EVENTS - 1
        for viewer in viewers:
            marks = [b"<%d>" % number for number in range(EVENTS)]
            assert [viewer.body.count(mark) for mark in marks] == [1] * EVENTS
    comes_to(behind, "ds_edge_viewers", 0)


def told(
    writer: Connection,
    connections: list[Connection],
    viewers: list[Exchange],
    path: str,
    number: int,
) -> None:
    """Append an event, and wait until every viewer has it."""
    mark = b"<%d>" % number
    writer.begin("POST", path, [TEXT], mark)
    until(connections, lambda: all(mark in viewer.body for viewer in viewers))


@every_proxy
@pytest.mark.parametrize("mode", ["sse", "long-poll"])
def test_a_viewer_who_leaves_is_gone_at_the_edge(
    proxies: Proxies, name: str, mode: str
) -> None:
    """A tab that is closed leaves a connection that others use."""
    path = f"/v1/stream/{name}-{mode}"
    with calling(proxies.by_name[name]) as connection:
        made(connection, path)
        viewer = connection.begin("GET", f"{path}?offset=now&live={mode}")
        comes_to(proxies.edge, "ds_edge_viewers", 1)
        connection.leave(viewer)
        comes_to(proxies.edge, "ds_edge_viewers", 0)
        assert connection.ask("HEAD", path).status == 200


@every_proxy
@pytest.mark.parametrize("mode", ["sse", "long-poll"])
def test_a_viewer_by_http1_who_leaves_is_gone_too(
    proxies: Proxies, name: str, mode: str
) -> None:
    found, path = proxies.by_name[name], f"/v1/stream/{name}-1-{mode}"
    with calling(found) as connection:
        made(connection, path)
    terms = ssl.create_default_context(cafile=str(found.believed))
    host, _, port = found.address.rpartition(":")
    with (
        socket.create_connection((host, int(port))) as plain,
        terms.wrap_socket(plain, server_hostname="localhost") as viewer,
    ):
        target = f"{path}?offset=now&live={mode}"
        viewer.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        comes_to(proxies.edge, "ds_edge_viewers", 1)
    comes_to(proxies.edge, "ds_edge_viewers", 0)


@every_proxy
def test_plain_http_leads_to_tls(proxies: Proxies, name: str) -> None:
    found = proxies.by_name[name]
    status, fields, _ = ask(
        f"http://{found.plain}/v1/stream/a?offset=-1", host="localhost"
    )

    assert status == 308
    assert fields["location"].startswith("https://localhost")
    assert fields["location"].endswith("/v1/stream/a?offset=-1")


def test_the_caddy_to_try_has_the_page_too(proxies: Proxies) -> None:
    with proxy("try", proxies.folder) as found, calling(found) as connection:
        page = connection.ask("GET", "/follow.html")
        made(connection, "/v1/stream/try", b"one")
        read = connection.ask("GET", "/v1/stream/try?offset=-1")

    assert bytes(page.body) == (ROOT / "docs" / "follow.html").read_bytes()
    assert bytes(read.body) == b"one"


def test_the_caddy_to_try_treats_streams_as_the_other_does() -> None:
    """Comments and indentation aside."""

    def block(file: str) -> list[str]:
        text = (DEPLOY / "caddy" / file).read_text()
        _, _, inside = text.partition("reverse_proxy ")
        lines = [line.strip() for line in inside.splitlines()[1:]]
        told = [line for line in lines if line and not line.startswith("#")]
        return told[: told.index("header_up -Forwarded") + 1]

    assert block("Caddyfile.try") == block("Caddyfile")


class DyingEdge(Thread):
    """Listens where the edge does, and ends each connection at a request for ``/die``,
    after it has taken all of it. ``seen`` are the request lines."""

    def __init__(self, path: Path) -> None:
        super().__init__(daemon=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(16)
        path.chmod(0o777)
        self.seen: list[str] = []

    def run(self) -> None:
        while True:
            taken, _ = self._listener.accept()
            Thread(target=self._serve, args=(taken,), daemon=True).start()

    def _serve(self, taken: socket.socket) -> None:
        with taken, taken.makefile("rb") as heads:
            while line := heads.readline().decode():
                self.seen.append(line.removesuffix(" HTTP/1.1\r\n"))
                size = 0
                while (text := heads.readline().lower()) not in (b"\r\n", b""):
                    name, _, value = text.partition(b":")
                    size = int(value) if name == b"content-length" else size
                heads.read(size)
                if "/die" in line:
                    return
                taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@every_proxy
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_write_whose_answer_is_lost_is_sent_once(name: str, method: str) -> None:
    """Nor is the client told to send it again (REFUSED_STREAM), which browsers do:
    what was appended would be appended twice."""
    with anybodys() as folder:
        behind = DyingEdge(socket_in(folder))
        behind.start()
        with proxy(name, folder) as found, calling(found) as connection:
            body = b"" if method == "DELETE" else b"one"
            # An Idempotency-Key has Go's client take any method for safe.
            fields = [
                TEXT,
                ("idempotency-key", "a"),
                ("content-length", str(len(body))),
            ]
            for path in ("/a", "/b"):
                assert connection.ask(method, path, fields, body).status == 200
            lost = connection.ask(method, "/die", fields, body)
            after = connection.ask(method, "/c", fields, body)

    assert (lost.status, lost.reset, after.status) == (502, None, 200)
    assert behind.seen == [f"{method} {path}" for path in ("/a", "/b", "/die", "/c")]


@every_proxy
@pytest.mark.parametrize("left_over", [False, True])
def test_an_edge_that_does_not_run_is_a_502_or_503(name: str, left_over: bool) -> None:
    """Whether it took its socket away or was killed."""
    with anybodys() as folder:
        if left_over:
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(str(socket_in(folder)))
            socket_in(folder).chmod(0o777)
        with proxy(name, folder) as found, calling(found) as connection:
            read = connection.ask("GET", "/v1/stream/a?offset=-1")
            written = connection.ask("POST", "/v1/stream/a", [TEXT], b"one")
            if written.reset == REFUSED_STREAM:
                # Nothing was done, so a browser sends it again.
                written = connection.ask("POST", "/v1/stream/a", [TEXT], b"one")

    expected = 503 if name == "haproxy" else 502
    assert (read.status, written.status) == (expected, expected), written


def test_behind_every_proxy_an_edge_may_end_and_come_back() -> None:
    """Viewers end with it, requests are answered meanwhile, and nothing is lost."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(anybodys())
        running = {name: stack.enter_context(proxy(name, folder)) for name in STARTS}
        following = []
        with edge_behind(folder):
            for name, found in running.items():
                caller = stack.enter_context(calling(found))
                path = f"/v1/stream/{name}?offset=-1"
                made(caller, f"/v1/stream/{name}", name.encode())
                viewer = caller.begin("GET", f"{path}&live=sse")
                until([caller], partial(has, viewer, b"control"))
                following.append((caller, viewer, path, name.encode()))
        for caller, viewer, path, _ in following:
            until([caller], partial(is_over, viewer))
            assert caller.ask("GET", path).status in (502, 503)
        with edge_behind(folder):
            for caller, _, path, written in following:
                read = caller.ask("GET", path)
                assert (read.status, bytes(read.body)) == (200, written)


def has(viewer: Exchange, mark: bytes) -> bool:
    return mark in viewer.body


def is_over(viewer: Exchange) -> bool:
    return viewer.ended or viewer.reset is not None
