"""``ds-edge health`` before somebody at the admin address who answers, or does not."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge.cli.admin_client import NotWell
from edge.cli.app import app
from edge.cli.health import ask
from edge.settings import load

WELL = b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhealthy\n"
Answer = Callable[[socket.socket], object]


@contextmanager
def answering(
    act: Answer, family: int = socket.AF_INET, where: Any = ("127.0.0.1", 0)
) -> Iterator[tuple[str, list[bytes]]]:
    """Somebody who takes one connection: the address, and what was received."""
    received: list[bytes] = []
    with socket.socket(family) as listener:
        listener.bind(where)
        listener.listen()

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                received.append(client.recv(65536))
                act(client)

        thread = threading.Thread(target=serve)
        thread.start()
        name = listener.getsockname()
        host = f"[{name[0]}]" if family == socket.AF_INET6 else name[0]
        yield f"unix:{name}" if isinstance(name, str) else f"{host}:{name[1]}", received
        thread.join()


def asked(address: str, within: float = 20.0, **more: str) -> str:
    environ = {"DS_EDGE_ADMIN__LISTEN": address, **more}
    return ask(load(None, environ), "/health", within)


def well(client: socket.socket) -> None:
    client.sendall(WELL)


def test_it_asks_at_the_address_of_the_settings() -> None:
    with answering(well) as (address, received):
        assert asked(address) == "healthy"
    assert received[0].startswith(b"GET /health HTTP/1.1\r\nHost: localhost\r\n")


def test_it_has_the_token_of_the_settings() -> None:
    with answering(well) as (address, received):
        asked(address, DS_EDGE_ADMIN__TOKEN="s3cret-s3cret")
    assert b"\r\nAuthorization: Bearer s3cret-s3cret\r\n" in received[0]


def test_it_asks_by_ipv6() -> None:
    with answering(well, socket.AF_INET6, ("::1", 0)) as (address, _):
        assert asked(address) == "healthy"


def test_every_interface_is_asked_by_either_loopback_address() -> None:
    with answering(well, socket.AF_INET6, ("::1", 0)) as (address, _):
        port = address.rpartition(":")[2]
        assert asked(f":{port}") == "healthy"


def test_it_asks_by_a_socket_file(tmp_path: Path) -> None:
    path = str(tmp_path / "admin")
    with answering(well, socket.AF_UNIX, path) as (address, _):
        assert asked(address) == "healthy"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "answers 503"),
        (
            b'HTTP/1.1 503 Service Unavailable\r\n\r\n{"reason": "keepers-silent"}',
            "answers 503 (keepers-silent)",
        ),
        (
            b'HTTP/1.1 503 Service Unavailable\r\n\r\n{"reason": "\\u001b[2J"}',
            "answers 503",
        ),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n[503]", "answers 503"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "answers, but not by HTTP"),
        (b"", "answers, but not by HTTP"),
    ],
)
def test_what_is_not_well_is_one_sentence(answer: bytes, why: str) -> None:
    with (
        answering(lambda client: client.sendall(answer)) as (address, _),
        pytest.raises(NotWell) as found,
    ):
        asked(address)
    assert str(found.value) == f"{address} {why}"


def test_nobody_is_waited_for_longer_than_was_said() -> None:
    """Neither who says nothing, nor who sends without an end."""
    over = threading.Event()

    def drip(client: socket.socket) -> None:
        while not over.wait(0.01):
            client.sendall(b"x")

    for act in (lambda _: over.wait(), drip):
        with answering(act) as (address, _):
            try:
                asked(address, 0.2)
            except NotWell as error:
                assert str(error) == f"{address} did not answer in 0.2 s"
            else:
                raise AssertionError("it was well")
            finally:
                over.set()
        over.clear()


def test_it_exits_with_1_whatever_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker keeps 2 to itself."""
    monkeypatch.setenv("DS_EDGE_ADMIN__LISTEN", "127.0.0.1:0")
    unknown = CliRunner().invoke(app, ["health"])
    monkeypatch.setenv("DS_EDGE_ADMIN__LISTEN", "nowhere")
    wrong = CliRunner().invoke(app, ["health"])

    assert (unknown.exit_code, wrong.exit_code) == (1, 1)
    assert unknown.stderr.startswith("error: admin.listen has port 0")
    assert wrong.stderr.startswith("error: DS_EDGE_ADMIN__LISTEN: admin.listen: ")
    assert len(wrong.stderr.splitlines()) == 1


def test_an_edge_is_as_well_as_before_when_its_file_has_become_wrong() -> None:
    """It refuses to reload it, and goes on: nobody is to restart it for that."""
    with answering(well) as (address, _):
        environ = {"DS_EDGE_ADMIN__LISTEN": address, "DS_EDGE_LISTEN": "nowhere"}
        done = CliRunner().invoke(app, ["health"], env=environ)

    assert (done.exit_code, done.stdout) == (0, "healthy\n")
