"""Getting a connection: socket files, names, TLS, and what can go wrong there."""

import atexit
import errno
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import gevent
import pytest
from gevent import socket

from edge.core.errors import (
    NotAsked,
    OriginBodyCut,
    OriginFault,
    OriginTimeout,
    OriginUnreachable,
)
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import OriginRequest, Purpose
from origin_adapter.http import HttpOrigin
from tests.origin_adapter.http.raw_origin import (
    OK,
    Origins,
    Peer,
    RawOrigin,
    answering,
    listening,
    settle,
)
from tests.support.certificates import self_signed
from tests.support.options import http_options

GET = OriginRequest("GET", "/s")
_FOLDER = tempfile.TemporaryDirectory(prefix="ds-tls-")
atexit.register(_FOLDER.cleanup)
CERTIFICATE = self_signed(Path(_FOLDER.name), "localhost", "127.0.0.1")

T = TypeVar("T")


def whole(exchange: Exchange) -> bytes:
    return b"".join(iter(exchange.read, b""))


def secured(
    play: Callable[["_Secured"], None], certificate: Path = CERTIFICATE
) -> Callable[[Peer], None]:
    """The play, behind a TLS handshake of the test's own certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def tls_play(peer: Peer) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = context.wrap_bio(incoming, outgoing, server_side=True)
        play(_Secured(peer, session, incoming, outgoing))

    return tls_play


class _Secured:
    """A peer that speaks TLS by hand, so that a test can leave things out."""

    def __init__(
        self,
        peer: Peer,
        session: ssl.SSLObject,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
    ) -> None:
        self.raw = peer
        self._session = session
        self._incoming = incoming
        self._outgoing = outgoing
        self._until_done(session.do_handshake)

    def _until_done(self, step: Callable[[], T]) -> T:
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self.raw.send(self._outgoing.read())
                self._incoming.write(self.raw._socket.recv(65536))
            else:
                self.raw.send(self._outgoing.read())
                return result

    def request(self) -> None:
        self.read()

    def read(self) -> bytes:
        return self._until_done(lambda: self._session.read(65536))

    def send(self, *records: bytes) -> None:
        """Send each as a record of its own, all in one packet."""
        for data in records:
            self._session.write(data)
        self.raw.send(self._outgoing.read())

    def farewell(self) -> None:
        with pytest.raises(ssl.SSLWantReadError):
            self._session.unwrap()
        self.raw.send(self._outgoing.read())


def trusting(url: str, **options: Any) -> HttpOrigin:
    return HttpOrigin(
        http_options(url, **options), ssl.create_default_context(cafile=CERTIFICATE)
    )


def https(raw: RawOrigin, host: str = "127.0.0.1") -> str:
    return raw.url.replace("http://127.0.0.1", f"https://{host}")


def test_a_socket_file(origins: Origins, tmp_path: Path) -> None:
    raw, pool = origins(answering(OK, OK), unix=tmp_path / "o.sock")

    assert [whole(pool.open(GET)) for _ in range(2)] == [b"hi", b"hi"]
    assert raw.requests[0] == b"GET /s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert raw.accepted == 1


def test_a_socket_file_that_is_not_there(tmp_path: Path) -> None:
    pool = HttpOrigin(http_options(f"unix:{tmp_path}/o.sock"))

    with pytest.raises(OriginUnreachable):
        pool.open(GET)


def test_a_socket_file_with_a_full_backlog_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "o.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(0)
    waiting = []
    for _ in range(2):
        filler = socket.socket(socket.AF_UNIX)
        filler.setblocking(False)
        filler.connect_ex(str(path))
        waiting.append(filler)

    pool = HttpOrigin(http_options(f"unix:{path}", connect_timeout=0.03))
    with pytest.raises(OriginTimeout):
        pool.open(GET)

    for opened in (*waiting, listener):
        opened.close()


def test_a_name_is_resolved_and_each_of_its_addresses_tried(origins: Origins) -> None:
    """``localhost`` may be ::1 first, where nobody listens here."""
    raw, _ = origins(OK)
    pool = HttpOrigin(http_options(raw.url.replace("127.0.0.1", "localhost")))

    assert whole(pool.open(GET)) == b"hi"
    assert b"Host: localhost:" in raw.requests[0]
    pool.close()


def test_a_name_that_does_not_exist() -> None:
    pool = HttpOrigin(http_options("http://no.such.name.invalid:1"))

    with pytest.raises((OriginUnreachable, OriginTimeout)):
        pool.open(GET)


def test_the_host_field_and_the_prefix_come_from_the_settings() -> None:
    with listening(OK) as raw:
        pool = HttpOrigin(http_options(f"{raw.url}/base/", host="streams.example"))

        assert whole(pool.open(GET)) == b"hi"

    assert raw.requests == [b"GET /base/s HTTP/1.1\r\nHost: streams.example\r\n\r\n"]
    pool.close()


def test_a_connect_that_is_never_answered_has_an_end() -> None:
    """A full backlog swallows the handshake, as a dead network would."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    place = listener.getsockname()
    fillers = []
    for _ in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(place)
        fillers.append(filler)
    pool = HttpOrigin(
        http_options(f"http://127.0.0.1:{place[1]}", connect_timeout=0.03)
    )

    with pytest.raises(OriginTimeout) as caught:
        pool.open(GET)

    assert caught.value.status == 504
    assert "catch-up: 0 active" in repr(pool)
    for opened in (*fillers, listener):
        opened.close()


def test_a_call_killed_while_it_connects_leaves_nothing() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    place = listener.getsockname()
    fillers = []
    for _ in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(place)
        fillers.append(filler)
    pool = HttpOrigin(http_options(f"http://127.0.0.1:{place[1]}"))
    caller = gevent.spawn(pool.open, GET)
    settle()
    assert "catch-up: 1 active" in repr(pool)

    caller.kill()

    assert "catch-up: 0 active, 0 idle, 0 waiting" in repr(pool)
    for opened in (*fillers, listener):
        opened.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_https_is_verified_and_kept(host: str) -> None:
    """The session's own records on an idle connection are no unasked bytes."""

    def play(peer: _Secured) -> None:
        for _ in range(3):
            peer.request()
            peer.send(OK)
        peer.raw.stay()

    with listening(secured(play)) as raw:
        pool = trusting(https(raw, host))

        assert [whole(pool.open(GET)) for _ in range(3)] == [b"hi"] * 3
        assert (raw.accepted, pool.counts.reused) == (1, 2)
        pool.close()


def test_what_openssl_holds_is_read_though_the_socket_is_silent() -> None:
    """U24: several records come at once, and a record larger than what is received at
    once. No event of the socket tells of the rest."""
    letters = [bytes([97 + number]) * 16_000 for number in range(20)]

    def play(peer: _Secured) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Le", b"ngth: 320000\r\n\r\n", *letters)
        peer.request()
        peer.send(OK)
        peer.raw.stay()

    with listening(secured(play)) as raw:
        pool = trusting(https(raw))

        assert whole(pool.open(GET)) == b"".join(letters)
        assert whole(pool.open(GET)) == b"hi"
        assert raw.accepted == 1
        pool.close()


def test_a_large_body_goes_out_by_tls_though_the_origin_is_slow() -> None:
    body = bytes(range(256)) * (8 << 10)
    end = b"\r\n\r\n" + body

    def play(peer: _Secured) -> None:
        came = b""
        while not came.endswith(end):
            settle()
            came += peer.read()
        peer.send(OK)

    request = OriginRequest("POST", "/s", purpose=Purpose.WRITE, body=body)
    with listening(secured(play)) as raw:
        pool = trusting(https(raw))

        assert whole(pool.open(request)) == b"hi"
        pool.close()


def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    def play(peer: _Secured) -> None:
        pytest.fail("the edge took a certificate that it does not know")

    def refused(peer: Peer) -> None:
        with pytest.raises(ssl.SSLError):
            secured(play)(peer)

    with listening(refused) as raw:
        pool = HttpOrigin(http_options(https(raw)))

        with pytest.raises(OriginUnreachable):
            pool.open(GET)
        assert "catch-up: 0 active" in repr(pool)


def test_a_tls_handshake_that_never_ends() -> None:
    with listening(lambda peer: peer.stay()) as raw:
        pool = trusting(https(raw), connect_timeout=0.03)

        with pytest.raises(OriginTimeout):
            pool.open(GET)


def test_an_origin_that_speaks_no_tls() -> None:
    with listening(lambda peer: peer.send(OK)) as raw:
        pool = trusting(https(raw))

        with pytest.raises(OriginUnreachable):
            pool.open(GET)


@pytest.mark.parametrize("says_farewell", [True, False])
def test_a_body_that_ends_with_tls_needs_its_farewell(says_farewell: bool) -> None:
    """RFC 9112 section 9.8: without it, anybody on the path may have cut it."""

    def play(peer: _Secured) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhi")
        if says_farewell:
            peer.farewell()

    with listening(secured(play)) as raw:
        exchange = trusting(https(raw)).open(GET)

        if says_farewell:
            assert whole(exchange) == b"hi"
        else:
            with pytest.raises(OriginBodyCut):
                whole(exchange)


# What this process or this machine has no more of (U6).

_NOTHING_LEFT = """
import gevent.monkey
gevent.monkey.patch_all()
import os, resource, sys
from edge.core.errors import OriginFault
from edge.core.values import OriginRequest
from origin_adapter.http import HttpOrigin
from tests.support.options import http_options

origin = HttpOrigin(http_options(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
try:
    origin.open(OriginRequest("GET", "/s"))
except OriginFault as fault:
    os.write(1, f"{type(fault).__name__} {fault.reason.value} {fault.status}".encode())
"""


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "unix:/nowhere/origin.sock"])
def test_a_process_without_descriptors_blames_nobody_else(url: str) -> None:
    """U6: the origin is well, and not even asked."""
    command = [sys.executable, "-c", _NOTHING_LEFT, url]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)

    assert ran.stdout == "NotAsked limit-descriptors 503"


@pytest.mark.parametrize(
    "code",
    [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL],
)
def test_a_machine_without_ports_or_memory_blames_nobody_else(
    code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """U6: 28,000 connections from one address take all of its ports."""

    def refuse(self: Any, name: object) -> int:
        return code

    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    with pytest.raises(NotAsked) as caught:
        HttpOrigin(http_options("http://127.0.0.1:9")).open(GET)

    assert caught.value.reason is Reason.LIMIT_DESCRIPTORS


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (socket.EAI_SYSTEM, NotAsked),
        (socket.EAI_MEMORY, NotAsked),
        (socket.EAI_NONAME, OriginUnreachable),
    ],
)
def test_a_lookup_that_fails_here_is_told_from_a_name_that_is_not_there(
    code: int, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """U6."""

    def fail(*args: object, **more: object) -> object:
        raise socket.gaierror(code, "no")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(kind):
        HttpOrigin(http_options("http://origin.example")).open(GET)


def told_the_operator(pool: HttpOrigin) -> str:
    """What is said of an origin that cannot be called, but not to clients."""
    with pytest.raises(OriginFault) as caught:
        pool.open(GET)
    assert caught.value.detail == "the origin cannot be called"
    return caught.value.cause


def test_only_the_operator_is_told_why_and_where_an_origin_cannot_be_called(
    tmp_path: Path,
) -> None:
    """The detail of a fault goes out in a problem document."""
    closed = HttpOrigin(http_options("http://127.0.0.1:9"))
    missing = HttpOrigin(http_options(f"unix:{tmp_path}/o.sock"))
    unnamed = HttpOrigin(http_options("http://no.such.name.invalid:1"))

    assert told_the_operator(closed).startswith("127.0.0.1:9 at ('127.0.0.1', 9): ")
    assert told_the_operator(closed).endswith("Connection refused")
    assert told_the_operator(missing).startswith(f"{tmp_path}/o.sock at ")
    assert told_the_operator(unnamed).startswith("no.such.name.invalid:1: ")


def test_only_the_operator_is_told_what_is_wrong_with_a_certificate(
    tmp_path: Path,
) -> None:
    certificate = self_signed(tmp_path, "other.example")

    def refused(peer: Peer) -> None:
        with pytest.raises(ssl.SSLError):
            secured(lambda _: None, certificate)(peer)

    with listening(refused) as raw:
        context = ssl.create_default_context(cafile=certificate)
        pool = HttpOrigin(http_options(https(raw)), context)
        assert "IP address mismatch" in told_the_operator(pool)
