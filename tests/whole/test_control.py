"""An operator asks a running edge, with real processes on both sides.

Viewers wait at a stream while the edge is made to forget it. Nobody is lost: all are
served on, and see every byte once.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from tests.support.processes import Edge, edge, node_origin, service
from tests.support.talk import ask
from tests.whole.following import Following

PATH = "/v1/stream/forgotten"
END = b"<end>"
EACH_MODE = 100
WITHIN = 60.0
TOKEN = "s3cret-token"
SETTINGS = {"admin": {"token": TOKEN}, "log": {"access": "off"}}


def operate(running: Edge, page: str, method: str = "GET") -> tuple[int, Any]:
    """Ask the admin address, with the token: the status and the document."""
    signed = {"authorization": f"Bearer {TOKEN}"}
    status, _, body = ask(running.admin + page, method, b"", **signed)
    return status, json.loads(body)


def until_viewers(running: Edge, number: int) -> dict[str, Any]:
    """Wait until so many viewers follow one stream, and it is followed; its row."""
    for _ in range(int(WITHIN / 0.05)):
        _, shown = operate(running, "/streams?limit=1")
        row: dict[str, Any] = (shown["streams"] or [{"viewers": 0}])[0]
        if row["viewers"] == number and row["followed"]:
            assert shown["totals"]["viewers"] == number
            return row
        threading.Event().wait(0.05)
    raise AssertionError(f"never {number} viewers: {shown}")


def create(running: Edge, data: bytes) -> None:
    """Make the stream, of text."""
    text = {"content_type": "text/plain"}
    assert ask(running.url + PATH, "PUT", data, **text)[0] == 201


def append(running: Edge, data: bytes) -> str:
    """Write, and where the stream ends then."""
    text = {"content_type": "text/plain"}
    status, fields, _ = ask(running.url + PATH, "POST", data, **text)
    assert status in (200, 204)
    return fields["stream-next-offset"]


@contextmanager
def before_the_reference_server(**settings: object) -> Iterator[Edge]:
    with node_origin(long_poll_ms=30_000) as origin, edge(origin.url, **settings) as up:
        yield up


@pytest.mark.parametrize("served", [before_the_reference_server, service])
def test_viewers_of_a_stream_that_is_forgotten_are_served_on(
    served: Callable[..., AbstractContextManager[Edge]],
) -> None:
    """Polls wait on, event streams end whole and come back."""
    with served(**SETTINGS) as running:
        create(running, b"")
        offset = append(running, b"<begin>")
        viewers = [
            Following(running.url, PATH, mode, offset, END)
            for mode in ("long-poll", "sse")
            for _ in range(EACH_MODE)
        ]
        for viewer in viewers:
            viewer.start()
        before = until_viewers(running, 2 * EACH_MODE)
        append(running, b"<1>")
        for viewer in viewers:
            assert viewer.begun.wait(WITHIN)
        until_viewers(running, 2 * EACH_MODE)

        status, said = operate(running, f"/forget?path={PATH}", "POST")
        assert (status, said["path"], said["forgotten"]) == (200, PATH, 1)
        after = until_viewers(running, 2 * EACH_MODE)
        told = operate(running, "/status")[1]
        in_full = operate(running, f"/streams?path={PATH}")[1]
        append(running, END)
        for viewer in viewers:
            viewer.join(WITHIN)
            assert not viewer.is_alive()

        status, said = operate(running, "/forget?path=/v1/stream/never-read", "POST")
        assert (status, said["reason"]) == (404, "not-found")

    assert [odd for viewer in viewers for odd in viewer.odd] == []
    assert {viewer.seen for viewer in viewers} == {b"<1>" + END}
    assert told["viewers"] == {
        "all": 2 * EACH_MODE,
        "sse": EACH_MODE,
        "long-poll": EACH_MODE,
    }
    assert told["fan_out"]["growths"] >= 1
    assert told["fan_out"]["woken"] >= 2 * EACH_MODE
    assert told["ready"] and told["origin"]["up"]
    assert [one["name"] for one in told["processes"]] == ["worker"]
    assert told["processes"][0]["viewers"] == 2 * EACH_MODE
    (row,) = in_full["streams"]
    assert (row["viewers"], row["viewers_by_events"]) == (2 * EACH_MODE, EACH_MODE)
    assert row["follower"]["state"] == "asking"
    assert TOKEN not in json.dumps([told, in_full])
    for row in (before, after):
        assert (row["path"], row["partition"]) == (PATH, "anonymous")
        assert TOKEN not in json.dumps(row)


def test_a_forgotten_stream_is_read_from_the_origin_again() -> None:
    """In the partition of every credential, and with every query."""
    with service(**SETTINGS) as running:
        create(running, b"<begin>")
        url = f"{running.url}{PATH}?offset=-1"
        reads = [(url, {}), (f"{url}&view=1", {}), (url, {"authorization": "Bearer x"})]

        def cached() -> list[str]:
            status = [ask(where, "GET", b"", **fields)[1] for where, fields in reads]
            return [fields["cache-status"].split(";")[1].strip() for fields in status]

        assert [word[:4] for word in cached()] == ["fwd="] * 3
        shown = operate(running, "/streams")[1]["streams"]
        assert [row["path"] for row in shown] == [PATH] * 3
        assert "Bearer" not in json.dumps(shown)
        assert operate(running, f"/forget?path={PATH}", "POST")[1]["forgotten"] == 3
        assert [word[:4] for word in cached()] == ["fwd="] * 3
