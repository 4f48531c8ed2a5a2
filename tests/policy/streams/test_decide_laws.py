"""decide: laws that hold in every state, whatever happened before.

The tables stand in test_decide. A law says something only of the decisions that it is
about, so the cases are drawn towards each outcome in turn (``tests.support.outcomes``).
The last test counts what is reached.
"""

from collections import Counter

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from edge.core.reasons import Reason
from edge.core.values import Mode, PartitionKind
from edge.policy.streams.decisions import (
    Decision,
    Fetch,
    Kind,
    Park,
    Pass,
    Refuse,
    Serve,
)
from edge.policy.streams.routes import TailMode
from edge.protocol.offsets import NOW, is_position
from tests.support.outcomes import TO_OUTCOMES, WAYS, Case, cases, outcome_of
from tests.support.worlds import RULES, WALL

# A busy machine is no fault of the laws: no time is asserted.
slow_is_fine = [HealthCheck.too_slow]
often = settings(deadline=None, max_examples=60, suppress_health_check=slow_is_fine)


def a_served_range_is_a_range_that_is_held(case: Case, decision: Decision) -> None:
    """L1, L9: it begins where the reader stands and ends at a minted offset."""
    if isinstance(decision, Serve):
        assert is_position(decision.next)
        assert case.world.log.knows(decision.next) or is_echo(case, decision)
        if decision.kind is Kind.EMPTY:
            assert decision.start == decision.next
        else:
            assert decision.start == case.state.offset
            assert decision.next == case.world.log.page_end(
                decision.start, RULES.max_page
            )


def is_echo(case: Case, serve: Serve) -> bool:
    """Whether an origin that echoes is repeated to a reader above the end (U14)."""
    placed = case.world.log.placement
    stays = serve.kind is Kind.EMPTY and serve.next == case.state.offset
    above = case.world.log.is_above(case.state.offset)
    return bool(stays and above and placed is not None and placed.echoes)


def is_now_as_heard(case: Case, serve: Serve) -> bool:
    """Whether a reader of ``now`` is told the tail as it was heard since it came (L20).

    Nothing that is held is shown by that, so no check of the log is needed. A write
    that was acknowledged after the tail was heard may lie beyond it: the reader came
    before that write, and finds it by its next read.
    """
    tail = case.world.log.tail
    at_tail = serve.kind is Kind.EMPTY and serve.next == tail.offset
    return case.state.offset == NOW and at_tail and tail.is_heard_by(case.state.barrier)


def tells_an_edge(case: Case, serve: Serve) -> bool:
    """Whether the poll of an edge below is answered without a claim, since the origin
    is away (U8). It shows nothing."""
    edge_polls = case.read.hops and case.read.mode is Mode.LONG_POLL
    silent = serve.kind is Kind.EMPTY and not (serve.up_to_date or serve.closed)
    return bool(edge_polls and silent and case.state.fault is not None)


def nothing_unconfirmed_is_served_but_as_stale(case: Case, decision: Decision) -> None:
    """L6, L14, L21: and as stale only after asking failed, to no credential."""
    if not isinstance(decision, Serve):
        return

    kind = case.read.key.partition.kind
    if decision.kind is Kind.STALE:
        assert case.state.fault is not None
        assert kind is not PartitionKind.CREDENTIAL
        assert not decision.up_to_date and not decision.closed
    else:
        verify = RULES.verify_for(case.world.log, kind)
        tail = case.world.log.tail
        confirmed = tail.is_confirmed_to(case.state.barrier, case.state.now, verify)
        told = is_now_as_heard(case, decision) or tells_an_edge(case, decision)
        assert confirmed or told


def a_claim_is_made_only_where_the_tail_is_known(
    case: Case, decision: Decision
) -> None:
    """L3, E2: and never where the edge knows of more."""
    if not isinstance(decision, Serve):
        return

    tail, strict = case.world.log.tail, case.world.route.tail is TailMode.STRICT
    if decision.up_to_date and is_echo(case, decision):
        # There is nothing above the tail, and so it was said of another guess.
        assert tail.is_told_to(case.state.barrier)
    elif decision.up_to_date:
        assert tail.is_known_to(
            case.state.barrier, decision.next, case.state.now, strict
        )
        beyond = case.world.log.reaches_beyond(decision.next)
        assert not beyond or is_now_as_heard(case, decision)
    if decision.closed:
        assert decision.up_to_date
        assert tail.closed and tail.offset == decision.next


def nothing_is_answered_without_the_claim_only_by_who_never_makes_it(
    case: Case, decision: Decision
) -> None:
    """L3: who is told neither data nor that this is all asks again at once."""
    if isinstance(decision, Serve) and decision.kind is Kind.EMPTY:
        never = not case.world.origin.habits.claims
        assert decision.up_to_date or never or tells_an_edge(case, decision)


def a_range_is_closed_only_if_more_is_known_or_no_more_can_come(
    case: Case, decision: Decision
) -> None:
    """L16: what may be kept downstream for long."""
    if isinstance(decision, Serve) and decision.kind is Kind.CLOSED_RANGE:
        assert decision.closed or case.world.log.reaches_beyond(decision.next)
        assert not (decision.closed and case.world.log.reaches_beyond(decision.next))


def only_live_readers_wait_and_only_at_minted_offsets(
    case: Case, decision: Decision
) -> None:
    """L20: of a stream that was described, unless the origin is away (L21). And at a
    guess, where an origin has put them that echoes (U14)."""
    if isinstance(decision, Park) and not decision.minted:
        placed = case.world.log.placement
        assert case.read.mode.live and case.world.log.described
        assert placed is not None and placed.echoes
        assert case.world.log.is_above(decision.offset)
        assert decision.offset == case.state.offset
    elif isinstance(decision, Park):
        assert case.read.mode.live
        assert is_position(decision.offset)
        assert case.world.log.knows(decision.offset)
        assert case.world.log.described or case.state.fault is not None
        assert case.state.offset in (NOW, decision.offset) or (
            # An alias of where it stands (L8).
            case.world.log.end_alias(case.state.offset) == decision.offset
        )


def no_edge_waits_at_an_origin_that_is_away(case: Case, decision: Decision) -> None:
    """U8: it would take this edge's silence for the origin's."""
    if isinstance(decision, Park) and case.read.mode is Mode.LONG_POLL:
        assert not (case.read.hops and case.state.fault is not None)


def who_failed_to_ask_is_not_sent_to_ask_again(case: Case, decision: Decision) -> None:
    """L21: one failure is an answer; the hub alone decides to try later."""
    if case.state.fault is not None:
        assert not isinstance(decision, Fetch)
    if isinstance(decision, Refuse):
        assert decision.fault is case.state.fault


def the_origin_is_asked_only_for_what_lies_beyond(
    case: Case, decision: Decision
) -> None:
    """E1, L1: from the reader's own offset, or a minted one."""
    if not isinstance(decision, Fetch):
        return

    by_get = decision.reason is Reason.HEAD_REFUSED
    assert not by_get or (case.read.mode.live and not case.state.head_tells)
    if decision.start is None:
        is_head = case.read.mode is Mode.HEAD
        assert is_head or (case.read.mode.live and case.state.head_tells)
        assert decision.fresh
    elif decision.start == NOW:
        assert (case.state.offset == NOW or by_get) and decision.fresh
    elif decision.start == case.state.offset:
        assert case.world.log.page_end(case.state.offset, RULES.max_page) is None or (
            decision.reason is Reason.UNCONFIRMED
        )
    else:
        assert case.world.log.knows(decision.start)
        assert not case.world.log.is_above(decision.start)


def only_an_expired_signature_passes(case: Case, decision: Decision) -> None:
    """L14: everything else is shared."""
    expires = case.read.expires_at
    expired = expires is not None and expires <= WALL

    assert isinstance(decision, Pass) == expired
    assert not expired or decision == Pass(Reason.EXPIRED_CREDENTIAL)


def only_what_lies_above_the_end_is_paced(case: Case, decision: Decision) -> None:
    """U14: and a reader's own guess is asked for in no other way. What was named to it
    by an acknowledgement is none (L4)."""
    if isinstance(decision, Fetch):
        log, offset = case.world.log, case.state.offset
        assert not decision.paced or (log.end is not None and log.is_above(offset))
        guessed = decision.reason is Reason.OFFSET_UNKNOWN
        assert not guessed or decision.start == offset
        assert not guessed or decision.paced or log.knows(offset)


def who_is_above_the_end_goes_back_only_by_a_new_answer(
    case: Case, decision: Decision
) -> None:
    """U14: the origin was asked after this reader came, and knew of no more."""
    log, offset = case.world.log, case.state.offset
    at_end = isinstance(decision, Serve) and decision.kind is Kind.EMPTY
    if at_end and offset != NOW and log.end is not None and log.is_above(offset):
        assert log.tail.is_told_to(case.state.barrier)


def a_served_range_shows_every_write_acknowledged_before(
    case: Case, decision: Decision
) -> None:
    """L4: unless it is behind the end, or the origin is away."""
    if isinstance(decision, Serve) and case.state.fault is None:
        tail = case.world.log.tail
        assert (
            case.world.log.reaches_beyond(decision.next)
            or tail.closed
            or tail.covers(case.state.barrier, decision.next)
        )


def deciding_changes_nothing(case: Case, decision: Decision) -> None:
    """Pure, so deciding again gives the same."""
    before, cost = repr(case.world), case.world.log.cost

    assert case.world.decide(case.read, case.state._replace()) == decision
    assert (repr(case.world), case.world.log.cost) == (before, cost)


LAWS = (
    a_served_range_is_a_range_that_is_held,
    nothing_unconfirmed_is_served_but_as_stale,
    a_claim_is_made_only_where_the_tail_is_known,
    nothing_is_answered_without_the_claim_only_by_who_never_makes_it,
    a_range_is_closed_only_if_more_is_known_or_no_more_can_come,
    only_live_readers_wait_and_only_at_minted_offsets,
    no_edge_waits_at_an_origin_that_is_away,
    who_failed_to_ask_is_not_sent_to_ask_again,
    the_origin_is_asked_only_for_what_lies_beyond,
    only_an_expired_signature_passes,
    only_what_lies_above_the_end_is_paced,
    who_is_above_the_end_goes_back_only_by_a_new_answer,
    a_served_range_shows_every_write_acknowledged_before,
    deciding_changes_nothing,
)


@pytest.mark.parametrize("way", WAYS)
def test_the_laws_hold(way: str) -> None:
    @often
    @given(case=cases(way))
    def hold(case: Case) -> None:
        decision = case.decide()
        for law in LAWS:
            law(case, decision)

    hold()


def test_each_outcome_is_reached_often() -> None:
    """In as many cases as the laws see, each outcome comes 20 times or more.

    Always the same cases (``derandomize``). Drawn at random, a count near its bound
    would fail now and then.
    """
    reached: Counter[str] = Counter()
    for way in WAYS:

        @settings(often, derandomize=True, database=None, phases=[Phase.generate])
        @given(case=cases(way))
        def count(case: Case) -> None:
            reached[outcome_of(case.decide())] += 1

        count()

    assert {name: reached[name] for name in TO_OUTCOMES if reached[name] < 20} == {}
    assert set(reached) == set(TO_OUTCOMES)
