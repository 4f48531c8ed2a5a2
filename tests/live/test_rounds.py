"""Deciding and landing in turn: every read gets somewhere, and to the truth.

What a hub does for one reader, without a hub: decide, answer each Fetch by a
conforming origin, decide again. However the log came to be what it is, the
reader is served, parked or passed on after a few rounds, and what it is served
is what the origin holds.
"""

from hypothesis import assume, given, note, settings
from hypothesis import strategies as st

from edge.core.values import ANONYMOUS, Mode, Read
from edge.live.ingest import RESET_REASONS, Effect
from edge.policy.streams.decisions import Decision, Fetch, Kind, Park, Pass, Serve
from edge.policy.streams.routes import Route
from edge.protocol.offsets import BEGIN, NOW, order
from tests.support.worlds import (
    RULES,
    Habits,
    World,
    index_of,
    mint,
    offsets,
    worlds,
)

MAX_ROUNDS = 4
law = settings(deadline=None, max_examples=60)
modes = st.sampled_from([Mode.CATCH_UP, Mode.LONG_POLL, Mode.SSE])


def max_rounds(world: World) -> int:
    """An origin that pages is asked page by page up to a write that is known."""
    page = world.origin.habits.page
    pages = 0 if page is None else len(world.origin.messages) // page
    return MAX_ROUNDS + pages


def follow(world: World, read: Read) -> Decision | None:
    """Decide until it is no Fetch any more.

    None: the last answer was this reader's own, which a hub hands to it: to an
    offset that only it knew (L1), or one that nothing proves (L8).
    """
    moment = world.moment(read)
    decision = world.decide(read, moment)
    for asked in range(1, max_rounds(world) + 1):
        note(repr(decision))
        if not isinstance(decision, Fetch):
            return decision
        own = decision.start == read.offset != NOW
        known = world.log.knows(read.offset)
        effect = world.answer(decision)
        assert effect not in RESET_REASONS
        if own and (not known or effect is Effect.NOT_KEPT):
            return None
        moment = moment._replace(now=world.now, asked=asked, arrives=False)
        decision = world.decide(read, moment)
    assert not isinstance(decision, Fetch), "still asking"
    return decision


def truth(world: World, serve: Serve) -> bytes:
    first, last = index_of(serve.start), index_of(serve.next)
    return b"".join(world.origin.messages[first:last])


@law
@given(world=worlds(), offset=st.one_of(offsets, st.just(NOW)), mode=modes)
def test_every_read_is_served_parked_or_passed_within_a_few_rounds(
    world: World, offset: str, mode: Mode
) -> None:
    """Every waiter is released. L1, L4, L6, L7, L20, L23."""
    note(repr(world))
    decision = follow(world, Read(world.key, offset, mode))

    assert decision is None or isinstance(decision, Serve | Park | Pass)
    if isinstance(decision, Pass):
        assert order(offset) > order(world.origin.tail) or "." in offset


@law
@given(world=worlds(), offset=st.one_of(offsets, st.just(NOW)), mode=modes)
def test_what_is_served_is_what_the_origin_holds(
    world: World, offset: str, mode: Mode
) -> None:
    """E1, E2: the bytes of the range and no claim that is not true."""
    read = Read(world.key, offset, mode)
    decision = follow(world, read)
    assume(isinstance(decision, Serve))
    assert isinstance(decision, Serve)

    page = None
    if decision.kind is not Kind.EMPTY:
        page = world.log.page(decision.start, RULES.max_page)
    assert (page.data if page else b"") == truth(world, decision)
    armed = world.log.tail.is_armed(world.now)
    tail = world.origin.tail
    # Who asks above the end is told what this origin itself would say there (U14).
    echoed = world.origin.habits.echoes and order(decision.next) > order(tail)
    if decision.up_to_date and not armed and not echoed:
        # Writes behind an armed poll may be seen one trip later (L3).
        assert decision.next == tail
    if decision.closed:
        assert world.origin.closed and decision.next == world.origin.tail


@law
@given(world=worlds(), mode=modes, size=st.integers(1, 9))
def test_a_reader_sees_what_was_written_through_the_edge_before_it_came(
    world: World, mode: Mode, size: int
) -> None:
    """L4, read your writes: served up to the end, or told that there is more."""
    assume(not world.origin.closed)
    before = world.origin.tail
    world.append_here(size)
    decision = follow(world, Read(world.key, before, mode))

    if isinstance(decision, Serve):
        assert order(decision.next) > order(before)
    elif decision is not None:
        # One page further is still behind it: the origin itself shall say (L1).
        assert isinstance(decision, Pass) and world.origin.habits.page is not None


@given(mode=modes)
def test_before_a_hole_that_no_page_fills_a_reader_gets_its_own_answer(
    mode: Mode,
) -> None:
    """L8: pages of two messages from the beginning end within what is held behind the
    hole, and so join nothing. -1 and 0000 are one place here."""
    world = World(Habits(page=2), ANONYMOUS, Route())
    world.head()
    world.read(BEGIN)
    for _ in range(3):
        world.append(1)
    world.read(mint(1))

    assert follow(world, Read(world.key, BEGIN, mode)) is None


@law
@given(world=worlds(), size=st.integers(1, 9))
def test_reading_on_shows_every_byte_once(world: World, size: int) -> None:
    """E40: no byte twice, none skipped, from the beginning to the tail."""
    world.append(size)
    # A poll that was armed ends with it. Until then its word is trusted (L3).
    world.disarm()
    offset, seen = BEGIN, b""
    for _ in range(len(world.origin.messages) + 1):
        decision = follow(world, Read(world.key, offset))
        # What nothing proves goes to its asker as it is.
        assume(decision is not None)
        assert isinstance(decision, Serve) and decision.kind is not Kind.STALE
        if decision.kind is not Kind.EMPTY:
            page = world.log.page(offset, RULES.max_page)
            assert page is not None and page.next == decision.next
            seen += page.data
        offset = decision.next
        if offset == world.origin.tail:
            break

    assert seen == b"".join(world.origin.messages)
