"""HandOver: whom a keeper asks while the one before it is still there (W2)."""

from dataclasses import dataclass, field, replace

import pytest

from edge.core.errors import NotHeld, OriginUnreachable
from edge.core.reasons import Reason
from edge.core.values import DIRECT, FaultWord, Lineage, OriginRequest, Purpose, RowWord
from edge.link.hand_over import HandOver
from edge.policy.http import link_fields
from origin_adapter.scripted import ScriptedOrigin
from origin_adapter.scripted.script import Call
from tests.front.fake_edge import RealClock
from tests.link.node_entry import BOARD
from tests.link.test_keepers import POLL, READ, WRITE, reply
from tests.support.origin_contract import Recorder
from tests.support.patience import PATIENCE

HELD = Lineage(3, 5, 8)
EVENTS = replace(READ, purpose=Purpose.EVENTS)
ELSEWHERE = replace(READ, target="/v1/stream/b?offset=0003")
HANDED = FaultWord(Reason.HANDED, 421, "not held", None, True, HELD)
DOUBTED = HANDED._replace(lineage=None)


@dataclass(eq=False)
class Two:
    """A successor's way to the keeper before it, and to the origin."""

    beats: bool = True
    closed: int = 0
    old: ScriptedOrigin = field(default_factory=ScriptedOrigin)
    origin: ScriptedOrigin = field(default_factory=ScriptedOrigin)

    def __post_init__(self) -> None:
        how = BOARD, "settings", RealClock(), lambda now: self.beats, self._close
        self.hand_over = HandOver(self.old, self.origin, *how)

    def _close(self) -> None:
        self.closed += 1

    def begin(self, request: OriginRequest) -> Recorder:
        recorder = Recorder()
        recorder.call = self.hand_over.begin(request, recorder)
        return recorder

    def handed(self, request: OriginRequest = READ) -> Recorder:
        """The old keeper has handed this over, and the origin has answered."""
        heard = self.begin(request)
        hand(self.old.expect())
        self.origin.expect().answer(200, (("etag", "o"),), b"own")
        return heard.wait()

    def assert_old_is_asked(self, request: OriginRequest) -> None:
        self.begin(request)
        self.old.expect()
        self.origin.assert_quiet()

    def assert_origin_is_asked(self, request: OriginRequest) -> None:
        self.begin(request)
        self.origin.expect()
        self.old.assert_quiet()


def hand(call: Call, word: FaultWord = HANDED) -> None:
    reply(call, word, word.status)


@pytest.mark.parametrize("request_", [READ, POLL, EVENTS])
def test_the_keeper_before_is_asked_for_what_it_holds_and_nobody_else(
    request_: OriginRequest,
) -> None:
    two = Two()
    heard = two.begin(request_)
    call = two.old.expect()
    told = link_fields.terms_of(BOARD, dict(call.request.headers).get)
    reply(call, RowWord(HELD, armed=True))

    assert told is not None and told.only_held == "settings"
    answer = heard.wait().answer
    assert answer is not None and answer.provenance.lineage == HELD
    assert answer.headers == (("etag", "e"),) and heard.body == b"body"
    assert two.origin.calls == []


def test_what_is_handed_is_asked_of_the_origin_and_is_of_the_life_that_was_held() -> (
    None
):
    """W8: fronts see no other life."""
    two = Two()
    heard = two.handed()

    answer = heard.answer
    assert answer is not None and answer.provenance.lineage == HELD
    assert answer.provenance.inherits and not answer.provenance.by_keeper
    assert heard.body == b"own" and heard.told.count("sent") == 1
    assert link_fields.FIELD not in dict(two.origin.calls[0].headers)
    two.assert_origin_is_asked(POLL)


@pytest.mark.parametrize(
    "word", [DOUBTED, FaultWord(Reason.LINK_MISFIT, 421, "other", None, True)]
)
def test_what_was_in_doubt_hands_no_life_over(word: FaultWord) -> None:
    two = Two()
    heard = two.begin(READ)
    hand(two.old.expect(), word)
    two.origin.expect().answer(200, (), b"own")

    answer = heard.wait().answer
    assert answer is not None and answer.provenance is DIRECT


def test_an_error_of_the_origin_is_of_no_life() -> None:
    two = Two()
    heard = two.begin(READ)
    hand(two.old.expect())
    two.origin.expect().answer(404)

    answer = heard.wait().answer
    assert answer is not None and answer.provenance is DIRECT


@pytest.mark.parametrize(("word", "lineage"), [(HANDED, HELD), (DOUBTED, None)])
def test_a_poll_is_told_that_it_is_handed_and_is_begun_by_who_sent_it(
    word: FaultWord, lineage: Lineage | None
) -> None:
    """It was armed there, and is not until it is on the wire again (L3)."""
    two = Two()
    heard = two.begin(POLL)
    hand(two.old.expect(), word)

    fault = heard.wait().fault
    assert isinstance(fault, NotHeld) and fault.lineage == lineage
    assert two.origin.calls == []
    two.assert_origin_is_asked(POLL)


def test_of_what_was_handed_each_other_range_is_asked_for_once() -> None:
    two = Two()
    two.handed()

    two.assert_old_is_asked(ELSEWHERE)
    two.assert_origin_is_asked(ELSEWHERE)
    two.assert_origin_is_asked(replace(ELSEWHERE, method="HEAD"))


def test_another_path_and_another_partition_are_handed_by_themselves() -> None:
    two = Two()
    two.handed()
    assert READ.link is not None
    other = replace(READ.link, partition=replace(READ.link.partition, digest="e"))

    two.assert_old_is_asked(replace(POLL, link=other))
    two.assert_old_is_asked(replace(POLL, target="/v1/stream/c?offset=-1"))


@pytest.mark.parametrize(
    "request_", [WRITE, replace(READ, link=None), replace(READ, purpose=Purpose.RELAY)]
)
def test_what_nobody_holds_goes_to_the_origin(request_: OriginRequest) -> None:
    """W3, W11."""
    Two().assert_origin_is_asked(request_)


def test_a_poll_whose_keeper_is_lost_hears_that_and_a_read_asks_the_origin() -> None:
    """What a kill costs: it is not known what the poll has missed."""
    two = Two()
    poll, read = two.begin(POLL), two.begin(ELSEWHERE)
    two.old.expect().cut()
    two.old.expect().cut()
    two.origin.expect().answer(200, (), b"own")

    assert isinstance(poll.wait().fault, OriginUnreachable)
    assert read.wait().body == b"own"


def test_who_gives_no_sign_of_life_is_asked_no_more() -> None:
    """W6."""
    two = Two()
    poll, read = two.begin(POLL), two.begin(ELSEWHERE)
    calls = [two.old.expect(), two.old.expect()]
    two.hand_over.look(0.0)
    assert poll.fault is None and two.closed == 0
    two.beats = False
    two.hand_over.look(0.0)
    two.hand_over.look(1.0)
    two.origin.expect().answer(200, (), b"own")

    assert isinstance(poll.wait().fault, OriginUnreachable)
    assert read.wait().body == b"own" and two.closed == 1
    assert all(call.closed.wait(PATIENCE) for call in calls)
    two.assert_origin_is_asked(POLL)


def test_a_call_that_is_given_up_is_told_nothing_more() -> None:
    two = Two()
    before, behind = two.begin(POLL), two.begin(ELSEWHERE)
    first = two.old.expect()
    hand(two.old.expect())
    second = two.origin.expect()
    before.call.cancel()
    behind.call.cancel()
    two.beats = False
    two.hand_over.look(0.0)

    assert first.closed.wait(PATIENCE) and second.closed.wait(PATIENCE)
    assert before.told == behind.told == ["sent"]
