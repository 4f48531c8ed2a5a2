"""The link socket of a keeper, and the fields of the link from those who are no front.

A keeper reads heads by the same code as a public listener, so the corpus of raw heads
is sent to it as well: whatever is sent, nothing that is not a front's reaches the
origin, and the keeper goes on.
"""

import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest

from edge.core.counters import Counters
from edge.core.values import ANONYMOUS, LinkTerms
from edge.front import link_peers
from edge.front.transport import PlainTransport
from edge.policy.http import link_fields
from tests.front.edge_process import Answered, Client
from tests.front.fast.test_same_bytes import CORPUS, LIMITS, _next
from tests.link.node_entry import BOARD
from tests.link.node_process import NodeProcess

TERMS = LinkTerms("/v1/stream/**", ANONYMOUS)
[(_, TOLD)] = link_fields.told_terms(BOARD, TERMS)
FIELD = f"{link_fields.FIELD}: {TOLD}"
LAST = (
    f"GET /v1/stream/hit HTTP/1.1\r\nHost: keeper\r\n{FIELD}\r\n"
    "Connection: close\r\n\r\n"
).encode()
_HOST = re.compile(rb"^(host:[^\r\n]*\r\n)", re.IGNORECASE | re.MULTILINE)


@pytest.fixture(scope="module")
def node() -> Iterator[NodeProcess]:
    with NodeProcess({"limits": LIMITS}, keepers=1) as edge:
        with edge.connect() as client:
            client.request("PUT", "/v1/stream/hit", "Content-Type: text/plain")
            assert client.read().status == 201
        edge.expect("asked PUT")
        yield edge


def all_answers(client: Client, data: bytes) -> list[Answered]:
    """All that comes back until the connection ends."""
    found: list[Answered] = []
    methods = [m.decode() for m in re.findall(rb"(?:^|\n)([A-Z]+) /", data)]
    try:
        client.send(data)
        for number in range(len(methods) + 8):
            method = methods[number] if number < len(methods) else "GET"
            answered = _next(client, method)
            if answered is None:
                break
            found.append(answered)
    except (ConnectionResetError, BrokenPipeError):
        pass
    return found


def assert_goes_on(node: NodeProcess) -> None:
    with node.call_keeper() as client:
        [last] = all_answers(client, LAST)
    assert last.status == 200
    assert last["ds-link"].startswith(BOARD)


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_nothing_but_a_fronts_request_reaches_the_origin(
    path: Path, node: NodeProcess
) -> None:
    """Whatever else is wrong with a head: without the terms of this node it is
    refused."""
    node.forget()
    with node.call_keeper() as client:
        found = all_answers(client, path.read_bytes() + LAST)

    if found and found[-1].status == 200:
        # The last request is a front's.
        found.pop()
    assert {one.status for one in found} <= {
        *(400, 403, 404, 405, 408, 413, 414, 417, 431, 501),
    }
    assert_goes_on(node)
    assert not [line for line in told(node) if path.stem.encode() in line]


def told(node: NodeProcess) -> list[bytes]:
    """The requests of which the origin has heard, but for those of ``hit``."""
    lines = node.so_far()
    return [one for one in lines if one.startswith(b"asked") and b"/hit" not in one]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_any_head_with_a_fronts_terms_is_answered_or_refused(
    path: Path, node: NodeProcess
) -> None:
    """The same corpus, as if a front had sent it: no defect is met, nobody is left
    without an answer, and what is no read or write of a stream is not read for it."""
    data = _HOST.sub(rb"\1" + FIELD.encode() + b"\r\n", path.read_bytes())
    with node.call_keeper() as client:
        found = all_answers(client, data + LAST)

    odd = [one for one in found if one.status == 500]
    assert path.stem == "write-odd" or not odd
    assert_goes_on(node)


@pytest.mark.parametrize("name", ["ds-link", "ds-link-lent", "DS-Link"])
@pytest.mark.parametrize("keepers", [0, 1])
def test_what_a_client_says_in_a_field_of_the_link_has_no_effect(
    name: str, keepers: int
) -> None:
    """Section by section: no read, no key, no write, and not on the way upstream."""
    forged = f'{name}: {BOARD};r="/v1/stream/**";k=credential;d="x"'
    plain: list[Answered] = []
    other: list[Answered] = []
    one = NodeProcess({"limits": LIMITS}, keepers=keepers)
    with one as edge, edge.connect() as client:
        client.request("PUT", "/v1/stream/a", "Content-Type: text/plain")
        assert client.read().status == 201
        for fields, seen in (((), plain), ((forged,), other), ((), plain)):
            client.get("/v1/stream/a?offset=-1", *fields)
            seen.append(client.read())
            client.request("POST", "/v1/stream/fields", *fields, body=b"x")
            seen.append(client.read())

    assert other[0].status == 200
    assert "miss" in plain[0]["cache-status"]
    assert "miss" not in other[0]["cache-status"], "it has the key of everybody"
    assert not other[0].all("ds-link")
    assert plain[2].body == other[0].body
    assert b"ds-link" not in other[1].body and BOARD.encode() not in other[1].body


WRITE = (
    f"POST /v1/stream/{{}} HTTP/1.1\r\nHost: keeper\r\n{FIELD}\r\n"
    "Content-Type: text/plain\r\n{}\r\n\r\n"
)
FRAMED = {
    "length": ("Content-Length: 2", b"hi"),
    "chunked": ("Transfer-Encoding: chunked", b"2\r\nhi\r\n0\r\n\r\n"),
}


@pytest.mark.parametrize("framing", FRAMED)
def test_no_write_is_forwarded_whose_asker_has_hung_up(
    framing: str, node: NodeProcess
) -> None:
    """W3: it stood in the buffer of a process that was stopped; its client was told
    long ago that the write is lost."""
    head, body = FRAMED[framing]
    os.kill(node.worker, signal.SIGSTOP)
    try:
        with node.call_keeper() as gone:
            gone.send(WRITE.format(f"gone-{framing}", head).encode() + body)
        with node.call_keeper() as stays:
            stays.send(WRITE.format(f"stays-{framing}", head).encode() + body)
            os.kill(node.worker, signal.SIGCONT)
            assert stays.read("POST").status == 404
    finally:
        os.kill(node.worker, signal.SIGCONT)
    assert_goes_on(node)

    asked = told(node)
    assert any(f"stays-{framing}".encode() in line for line in asked)
    assert not any(f"gone-{framing}".encode() in line for line in asked)


def test_who_runs_as_another_user_is_not_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is counted and logged, and its connection closed."""
    counters = Counters()
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        loop = gevent.get_hub().loop
        transport = PlainTransport.of(loop, ours)
        assert link_peers.is_ours(transport, counters)
        monkeypatch.setattr(os, "geteuid", lambda: -2)
        assert not link_peers.is_ours(transport, counters)
        transport.close()

    assert counters.refusals == {"not-linked": 1}
