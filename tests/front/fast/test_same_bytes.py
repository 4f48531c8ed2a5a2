"""Same bytes both ways: a corpus of raw requests, sent to both fronts.

Two real processes with the same parts, one of them with the fast way switched
off. Every file of ``tests/front/corpus`` is sent to both, with one plain request
behind it that asks to close, so that what a head does to its successor is seen
too; at once, and in two pieces. Whatever comes back must agree but for Date, Age
and the request's id.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.front.edge_process import Answered, Client, EdgeProcess
from tests.front.tls_client import TlsEdge

CORPUS = sorted((Path(__file__).parents[1] / "corpus").glob("*.http"))
LIMITS = {"body_timeout": 0.5, "head_timeout": 0.5, "send_timeout": 0.5}
"""Some requests are never complete. The others come in two pieces, between which this
process may be held up."""

LAST = b"GET /v1/stream/hit HTTP/1.1\r\nHost: last.test\r\nConnection: close\r\n\r\n"

_CHANGING = {"date", "x-request-id", "age"}
_INSTANCE = re.compile(rb'"instance":"[^"]*"')

_TOLD_OF_TLS = re.compile(rb', \["x-forwarded-(?:host|proto)", "[^"]*"\]')

Seen = tuple[object, ...]


@pytest.fixture(scope="module")
def fast() -> Iterator[EdgeProcess]:
    with EdgeProcess({"limits": LIMITS}) as edge:
        yield edge


@pytest.fixture(scope="module")
def whole() -> Iterator[EdgeProcess]:
    with EdgeProcess({"limits": LIMITS, "front": {"fast": False}}) as edge:
        yield edge


def answers(edge: EdgeProcess, pieces: list[bytes], methods: list[str]) -> list[Seen]:
    """All that comes back until the connection ends."""
    found: list[Seen] = []
    with edge.connect() as client:
        try:
            for piece in pieces:
                client.send(piece)
            for number in range(len(methods) + 8):
                method = methods[number] if number < len(methods) else "GET"
                answered = _next(client, method)
                if answered is None:
                    break
                found.append(_compared(answered))
        except (ConnectionResetError, BrokenPipeError):
            found.append(("ended",))
    return found


def _next(client: Client, method: str) -> Answered | None:
    raw = client.until(b"\r\n\r\n")
    if not raw:
        return None
    client._held = raw + client._held
    return client.read(method)


def _compared(answered: Answered) -> Seen:
    fields = sorted(pair for pair in answered.fields if pair[0] not in _CHANGING)
    names = [name for name, _ in answered.fields]
    body = _INSTANCE.sub(b"", answered.body)
    if len(body) != len(answered.body):
        fields = [pair for pair in fields if pair[0] != "content-length"]
    return (answered.status, answered.reason, sorted(names), fields, body)


def _methods(data: bytes) -> list[str]:
    """The methods of the requests in a file: heads of HEAD answers have no body."""
    return [m.decode() for m in re.findall(rb"(?:^|\n)([A-Z]+) /", data)]


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_both_ways_give_the_same_bytes(
    path: Path, fast: EdgeProcess, whole: EdgeProcess
) -> None:
    """docs/architecture.md, The two ways through the front."""
    data = path.read_bytes() + LAST
    methods = _methods(data)
    middle = len(path.read_bytes()) // 2

    at_once = answers(fast, [data], methods)
    assert at_once == answers(whole, [data], methods)
    assert answers(fast, [data[:middle], data[middle:]], methods) == at_once


@pytest.fixture(scope="module")
def secured() -> Iterator[EdgeProcess]:
    with TlsEdge({"limits": LIMITS}) as edge:
        yield edge


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_tls_changes_no_byte(
    path: Path, fast: EdgeProcess, secured: EdgeProcess
) -> None:
    """U29: but the scheme, where the edge says by what it was called."""
    data = path.read_bytes() + LAST
    methods = _methods(data)
    middle = len(path.read_bytes()) // 2

    plain = answers(fast, [data], methods)
    for pieces in ([data], [data[:middle], data[middle:]]):
        assert _without_scheme(answers(secured, pieces, methods)) == plain


def _without_scheme(seen: list[Seen]) -> list[Seen]:
    """As if the edge did not know that it was called by https: what it tells the
    origin, which says so here, and its own URLs."""
    found: list[Seen] = []
    for answer in seen:
        if len(answer) == 1:
            found.append(answer)
            continue
        status, reason, names, fields, body = answer
        assert isinstance(fields, list) and isinstance(body, bytes)
        told = _TOLD_OF_TLS.sub(b"", body)
        fewer = str(len(told))
        fields = [
            (name, fewer if name == "content-length" else value)
            if len(told) != len(body)
            else (name, value.replace("https://edge.test", "http://edge.test"))
            for name, value in fields
        ]
        found.append((status, reason, names, fields, told))
    return found


def test_the_corpus_is_large_and_has_answers_of_every_kind(whole: EdgeProcess) -> None:
    """So that an empty folder proves nothing."""
    first = [
        answers(whole, [path.read_bytes() + LAST], _methods(path.read_bytes()))[0][0]
        for path in CORPUS
        if path.stem.startswith(("plain-", "read-", "path-"))
    ]

    assert len(CORPUS) >= 80
    assert {200, 400, 500, 504} <= set(first)
