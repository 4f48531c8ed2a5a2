"""An operator speaks to one node, whichever front he meets: real keepers and fronts
before a real origin (W14). A client is attached to a front of the test's choice."""

import itertools
import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from edge.cli.app import app
from tests.front.edge_process import Client
from tests.support.processes import Edge, edge, node_origin
from tests.support.talk import ask
from tests.whole.crowd import PATH
from tests.whole.test_access import BOTH, bearer, created, token

TOKEN = "s3cret-token"
FRONTS = ("front-0", "front-1")
KEEPER = "keeper-0"
WITHIN = 60.0
TEXT = {"content_type": "text/plain"}
READ = f"{PATH}?offset=-1"


class Node:
    """A running node, and who of its processes is which."""

    def __init__(self, running: Edge) -> None:
        self.edge = running
        self._host, _, self._port = running.url.removeprefix("http://").partition(":")

    def operate(
        self, page: str, method: str = "GET", **document: Any
    ) -> tuple[int, Any]:
        """Ask the admin address, with the token: the status and the document."""
        signed = {"authorization": f"Bearer {TOKEN}"}
        if document:
            signed["content_type"] = "application/json"
        body = json.dumps(document).encode() if document else b""
        status, _, told = ask(self.edge.admin + page, method, body, **signed)
        return status, json.loads(told)

    def metrics(self) -> dict[str, float]:
        """All samples of the page, by name and labels."""
        signed = {"authorization": f"Bearer {TOKEN}"}
        _, _, body = ask(f"{self.edge.admin}/metrics", "GET", b"", **signed)
        lines = [one for one in body.decode().splitlines() if not one.startswith("#")]
        pairs = (line.rpartition(" ") for line in lines)
        return {name: float(value) for name, _, value in pairs}

    def tells(self, place: str) -> bool:
        """Whether the process in a place has told of itself."""
        return f'process_start_time_seconds{{process="{place}"}}' in self.metrics()

    def counter(self, name: str) -> float:
        """A counter of the node, over all its labels."""
        found = self.metrics().items()
        return sum(
            n for key, n in found if key.split("{")[0] == f"ds_edge_{name}_total"
        )

    @contextmanager
    def client(self, front: str, *fields: str) -> Iterator[Client]:
        """A connection to this front: its log says who has answered on it."""
        while True:
            with Client((self._host, int(self._port))) as client:
                name = uuid.uuid4().hex
                client.get(READ, f"X-Request-Id: {name}", *fields)
                client.read()
                if self._answered_by(name) == front:
                    yield client
                    return

    def logged(self, words: str) -> int:
        """How often the log has these words so far."""
        return self.edge.process.log.read_text().count(words)

    def _answered_by(self, name: str) -> str:
        """Who logged the request of this name."""

        def logged() -> Any:
            lines = self.edge.process.log.read_text().splitlines()
            found = [line for line in lines if name in line and line.endswith("}")]
            return found and json.loads(found[0])["process"]

        return str(until(logged))

    def pid(self, place: str) -> int:
        """The process in a place, of whom the log told first when it began."""
        children = Path(f"/proc/{self.edge.process.pid}/task").glob("*/children")
        pids = sorted(int(n) for one in children for n in one.read_text().split())
        # They are forked in this order.
        return pids[(KEEPER, *FRONTS).index(place)]


@contextmanager
def node(**settings: Any) -> Iterator[Node]:
    """Two fronts and a keeper, before the reference server."""
    given = {
        "workers": 2,
        "keepers": 1,
        "admin": {"token": TOKEN},
        "shutdown": {"grace": "1s"},
        **settings,
    }
    with node_origin(long_poll_ms=5000) as origin, edge(origin.url, **given) as running:
        up = Node(running)
        for place in (*FRONTS, KEEPER):
            until(partial(up.tells, place))
        yield up


def until(done: Callable[[], Any]) -> Any:
    """What it returns, once that is true."""
    for _ in range(int(WITHIN / 0.05)):
        found = done()
        if found:
            return found
        threading.Event().wait(0.05)
    raise AssertionError("it never came to be")


def create(up: Node) -> None:
    assert ask(up.edge.url + PATH, "PUT", b"<begin>", **TEXT)[0] == 201


def cached(client: Client) -> str:
    """How a read of the history was answered."""
    client.get(READ)
    answered = client.read()
    assert (answered.status, answered.body) == (200, b"<begin>")
    return answered["cache-status"].split(";")[1].strip()


def test_a_path_is_forgotten_in_every_process() -> None:
    """And is read from the origin again, whichever front is asked."""
    with node() as up, ExitStack() as stack:
        create(up)
        clients = [stack.enter_context(up.client(front)) for front in FRONTS]
        for client in clients:
            cached(client)
        requests = up.counter("origin_requests")
        status, said = up.operate(f"/forget?path={PATH}", "POST")
        assert (status, said["path"]) == (200, PATH)
        assert said["forgotten"] == len(FRONTS) + 1
        assert [cached(client)[:4] for client in clients] == ["fwd="] * 2

        assert up.counter("origin_requests") > requests
        status, said = up.operate("/forget?path=/v1/stream/never-read", "POST")
        assert (status, said["reason"]) == (404, "not-found")


def test_what_the_origin_is_asked_counts_once_however_many_fronts_ask() -> None:
    """Fronts ask the keeper, which has names of its own (W14)."""
    with node() as up, ExitStack() as stack:
        create(up)
        before = up.metrics()
        for front in FRONTS:
            viewer = stack.enter_context(up.client(front))
            viewer.get(f"{READ}&live=sse")
            assert viewer.head().status == 200
        until(lambda: up.operate("/streams")[1]["totals"]["viewers"] == len(FRONTS))
        polls = up.counter("follower_polls")
        assert ask(up.edge.url + PATH, "POST", b"<1>", **TEXT)[0] in (200, 204)
        until(lambda: up.counter("follower_polls") > polls)
        after = up.metrics()

        def grew(name: str) -> float:
            name = f"ds_edge_{name}"
            return after.get(name, 0) - before.get(name, 0)

        assert up.counter("follower_polls") == polls + 1
        assert grew('origin_requests_total{purpose="follow"}') <= 2 + 1
        assert grew('link_requests_total{purpose="events"}') >= len(FRONTS)
        assert after["ds_edge_followers"] == 1


def test_every_answer_counts_once_and_nothing_goes_back() -> None:
    """Whoever answers; when a front is killed, and when all are replaced."""
    with node() as up:
        create(up)
        sums: list[dict[str, float]] = [up.metrics()]

        def read(front: str, times: int) -> None:
            with up.client(front) as client:
                for _ in range(times):
                    cached(client)
            sums.append(up.metrics())

        delivered = up.counter("delivered")
        read("front-0", 5)
        read("front-1", 3)
        # Those that found out which front it was count, too. The log comes a little
        # later, and has no more than that.
        counted = up.counter("delivered") - delivered
        until(lambda: up.logged('"mode": "catch-up"') == counted)
        os.kill(up.pid("front-0"), signal.SIGKILL)
        read("front-0", 2)
        replaced = [up.pid(place) for place in (KEEPER, *FRONTS)]
        os.kill(up.edge.process.pid, signal.SIGHUP)
        # A connection to one that takes its leave may end before it asks again.
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in replaced))
        read("front-1", 2)
        sums.append(up.metrics())

        counters = {key for key in sums[-1] if key.startswith("ds_edge_")}
        counters = {key for key in counters if key.split("{")[0].endswith("_total")}
        for one, next_one in itertools.pairwise(sums):
            back = [key for key in counters if one.get(key, 0) > next_one.get(key, 0)]
            assert back == []


def test_streams_are_shown_with_the_viewers_of_all_fronts() -> None:
    with node() as up, ExitStack() as stack:
        create(up)
        for front in (*FRONTS, "front-1"):
            viewer = stack.enter_context(up.client(front))
            viewer.get(f"{READ}&live=sse")
            assert viewer.head().status == 200

        def shown() -> Any:
            found = up.operate("/streams?limit=1")[1]
            return found if found["totals"]["viewers"] == 3 else None

        found = until(shown)
        (row,) = found["streams"]

        assert (row["path"], row["viewers"], row["followed"]) == (PATH, 3, True)
        assert "late" not in found
        assert up.metrics()["ds_edge_viewers"] == 3
        told = until(lambda: status(up, viewers=3))
        assert [one["name"] for one in told["processes"]] == [*FRONTS, KEEPER]
        assert {one["pid"] for one in told["processes"]} == {
            up.pid(place) for place in (KEEPER, *FRONTS)
        }
        (row,) = up.operate(f"/streams?path={PATH}")[1]["streams"]
        assert (row["viewers"], row["viewers_by_events"]) == (3, 3)
        assert row["follower"]["state"] == "asking"


def status(up: Node, viewers: int) -> Any:
    """The node in one document, once so many viewers are told there."""
    found = up.operate("/status")[1]
    return found if found["viewers"]["sse"] == viewers else None


def test_a_token_is_taken_back_on_every_front() -> None:
    """Whoever came by it has been let go when the order is answered."""
    routes = [{"match": "/v1/stream/**", "access": BOTH}]
    with node(routes=routes) as up, ExitStack() as stack:
        text = token("bob", iat=int(time.time()) - 5)
        offset = created(up.edge)
        viewers = [
            stack.enter_context(up.client(front, bearer(text))) for front in FRONTS
        ]
        for viewer in viewers:
            viewer.get(f"{PATH}?offset={offset}&live=sse", bearer(text))
            assert viewer.head().status == 200
        status, said = up.operate("/access/revoke", "POST", subject="bob")

        assert (status, said["grants_ended"]) == (200, 2)
        for viewer, front in zip(viewers, FRONTS, strict=True):
            while viewer.chunk():
                pass
            with pytest.raises(AssertionError), up.client(front, bearer(text)):
                raise AssertionError("it is refused, and told so in the log")


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that does nothing meanwhile; the master ends it after five seconds."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def test_a_keeper_that_is_stopped_is_named_and_the_node_is_not_ready() -> None:
    """Until it goes on."""
    with node() as up:
        create(up)
        ready = f"{up.edge.admin}/ready"
        keeper = up.pid(KEEPER)
        with stopped(keeper):
            status, said = up.operate(f"/forget?path={PATH}", "POST")
            assert (status, said["reason"]) == (504, "orders-late")
            assert KEEPER in said["detail"] and FRONTS[0] not in said["detail"]
        until(lambda: ask(ready)[0] == 200)
        with stopped(keeper):
            assert up.operate("/streams")[1]["late"] == [KEEPER]
        until(lambda: ask(ready)[0] == 200)
        assert "late" not in up.operate("/streams")[1]
        # In this process: to start one may take until the keeper is replaced.
        asked = ["health", "--ready", "-c", str(up.edge.config)]
        with stopped(keeper):
            until(lambda: ask(ready)[0] == 503)
            health = CliRunner().invoke(app, asked)
        assert (health.exit_code, health.stdout) == (1, "")
        assert "answers 503 (keepers-silent)" in health.stderr
        until(lambda: ask(ready)[0] == 200)
        assert up.operate(f"/forget?path={PATH}", "POST")[0] in (200, 404)
