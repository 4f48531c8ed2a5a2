"""A keeper's lenders are fronts, which lend another credential each time (B7)."""

import pytest

from edge.core.values import Mode
from edge.live.followers import LENDER_GRACE_SECONDS
from origin_adapter.scripted import data, no_content
from tests.live.support import settle
from tests.live.test_lending import TAIL, Story, lender
from tests.live.test_told_refusals import FrontStory, KeeperStory

NEXT = "0004"


def test_a_keeper_asks_by_the_credential_with_which_a_front_comes_back() -> None:
    """By that of the last poll it would have to give it up after the grace, and would
    ask once more."""
    story = KeeperStory()
    fronts = story.crowd("ann", "ben")
    story.poll().reply(data(b"x", NEXT))
    settle()
    assert {front.done().body for front in fronts} == {b"x"}
    asked = len(story.origin.calls)
    story.ask("cai", at=NEXT)
    poll = story.poll()
    story.ask("dan", at=NEXT)
    for _ in range(8):
        story.tick(LENDER_GRACE_SECONDS / 2)

    assert lender(poll) == "cai" and not poll.closed.is_set()
    assert len(story.origin.calls) == asked + 1


def test_what_came_while_nobody_lent_is_brought_by_the_next_poll() -> None:
    """From where the last one ended."""
    story = KeeperStory()
    story.crowd("ann")
    story.poll().reply(data(b"x", NEXT))
    settle()
    front = story.ask("cai", at=NEXT)
    poll = story.poll()
    poll.reply(data(b"y", "0005"))

    assert f"offset={NEXT}&" in poll.request.target
    assert front.done().body == b"y"


@pytest.mark.parametrize("make", [Story, KeeperStory])
def test_after_an_answer_without_news_who_waits_lends_at_once(
    make: type[Story],
) -> None:
    """Nobody was answered."""
    story = make()
    fronts = story.crowd("ann", "ben")
    first = story.poll()
    story.house.clock.move(5.0)
    first.reply(no_content(TAIL))

    assert lender(story.poll()) in ("ann", "ben")
    assert all(front.waits for front in fronts)


@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
def test_where_there_is_one_worker_the_next_poll_does_not_wait(mode: Mode) -> None:
    """Its viewers come back with what they have lent, or stay."""
    story = Story()
    story.crowd("ann", "ben", mode=mode)
    story.poll().reply(data(b"x", NEXT))

    assert lender(story.poll()) in ("ann", "ben")


# A front.


def test_a_front_lends_the_same_again_after_an_answer_without_news() -> None:
    """Its keeper has let the poll go, and asks by that credential still. Whoever's turn
    it is has it when something has come."""
    story = FrontStory()
    story.crowd("ann", "ben", "cai", mode=Mode.SSE)
    lenders = list[str]()
    for answer in (no_content(TAIL), no_content(TAIL), data(b"x", NEXT)):
        poll = story.poll()
        lenders.append(lender(poll))
        story.house.clock.move(5.0)
        poll.reply(answer)

    assert len(set(lenders)) == 1
    assert lender(story.poll()) not in lenders


def test_a_front_lends_what_another_one_brought_if_the_last_one_has_left() -> None:
    story = FrontStory()
    viewers = dict(zip(("ann", "ben"), story.crowd("ann", "ben"), strict=True))
    poll = story.poll()
    gone = viewers.pop(lender(poll)).pending
    assert gone is not None
    gone.gone()
    story.house.clock.move(LENDER_GRACE_SECONDS / 2)
    poll.reply(no_content(TAIL))

    assert lender(story.poll()) in viewers


def test_where_there_is_one_worker_each_poll_is_anothers_turn() -> None:
    story = Story()
    story.crowd("ann", "ben", "cai", mode=Mode.SSE)
    lenders = list[str]()
    for _ in range(4):
        poll = story.poll()
        lenders.append(lender(poll))
        story.house.clock.move(5.0)
        poll.reply(no_content(TAIL))

    assert set(lenders) == {"ann", "ben", "cai"}
