"""Issuers whose keys cannot be taken, with real servers: nobody is let in, nor hangs.

B15: too long, too many, private, behind a redirect, garbage, or never there at all.
"""

import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

import jwt
import pytest

from tests.access.issuer import jwk, private
from tests.support.processes import Edge, edge, node_origin
from tests.support.talk import ask
from tests.whole.test_access import bearer, get

ROOT = "/v1/stream"
KEY = jwk("p256", kid="k")


def keys(*members: Any) -> bytes:
    return json.dumps({"keys": members}).encode()


def with_private_part() -> dict[str, Any]:
    """The key with what only its issuer should have."""
    made: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(private("p256"), True)
    return KEY | {"d": made["d"]}


DOCUMENTS = {
    "good": keys(KEY),
    "long": keys(KEY) + b" " * 10_000_000,
    "many": keys(*[KEY | {"kid": f"k{number}"} for number in range(1000)], KEY),
    "private": keys(with_private_part()),
    "garbage": b"<html>" * 1000,
    "empty": b"",
}
BAD = [*(set(DOCUMENTS) - {"good"}), "moved", "silent"]


class _Issuer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    may = Event()

    def do_GET(self) -> None:
        name = self.path.removeprefix("/")
        if name == "silent":
            self.may.wait()
        moved = name == "moved"
        body = b"" if moved else DOCUMENTS.get(name, b"")
        self.send_response(302 if moved else 200)
        self.send_header("Set-Cookie", "session=issuer")
        self.send_header("Content-Length", str(len(body)))
        if moved:
            self.send_header("Location", "/good")
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            # The edge has read enough, and hung up.
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Issuer) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            _Issuer.may.set()
            server.shutdown()
            thread.join()


def route(name: str, url: str) -> dict[str, Any]:
    """A route whose keys are there."""
    way = {
        "keys": [{"jwks": url}],
        "algorithms": ["ES256"],
        "issuer": "i",
        "audience": "a",
        "read_claim": "read",
    }
    return {"match": f"{ROOT}/{name}/**", "access": {"jwt": way}}


@pytest.fixture(scope="module")
def served(issuer: str, workers: int) -> Iterator[Edge]:
    """A route for each of its documents."""
    routes = [route(name, f"{issuer}/{name}") for name in ("good", *BAD)]
    how: dict[str, Any] = {"routes": routes, "workers": workers}
    with node_origin() as origin, edge(origin.url, **how) as running:
        for name in ("good", *BAD):
            url = f"{origin.url}{ROOT}/{name}/a"
            ask(url, "PUT", b"secret", content_type="text/plain")
        yield running


def signed() -> str:
    said = {"iss": "i", "aud": "a", "exp": int(time.time()) + 600, "read": ["/**"]}
    return jwt.encode(said, private("p256"), "ES256", headers={"kid": "k"})


def test_a_good_issuer_lets_in_and_its_cookie_goes_nowhere(served: Edge) -> None:
    """What the others are compared with."""
    answered = get(served, f"{ROOT}/good/a", bearer(signed()))

    assert (answered.status, answered.body) == (200, b"secret")
    assert answered.all("set-cookie") == []


@pytest.mark.parametrize("name", sorted(BAD))
def test_by_keys_that_cannot_be_taken_nobody_is_let_in(served: Edge, name: str) -> None:
    """It is asked to come back: the keys may be there then."""
    answered = get(served, f"{ROOT}/{name}/a", bearer(signed()))

    assert (answered.status, answered.problem()["reason"]) == (503, "keys-unavailable")
    assert answered["retry-after"]
    assert answered.all("set-cookie") == []
