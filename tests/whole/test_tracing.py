"""Traces of a real edge, taken by a real collector: one worker, and a node. The worker
samples all; the node nothing but what clients have sampled.

One edge is started for each, and lives through all of the story: a stream is made, read
and followed by viewers who share a poll, by clients that are in traces of their own, on
both ways of the front. Then the collector refuses, takes again, and the edge ends.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from tests.front.edge_process import Answered, Client
from tests.support.collector import CLIENT, CONSUMER, Collector, Seen, collector
from tests.support.patience import until
from tests.support.processes import Edge, edge, embedded_origin
from tests.support.talk import ask

PATH = "/v1/stream/a"
SECRET = "c0ffee-credential"
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = PARENT.split("-")[1:3]
VIEWERS = 3


class Scene(NamedTuple):
    """A running edge, and what its collector sees."""

    front: Edge
    seen: Collector


@contextmanager
def scene(workers: int) -> Iterator[Scene]:
    with collector() as seen, embedded_origin(20_000) as origin:
        tracing = {
            "endpoint": seen.url,
            "headers": {"x-api-key": SECRET},
            "service": "pop-1",
            "sample": "full" if workers == 1 else "off",
            "clients": "obey",
        }
        settings = {"workers": workers, "tracing": tracing}
        if workers > 1:
            settings["keepers"] = 1
        with edge(origin.url, **settings) as front:
            yield Scene(front, seen)


def read(front: Edge, target: str, *fields: str) -> Answered:
    with client(front) as one:
        one.get(target, *fields)
        return one.read()


def client(front: Edge) -> Client:
    host, _, port = front.url.removeprefix("http://").rpartition(":")
    return Client((host, int(port)))


def one(found: Callable[[], list[Seen]]) -> Seen:
    """The only span of these, once it came."""
    until(found)
    [span] = found()
    return span


def make_stream(front: Edge) -> str:
    """The stream, written by a client whose query has a credential; its tail."""
    target = f"{front.url}{PATH}?token={SECRET}"
    told = {"content_type": "text/plain", "traceparent": PARENT}
    status, fields, _ = ask(target, "PUT", b"abc", **told)
    assert status == 201
    return str(fields["stream-next-offset"])


def follow(front: Edge, tail: str) -> None:
    """Viewers wait, and an event wakes them."""
    target = f"{PATH}?offset={tail}&live=long-poll"
    waiting = [client(front) for _ in range(VIEWERS)]
    for viewer in waiting:
        viewer.get(target, f"traceparent: {PARENT}")
    until(lambda: viewers_of(front) == VIEWERS)
    assert ask(front.url + PATH, "POST", b"d", content_type="text/plain")[0] == 204
    for viewer in waiting:
        assert viewer.read().body == b"d"
        viewer.close()


def viewers_of(front: Edge) -> float:
    return metric(front, "viewers")


def metric(front: Edge, name: str) -> float:
    page = ask(f"{front.admin}/metrics")[2].decode()
    told = (line.split(" ") for line in page.splitlines() if line[:1] != "#")
    return sum(float(n) for key, n in told if key.split("{")[0] == f"ds_edge_{name}")


def chain(seen: Collector, top: Seen) -> list[tuple[int, str]]:
    """Which spans are below each other, by kind and process."""
    found = [top]
    while any(span.parent == found[-1].span for span in seen.spans):
        found.append(seen.below(found[-1]))
    assert {span.trace for span in found} == {top.trace}
    return [(span.kind, span.process) for span in found]


def both_ways(front: Edge, seen: Collector) -> None:
    """A read has the same span on the fast way and on the whole one."""
    target = f"{PATH}?offset=-1"
    chunked = "Transfer-Encoding: chunked"
    with client(front) as fast, client(front) as whole:
        fast.get(target, f"traceparent: {PARENT}", "x-request-id: fast")
        assert fast.read().status == 200
        whole.get(target, f"traceparent: {PARENT}", "x-request-id: whole", chunked)
        whole.send(b"0\r\n\r\n")
        assert whole.read().status == 200
    spans = [one(partial(seen.servers, request_id=name)) for name in ("fast", "whole")]
    for span in spans:
        assert (span.trace, span.parent, span.links) == (TRACE, SPAN, ())
        assert span.attributes.pop("ds_edge.request_id") in ("fast", "whole")
        assert span.attributes.pop("ds_edge.result") == "hit"
    assert spans[0].attributes == spans[1].attributes
    assert spans[0].attributes["url.path"] == PATH
    assert spans[0].attributes["http.response.status_code"] == 200


def a_viewer_leaves(front: Edge, seen: Collector, tail: str) -> None:
    """The span of an event stream ends with its viewer, who was at no fault."""
    with client(front) as viewer:
        viewer.get(f"{PATH}?offset={tail}&live=sse", "x-request-id: left")
        assert viewer.head().status == 200
        until(viewer.chunk)
    span = one(lambda: seen.servers(request_id="left"))
    assert span.attributes["ds_edge.reason"] == "client-gone"
    assert span.attributes["ds_edge.mode"] == "sse" and not span.failed


def has_lost(front: Edge, spans: int) -> bool:
    return metric(front, "spans_dropped_total") >= spans


def the_collector_refuses(front: Edge, seen: Collector) -> None:
    """Clients notice nothing. The log says it once, and once that it is over."""
    seen.refuses, lost, again = True, "traces are lost", "takes spans again"
    assert lost not in said(front) and again not in said(front)
    for batch in (1, 2):
        assert read(front, f"{PATH}?offset=-1").status == 200
        until(partial(has_lost, front, batch))
    seen.refuses = False
    assert read(front, f"{PATH}?offset=-1").status == 200
    until(lambda: again in said(front))
    assert said(front).count(lost) == 1


def exemplars(front: Edge) -> set[str]:
    """The traces that the metrics name."""
    page = ask(f"{front.admin}/metrics", accept="application/openmetrics-text")[2]
    return set(re.findall(r'# \{trace_id="([0-9a-f]{32})"\}', page.decode()))


def said(front: Edge) -> str:
    return front.process.log.read_text()


def live(front: Edge) -> str:
    """A stream is made, read and followed; where it ended before that."""
    tail = make_stream(front)
    assert read(front, f"{PATH}?offset=-1&token={SECRET}").body == b"abc"
    follow(front, tail)
    assert read(front, f"{PATH}?offset=-1").body == b"abcd"
    return tail


def woken(seen: Collector) -> list[Seen]:
    return [
        span
        for span in seen.servers(mode="long-poll")
        if span.process in ("worker", "front-0", "front-1")
    ]


def puts(seen: Collector) -> list[Seen]:
    """The request by which the stream was made, as its client called it."""
    made = (one for one in seen.servers() if one.name == "PUT /v1/stream/**")
    return [one for one in made if one.parent == SPAN]


def the_event_came_by_a_push(front: Edge, seen: Collector) -> None:
    """From the span of a viewer a link leads to what its front received, and that is
    below what the keeper asked of the origin. Nobody had sampled these: the front has
    its own recorded for the viewer, and tells the keeper. (A front that polls at this
    moment hears the next event by a push.)"""

    def received() -> list[Seen]:
        links = {link for span in woken(seen) for link in span.links}
        found = [s for s in seen.spans if (s.trace, s.span) in links]
        return [s for s in found if s.name == "receive events"]

    def asked() -> list[Seen]:
        above = {(s.trace, s.parent) for s in received()}
        return [s for s in seen.spans if (s.trace, s.span) in above]

    def is_whole() -> bool:
        """Whether what viewers are linked to was exported, too."""
        links = {link for span in woken(seen) for link in span.links}
        return links <= {(s.trace, s.span) for s in seen.spans}

    until(is_whole)
    while not received():
        follow(front, tail_of(front))
        until(is_whole)
    until(lambda: len(asked()) == len({s.parent for s in received()}))
    assert all(s.kind == CONSUMER and "front-" in s.process for s in received())
    assert {s.process for s in asked()} == {"keeper-0"}
    assert all(s.attributes["server.address"] for s in asked())


def tail_of(front: Edge) -> str:
    status, fields, _ = ask(front.url + PATH, "HEAD")
    assert status == 200
    return str(fields["stream-next-offset"])


def test_a_worker_is_traced_from_its_viewers_to_its_origin() -> None:
    with scene(1) as (front, seen):
        tail = live(front)
        both_ways(front, seen)
        a_viewer_leaves(front, seen, tail)
        put = one(partial(puts, seen))
        assert chain(seen, put) == [(2, "worker"), (CLIENT, "worker")]
        until(lambda: len(woken(seen)) == VIEWERS)
        polls = [s for s in seen.spans if s.name == "GET follow"]
        [link] = {link for span in woken(seen) for link in span.links}
        assert link in {(poll.trace, poll.span) for poll in polls}
        until(
            lambda: f'"trace_id": "{TRACE}"' in said(front) and put.span in said(front)
        )

        assert exemplars(front) & {span.trace for span in seen.spans}
        the_collector_refuses(front, seen)
        assert read(front, f"{PATH}?offset=-1", "x-request-id: last").status == 200
    # What is left is exported at the end.
    assert len(seen.servers(request_id="last")) == 1
    assert {span.service for span in seen.spans} == {"pop-1"}
    assert set(seen.keys) == {SECRET}
    assert not any(SECRET.encode() in octets for octets in seen.raw)


def test_a_node_makes_one_trace_across_its_processes() -> None:
    with scene(2) as (front, seen):
        live(front)
        put = one(partial(puts, seen))
        until(lambda: len(chain(seen, put)) == 4)
        at = put.process
        assert at in ("front-0", "front-1")
        keeper = [(2, "keeper-0"), (CLIENT, "keeper-0")]
        assert chain(seen, put) == [(2, at), (CLIENT, at), *keeper]
        until(lambda: len(woken(seen)) == VIEWERS)
        the_event_came_by_a_push(front, seen)
        until(lambda: exemplars(front) & {span.trace for span in seen.spans})
        assert not any(SECRET.encode() in octets for octets in seen.raw)
