"""Hits by both generators; what is no success fails, in words."""

import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.cli.bench import wrk
from tests.cli.bench.conftest import Bench

# wrk is a program of its own, which not every machine has; its stand-in below needs
# nothing, and the story of both generators is the same.
GENERATORS = ["own", *(["wrk"] if shutil.which("wrk") else [])]
both = pytest.mark.parametrize("generator", GENERATORS)


class Pages(http.server.BaseHTTPRequestHandler):
    """Answers by path, and keeps what it was asked."""

    protocol_version = "HTTP/1.1"
    seen: set[str | None]
    teams: set[str | None]

    def do_GET(self) -> None:
        self.seen.add(self.headers["X-Browser"])
        self.teams.add(self.headers["X-Team"])
        status = {"/": 200, "/moved": 302, "/none": 404}.get(self.path, 200)
        if self.path == "/later" and len(self.seen) > 1:
            status = 500
        self.send_response(status)
        self.send_header("Location", "/")
        body = b"" if status == 302 else b"page " * 10
        if self.path == "/chunks":
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        elif self.path == "/close":
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


class Server(http.server.ThreadingHTTPServer):
    """A client that leaves in the middle of an answer is no fault here."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def pages() -> Iterator[str]:
    """A server's URL."""
    Pages.seen, Pages.teams = set(), set()
    server = Server(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def hits(bench: Bench) -> Bench:
    """Runs a short bench of hits."""
    return lambda url, *words: bench(
        "hits", url, "--seconds", "1", "--connections", "4", "--json", *words
    )


@both
def test_reads_are_counted(hits: Bench, pages: str, generator: str) -> None:
    result = hits(pages, "--generator", generator)

    told = result.data
    assert result.code == 0, result.err
    assert told["generator"].startswith(generator)
    assert told["requests"] > 4
    assert told["errors"] == 0
    assert told["bytes_per_second"] > 50 * told["requests_per_second"]
    assert told["latency_ms"]["p50"] <= told["latency_ms"]["max"]
    assert told["latencies_ms"][-1] == [1.0, told["latency_ms"]["max"]]


@pytest.mark.parametrize("path", ["/chunks", "/close"])
def test_answers_may_be_framed_in_other_ways(
    hits: Bench, pages: str, path: str
) -> None:
    """One that ends with its connection wrk takes for a broken one."""
    result = hits(pages + path, "--generator", "own")

    assert result.code == 0, result.err
    assert result.data["requests"] > 4
    assert result.data["errors"] == 0


@both
def test_heads_may_all_differ_beside_those_that_were_given(
    hits: Bench, pages: str, generator: str
) -> None:
    words = ("--different-heads", "--header", "X-Team: ours")
    told = hits(pages, "--generator", generator, *words).data

    assert told["different_heads"] is True
    # Beside those that were counted there are a first look and the last ones.
    assert len(Pages.seen) >= told["requests"]
    assert Pages.teams == {"ours"}


@both
def test_answers_that_are_no_success_fail_the_run(
    hits: Bench, pages: str, generator: str
) -> None:
    result = hits(pages + "/later", "--generator", generator, "--different-heads")

    told = result.data
    assert result.code == 1
    assert told["errors"] > 0
    assert told["error"].endswith("answers were no success")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/none", "404 Not Found: page page"),
        ("/moved", "302: redirects are not followed, give the URL behind"),
    ],
)
def test_what_cannot_be_read_is_told_before_anything_is_measured(
    hits: Bench, pages: str, path: str, words: str
) -> None:
    result = hits(pages + path)

    assert result.code == 1
    assert result.data["error"].startswith(words)
    assert len(Pages.seen) == 1


def stand_in(folder: Path, text: str) -> None:
    """A program of the name of wrk, alone on PATH."""
    program = folder / "wrk"
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)


def test_without_wrk_our_own_client_asks_and_says_so(
    hits: Bench, pages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    result = hits(pages)

    assert result.data["generator"] == "own"
    assert "without wrk this client may be the limit" in result.err


def test_wrk_cannot_be_chosen_where_there_is_none(
    hits: Bench, pages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    result = hits(pages, "--generator", "wrk")

    assert result.code == 2
    assert "there is no wrk here" in result.err


def test_what_wrk_complains_of_is_told(
    hits: Bench, pages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    stand_in(tmp_path, "echo 'unable to do it' >&2; exit 1")

    result = hits(pages)

    assert result.code == 1
    assert result.data["error"] == "wrk: unable to do it"


def test_what_wrk_tells_is_in_the_figures(
    hits: Bench, pages: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = ",".join(f"[{share:.9f},{1000 + n}]" for n, share in enumerate(wrk.SHARES))
    told = (
        '{"us":2000000,"requests":100,"bytes":4096,"max":9000,'
        f'"lost":0,"refused":0,"points":[{points}]}}'
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    stand_in(tmp_path, f"echo wrk 9.9.9; echo 'ds-edge {told}'")

    result = hits(pages)

    assert result.code == 0, result.err
    assert result.data["generator"] == "wrk 9.9.9"
    assert result.data["requests_per_second"] == 50
    assert result.data["bytes_per_second"] == 2048
    assert result.data["latency_ms"]["max"] == 9


def test_nobody_is_there(hits: Bench) -> None:
    result = hits("http://127.0.0.1:9/")

    assert result.code == 1
    assert result.data["error"] == "127.0.0.1:9: Connection refused"
