"""Pages of several web origins in a real Chromium, and an edge on another site.

A11, A19; B10, B23. The edge has TLS in front, as in the field: a cookie crosses sites
only as ``SameSite=None; Secure``. ``tests/node/pages.mjs`` lives through the stories
once per run; each test here judges one.
"""

import contextlib
import http.server
import json
import select
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest

from tests.support import certificates, chromium
from tests.support.chromium import Stories
from tests.support.processes import edge, embedded_origin
from tests.whole.crowd import call
from tests.whole.test_access import BOTH, token

STREAM = "/v1/stream/pages/demo"
HOSTS = {
    "listed": "app.other.test",
    "below": "a.b.docs.other.test",
    "neighbour": "app.streams.test",
    "beside": "evil.other.test",
    "elsewhere": "evil.test",
}
"""Pages. Three are on the list, the last of them on the edge's own site; two are not,
the first of them on the site of a listed one."""

WELCOME, UNWELCOME = ("listed", "below", "neighbour"), ("beside", "elsewhere")
EDGE = "edge.streams.test"

pytestmark = pytest.mark.timeout(600)


class Blank(BaseHTTPRequestHandler):
    """An empty page at every address."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def blank_pages(context: ssl.SSLContext) -> Iterator[int]:
    """Empty pages over TLS, for whatever name; the port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Blank)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def tls_in_front(context: ssl.SSLContext, url: str) -> Iterator[int]:
    """TLS before a server that speaks none; the port."""
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    plain, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(plain,), daemon=True).start()

        def serve(plain: socket.socket) -> None:
            with (
                contextlib.suppress(OSError),
                plain,
                context.wrap_socket(plain, server_side=True) as client,
                socket.create_connection((host, int(port))) as server,
            ):
                carry(client, server)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def carry(client: ssl.SSLSocket, server: socket.socket) -> None:
    """Carry bytes both ways until either side ends: one thread, for OpenSSL's sake."""
    while True:
        ready, _, _ = select.select((client, server), (), ())
        for source, sink in ((client, server), (server, client)):
            if source in ready:
                piece = source.recv(65_536)
                while source is client and client.pending():
                    piece += client.recv(65_536)
                if not piece:
                    return
                sink.sendall(piece)


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stories]:
    home = tmp_path_factory.mktemp("pages")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = certificates.self_signed(home, EDGE, *HOSTS.values())
    context.load_cert_chain(certificate)
    grants = [STREAM, STREAM + "-written", STREAM + "-closed"]
    with blank_pages(context) as port, embedded_origin() as origin:
        pages = {name: f"https://{host}:{port}" for name, host in HOSTS.items()}
        route = {
            "match": "/v1/stream/**",
            "access": {"jwt": BOTH["jwt"]},
            "cors_origins": [
                f"https://*.docs.other.test:{port}",
                pages["listed"],
                pages["neighbour"],
            ],
            "cors_credentials": True,
        }
        call("PUT", origin.url + STREAM, b"hello")
        call("PUT", origin.url + STREAM + "-written", None)
        closed = {"Stream-Closed": "true"}
        call("PUT", origin.url + STREAM + "-closed", b"kept", **closed)
        with (
            edge(origin.url, routes=[route]) as running,
            tls_in_front(context, running.url) as in_front,
        ):
            asked = {
                **pages,
                "profile": str(home / "profile"),
                "key": certificates.key_digest(certificate),
                "edge": f"https://{EDGE}:{in_front}",
                "path": STREAM,
                "cookie": token("cookie", read=grants, write=grants),
                "tokens": {
                    "good": token("good", read=grants),
                    "expired": token("late", -90.0, read=grants),
                    "forbidden": token("other", read=["/v1/stream/pages/x"]),
                },
            }
            told = chromium.stories_of("pages.mjs", asked, home)
        told["written"] = written(origin.url + STREAM + "-written")
        yield told


def written(url: str) -> str:
    """What a stream holds, at the origin itself."""
    with urllib.request.urlopen(url) as answer:
        text: str = answer.read().decode()
        return text


welcome = pytest.mark.parametrize("page", WELCOME)
unwelcome = pytest.mark.parametrize("page", UNWELCOME)


@welcome
@pytest.mark.parametrize("by", ["cookie", "tokenInQuery", "preflight"])
def test_a_listed_page_reads(stories: Stories, page: str, by: str) -> None:
    """By a cookie across sites, a token in the URL, and one that takes a preflight."""
    told = stories[page][by]

    assert (told["type"], told["status"], told["text"]) == ("cors", 200, "hello")
    assert told["offset"] and told["cacheStatus"]


@welcome
@pytest.mark.parametrize("by", ["events", "eventsByToken"])
def test_a_listed_page_follows_events(stories: Stories, page: str, by: str) -> None:
    """EventSource can set no header field: it sends cookies, or a token in the URL."""
    assert stories[page][by] == "hello"


@welcome
def test_a_listed_page_can_tell_why_it_was_refused(stories: Stories, page: str) -> None:
    """A19: no token, one that expired, one for another path."""
    none, expired, forbidden = (
        stories[page][name] for name in ("noCookie", "expired", "forbidden")
    )

    assert (none["status"], none["challenge"]) == (
        401,
        'Bearer realm="durable-streams"',
    )
    assert json.loads(none["text"])["reason"] == "no-token"
    assert expired["status"] == 401
    assert 'error="invalid_token"' in expired["challenge"]
    assert json.loads(expired["text"])["reason"] == "token-expired"
    assert forbidden["status"] == 403
    assert 'error="insufficient_scope"' in forbidden["challenge"]


@unwelcome
def test_any_other_page_sees_nothing(stories: Stories, page: str) -> None:
    """Not even that it was refused; also one of the same site as a listed one."""
    told = {name: seen for name, seen in stories[page].items() if name != "writes"}

    assert set(told.values()) == {"blocked"}


@pytest.mark.parametrize("page", HOSTS)
def test_no_page_embeds_what_a_cookie_opens(stories: Stories, page: str) -> None:
    """B10: a request without CORS names no page, so none is on the list."""
    assert stories[page]["embedded"] == "blocked"


def test_a_page_in_a_sandbox_sees_nothing(stories: Stories) -> None:
    """B10: its origin is null, whoever it is."""
    assert stories["sandboxed"] == {"origin": "null", "seen": "blocked"}


def test_only_listed_pages_write_by_the_cookie(stories: Stories) -> None:
    """B10: what a page cannot read it can still send: that must not be done."""
    for page in WELCOME:
        told = stories[page]["writes"]
        assert told["seen"]["status"] == told["preflighted"]["status"] == 204
    for page in UNWELCOME:
        told = stories[page]["writes"]
        assert told["seen"] == told["preflighted"] == "blocked"
    names = "".join(HOSTS[page] * 3 for page in WELCOME)
    assert stories["written"] == names


def test_what_a_browser_kept_for_one_page_is_no_other_page_s(stories: Stories) -> None:
    """B23: ``Vary: Origin``, in one cache. Another listed page gets its own answer, and
    one that is not listed none."""
    first, second, other, again = stories["shareOneCache"]

    assert first["text"] == second["text"] == again["text"] == "kept"
    assert other == "blocked"
