"""The official clients, TypeScript's and Python's, on a route that judges (B12)."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Literal

import httpx
import jwt
import pytest
from durable_streams import DurableStream, stream

from tests.support import node
from tests.support.processes import edge, node_origin
from tests.whole.authorize_server import authorize_server

Mode = Literal["long-poll", "sse"]
SECRET = "a secret of the tests, which has 32 bytes"
PATH = "/v1/stream/renewed"
WITHIN = 60.0
FIRST_SECONDS = 3.0
"""How long the first token of the Python client is good."""


def token(seconds: float) -> str:
    """For so long: ``exp`` is in the past, and the leeway of 30 s nearly over."""
    said = {"exp": int(time.time() - 30 + seconds), "read": [PATH], "write": [PATH]}
    return jwt.encode(said, SECRET, "HS256")


@contextmanager
def judging() -> Iterator[str]:
    """Where the stream is, behind an edge that judges tokens."""
    way = {
        "keys": [{"secret": SECRET}],
        "algorithms": ["HS256"],
        "read_claim": "read",
        "write_claim": "write",
    }
    routes = [{"match": "/v1/stream/**", "access": {"jwt": way}}]
    with node_origin() as origin, edge(origin.url, routes=routes) as front:
        yield front.url + PATH


@pytest.mark.parametrize("mode", ["long-poll", "sse"])
def test_a_client_that_renews_its_token_misses_nothing(mode: str) -> None:
    """Its first token ends while it reads live: it is asked to come back, does so with
    the second one, and never meets a refusal."""
    with judging() as url:
        told = lived(url, mode, token(6.0), token(600.0))

    assert told["seen"] == [{"number": number} for number in range(18)]
    assert told["how"] == "closed"
    assert {status for status, _ in told["statuses"]} <= {200, 204}
    asked = [who for _, who in told["statuses"]]
    assert (asked[0], asked[-1]) == ("first", "second")


@pytest.mark.parametrize("mode", ["long-poll", "sse"])
def test_a_client_whose_verdicts_end_again_and_again_misses_nothing(mode: str) -> None:
    """B12, A16: an app is asked anew each second."""
    with authorize_server() as app, node_origin() as origin:
        forward = {"url": app.url, "timeout": "30s", "cache": "1s"}
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


class PythonReader(Thread):
    """Reads live until it has ``wanted`` items; its token is the next one when the
    first has ended, and not before. ``renewed`` is set by the first live read with it.

    An event stream that ends ends the client's iteration: an app goes on from there.
    """

    def __init__(
        self, url: str, mode: Literal["long-poll", "sse"], wanted: int
    ) -> None:
        super().__init__(daemon=True)
        self._url, self._mode, self._wanted = url, mode, wanted
        self.begun, self.renewed = Event(), Event()
        self.seen: list[Any] = []
        self.statuses: list[int] = []
        first, later = token(FIRST_SECONDS), token(600.0)
        ends = jwt.decode(first, options={"verify_signature": False})["exp"] + 30
        self._first = f"Bearer {first}"
        self._token = lambda: self._first if time.time() < ends else f"Bearer {later}"

    def run(self) -> None:
        hooks: Any = {"request": [self._asks], "response": [self._heard]}
        offset = "-1"
        with httpx.Client(event_hooks=hooks, timeout=WITHIN) as client:
            while len(self.seen) < self._wanted:
                with stream(
                    self._url,
                    offset=offset,
                    live=self._mode,
                    headers={"Authorization": self._token},
                    client=client,
                ) as reading:
                    for item in reading.iter_json():
                        self.seen.append(item)
                        self.begun.set()
                        if len(self.seen) == self._wanted:
                            return
                    offset = reading.offset

    def _asks(self, asked: httpx.Request) -> None:
        if "live" in asked.url.params and asked.headers["authorization"] != self._first:
            self.renewed.set()

    def _heard(self, answer: httpx.Response) -> None:
        self.statuses.append(answer.status_code)


@pytest.mark.parametrize("mode", ["long-poll", "sse"])
def test_the_python_client_misses_nothing_when_its_token_ends(
    mode: Mode,
) -> None:
    """Its token ends while it waits: it is asked to come back, and never refused."""
    with judging() as url:
        fields: Any = {"Authorization": f"Bearer {token(600.0)}"}
        writer = DurableStream.create(
            url, content_type="application/json", headers=fields
        )
        reader = PythonReader(url, mode, wanted=12)
        with writer:
            writer.append({"number": 0})
            reader.start()
            assert reader.begun.wait(WITHIN)
            for number in range(1, 6):
                writer.append({"number": number})
            assert reader.renewed.wait(WITHIN)
            for number in range(6, 12):
                writer.append({"number": number})
            reader.join(WITHIN)

    assert reader.seen == [{"number": number} for number in range(12)]
    assert set(reader.statuses) <= {200, 204}
