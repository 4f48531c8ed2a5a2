"""Connections: every wait for a client has an end, and so has the server."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest
from gevent import socket

from origin_adapter.embedded.http import connection
from origin_adapter.embedded.serve import RunningOrigin
from tests.origin_adapter.embedded.wire import Wire
from tests.support.patience import PATIENCE

S = "/v1/stream/s"
Start = Callable[..., RunningOrigin]
Connect = Callable[[RunningOrigin], Wire]


def ended(wire: Wire) -> bool:
    with gevent.Timeout(60):
        return wire.at_end()


HEAD = f"HEAD {S} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
CHUNKED = f"POST {S} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode()

FLOOD = """
import signal, socket, sys, threading
signal.alarm(90)  # Where others never had their turn, the test fails then.
begin, more = (bytes.fromhex(text) for text in sys.argv[2:])
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def take():
    while sock.recv(65536):
        pass
threading.Thread(target=take, daemon=True).start()
sock.sendall(begin + more)
print("flooding", flush=True)
while True:
    sock.sendall(more)
"""


@contextmanager
def flooding(port: str, begin: bytes, more: bytes) -> Iterator[None]:
    """A client in a process of its own that sends ``more`` again and again."""
    arguments = [sys.executable, "-c", FLOOD, port, begin.hex(), more.hex()]
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as client:
        try:
            assert client.stdout is not None and client.stdout.readline()
            yield
        finally:
            client.kill()


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (f"PATCH {S} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", 405),
        (f"GET {S} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", 404),
        (f"POST {S} HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (f"GET {S} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 404),
    ],
)
def test_a_body_that_nobody_reads_and_never_comes(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, head: str, status: int
) -> None:
    """The answer comes at once, and the connection is not held for the rest."""
    monkeypatch.setattr(connection, "DISCARD_TIMEOUT", 0.05)
    wire.send(head.encode())
    assert wire.reply().status == status
    assert ended(wire)


def test_chunks_that_nobody_reads_and_that_are_none(
    wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    """The connection ends after the answer; nothing is printed."""
    wire.send(
        f"GET {S} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "\r\nno size".encode()
    )
    assert wire.reply().status == 404
    assert ended(wire)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "cut",
    [(b"\r\n" + HEAD,), (b"\r", b"\n" + HEAD), (b"\r\n", HEAD), (b"\r", b"\n", HEAD)],
    ids=["whole", "within", "behind", "both"],
)
def test_a_crlf_too_many_begins_nothing(wire: Wire, cut: tuple[bytes, ...]) -> None:
    """However it is cut (RFC 9112 section 2.2)."""
    wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wire.ask("HEAD", S)
    for piece in cut:
        wire.send(piece)
        gevent.sleep(0.02)
    assert wire.reply(bodiless=True).status == 404


@pytest.mark.parametrize(
    ("begin", "more"),
    [(b"", HEAD * 500), (CHUNKED, b"1\r\nx\r\n" * 5000)],
    ids=["requests", "chunks"],
)
def test_who_never_stops_sending_does_not_keep_others_waiting(
    start: Start, connect: Connect, begin: bytes, more: bytes
) -> None:
    """Its bytes are always there, so nothing that it does is waited for.

    The client is a process of its own. It sends until the test ends.
    """
    origin = start()
    other = connect(origin)
    other.ask("PUT", S, content_type="text/plain")
    port = origin.address.rpartition(":")[2]
    with flooding(port, begin, more), gevent.Timeout(PATIENCE):
        for _ in range(20):
            assert other.ask("HEAD", S).status == 200


@pytest.mark.parametrize("said", [b"", b"GET /v1", b"GET /v1/stream/s HTTP/1.1\r\nHo"])
def test_a_head_that_never_ends(
    wire: Wire, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    """Neither an idle connection nor a slow head is kept for ever."""
    monkeypatch.setattr(connection, "IDLE_TIMEOUT", 0.05)
    monkeypatch.setattr(connection, "HEAD_TIMEOUT", 0.05)
    wire.ask("HEAD", S)
    wire.send(said)
    if b"\r\n" in said:
        assert wire.reply().status == 408
    assert ended(wire)


def test_a_reader_that_takes_nothing_is_left(start: Start, connect: Connect) -> None:
    """The send time-out ends it: no greenlet waits for it, and no page is held."""
    origin = start(send_timeout=0.1, max_page=4 * 1024 * 1024)
    writer, reader = connect(origin), connect(origin)
    writer.ask("PUT", S, b"x" * 8_000_000, content_type="text/plain")
    before = len(origin._server.idle)

    reader.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(4):
        reader.send(f"GET {S} HTTP/1.1\r\nHost: a\r\n\r\n".encode())

    with gevent.Timeout(60):
        while len(origin._server._handlers) > 1:
            gevent.sleep(0.01)
    assert len(origin._server.idle) <= before
    assert writer.ask("HEAD", S).status == 200


def test_a_connection_too_many_is_turned_away(start: Start, connect: Connect) -> None:
    """503 with Retry-After, and room again when one leaves."""
    origin = start(max_connections=2)
    first, second = connect(origin), connect(origin)
    assert first.ask("HEAD", S).status == second.ask("HEAD", S).status == 404

    third = connect(origin)
    reply = third.reply()
    assert (reply.status, reply.headers["retry-after"]) == (503, "1")
    assert ended(third)

    first.close()
    with gevent.Timeout(60):
        while len(origin._server._handlers) > 1:
            gevent.sleep(0.01)
    assert connect(origin).ask("HEAD", S).status == 404


def test_stopping_answers_what_was_begun(start: Start, connect: Connect) -> None:
    """A body on its way is taken and answered; idle connections are let go."""
    origin = start(long_poll_timeout=20)
    idle, writer, reader = connect(origin), connect(origin), connect(origin)
    idle.ask("PUT", S, content_type="text/plain")
    writer.send(
        f"POST {S} HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n"
        "Content-Length: 2\r\n\r\nh".encode()
    )
    reader.send(
        f"GET {S}?offset=-1&live=long-poll HTTP/1.1\r\nHost: a\r\n\r\n".encode()
    )
    gevent.sleep(0.05)

    stopping = gevent.spawn(origin.stop)
    assert ended(idle)
    reply = reader.reply()
    assert (reply.status, reply.headers["connection"]) == (204, "close")
    assert not stopping.ready()
    writer.send(b"i")
    assert writer.reply().status == 204
    stopping.get(timeout=PATIENCE)


def test_connections_leave_no_files_behind(
    origin: RunningOrigin, connect: Connect
) -> None:
    """Served, refused, cut and abandoned ones alike."""
    wire = connect(origin)
    wire.ask("PUT", S, content_type="text/plain")
    before = len(os.listdir("/proc/self/fd"))

    for said in (b"", b"junk\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
        for _ in range(20):
            other = Wire(origin.address)
            other.send(said)
            other.close()

    with gevent.Timeout(60):
        while len(os.listdir("/proc/self/fd")) > before:
            gevent.sleep(0.01)
