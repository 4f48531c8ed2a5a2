"""Keepers: which way a request goes, and what its asker is told of the answer."""

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from gevent import spawn

from edge.core.errors import (
    NotAsked,
    OriginBodyCut,
    OriginFault,
    OriginTimeout,
    OriginUnreachable,
)
from edge.core.reasons import Reason
from edge.core.values import (
    ANONYMOUS,
    DIRECT,
    FaultWord,
    Lineage,
    LinkTerms,
    OriginRequest,
    Partition,
    PartitionKind,
    Purpose,
    RowWord,
)
from edge.link.keepers import Keepers, KeepersOptions
from edge.policy.http import link_fields
from origin_adapter.scripted import ScriptedOrigin
from origin_adapter.scripted.script import Call
from tests.front.fake_edge import RealClock
from tests.link.node_entry import BOARD
from tests.support.origin_contract import Recorder, whole
from tests.support.patience import PATIENCE

ONE = Partition(PartitionKind.CREDENTIAL, "d", (("authorization", "ann"),))
BUILT = (
    *(("authorization", "ann"), ("accept-encoding", "identity"), ("via", "1.1 here")),
    *(("cdn-loop", "ds-edge;node=c0ffee"), ("x-request-id", "r"), ("x-own", "secret")),
)
READ = OriginRequest(
    "GET",
    "/v1/stream/b?offset=-1",
    BUILT,
    Purpose.CATCH_UP,
    link=LinkTerms("/v1/stream/**", ONE, hops=("aa",)),
)
WRITE = replace(READ, method="POST", purpose=Purpose.WRITE, body=b"x", content_length=1)
KINDS = [READ, replace(READ, method="HEAD"), WRITE, replace(WRITE, method="DELETE")]
POLL = replace(READ, purpose=Purpose.FOLLOW)
ROW = RowWord(Lineage(3, 5, 8), armed=True)


class Link(ScriptedOrigin):
    """One keeper, as a test plays it."""

    closed_idle = 0
    recorded = ""

    def close_idle(self) -> None:
        self.closed_idle += 1

    def record(self, traceparent: str) -> None:
        self.recorded = traceparent


@dataclass(eq=False)
class Node:
    """A front's view of a node whose streams are divided by their last letter."""

    round: set[int] = field(default_factory=set)
    leaving: set[int] = field(default_factory=set)
    lives: list[str] = field(default_factory=list)
    links: tuple[Link, ...] = field(default_factory=lambda: (Link(), Link()))
    channels: tuple[Link, ...] = field(default_factory=lambda: (Link(), Link()))
    origin: ScriptedOrigin = field(default_factory=ScriptedOrigin)
    asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        limits = dict.fromkeys(Purpose, 2)
        options = KeepersOptions(board=BOARD, round_connections=limits)
        how = options, RealClock(), self.asked
        to = self.links, self.channels, self.origin
        self.keepers = Keepers(self, *to, *how)

    def owner(self, path: str) -> int:
        return ord(path[-1]) % len(self.links)

    def goes_round(self, keeper: int, now: float) -> bool:
        return keeper in self.round

    def is_leaving(self, keeper: int) -> bool:
        return keeper in self.leaving

    def store_life(self, path: str) -> None:
        self.lives.append(path)

    def begin(self, request: OriginRequest) -> Recorder:
        recorder = Recorder()
        recorder.call = self.keepers.begin(request, recorder)
        return recorder


def opened(node: Node, request: OriginRequest) -> Any:
    """What a greenlet that waits is given: an exchange, or a fault."""
    try:
        return node.keepers.open(request)
    except OriginFault as fault:
        return fault


def reply(call: Call, told: RowWord | FaultWord | None, status: int = 200) -> None:
    """What a keeper answers."""
    value = link_fields.told_answer(BOARD, 3, told)
    call.answer(status, ((link_fields.FIELD, value), ("etag", "e")), b"body")


# Whom.


def test_the_keeper_of_a_path_is_told_what_to_record() -> None:
    node = Node()
    node.keepers.record("/a", "00-1-2-01")

    assert [one.recorded for one in node.channels] == ["", "00-1-2-01"]


def test_a_path_has_one_keeper_and_what_has_no_terms_goes_to_the_origin() -> None:
    """W1, W11."""
    node = Node()
    for target, link in (("/a", 1), ("/b", 0)):
        heard = node.begin(replace(READ, target=f"{target}?offset=-1"))
        reply(node.links[link].expect(), ROW)
        assert heard.wait().body == b"body"
    alone = node.begin(replace(READ, link=None))
    node.origin.expect().answer(200, (), b"other")

    assert alone.wait().body == b"other"
    assert node.asked == {"catch-up": 2}
    [to_origin] = node.origin.calls
    assert to_origin.headers == BUILT


def test_a_keeper_is_told_the_terms_and_makes_the_rest_itself() -> None:
    """W10: no Via, no CDN-Loop and nothing of the edge's own goes along with a read."""
    node = Node()
    conditional = (*BUILT, ("if-none-match", '"t"'))
    node.begin(replace(READ, headers=conditional))

    call = node.links[0].expect().request
    assert (call.method, call.target) == ("GET", READ.target)
    fields = dict(call.headers)
    told = link_fields.terms_of(BOARD, fields.get)
    assert told == READ.link
    assert {*fields} == {
        *("authorization", "x-request-id", "if-none-match", link_fields.FIELD)
    }


def test_a_write_goes_along_as_its_origin_is_to_get_it() -> None:
    """W2, W3."""
    node = Node()
    node.begin(WRITE)

    call = node.links[0].expect()
    assert call.body == b"x"
    assert call.request.headers[: len(BUILT)] == BUILT
    assert link_fields.terms_of(BOARD, dict(call.request.headers).get) == WRITE.link


# What is told.


@pytest.mark.parametrize("request_", KINDS)
def test_an_answer_is_told_with_its_provenance_and_without_its_field(
    request_: OriginRequest,
) -> None:
    """W8."""
    node = Node()
    heard = node.begin(request_)
    reply(node.links[0].expect(), ROW)

    answer = heard.wait().answer
    assert answer is not None
    assert answer.headers == (("etag", "e"),)
    assert answer.provenance.lineage == Lineage(3, 5, 8)
    assert answer.provenance.since_confirmed == 0.0


def test_who_waits_is_told_the_same() -> None:
    node = Node()
    waiting = spawn(opened, node, READ)
    reply(node.links[0].expect(), ROW)

    exchange = waiting.get(timeout=PATIENCE)
    assert exchange.headers == (("etag", "e"),)
    assert exchange.provenance.lineage == Lineage(3, 5, 8)
    assert whole(exchange) == b"body"


def test_an_answer_of_another_board_has_no_provenance_and_still_no_field() -> None:
    """W8: who is not of this node cannot say how fresh its bytes are."""
    node = Node()
    heard = node.begin(READ)
    value = link_fields.told_answer("0ther", 3, ROW)
    node.links[0].expect().answer(200, ((link_fields.FIELD, value),), b"body")

    answer = heard.wait().answer
    assert answer is not None
    assert answer.headers == () and answer.provenance is DIRECT


@pytest.mark.parametrize("request_", KINDS)
@pytest.mark.parametrize(
    "told",
    [
        FaultWord(Reason.ORIGIN_TIMEOUT, 504, "too slow", 1, False),
        FaultWord(Reason.ORIGIN_DOWN, 503, "down", 7, True),
    ],
)
def test_a_fault_of_a_keeper_is_its_fronts_fault(
    request_: OriginRequest, told: FaultWord
) -> None:
    """Whoever asked goes on as if it had asked the origin itself."""
    node = Node()
    heard = node.begin(request_)
    reply(node.links[0].expect(), told, told.status)
    waiting = spawn(opened, node, request_)
    reply(node.links[0].expect(), told, told.status)

    fault = heard.wait().fault
    assert heard.answer is None and heard.body == b""
    assert isinstance(fault, OriginFault)
    assert isinstance(fault, NotAsked) is told.unsent
    assert (fault.reason, fault.retry_after) == (told.reason, told.retry_after)
    assert waiting.get(timeout=PATIENCE).reason is told.reason


# What is lost.


def test_a_read_whose_keeper_dies_is_asked_again_once() -> None:
    """The next process in its place finds it in the backlog."""
    node = Node()
    heard = node.begin(READ)
    node.links[0].expect().cut()
    reply(node.links[0].expect(), ROW)
    again = node.begin(READ)
    node.links[0].expect().cut()
    node.links[0].expect().cut()
    waiting = spawn(opened, node, replace(READ, purpose=Purpose.RELAY))
    node.links[0].expect().cut()
    reply(node.links[0].expect(), ROW)

    assert heard.wait().body == b"body" and heard.told.count("sent") == 1
    assert isinstance(again.wait().fault, OriginUnreachable)
    assert whole(waiting.get(timeout=PATIENCE)) == b"body"
    node.links[0].assert_quiet()


@pytest.mark.parametrize("request_", [POLL, *KINDS[2:]])
def test_a_write_is_never_sent_again_and_a_poll_not_unseen(
    request_: OriginRequest,
) -> None:
    """W3, L3."""
    node = Node()
    heard = node.begin(request_)
    node.links[0].expect().cut()
    waiting = spawn(opened, node, request_)
    node.links[0].expect().cut()

    assert isinstance(heard.wait().fault, OriginUnreachable)
    assert isinstance(waiting.get(timeout=PATIENCE), OriginUnreachable)
    node.links[0].assert_quiet()
    assert node.origin.calls == []


@pytest.mark.parametrize(
    "fault", [OriginTimeout("slow"), OriginUnreachable("the answer had begun")]
)
def test_a_read_that_was_answered_or_is_late_is_not_asked_again(
    fault: OriginFault,
) -> None:
    node = Node()
    heard = node.begin(READ)
    call = node.links[0].expect()
    if isinstance(fault, OriginUnreachable):
        call.head(200, ((link_fields.FIELD, link_fields.told_answer(BOARD, 3, ROW)),))
        fault = OriginBodyCut("cut")
    call.fail(fault)

    assert heard.wait().fault is fault
    node.links[0].assert_quiet()


def test_a_call_that_is_given_up_is_told_nothing_more() -> None:
    node = Node()
    heard = node.begin(READ)
    call = node.links[0].expect()
    heard.call.cancel()

    assert call.closed.wait(PATIENCE)
    assert heard.told == ["sent"]


# Round.


@pytest.mark.parametrize("request_", KINDS)
def test_a_keeper_without_a_sign_of_life_is_gone_round(
    request_: OriginRequest,
) -> None:
    """W3, W7: decided once, before the first byte."""
    node = Node(round={0})
    heard = node.begin(request_)
    node.round.clear()
    node.origin.expect().answer(200, (("etag", "o"),), b"own")

    answer = heard.wait().answer
    assert answer is not None and answer.provenance is DIRECT
    assert node.origin.calls[0].headers == BUILT
    assert node.links[0].calls == [] and node.asked == {}


@pytest.mark.parametrize("waits", [False, True])
def test_what_goes_round_has_few_places_and_gives_them_back(waits: bool) -> None:
    """W7: above them nobody is asked, and is told when to come back."""
    node = Node(round={0})

    def ask() -> Any:
        return spawn(opened, node, READ) if waits else node.begin(READ)

    first, second = ask(), ask()
    calls = [node.origin.expect(), node.origin.expect()]
    refused = node.begin(READ).wait().fault
    assert isinstance(refused, NotAsked)
    assert (refused.reason, refused.retry_after) == (Reason.LIMIT_ROUND, 1)
    with pytest.raises(NotAsked):
        node.keepers.open(READ)
    # Writes have places of their own.
    node.begin(WRITE)
    node.origin.expect()
    calls[0].answer(200, (), b"own")
    calls[1].cut()
    if waits:
        assert whole(first.get(timeout=PATIENCE)) == b"own"
        assert isinstance(second.get(timeout=PATIENCE), OriginUnreachable)
    else:
        first.wait(), second.wait()
    third, fourth = node.begin(READ), node.begin(READ)
    node.origin.expect()
    node.origin.expect()
    third.call.cancel()
    third.call.cancel()
    node.begin(READ)

    node.origin.expect()
    assert fourth.told == ["sent"]
    assert isinstance(node.begin(READ).wait().fault, NotAsked)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
@pytest.mark.parametrize("is_lost", [False, True])
def test_a_life_that_may_begin_round_a_keeper_is_stored_before_and_after(
    method: str, is_lost: bool
) -> None:
    """W4: whoever reads meanwhile must not believe what it holds."""
    node = Node(round={0})
    request = replace(WRITE, method=method, target="/v1/stream/b?x=1")
    heard = node.begin(request)
    call = node.origin.expect()
    assert node.lives == ["/v1/stream/b"]
    call.cut() if is_lost else call.answer(201)
    heard.wait()
    assert node.lives == ["/v1/stream/b"] * 2
    waiting = spawn(opened, node, request)
    call = node.origin.expect()
    assert node.lives == ["/v1/stream/b"] * 3
    call.cut() if is_lost else call.answer(201)
    waiting.join(PATIENCE)

    assert node.lives == ["/v1/stream/b"] * 4
    node.round.clear()
    node.begin(request)
    reply(node.links[0].expect(), None, 201)
    assert len(node.lives) == 4, "a keeper stores by itself"


@pytest.mark.parametrize("waits", [False, True])
def test_a_keeper_of_other_settings_is_gone_round_by_reads(waits: bool) -> None:
    """A reload replaces one process after the other; no client hears of it."""
    node = Node()
    told = FaultWord(Reason.LINK_MISFIT, 421, "other settings", None, True)
    waiting = spawn(opened, node, READ) if waits else None
    heard = None if waits else node.begin(READ)
    reply(node.links[0].expect(), told, 421)
    node.origin.expect().answer(200, (), b"own")

    if heard is not None:
        assert heard.wait().body == b"own"
    else:
        assert waiting is not None and whole(waiting.get(timeout=PATIENCE)) == b"own"


# Leaving.


def test_a_relay_that_meets_a_keeper_which_hands_over_asks_its_successor() -> None:
    """No client is told of a reload."""
    node = Node()
    request = replace(READ, purpose=Purpose.RELAY)
    waits = spawn(opened, node, request)
    word = FaultWord(Reason.HANDED, 421, "not held", None, True)
    reply(node.links[0].expect(), word, 421)
    reply(node.links[0].expect(), ROW)

    assert whole(waits.get(timeout=PATIENCE)) == b"body"


def test_idle_connections_to_a_keeper_that_leaves_are_closed_here() -> None:
    """W12: it would close them itself, with a POST on its way."""
    node = Node(leaving={1})
    node.keepers.look(0.0)

    assert [link.closed_idle for link in node.links] == [0, 1]


def test_the_partition_of_nobody_brings_no_field() -> None:
    node = Node()
    terms = LinkTerms("/v1/stream/**", ANONYMOUS)
    node.begin(replace(READ, link=terms))

    fields = dict(node.links[0].expect().request.headers)
    assert "authorization" not in fields
