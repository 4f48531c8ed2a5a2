"""Real balancers before a real edge, set up as docs/operating.md says.

The client calls from 127.0.0.2, the balancer from 127.0.0.1: only the latter is
trusted.
"""

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.front.edge_process import Answered, Client
from tests.support import programs
from tests.support.processes import (
    Edge,
    edge,
    embedded_origin,
    free_port,
    running,
    wait_until_ready,
)

CLIENT, BALANCER = "127.0.0.2", "127.0.0.1"
PATH = "/v1/stream/a"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "operating.md"
SPOOFED = (
    "X-Forwarded-For: 1.2.3.4",
    "Forwarded: for=1.2.3.4;host=evil.test",
    "X-Forwarded-Host: evil.test",
)


def block(language: str) -> str:
    """The one block of the page in this language."""
    found = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.S | re.M)
    assert len(found) == 1
    return str(found[0])


def replaced(text: str, words: dict[str, str]) -> str:
    for word, by in words.items():
        assert word in text
        text = text.replace(word, by)
    return text


def calling(address: str) -> Client:
    """A connection from ``CLIENT``."""
    host, _, port = address.rpartition(":")
    return Client.over(socket.create_connection((host, int(port)), 20, (CLIENT, 0)))


def created(address: str, *fields: str) -> Answered:
    with calling(address) as client:
        client.request("PUT", PATH, "Content-Type: text/plain", *fields, body=b"one")
        answered = client.read()
    assert answered.status == 201, answered
    return answered


def read(address: str, *fields: str) -> bytes:
    with calling(address) as client:
        client.get(f"{PATH}?offset=-1", *fields)
        return client.read().body


def lines(front: Edge, count: int) -> list[dict[str, Any]]:
    """The first lines of the edge's access log, once there are so many."""
    for _ in range(1000):
        texts = front.process.log.read_text().splitlines()
        found = [json.loads(text) for text in texts if '"message": "request"' in text]
        if len(found) >= count:
            return found
        Event().wait(0.02)
    raise AssertionError(front.process.last_lines())


@contextmanager
def behind_nginx(front: Edge, folder: Path) -> Iterator[str]:
    listen = f"127.0.0.1:{free_port()}"
    words = {"10.0.0.5:8080": front.url.removeprefix("http://")}
    site = replaced(block("nginx"), words | {"listen 443 ssl;": f"listen {listen};"})
    paths = " ".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {folder}/pid; error_log stderr;\n"
        f"events {{}}\nhttp {{ access_log off; {paths}\n{site}}}\n"
    )
    binary = programs.ensure("nginx", "nginx-light")
    with running("nginx", [binary, "-c", str(config)]) as process:
        wait_until_ready(process, listen, f"{PATH}?offset=-1")
        yield listen


@contextmanager
def behind_haproxy(proxied: str, folder: Path) -> Iterator[str]:
    listen = f"127.0.0.1:{free_port()}"
    words = {"10.0.0.5:8081": proxied, "bind :443": f"bind {listen}"}
    config = folder / "haproxy.cfg"
    config.write_text(replaced(block("haproxy"), words))
    binary = programs.ensure("haproxy", "haproxy")
    with running("haproxy", [binary, "-db", "-f", str(config)]) as process:
        wait_until_ready(process, listen, f"{PATH}?offset=-1")
        yield listen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Anybody's: a server drops root before it writes."""
    for each in (tmp_path, *tmp_path.parents[:2]):
        each.chmod(0o755)
    return tmp_path


def test_clients_are_known_behind_nginx(folder: Path) -> None:
    """Whatever they say of themselves, on connections that it keeps."""
    with (
        embedded_origin() as origin,
        edge(origin.url, trusted_proxies=[f"{BALANCER}/32"]) as front,
    ):
        direct = front.url.removeprefix("http://")
        location = created(direct, *SPOOFED)["location"]
        with behind_nginx(front, folder) as balancer:
            begun = len(lines(front, 2))
            for _ in range(3):
                assert read(balancer, *SPOOFED) == b"one"
            with calling(balancer) as client:
                client.request("DELETE", PATH, *SPOOFED)
                assert client.read().status == 204
            made = created(balancer, *SPOOFED)
            log = lines(front, begun + 5)

    # Before the balancer: who called directly is not believed.
    assert (log[0]["client"], log[0]["host"]) == (CLIENT, "edge.test")
    assert location == f"http://edge.test{PATH}"
    for line in log[begun:]:
        assert (line["client"], line["host"]) == (CLIENT, "edge.test")
    assert made["location"] == f"http://edge.test{PATH}"


def test_clients_are_known_behind_haproxy(folder: Path) -> None:
    """By the PROXY protocol; beside it, an address without."""
    plain, proxied = (f"127.0.0.1:{free_port()}" for _ in range(2))
    listen = [plain, {"address": proxied, "proxy_protocol": True}]
    with (
        embedded_origin() as origin,
        edge(origin.url, listen=listen, trusted_proxies=[f"{BALANCER}/32"]) as front,
    ):
        created(plain)
        with behind_haproxy(proxied, folder) as balancer:
            begun = len(lines(front, 2))
            for _ in range(3):
                assert read(balancer, *SPOOFED) == b"one"
            log = lines(front, begun + 3)

    assert [line["client"] for line in log[begun:]] == [CLIENT] * 3
    assert log[0]["client"] == CLIENT


def test_a_proxy_may_call_by_a_unix_socket(tmp_path: Path) -> None:
    """Which has no address: it is trusted by the word alone."""
    by_socket = str(tmp_path / "edge.sock")
    plain = f"127.0.0.1:{free_port()}"
    listen = [plain, f"unix:{by_socket}"]
    with (
        embedded_origin() as origin,
        edge(origin.url, listen=listen, trusted_proxies=["unix"]) as front,
    ):
        created(plain, *SPOOFED)
        with Client.to_unix(by_socket) as made:
            for _ in range(2):
                made.get(f"{PATH}?offset=-1", "X-Forwarded-For: 203.0.113.9")
                assert made.read().body == b"one"
            made.get(f"{PATH}?offset=-1")
            made.read()
            log = lines(front, 4)

    assert [line.get("client") for line in log] == [
        *(CLIENT, "203.0.113.9", "203.0.113.9", None),
    ]
