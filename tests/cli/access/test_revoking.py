"""``ds-edge revoke``: what it asks of a running edge, and what it tells. A10."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any, ClassVar

import pytest
import typer.main
from typer.testing import CliRunner, Result

from edge.cli.app import app
from tests.cli.streams.test_manual import options_in, section

Run = Callable[..., Result]
TOLD = {"revoked": "subject", "grants_ended": 3, "in_file": True}


class Desk(BaseHTTPRequestHandler):
    """An admin address that takes orders, and keeps them."""

    asked: ClassVar[list[tuple[str, dict[str, str], Any]]]
    answer: tuple[int, bytes] = (200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fields = {name.lower(): value for name, value in self.headers.items()}
        self.asked.append((self.path, fields, json.loads(body)))
        status, said = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def address_string(self) -> str:
        return ""


class _UnixServer(UnixStreamServer):
    def get_request(self) -> Any:
        connection, _ = super().get_request()
        return connection, ("", 0)


@contextmanager
def desk(
    status: int = 200, document: object = TOLD, path: Path | None = None
) -> Iterator[tuple[str, type[Desk]]]:
    """Where it listens, and what it was asked."""

    class Own(Desk):
        asked: ClassVar[list[tuple[str, dict[str, str], Any]]] = []
        answer = status, json.dumps(document).encode()

    if path is None:
        server: Any = HTTPServer(("127.0.0.1", 0), Own)
        address = f"127.0.0.1:{server.server_port}"
    else:
        server, address = _UnixServer(str(path), Own), f"unix:{path}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield address, Own
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("DS_EDGE_CONFIG", raising=False)
    monkeypatch.setenv("DS_EDGE_ADMIN__TOKEN", "s3cret-token")
    return lambda *arguments, **given: CliRunner().invoke(app, list(arguments), **given)


@pytest.mark.parametrize(
    ("arguments", "order"),
    [
        (("--subject", "alice"), {"subject": "alice"}),
        (("--jti", "7", "--issuer", "i"), {"jti": "7", "issuer": "i"}),
        (("--subject", "a b", "--issuer", "i"), {"subject": "a b", "issuer": "i"}),
    ],
)
def test_an_order_is_given_with_the_operators_token(
    run: Run, arguments: tuple[str, ...], order: dict[str, str]
) -> None:
    with desk() as (address, asked):
        result = run("revoke", *arguments, "--admin", address)

    assert result.exit_code == 0, result.output
    [(path, fields, document)] = asked.asked
    assert (path, document) == ("/access/revoke", order)
    assert fields["authorization"] == "Bearer s3cret-token"
    assert fields["content-type"] == "application/json"
    assert "origin" not in fields
    assert "3 grants ended" in result.stderr and result.stdout == ""


@pytest.mark.parametrize("place", ["a file", "standard input"])
def test_a_token_comes_from_a_file_or_from_standard_input(
    run: Run, tmp_path: Path, place: str
) -> None:
    """And never from the command line."""
    (tmp_path / "token").write_text("a.b.c\n")
    name = str(tmp_path / "token") if place == "a file" else "-"
    given = {"input": "a.b.c\n"} if name == "-" else {}
    with desk() as (address, asked):
        result = run("revoke", "--token-file", name, "--admin", address, **given)

    assert result.exit_code == 0, result.output
    assert asked.asked[0][2] == {"token": "a.b.c"}
    assert "a.b.c" not in result.output


def test_the_settings_say_where_the_edge_is(run: Run, tmp_path: Path) -> None:
    """Also on a unix socket."""
    with desk(path=tmp_path / "admin.sock") as (address, asked):
        config = tmp_path / "edge.yaml"
        config.write_text(f"admin: {{listen: '{address}'}}\n")
        result = run("revoke", "--subject", "alice", "--config", str(config))

    assert result.exit_code == 0, result.output
    assert len(asked.asked) == 1


def test_what_the_edge_told_may_be_had_as_json(run: Run) -> None:
    with desk() as (address, _):
        result = run("revoke", "--subject", "a", "--admin", address, "--json")

    assert json.loads(result.stdout) == TOLD


def test_who_asks_is_told_that_it_will_not_last(run: Run) -> None:
    with desk(document=TOLD | {"in_file": False}) as (address, _):
        result = run("revoke", "--subject", "a", "--admin", address)

    assert "only as long as it runs" in result.stderr


@pytest.mark.parametrize(
    ("status", "document", "said"),
    [
        (503, {"detail": "It is in force, but"}, "It is in force, but"),
        (401, {"title": "Unauthorized"}, "Unauthorized"),
        (404, [], "404"),
        (200, [], "no edge"),
        (200, {"odd": 1}, "no edge"),
    ],
)
def test_a_refused_order_is_an_error_in_the_edges_words(
    run: Run, status: int, document: object, said: str
) -> None:
    with desk(status, document) as (address, _):
        result = run("revoke", "--subject", "a", "--admin", address)

    assert result.exit_code == 1 and said in result.stderr


def test_an_edge_that_does_not_run_is_an_error(run: Run, tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'nobody.sock'}"
    result = run("revoke", "--subject", "a", "--admin", address)

    assert result.exit_code == 1 and "cannot be reached" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--subject", "a", "--jti", "b"),
        ("--subject", "a", "--token-file", "x"),
        ("--token-file", "x", "--issuer", "i"),
        ("--subject", "a", "--admin", "nowhere"),
    ],
)
def test_a_command_line_that_names_not_one_thing_is_wrong(
    run: Run, arguments: tuple[str, ...]
) -> None:
    assert run("revoke", *arguments).exit_code == 2


def test_a_file_that_holds_no_token_is_an_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "odd").write_bytes(b"\xff")
    for name in ("odd", "missing"):
        result = run("revoke", "--token-file", str(tmp_path / name))
        assert result.exit_code == 1


def test_every_option_is_in_the_manual_and_no_other() -> None:
    command: Any = dict(vars(typer.main.get_command(app))["commands"])["revoke"]
    has = {name for one in command.params for name in one.opts if name[:2] == "--"}

    assert options_in(section("## `ds-edge revoke`")) == has - {"--help"}
