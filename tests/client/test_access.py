"""The official TypeScript client on a route that judges (B12)."""

import json
import subprocess
import time
from typing import Any

import jwt
import pytest

from tests.support import node
from tests.support.processes import edge, node_origin
from tests.whole.authorize_server import authorize_server

SECRET = "a secret of the tests, which has 32 bytes"
PATH = "/v1/stream/renewed"
WITHIN = 60.0


def token(seconds: float) -> str:
    """For so long: ``exp`` is in the past, and the leeway of 30 s nearly over."""
    said = {"exp": int(time.time() - 30 + seconds), "read": [PATH], "write": [PATH]}
    return jwt.encode(said, SECRET, "HS256")


@pytest.mark.parametrize("mode", ["long-poll", "sse"])
def test_a_client_that_renews_its_token_misses_nothing(mode: str) -> None:
    """Its first token ends while it reads live: it is asked to come back, does so with
    the second one, and never meets a refusal."""
    way = {
        "keys": [{"secret": SECRET}],
        "algorithms": ["HS256"],
        "read_claim": "read",
        "write_claim": "write",
    }
    routes = [{"match": "/v1/stream/**", "access": {"jwt": way}}]
    with node_origin() as origin, edge(origin.url, routes=routes) as front:
        told = lived(front.url + PATH, mode, token(6.0), token(600.0))

    assert told["seen"] == [{"number": number} for number in range(18)]
    assert told["how"] == "closed"
    assert {status for status, _ in told["statuses"]} <= {200, 204}
    asked = [who for _, who in told["statuses"]]
    assert (asked[0], asked[-1]) == ("first", "second")


@pytest.mark.parametrize("mode", ["long-poll", "sse"])
def test_a_client_whose_verdicts_end_again_and_again_misses_nothing(mode: str) -> None:
    """B12, A16: an app is asked anew each second."""
    with authorize_server() as app, node_origin() as origin:
        forward = {"url": app.url, "cache": "1s"}
        routes = [{"match": "/v1/stream/**", "access": {"forward": forward}}]
        with edge(origin.url, routes=routes) as front:
            told = lived(front.url + PATH, mode, "alice", "bob")

    assert told["seen"] == [{"number": number} for number in range(18)]
    assert told["how"] == "closed"
    assert {status for status, _ in told["statuses"]} <= {200, 204}
    assert len(app.asked) > 5


def lived(*arguments: str) -> dict[str, Any]:
    """What the client saw; raises when Node does."""
    found = node.install()
    script = str(node.FOLDER / "renewing.mjs")
    done = subprocess.run(
        [str(found.binary), script, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told
