"""``ds-edge reload``: what it asks of a running edge, and makes of the answers."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
import typer.main

from edge.cli.app import app
from tests.cli.access.test_revoking import Run, run
from tests.cli.streams.test_manual import options_in, section
from tests.support.processes import free_port

__all__ = ["run"]

TAKEN = {"number": 7, "started": 100.0}


def record(number: int = 7, **said: Any) -> dict[str, Any]:
    return {"number": number, "ended": 3.0, "changed": [], "problems": [], **said}


def history(*reloads: dict[str, Any], started: float = 100.0) -> dict[str, Any]:
    return {"started": started, "reloads": list(reloads)}


@contextmanager
def desk(
    looks: list[Any], order: object = TAKEN, status: int = 200, look_status: int = 200
) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """An admin address: what it says to the order, and to each look; the last one is
    repeated. Where it listens, and what it was asked with which credential."""

    class Own(BaseHTTPRequestHandler):
        asked: ClassVar[list[tuple[str, str]]] = []

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._say(status, order)

        def do_GET(self) -> None:
            self._say(look_status, looks.pop(0) if len(looks) > 1 else looks[0])

        def _say(self, status: int, document: object) -> None:
            credential = self.headers.get("Authorization", "")
            self.asked.append((f"{self.command} {self.path}", credential))
            said = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", Own.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_it_orders_once_and_looks_until_the_result_stands(run: Run) -> None:
    """The result of its own order: not of the one before."""
    before = record(6, result="refused", problems=["an older one"])
    under_way = record(result="under-way", ended=None)
    done = record(result="accepted", changed=["cache.memory", "live.linger"])
    looks = [history(before), history(before, under_way), history(before, done)]
    with desk(looks) as (address, asked):
        result = run("reload", "--admin", address)

    assert result.exit_code == 0, result.output
    assert [page for page, _ in asked] == ["POST /reload", *["GET /reloads"] * 3]
    assert {credential for _, credential in asked} == {"Bearer s3cret-token"}
    assert "reload 7 accepted: cache.memory, live.linger; new" in result.stderr
    assert "older one" not in result.stderr and result.stdout == ""


def test_nothing_that_differs_is_told_too(run: Run) -> None:
    with desk([history(record(result="accepted"))]) as (address, _):
        result = run("reload", "--admin", address)

    assert result.exit_code == 0 and "no setting differs" in result.stderr


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (
            {"result": "refused", "problems": ["edge.yaml:2: live.lingr: what?"]},
            ["error: edge.yaml:2: live.lingr: what?", "goes on as it was"],
        ),
        (
            {"result": "failed", "problems": ["it did not start"]},
            ["error: it did not start", "the old ones go on"],
        ),
        # It comes from elsewhere, and goes to a terminal.
        ({"result": "refused", "problems": ["\x1b[2Jgone"]}, ["error: ?[2Jgone"]),
    ],
)
def test_one_that_was_not_taken_ends_with_1_and_says_why(
    run: Run, end: dict[str, Any], words: list[str]
) -> None:
    with desk([history(record(**end))]) as (address, _):
        result = run("reload", "--admin", address)
        as_json = run("reload", "--admin", address, "--json")

    assert result.exit_code == as_json.exit_code == 1
    assert all(one in result.stderr for one in words), result.stderr
    assert json.loads(as_json.stdout)["result"] == end["result"]


def test_an_older_version_is_told_apart(run: Run) -> None:
    with desk([{}], {"reason": "not-found"}, 404) as (address, asked):
        result = run("reload", "--admin", address)

    assert result.exit_code == 1 and "an edge of an older version" in result.stderr
    assert len(asked) == 1


def test_an_edge_that_was_started_anew_meanwhile_has_no_such_result(run: Run) -> None:
    with desk([history(started=200.0)]) as (address, _):
        result = run("reload", "--admin", address)

    assert result.exit_code == 1 and "started anew" in result.stderr


@pytest.mark.parametrize("look", [history(), {}, [], {"reloads": 3}, {"reloads": [1]}])
def test_a_result_that_does_not_come_is_not_waited_for_longer(
    run: Run, look: Any
) -> None:
    """Nor one that nobody can read."""
    with desk([look]) as (address, _):
        result = run("reload", "--admin", address, "--within", "0.3")

    assert result.exit_code == 1
    assert "reload 7: no result in 0.3 s" in result.stderr


def test_an_order_that_is_refused_is_told_in_the_edges_words(run: Run) -> None:
    with desk([{}], {"detail": "A bearer token is required."}, 401) as (address, _):
        refused = run("reload", "--admin", address)
    with desk([{}], {"hello": 1}) as (address, _):
        strange = run("reload", "--admin", address)
    nobody = run("reload", "--admin", f"127.0.0.1:{free_port()}")

    assert [one.exit_code for one in (refused, strange, nobody)] == [1, 1, 1]
    assert "refused: A bearer token is required." in refused.stderr
    assert "is no edge" in strange.stderr
    assert "cannot be reached" in nobody.stderr


def test_its_options_are_those_of_the_manual() -> None:
    command: Any = typer.main.get_command(app)
    has = {one.opts[0] for one in command.commands["reload"].params}

    assert options_in(section("## `ds-edge reload`")) == has
