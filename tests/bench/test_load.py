"""The load generators: what they take for an event, what they refuse, and real runs.

A run is short, its servers are real, and no figure that is a time is asserted.
"""

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.cases import (
    SINGLES,
    Case,
    Plan,
    SingleCase,
    StreamsCase,
    TokensCase,
    WritesCase,
)
from tests.bench.load import single
from tests.bench.load.__main__ import arguments
from tests.bench.load.events import EventText, Journal, Wrong
from tests.bench.load.single import Single, SinglePlan
from tests.bench.load.sse_text import EventStreamText
from tests.bench.load.streams import Figures, ManyStreams, StreamsPlan
from tests.bench.load.writes import Writes, WritesPlan
from tests.bench.peers import PEERS, Served, Work
from tests.bench.servers import AS_IT_COMES, SPARE_FOLLOWERS, room_for, servers
from tests.bench.small import SmallBench, asked_for, origin, words_of
from tests.support.node import ROOT
from tests.support.processes import Edge, NodeOrigin, edge

TEXT = EventText("run", 40)


def test_an_event_has_the_size_that_was_asked_for_and_is_found_again() -> None:
    body = TEXT.body(7, 12)

    assert len(body) == 40
    assert json.loads(body).endswith("<run-00007-0000012>")
    assert TEXT.found(b"[%s,%s]" % (body, TEXT.body(7, 13))) == [
        (b"00007", b"0000012"),
        (b"00007", b"0000013"),
    ]


def test_an_event_that_was_changed_on_its_way_is_none() -> None:
    body = TEXT.body(0, 1)

    assert TEXT.found(body.replace(b"..", b".", 1)) == []
    assert EventText("other", 40).found(body) == []


def test_an_event_that_is_too_small_for_its_mark_is_refused() -> None:
    with pytest.raises(Wrong, match="21 bytes at least"):
        EventText("run", 20)


def journal(appended: int) -> Journal:
    """Of one stream, that was appended to at the times 0, 1, 2, ..."""
    made = Journal(1)
    for number in range(appended):
        made.begin(0, float(number))
    return made


def came(made: Journal, *numbers: int, expected: int = 0, known: int = 0) -> int:
    """These events came at the time 10."""
    found = TEXT.found(b"".join(TEXT.body(0, number) for number in numbers))
    return made.came(0, expected, known, found, 10.0)


def test_events_in_order_are_counted_and_the_first_one_has_no_time() -> None:
    made = journal(3)

    assert came(made, 0, 1) == 2
    assert came(made, 2, expected=2) == 3
    assert list(made.waited) == [9.0, 8.0]
    assert (made.missing, made.receptions) == (0, 2)


@pytest.mark.parametrize(
    ("numbers", "told"),
    [((1,), "event 1 .* where 0 was due"), ((0, 0), "event 0 .* 1 was due")],
)
def test_events_that_are_missing_or_come_twice_are_wrong(
    numbers: tuple[int, ...], told: str
) -> None:
    with pytest.raises(Wrong, match=told):
        came(journal(2), *numbers)


def test_an_event_of_another_stream_is_wrong() -> None:
    with pytest.raises(Wrong, match="event 0 of stream 5"):
        journal(1).came(0, 0, 0, TEXT.found(TEXT.body(5, 0)), 1.0)


def test_what_was_read_before_a_connection_broke_may_come_again() -> None:
    made = journal(3)
    came(made, 0, 1)

    assert came(made, 0, 1, 2, expected=2, known=2) == 3
    assert made.missing == 0
    with pytest.raises(Wrong, match=r"event 1 .* where 3 was due"):
        came(made, 1, expected=3, known=1)


EVENTS = b"".join(
    b'event: data\ndata: [%s]\n\nevent: control\ndata: {"streamNextOffset":"%d"}\n\n'
    % (TEXT.body(0, number), number)
    for number in range(4)
)


@given(st.lists(st.integers(1, len(EVENTS) - 1)), st.data())
def test_however_an_event_stream_is_cut_all_events_are_found_in_order(
    chunks: list[int], data: st.DataObject
) -> None:
    """Cut into chunks by the server, and into pieces on the way."""
    ends = sorted({0, *chunks, len(EVENTS)})
    parts = [EVENTS[a:b] for a, b in pairwise(ends)]
    wire = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    wire += b"0\r\n\r\n"
    cuts = data.draw(st.sets(st.integers(1, len(wire) - 1)))
    read, found = EventStreamText(), []
    ends = sorted({0, *cuts, len(wire)})
    for a, b in pairwise(ends):
        text = read.feed(wire[a:b])
        assert not text or text.endswith(b"\n\n")
        found += TEXT.found(text)

    assert [int(number) for _, number in found] == [0, 1, 2, 3]
    assert (read.over, read.offset) == (True, "3")


def test_an_edge_has_room_for_more_streams_than_its_settings_allow_only_if_asked() -> (
    None
):
    small, large = StreamsCase(Work.SSE, 100), StreamsCase(Work.SSE, 2_000)

    assert room_for(small) == AS_IT_COMES
    assert room_for(StreamsCase(Work.SSE, 2_000, room=False)) == AS_IT_COMES
    assert room_for(large).followers > 2_000
    assert room_for(large).connections > room_for(large).followers


def test_each_way_to_follow_is_an_edge_of_its_own() -> None:
    found = servers(("varnish", "node", "edge"), ("sse", "auto"))

    names = [server.name for server in found]
    assert names == ["node", "edge", "edge-follow-sse", "edge-follow-auto"]


def test_only_an_edge_is_measured_with_limits_that_are_too_low() -> None:
    every = servers(("edge", "nginx", "node"), ())

    assert asked_for(StreamsCase(Work.SSE, 2_000), every) == every
    (edge_alone,) = asked_for(StreamsCase(Work.SSE, 2_000, room=False), every)
    assert edge_alone.name == "edge"


def test_a_server_that_needs_two_files_for_a_viewer_is_left_out_sooner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 1024))
    node, nginx = servers(("node", "nginx"), ())
    case = StreamsCase(Work.SSE, 100, viewers=5)

    assert node.lacks(case) is None
    assert "needs 1,200 open files" in (nginx.lacks(case) or "")


def test_a_case_is_told_to_the_generator_in_its_own_words() -> None:
    served, plan = Served("http://a:1", "http://b:2", 3), Plan((), (), 1, 3, 1)

    def told(case: StreamsCase | WritesCase | TokensCase) -> Namespace:
        return arguments().parse_args(words_of(case, served, plan))

    tokens = told(TokensCase(200, 30.0))
    assert (tokens.url, tokens.write_to) == ("http://a:1", None)
    assert (tokens.streams, tokens.writers, tokens.rate) == (200, 200, 30.0)
    small = told(StreamsCase(Work.LONG_POLL, 9, viewers=5, lockstep=True))
    assert (small.write_to, small.mode) == ("http://b:2", "long-poll")
    assert (small.viewers, small.lockstep, small.refusing) == (5, True, False)
    assert small.rate is None
    paced = told(StreamsCase(Work.SSE, 500, paced=1_000.0))
    assert (paced.rate, paced.lockstep) == (2.0, False)
    assert told(StreamsCase(Work.SSE, 9, room=False)).refusing
    assert told(WritesCase(32, 10)).connections == 32


# Real servers


@pytest.fixture(scope="module")
def node() -> Iterator[NodeOrigin]:
    with origin() as behind:
        yield behind


@pytest.fixture(scope="module")
def front(node: NodeOrigin) -> Iterator[Edge]:
    """It may follow six streams."""
    origin_ = {"max_followers": 6}
    with edge(node.url, log={"access": "off"}, origin=origin_) as ours:
        yield ours


def streams(node: NodeOrigin, front: Edge, **more: object) -> Figures:
    """A short run of five streams through the edge."""
    plan = {"url": front.url, "writes": node.url, "streams": 5, "events": 20}
    plan |= {"pid": front.process.pid, "origin": node.url}
    plan |= {"origin_pid": node.process.pid}
    return ManyStreams(StreamsPlan(**{**plan, **more})).run()  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["sse", "long-poll"])
def test_every_viewer_of_small_streams_has_every_event(
    mode: str, node: NodeOrigin, front: Edge
) -> None:
    told = streams(node, front, mode=mode, viewers=2)

    assert (told["events"], told["delivered"], told["expected"]) == (20, 40, 40)
    assert told["origin_connections"] >= 5
    assert (told["refused"], told["broken"]) == (0, 0)


def test_in_lockstep_no_two_events_of_a_stream_come_together(
    node: NodeOrigin, front: Edge
) -> None:
    told = streams(node, front, lockstep=True, writers=5)

    assert told["events_per_reception"] == 1.0
    assert told["delivered"] == 20


def test_at_a_rate_streams_are_written_in_turn(node: NodeOrigin, front: Edge) -> None:
    told = streams(node, front, rate=100.0, writes=front.url, writers=5)

    assert told["asked_per_second"] == 500.0
    assert told["delivered"] == told["expected"] == 20


@pytest.mark.parametrize("mode", ["sse", "long-poll"])
def test_viewers_that_are_refused_are_counted_and_end_no_run(
    mode: str, node: NodeOrigin, front: Edge
) -> None:
    """Six of nine streams are followed; of the others, events come by catching up."""
    told = streams(
        node, front, streams=9, mode=mode, events=18, refusing=True, patience=1.0
    )

    assert told["refused"] + told["short"] > 0
    assert told["delivered"] <= told["expected"] == 18


def test_viewers_of_streams_that_are_not_there_end_the_run(node: NodeOrigin) -> None:
    with (
        origin() as other,
        pytest.raises(Wrong, match="was answered 404"),
    ):
        ManyStreams(StreamsPlan(other.url, node.url, streams=2)).run()


def test_writes_are_counted_and_all_found_where_they_are_kept(
    node: NodeOrigin, front: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.bench.load.writes.WARM_UP", 0.05)
    plan = WritesPlan(front.url, node.url, connections=3, size=200, seconds=0.2)

    told = Writes(plan).run()

    assert told["requests"] >= 3
    assert (told["connections"], told["size"]) == (3, 200)


def test_writes_that_are_kept_nowhere_are_wrong(
    node: NodeOrigin, front: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.bench.load.writes.WARM_UP", 0.01)
    with origin() as other, pytest.raises(Wrong, match="404"):
        Writes(WritesPlan(front.url, other.url, seconds=0.05)).run()


def test_single_requests_are_answered_alike_by_the_origin_and_the_edge(
    node: NodeOrigin, front: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.bench.load.single.WARM_UP", 1)
    told = Single(SinglePlan({"node": node.url, "edge": front.url}, rounds=3)).run()

    assert told["servers"].keys() == {"node", "edge"}
    for each in told["servers"].values():
        assert tuple(each) == tuple(single.OPERATIONS) == SINGLES


def test_a_server_that_is_not_there_is_told_as_an_error() -> None:
    command = [sys.executable, "-m", "tests.bench.load", "writes", "http://127.0.0.1:1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)

    assert done.returncode == 1
    assert "refused" in json.loads(done.stdout)["error"]


def small_run(peers: tuple[str, ...], *cases: Case) -> list[tuple[str, str, Figures]]:
    """What a benchmark of these cases keeps: case, server, figures."""
    kept: list[tuple[str, str, Figures]] = []
    plan = Plan(cases, peers, 1, 1, 1, appends=20, asked=2)

    def keep(number: int, case: Case, peer: str, told: Figures) -> None:
        kept.append((case.name, peer, told))

    SmallBench(plan, keep).run()
    return kept


NGINX = () if PEERS["nginx"].missing() else ("nginx",)


def test_a_short_run_of_the_edge_beside_nginx_and_the_reference_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four streams are more than this edge may follow as it comes: it is given room."""
    monkeypatch.setattr("tests.bench.servers.MAX_FOLLOWERS", 3)
    kept = small_run(("edge", *NGINX, "node"), StreamsCase(Work.SSE, 4))

    assert [peer for _, peer, _ in kept] == ["edge", *NGINX, "node"]
    for _, _, told in kept:
        assert told["delivered"] == told["expected"] == 20
    assert kept[0][2]["max_followers"] == 4 + SPARE_FOLLOWERS


def test_single_requests_are_asked_of_all_servers_in_one_run() -> None:
    kept = small_run((*NGINX, "node"), *(SingleCase(what) for what in SINGLES))

    assert not [told for _, _, told in kept if "error" in told]
    assert [(case, peer) for case, peer, _ in kept] == [
        (what, peer) for what in SINGLES for peer in ("node", *NGINX)
    ]
