"""An operator purges streams that were replaced behind the edge's back (L27, W14).

Real edges before the real origin: a node of several processes, and two edges in a row.
The origin is changed directly: a stream of as many bytes takes the place of another
one, which nobody who holds it can see by the offsets.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest

from edge.policy.streams.tags import stream_tag
from tests.front.edge_process import Client
from tests.support.patience import PATIENCE
from tests.support.processes import Edge, ds_edge, edge, node_origin
from tests.support.talk import ask
from tests.whole.following import Following
from tests.whole.test_one_node import FRONTS, KEEPER, TOKEN, Node, stopped, until

ROOM = "/v1/stream/rooms/blue"
PATHS = (f"{ROOM}/a", f"{ROOM}/b", "/v1/stream/rooms/red/a")
ROUTE = {"match": "/v1/stream/rooms/{room}/*", "tags": ["room-{room}"]}
TEXT = {"content_type": "text/plain"}
OLD, NEW, NEWEST, END = b"<old>", b"<new>", b"<now>", b"<end>"


@contextmanager
def tagged(origin: str, name: str, **settings: Any) -> Iterator[Edge]:
    """An edge that tells caches below its tags."""
    given: dict[str, Any] = {
        "node": {"name": name},
        "routes": [ROUTE],
        "admin": {"token": TOKEN},
        "cache": {"tag_headers": ["surrogate-key"]},
        "shutdown": {"grace": "1s"},
        # Who follows a stream sees by itself that it was deleted.
        "live": {"follow_after": "1000/1s"},
    }
    with edge(origin, **given | settings) as running:
        yield running


def make(origin: str, path: str, body: bytes) -> None:
    """The stream at the origin, whatever was there."""
    ask(origin + path, "DELETE")
    assert ask(origin + path, "PUT", body, **TEXT)[0] == 201


def purge(running: Edge, **order: str) -> tuple[int, Any]:
    signed = {"authorization": f"Bearer {TOKEN}", "content_type": "application/json"}
    document = json.dumps(order).encode()
    status, _, said = ask(f"{running.admin}/purge", "POST", document, **signed)
    return status, json.loads(said)


def read(url: str, path: str) -> bytes:
    status, _, body = ask(f"{url}{path}?offset=-1")
    assert status == 200
    return body


class Fronts:
    """A connection to each front, on which all paths were read."""

    def __init__(self, clients: list[Client]) -> None:
        self._clients = clients

    def read(self, path: str) -> set[bytes]:
        """What they answer."""
        found = set()
        for client in self._clients:
            client.get(f"{path}?offset=-1")
            answered = client.read()
            assert answered.status == 200
            found.add(answered.body)
        return found


def command(running: Edge, *arguments: str) -> subprocess.CompletedProcess[str]:
    line = ds_edge("purge", *arguments, "--config", str(running.config))
    return subprocess.run(line, capture_output=True, text=True)


def test_what_was_replaced_is_purged_in_every_process_and_viewers_are_served_on() -> (
    None
):
    """By tag softly, by glob hard; and behind a keeper that stood still meanwhile."""
    with ExitStack() as stack:
        origin = stack.enter_context(node_origin(long_poll_ms=5000)).url
        for path in PATHS:
            make(origin, path, OLD)
        several = {"workers": 2, "keepers": 1}
        running = stack.enter_context(tagged(origin, "node", **several))
        up = Node(running)
        for place in (*FRONTS, KEEPER):
            until(partial(up.tells, place))
        there = (up.client(front) for front in FRONTS)
        fronts = Fronts([stack.enter_context(one) for one in there])
        assert [fronts.read(path) for path in PATHS] == [{OLD}] * 3
        for path in PATHS:
            make(origin, path, NEW)
        assert [fronts.read(path) for path in PATHS] == [{OLD}] * 3

        done = command(running, "--tag", "room-blue", "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["softened"], told["late"]) == (6, [])
        names = sorted(name.partition("/")[0] for name in told["processes"])
        assert names == sorted((*FRONTS, KEEPER))
        assert [fronts.read(path) for path in PATHS] == [{NEW}, {NEW}, {OLD}]

        offset = ask(running.url + PATHS[1], "HEAD")[1]["stream-next-offset"]
        viewers = [
            Following(running.url, PATHS[1], mode, offset, END)
            for mode in ("long-poll", "sse")
            for _ in range(4)
        ]
        for viewer in viewers:
            viewer.start()
        until(lambda: up.operate("/streams")[1]["totals"]["viewers"] == len(viewers))
        assert purge(running, glob="/v1/stream/rooms/**", mode="hard")[0] == 200
        assert fronts.read(PATHS[2]) == {NEW}
        until(lambda: up.operate("/streams")[1]["totals"]["viewers"] == len(viewers))
        assert ask(running.url + PATHS[1], "POST", END, **TEXT)[0] in (200, 204)
        for viewer in viewers:
            viewer.join(PATIENCE)
            assert not viewer.is_alive()
        assert [odd for viewer in viewers for odd in viewer.odd] == []
        assert {viewer.seen for viewer in viewers} == {END}

        make(origin, PATHS[0], NEWEST)
        with stopped(up.pid(KEEPER)):
            status, said = purge(running, tag=stream_tag(PATHS[0]), mode="hard")
            assert (status, said["reason"]) == (504, "orders-late")
            assert said["late"] == [KEEPER]
        until(lambda: fronts.read(PATHS[0]) == {NEWEST})
        until(lambda: purge(running, path=PATHS[0])[0] == 200)
        assert fronts.read(PATHS[0]) == {NEWEST}


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_tiers_are_purged_from_the_origin_outwards(mode: str) -> None:
    """The outer one alone is given what the inner one holds."""
    path = PATHS[0]
    with ExitStack() as stack:
        origin = stack.enter_context(node_origin()).url
        make(origin, path, OLD)
        shield = stack.enter_context(tagged(origin, "shield"))
        pop = stack.enter_context(tagged(shield.url, "pop"))
        assert read(pop.url, path) == OLD
        make(origin, path, NEW)
        assert purge(pop, path=path, mode=mode)[0] == 200
        assert read(pop.url, path) == OLD

        assert purge(shield, path=path, mode=mode)[0] == 200
        assert purge(pop, path=path, mode=mode)[0] == 200
        assert read(pop.url, path) == NEW
        fields = ask(f"{pop.url}{path}?offset=-1")[1]
        assert fields["surrogate-key"] == f"{stream_tag(path)} room-blue"
