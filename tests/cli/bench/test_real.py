"""Benches of real servers: the Node reference server, and an edge before it."""

import itertools
import json
import os
import pty
import queue
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.bench.conftest import SMALL, Bench
from tests.cli.bench.trivial import Trivial, serving
from tests.support.certificates import Authority
from tests.support.processes import (
    ROOT,
    Edge,
    NodeOrigin,
    ds_edge,
    edge,
    free_port,
    node_origin,
)

_numbers = itertools.count()

VIEWERS, EVENTS = 20, 3


@pytest.fixture(scope="module")
def origin() -> Iterator[NodeOrigin]:
    with node_origin(long_poll_ms=30_000) as server:
        yield server


@pytest.fixture(scope="module")
def front(origin: NodeOrigin) -> Iterator[Edge]:
    with edge(origin.url) as server:
        yield server


@pytest.fixture
def path() -> str:
    """Where nobody has a stream yet."""
    return f"/v1/stream/bench-{next(_numbers)}"


def ask(method: str, url: str, content_type: str = "text/plain") -> int:
    """The status of one plain request."""
    request = urllib.request.Request(url, method=method)
    request.add_header("Content-Type", content_type)
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code


@pytest.mark.parametrize("mode", ["long-poll", "sse"])
def test_a_crowd_at_an_edge_costs_the_origin_one_request_an_event(
    crowd: Bench, front: Edge, path: str, mode: str
) -> None:
    words = ("--metrics", f"{front.admin}/metrics", "--pid", str(front.process.pid))

    told = crowd(front.url + path, "--mode", mode, "--rate", "20", *words).data

    assert told["delivered"] == told["expected"] == VIEWERS * EVENTS
    assert told["origin_requests_per_event"] == pytest.approx(1, abs=0.5)
    assert isinstance(told["memory_per_viewer_kib"], float)
    assert isinstance(told["cpu_per_message_us"], float)


@pytest.mark.parametrize("mode", ["long-poll", "sse"])
def test_the_reference_server_alone(
    crowd: Bench, origin: NodeOrigin, path: str, mode: str
) -> None:
    told = crowd(origin.url + path, "--mode", mode, "--rate", "20").data

    assert told["delivered"] == told["expected"]
    assert told["origin_requests_per_event"] is None
    assert told["memory_per_viewer_kib"] is None
    assert told["cpu_per_message_us"] is None


def test_what_is_written_may_go_another_way(
    crowd: Bench, origin: NodeOrigin, front: Edge, path: str
) -> None:
    result = crowd(front.url + path, "--write-to", origin.url + path)

    assert result.data["delivered"] == VIEWERS * EVENTS
    assert result.data["url"] == front.url + path


@pytest.fixture(scope="module")
def secure(
    origin: NodeOrigin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    """An edge that speaks TLS: its URL, and the authority that vouches for it."""
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority(folder)
    cert, key = map(str, authority.issue("localhost"))
    address = f"localhost:{free_port()}"
    listen = {"address": address, "tls": {"cert": cert, "key": key}}
    with edge(origin.url, listen=[listen]):
        yield f"https://{address}", authority.certificate


@pytest.mark.parametrize("mode", ["long-poll", "sse"])
@pytest.mark.parametrize("size", ["100", "300000"])
def test_a_crowd_over_tls_has_everything(
    crowd: Bench,
    secure: tuple[str, Path],
    path: str,
    mode: str,
    size: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And so has who appends: events may be longer than a record."""
    url, authority = secure
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))

    told = crowd(url + path, "--mode", mode, "--rate", "20", "--size", size).data

    assert told["delivered"] == told["expected"] == VIEWERS * EVENTS
    assert told["failed"] == 0


def test_a_server_that_nobody_vouches_for_ends_the_run(
    crowd: Bench, origin: NodeOrigin, secure: tuple[str, Path], path: str
) -> None:
    """Told by the first viewer, where the writer goes another way."""
    ended = crowd(secure[0] + path, "--write-to", origin.url + path)

    assert ended.code == 1
    assert "TLS: unable to get local issuer certificate" in ended.data["error"]


@pytest.mark.parametrize("mode", ["long-poll", "sse"])
def test_a_stream_of_json_gets_messages(
    crowd: Bench, origin: NodeOrigin, path: str, mode: str
) -> None:
    ask("PUT", origin.url + path, "application/json")

    told = crowd(origin.url + path, "--mode", mode).data

    assert told["delivered"] == VIEWERS * EVENTS


def test_events_larger_than_a_read_arrive(
    crowd: Bench, origin: NodeOrigin, path: str
) -> None:
    told = crowd(origin.url + path, "--size", "300000", "--rate", "20").data

    assert told["delivered"] == VIEWERS * EVENTS


def test_a_stream_made_for_the_run_is_deleted_unless_it_is_to_be_kept(
    crowd: Bench, origin: NodeOrigin, path: str
) -> None:
    url = origin.url + path

    crowd(url)
    assert ask("HEAD", url) == 404

    crowd(url, "--keep")
    assert ask("HEAD", url) == 200

    crowd(url)
    assert ask("HEAD", url) == 200


def test_a_stream_of_bytes_is_no_text_for_event_streams(
    crowd: Bench, origin: NodeOrigin, path: str
) -> None:
    ask("PUT", origin.url + path, "application/octet-stream")

    result = crowd(origin.url + path, "--mode", "sse")

    assert result.code == 1
    assert "application/octet-stream in base64" in result.data["error"]


class Interrupts(Trivial):
    """Interrupts the bench instead of taking the second append that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.victims: queue.SimpleQueue[int] = queue.SimpleQueue()

    def posted(self, connection: socket.socket, body: bytes) -> None:
        if len(self.bodies) < 2:
            super().posted(connection, body)
        else:
            os.kill(self.victims.get(), signal.SIGINT)


def test_an_interrupted_run_tells_what_it_measured() -> None:
    server = Interrupts()
    with serving(server):
        child = subprocess.Popen(
            ds_edge("bench", "fanout", server.url, *SMALL, "--json"),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        server.victims.put(child.pid)
        out, err = child.communicate()

    assert child.returncode == 130
    told = json.loads(out)
    assert (told["delivered"], told["expected"]) == (VIEWERS, 2 * VIEWERS)
    assert told["error"] == "interrupted"
    assert err == b"error: interrupted\n"


def test_a_bar_is_shown_to_who_looks(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with serving(Trivial()) as server, (tmp_path / "out").open("wb") as out:
        subprocess.run(
            ds_edge("bench", "fanout", server.url, *SMALL),
            cwd=ROOT,
            stdout=out,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm"},
            check=True,
        )
    os.close(theirs)
    seen = os.read(ours, 65536)
    os.close(ours)

    assert b"events" in seen
    assert b"\x1b" not in (tmp_path / "out").read_bytes()
