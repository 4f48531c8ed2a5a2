"""An origin behind TLS: a private authority, a client certificate, another name."""

import signal
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Authority
from tests.support.log_lines import said
from tests.support.processes import Edge, ProcessFault, edge
from tests.support.talk import ask

NAME = "origin.test"
STREAM = "/v1/stream/a"
WITHIN = 60.0


@dataclass
class TlsOrigin:
    """A server that wants certificates of ``authority``: where it is, whom it met."""

    authority: Authority
    url: str = ""
    asked_for: list[str | None] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)


@pytest.fixture
def origin(tmp_path: Path) -> Iterator[TlsOrigin]:
    made = TlsOrigin(Authority(tmp_path))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            assert isinstance(self.connection, ssl.SSLSocket)
            peer: Any = self.connection.getpeercert()
            made.clients.append(peer["subject"][0][0][1])
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Stream-Next-Offset", "0000_0002")
            self.send_header("Stream-Up-To-Date", "true")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"hi")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with serving(Handler, made) as port:
        made.url = f"https://127.0.0.1:{port}"
        yield made


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], made: TlsOrigin) -> Iterator[int]:
    certificate, key = made.authority.issue(NAME)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(made.authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    context.sni_callback = lambda _, name, __: made.asked_for.append(name)

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that was not let in is no error here."""

    server = Server(("127.0.0.1", 0), handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def known(origin: TlsOrigin, **changes: str | None) -> dict[str, str | None]:
    """The settings of an edge that the origin knows."""
    certificate, key = origin.authority.issue("edge.test")
    return {
        "ca_file": str(origin.authority.certificate),
        "certificate_file": str(certificate),
        "key_file": str(key),
        "server_name": NAME,
        **changes,
    }


def read(front: Edge) -> tuple[int, bytes]:
    status, _, body = ask(f"{front.url}{STREAM}?offset=-1")
    return status, body


def test_each_proves_itself_to_the_other(origin: TlsOrigin) -> None:
    with edge(origin.url, origin=known(origin)) as front:
        assert read(front) == (200, b"hi")
    assert origin.asked_for[0] == NAME
    assert set(origin.clients) == {"edge.test"}


@pytest.mark.parametrize("key", ["ca_file", "server_name"])
def test_an_origin_that_cannot_prove_itself_is_not_asked(
    origin: TlsOrigin, key: str
) -> None:
    """Neither by an authority that is not known, nor under another name."""
    with edge(origin.url, origin=known(origin, **{key: None})) as front:
        assert read(front)[0] == 502
    assert not origin.clients


def test_a_client_that_the_origin_does_not_know_is_told_502(
    origin: TlsOrigin,
) -> None:
    unknown = known(origin, certificate_file=None, key_file=None)
    with edge(origin.url, origin=unknown) as front:
        assert read(front)[0] == 502
    assert not origin.clients


def test_files_are_read_again_at_a_reload(origin: TlsOrigin, tmp_path: Path) -> None:
    """A file that cannot be used is told by its key, and the old one is used on."""
    ca = tmp_path / "ca.pem"
    ca.write_bytes(origin.authority.certificate.read_bytes())
    with edge(origin.url, origin=known(origin, ca_file=str(ca))) as front:
        ca.write_text("nothing")
        reload(front, "reload refused: ")
        [line] = [line for line in log(front) if "reload refused" in line]
        assert read(front) == (200, b"hi")

        ca.write_bytes(Authority(tmp_path, "elsewhere.test").certificate.read_bytes())
        reload(front, "draining")
        assert ask(f"{front.url}/v1/stream/b?offset=-1")[0] == 502
    assert line.endswith(": origin.ca_file: holds no certificate in PEM")


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("ca_file", "cannot be read: No such file or directory"),
        ("key_file", "cannot be read: No such file or directory"),
    ],
)
def test_a_file_that_is_not_there_is_told_by_its_key(
    origin: TlsOrigin, key: str, why: str
) -> None:
    with (
        pytest.raises(ProcessFault, match="ended with 2") as found,
        edge(origin.url, origin=known(origin, **{key: "/nowhere"})),
    ):
        raise AssertionError("it started")
    assert f"origin.{key}: {why}" in "".join(found.value.__notes__)


def test_tls_is_for_an_origin_that_has_it(origin: TlsOrigin) -> None:
    with (
        pytest.raises(ProcessFault, match="ended with 2") as found,
        edge("http://127.0.0.1:9", origin={"server_name": NAME}),
    ):
        raise AssertionError("it started")
    assert "origin.server_name: is for an origin with https" in "".join(
        found.value.__notes__
    )


def log(front: Edge) -> list[str]:
    return said(front.process.log.read_text()).splitlines()


def reload(front: Edge, until: str) -> None:
    """Read the settings again; returns when the log has a new line with ``until``."""
    before = sum(until in line for line in log(front))
    front.process.handle.send_signal(signal.SIGHUP)
    for _ in range(int(WITHIN / 0.05)):
        if sum(until in line for line in log(front)) > before:
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"{until!r} was not logged")
