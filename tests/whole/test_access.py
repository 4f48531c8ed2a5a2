"""Access at the edge on the wire, with real processes on both sides.

A1, A2, A3, A6, A8, A19; B3, B4, B8, B9, B12, B15, B17. Each viewer has a token of its
own, and one stream has one follower.
"""

import contextlib
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import jwt
import pytest

from edge.access.signed import sign
from edge.policy.streams.ways import SignedWay
from tests.access.issuer import jwk, private
from tests.front.edge_process import Answered, Client
from tests.support.processes import Edge, NodeOrigin, edge, node_origin
from tests.whole.crowd import PATH, Crowd, call, origin_requests

EVENTS = 10
PATIENCE = 60.0

SECRET = "a secret of the tests, which has 32 bytes"
LINKS = SignedWay((("k1", b"another secret of the tests, of 32 bytes"),))
BOTH: dict[str, Any] = {
    "signed": {"keys": {"k1": {"secret": LINKS.keys[0][1].decode()}}},
    "jwt": {
        "keys": [{"secret": SECRET}],
        "algorithms": ["HS256"],
        "sources": ["authorization", {"query": "access_token"}, {"cookie": "session"}],
        "read_claim": "read",
        "write_claim": "write",
    },
}
WHOLE_WAY = ("X-Twice: a", "X-Twice: b")
"""Fields by which a request is not plain, and goes the whole way."""

THROUGH = pytest.mark.parametrize(
    ("whole", "workers"),
    [((), 1), ((), 2), (WHOLE_WAY, 1)],
    ids=["fast", "two", "whole"],
    indirect=["workers"],
    scope="module",
)
"""By either way through the front; and by two of them. All stories of a module by one
number of workers come one after the other, by the same edge."""

_CHANGING = re.compile(rb'(?i)(?:date|x-request-id): [^\r]*|"instance":"[^"]*"')


def token(sub: str = "alice", seconds: float = 600.0, **claims: Any) -> str:
    """A token of ``sub``'s, for this long (``exp`` is in whole seconds)."""
    said = {
        "sub": sub,
        "exp": int(time.time() + seconds),
        "read": [PATH],
        "write": [PATH],
    }
    return jwt.encode(said | claims, SECRET, "HS256")


def bearer(text: str) -> str:
    return f"Authorization: Bearer {text}"


def own_token(mode: str) -> Callable[[int], str]:
    """A token of its own for each viewer."""
    return lambda number: bearer(token(f"{mode}-{number}")) + "\r\n"


@pytest.fixture(scope="module")
def origin() -> Iterator[NodeOrigin]:
    with node_origin(long_poll_ms=30_000) as running:
        yield running


@pytest.fixture(scope="module")
def served(origin: NodeOrigin, workers: int) -> Iterator[Edge]:
    """An edge whose one route judges, and which counts from nothing."""
    routes = [{"match": "/v1/stream/**", "access": BOTH}]
    with edge(origin.url, routes=routes, workers=workers) as running:
        yield running


def created(running: Edge) -> str:
    """A new stream, made through the edge; its tail."""
    url, fields = running.url + PATH, {"Authorization": f"Bearer {token()}"}
    with contextlib.suppress(OSError):
        call("DELETE", url, None, **fields)
    call("PUT", url, None, **fields)
    return call("POST", url, b"<begin>", **fields)["stream-next-offset"]


def append(running: Edge, number: int) -> None:
    fields = {"Authorization": f"Bearer {token('writer')}"}
    call("POST", running.url + PATH, b"<%d>" % number, **fields)


def client(running: Edge) -> Client:
    host, _, port = running.url.removeprefix("http://").partition(":")
    return Client((host, int(port)))


def get(running: Edge, target: str, *fields: str) -> Answered:
    with client(running) as one:
        one.get(target, *fields)
        return one.read()


# One log for all.


def test_a_poll_that_waits_ends_with_its_grant(served: Edge) -> None:
    """B12: 204 at its own offset without a claim, and then the 401."""
    offset = created(served)
    text = token("short", -28.0)
    with client(served) as one:
        one.get(f"{PATH}?offset={offset}&live=long-poll", bearer(text))
        ended = one.read()
        assert ended.status == 204
        assert ended["stream-next-offset"] == offset
        assert not ended.all("stream-up-to-date")
        one.get(f"{PATH}?offset={offset}&live=long-poll", bearer(text))
        told = one.read()

    assert told.status == 401
    assert told.problem()["reason"] == "token-expired"
    assert 'error="invalid_token"' in told["www-authenticate"]


@THROUGH
def test_every_credential_reads_the_same(served: Edge, whole: tuple[str, ...]) -> None:
    """A2, A6, A8: in any place, by either way through the front."""
    offset = created(served)
    link = sign(PATH, LINKS, "k1", int(time.time()) + 600)
    asked = [
        (PATH, bearer(token())),
        (f"{PATH}?access_token={token('bob')}", "X-Any: a"),
        (PATH, f"Cookie: a=b; session={token('carol')}"),
        (link, "X-Any: a"),
    ]
    for target, field in asked:
        answered = get(served, target, field, *whole)
        assert (answered.status, answered.body) == (200, b"<begin>")
        assert answered["stream-next-offset"] == offset
        assert answered["vary"] == "Authorization, Cookie"
        assert answered["cache-control"].startswith("private, ")
        assert answered["cross-origin-resource-policy"] == "same-origin"


def test_an_edge_before_an_edge_is_let_in_like_everybody(
    origin: NodeOrigin, workers: int
) -> None:
    """B6, B17: what the inner one answers is private, and joined all the same: both are
    asked once for each event."""
    routes = [{"match": "/v1/stream/**", "access": BOTH}]
    own = {"Authorization": f"Bearer {token('pop')}"}
    both: dict[str, Any] = {"routes": routes, "workers": workers}
    with (
        edge(origin.url, **both) as inner,
        edge(inner.url, origin={"headers": own}, **both) as outer,
        contextlib.ExitStack() as leaving,
    ):
        offset = created(outer)
        crowds = []
        for mode in ("long-poll", "sse"):
            crowd = Crowd(outer.url, 20, mode, offset, own_token(mode))
            leaving.callback(crowd.close)
            crowds.append(crowd)
        append(outer, 0)
        for crowd in crowds:
            crowd.await_event(0, PATIENCE)
        asked = [origin_requests(one.admin) for one in (outer, inner)]
        for number in range(1, EVENTS + 1):
            append(outer, number)
            for crowd in crowds:
                crowd.await_event(number, PATIENCE)
        again = [origin_requests(one.admin) for one in (outer, inner)]

        assert [b - a for a, b in zip(asked, again, strict=True)] == [EVENTS, EVENTS]


# Nothing for others.


@THROUGH
@pytest.mark.parametrize(
    "field", ["X-Any: a", "Authorization: Bearer x.y.z", "Cookie: session=a.b.c"]
)
@pytest.mark.parametrize("query", ["", "?offset=-1&live=sse", "?offset=now"])
def test_a_refusal_tells_nothing_of_the_stream(
    served: Edge, whole: tuple[str, ...], field: str, query: str
) -> None:
    """A1: held, cold or absent; the same octets, but for what numbers each answer."""
    created(served)
    get(served, PATH, bearer(token()))
    called = call(
        "PUT",
        served.url + PATH + "x",
        Authorization="Bearer " + token(write=[PATH + "x"]),
    )
    assert called
    told = set()
    for path in (PATH, PATH + "x", PATH + "y"):
        with client(served) as one:
            one.get(path + query, field, *whole, "Connection: close")
            told.add(_CHANGING.sub(b"", one.rest()))

    assert len(told) == 1
    [answer] = told
    assert answer.startswith(b"HTTP/1.1 401 ")
    for word in (b"etag", b"age", b"stream-next-offset", b"hit", b"fwd"):
        assert word + b":" not in answer.lower() and b"; " + word not in answer
    assert b"no-store" in answer


def test_a_refused_write_is_not_asked_for_its_body(served: Edge) -> None:
    """B9: it is judged before ``100 Continue``."""
    expecting = ("Content-Type: text/plain", "Content-Length: 3")
    with client(served) as one:
        one.request("POST", PATH, *expecting, "Expect: 100-continue", bearer("bad"))
        assert one.head().status == 401
    created(served)
    with client(served) as one:
        one.request("POST", PATH, *expecting, "Expect: 100-continue", bearer(token()))
        assert one.head().status == 100
        one.send(b"abc")
        assert one.read("POST").status == 204


def test_a_page_can_tell_why_it_was_refused(served: Edge) -> None:
    """A19, A11: and a preflight needs no token."""
    refused = get(served, PATH, "Origin: https://app.example")
    assert refused["access-control-allow-origin"] == "*"
    assert "WWW-Authenticate" in refused["access-control-expose-headers"]
    with client(served) as one:
        one.request(
            "OPTIONS",
            PATH,
            "Origin: https://app.example",
            "Access-Control-Request-Method: GET",
            "Access-Control-Request-Headers: authorization",
        )
        preflight = one.read("OPTIONS")
    assert preflight.status == 204
    assert "Authorization" in preflight["access-control-allow-headers"]


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("Authorization: Bearer {}", "Authorization: Bearer bad"),
        ("Cookie: session={}", "Cookie: session=bad"),
        ("Cookie: a=b; session={}", "Cookie: a=b"),
    ],
    ids=["authorization", "cookie", "no cookie"],
)
def test_a_kept_connection_is_judged_by_each_request(
    served: Edge, good: str, bad: str
) -> None:
    """B4: the fast way compares every field that a way reads."""
    created(served)
    good = good.format(token())
    with client(served) as one:
        for _ in range(4):
            one.get(PATH, "X-Any: a", good)
            assert one.read().status == 200
        for _ in range(2):
            one.get(PATH, "X-Any: a", bad)
            assert one.read().status == 401
        one.get(PATH, "X-Any: a", good)
        assert one.read().status == 200


def test_no_token_is_in_the_log(served: Edge) -> None:
    """A8, B8: and whom it named is."""
    created(served)
    text = token("dave")
    link = sign(PATH, LINKS, "k1", int(time.time()) + 600)
    for target, field in ((f"{PATH}?access_token={text}", "X-Any: a"), (link, "X: a")):
        get(served, target, field)
        get(served, target, field, *WHOLE_WAY)
    get(served, PATH, bearer(text))
    get(served, PATH, bearer(text + "x"))
    get(served, f"/elsewhere?access_token={text}&ds_sig=sig-in-the-open")
    shown = (
        *('"path": "/elsewhere', '"reason": "token-'),
        *('"way": "jwt", "sub": "dave"', '"way": "signed", "sub": "k1"'),
    )
    time_out = time.monotonic() + PATIENCE
    # Each front writes what it has seen.
    while not all(part in (log := served.process.log.read_text()) for part in shown):
        assert time.monotonic() < time_out, log
        threading.Event().wait(0.05)

    assert text not in log and "sig-in-the-open" not in log
    assert link.partition("ds_sig=")[2] not in log


def test_a_reload_with_another_key_forgets_every_verdict(
    origin: NodeOrigin, workers: int
) -> None:
    """A20: also those of a viewer that waits, who is asked to come back."""
    routes = [{"match": "/v1/stream/**", "access": BOTH}]
    with edge(origin.url, routes=routes, workers=workers) as running:
        offset, old = created(running), token()
        assert get(running, PATH, bearer(old)).status == 200
        with client(running) as waiting:
            waiting.get(f"{PATH}?offset={offset}&live=long-poll", bearer(old))
            text = running.config.read_text().replace(SECRET, SECRET[::-1])
            running.config.write_text(text)
            os.kill(running.process.pid, signal.SIGHUP)
            assert waiting.read().status == 204
        said = {"exp": int(time.time()) + 600, "read": [PATH]}
        new = jwt.encode(said, SECRET[::-1], "HS256")
        # The old worker accepts until the new one has taken its place.
        time_out = time.monotonic() + PATIENCE
        told: tuple[int, ...] = ()
        while told != (401, 200):
            assert time.monotonic() < time_out, told
            told = tuple(get(running, PATH, bearer(t)).status for t in (old, new))


# Keys at a URL.


class _Keys(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    document = b""
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.document)))
        self.end_headers()
        self.wfile.write(self.document)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_keys_at_a_url_are_fetched_by_the_edge(
    origin: NodeOrigin, workers: int
) -> None:
    """B15: once by each front for a crowd that comes cold; a new key when it is met."""

    class Keys(_Keys):
        document = json.dumps({"keys": [jwk("p256", kid="first")]}).encode()

    server = HTTPServer(("127.0.0.1", 0), Keys)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    way = {
        "keys": [{"jwks": f"http://127.0.0.1:{server.server_port}/keys?v=1"}],
        "algorithms": ["ES256"],
        "issuer": "i",
        "audience": "a",
        "read_claim": "read",
    }
    routes = [{"match": "/v1/stream/**", "access": {"jwt": way}}]
    call("PUT", origin.url + PATH + "keys")
    said = {"iss": "i", "aud": "a", "exp": int(time.time()) + 600, "read": ["/**"]}

    def text(kid: str, kind: str = "p256") -> str:
        return jwt.encode(said, private(kind), "ES256", headers={"kid": kid})

    try:
        with edge(origin.url, routes=routes, workers=workers) as running:
            with contextlib.ExitStack() as leaving:
                crowd = [leaving.enter_context(client(running)) for _ in range(20)]
                for one in crowd:
                    one.get(PATH + "keys", bearer(text("first")))
                assert {one.read().status for one in crowd} == {200}
            assert 1 <= Keys.asked <= workers
            refused = get(running, PATH + "keys", bearer(text("first", "other-p256")))
            assert refused.problem()["reason"] == "token-signature"
            unknown = get(running, PATH + "keys", bearer(text("second")))
            assert (unknown.status, unknown.problem()["reason"]) == (
                503,
                "keys-unavailable",
            )
            assert unknown["retry-after"]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
