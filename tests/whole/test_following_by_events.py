"""U16 to U23: streams that are followed by an event stream, before real origins.

Real processes: an origin, a proxy that counts what it is asked, the edge, and a viewer.
Writers write behind the edge's back. Counts are asserted, and no times.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest

from tests.support.processes import Edge, edge, embedded_origin, node_origin
from tests.support.talk import Talk, ask
from tests.whole.counting_proxy import CountingProxy, counting_proxy
from tests.whole.crowd import metric

PATH = "/v1/stream/busy"
JSON = "application/json"
BYTES = "application/octet-stream"
EVENTS = 40
HOLD_MS = 30_000

Origins = Callable[[int], AbstractContextManager[Any]]
origins = pytest.mark.parametrize(
    "begin", [node_origin, embedded_origin], ids=["node", "embedded"]
)


class Stage:
    """An edge before an origin, with a proxy in between that counts."""

    def __init__(self, stack: ExitStack, begin: Origins, follow: str) -> None:
        self._stack = stack
        self.origin = stack.enter_context(begin(HOLD_MS)).url
        self.proxy: CountingProxy = stack.enter_context(counting_proxy())
        self.proxy.lead_to(self.origin)
        routes = [{"match": "/v1/stream/**", "follow": follow}]
        self.edge: Edge = stack.enter_context(edge(self.proxy.url, routes=routes))

    def write(self, method: str, kind: str, body: bytes = b"", **more: str) -> bytes:
        """Behind the edge's back; how a control event names the end then."""
        url, fields = self.origin + PATH, {"content_type": kind, **more}
        status, said, _ = ask(url, method, body, **fields)
        assert status in (200, 201, 204)
        return f'"streamNextOffset":"{said.get("stream-next-offset")}"'.encode()

    def view(self) -> Talk:
        """A viewer from the beginning, who has been told that it is up to date."""
        url = f"{self.edge.url}{PATH}?offset=-1&live=sse"
        viewer = self._stack.enter_context(Talk(url))
        assert viewer.head()[0] == 200
        viewer.until(b'"upToDate":true')
        return viewer

    def ends(self) -> dict[str, int]:
        """How event streams of the edge's ended."""
        page = ask(f"{self.edge.admin}/metrics")[2].decode()
        pattern = r'ds_edge_event_streams_ended_total\{reason="(\S+)"\} (\d+)'
        found = {reason: int(count) for reason, count in re.findall(pattern, page)}
        return {reason: count for reason, count in found.items() if count}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as entered:
        yield entered


def message(number: int, kind: str) -> bytes:
    if kind == JSON:
        return json.dumps({"n": number, "text": "\u00e4\\ufffd \r\n"}).encode()
    return b"<%d>\r\n\xff" % number


@origins
@pytest.mark.parametrize("kind", [JSON, BYTES])
def test_many_events_cost_the_origin_one_request(
    stack: ExitStack, begin: Origins, kind: str
) -> None:
    """And what came by events are the bytes that a catch-up read brings."""
    stage = Stage(stack, begin, "sse")
    stage.write("PUT", kind)
    stage.write("POST", kind, message(0, kind))
    viewer = stage.view()
    for number in range(1, EVENTS):
        stage.write("POST", kind, message(number, kind))
    viewer.until(stage.write("POST", kind, message(EVENTS, kind)))

    assert stage.proxy.asked["live"] == 1
    assert metric(stage.edge.admin, "ds_edge_event_streams_total") == 1
    asked = stage.proxy.asked.copy()
    held = ask(f"{stage.edge.url}{PATH}?offset=-1")
    assert held[2] == ask(f"{stage.origin}{PATH}?offset=-1")[2]
    assert stage.proxy.asked == asked
    assert stage.ends() == {}


@origins
def test_a_busy_stream_goes_up_by_itself(stack: ExitStack, begin: Origins) -> None:
    """U20: ``auto``. Writes are as frequent as the viewer sees them."""
    stage = Stage(stack, begin, "auto")
    stage.write("PUT", JSON)
    stage.write("POST", JSON, message(0, JSON))
    viewer = stage.view()
    for number in range(1, EVENTS):
        viewer.until(stage.write("POST", JSON, message(number, JSON)))

    assert metric(stage.edge.admin, "ds_edge_event_streams_total") == 1
    assert stage.proxy.asked["live"] < EVENTS // 2
    page = ask(f"{stage.edge.admin}/metrics")[2].decode()
    assert "ds_edge_followers_by_events 1.0" in page


@origins
def test_text_is_never_followed_by_events(stack: ExitStack, begin: Origins) -> None:
    """U16."""
    stage = Stage(stack, begin, "sse")
    stage.write("PUT", "text/plain")
    stage.write("POST", "text/plain", b"<0>")
    viewer = stage.view()
    for number in range(1, 6):
        viewer.until(stage.write("POST", "text/plain", b"<%d>\r\n" % number))

    assert metric(stage.edge.admin, "ds_edge_event_streams_total") == 0


def test_a_stream_that_is_deleted_behind_a_mute_event_stream_is_noticed(
    stack: ExitStack,
) -> None:
    """U17: the Node server's open event stream says nothing after DELETE."""
    stage = Stage(stack, node_origin, "sse")
    stage.write("PUT", JSON)
    stage.write("POST", JSON, message(0, JSON))
    viewer = stage.view()
    viewer.until(stage.write("POST", JSON, message(1, JSON)))
    stage.write("DELETE", JSON)
    for _ in iter(viewer.chunk, b""):
        pass

    assert stage.ends() == {"events-quiet": 1}
    assert ask(f"{stage.edge.url}{PATH}?offset=-1")[0] == 404


def test_a_stream_that_is_made_anew_behind_its_event_stream_is_noticed(
    stack: ExitStack,
) -> None:
    """L2, L7: its viewers end, and nobody is shown both."""
    stage = Stage(stack, node_origin, "sse")
    stage.write("PUT", JSON)
    stage.write("POST", JSON, message(0, JSON))
    viewer = stage.view()
    viewer.until(stage.write("POST", JSON, message(1, JSON)))
    stage.write("DELETE", JSON)
    stage.write("PUT", JSON)
    stage.write("POST", JSON, b'["other"]')

    assert b"other" not in b"".join(iter(viewer.chunk, b""))
    again = stage.view()
    stage.write("POST", JSON, b'["more"]')
    again.until(b"more")
    held = ask(f"{stage.edge.url}{PATH}?offset=-1")
    assert held[2] == b'["other","more"]'


def test_the_closure_ends_viewers_and_event_stream(stack: ExitStack) -> None:
    stage = Stage(stack, node_origin, "sse")
    stage.write("PUT", JSON)
    stage.write("POST", JSON, message(0, JSON))
    viewer = stage.view()
    stage.write("POST", JSON, b'["last"]', stream_closed="true")
    rest = b"".join(iter(viewer.chunk, b""))

    assert b"last" in rest and b'"streamClosed":true' in rest
    assert stage.ends() == {"closed": 1}
