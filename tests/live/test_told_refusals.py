"""In a node the origin's *no* to a lent credential comes to all fronts (W16)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.core.errors import LendersRefused
from edge.core.lent_refusals import LentRefusals
from edge.core.values import Lease, LentCredential, Mode
from edge.live.refusal_marks import MAX_TOLD, RefusalMarks
from origin_adapter.scripted import Call, data
from tests.live.support import Asked, settle
from tests.live.test_lending import TAIL, TRUST, Story, ended_by_grant, lender

LIVE = (Mode.LONG_POLL, Mode.SSE)


class KeeperStory(Story):
    """A keeper. Its viewers are the polls of fronts, by the credentials they lend."""

    heard: int | None = 0

    def __init__(self) -> None:
        super().__init__(serves_fronts=True)

    def lease(self, name: str, fresh: float = TRUST, left: float = 1e6) -> Lease:
        now = self.house.clock.monotonic()
        fields = (("authorization", name),)
        lent = LentCredential(name, fields, (), now + fresh, heard=self.heard)
        return Lease(now + left, lent)


class FrontStory(Story):
    """A front, whose origin is a keeper. ``forgotten``: by whose verdicts nobody is let
    in any more."""

    def __init__(self) -> None:
        super().__init__(asks_keepers=True)
        self.forgotten: list[str] = []

    def lease(self, name: str, fresh: float = TRUST, left: float = 1e6) -> Lease:
        now = self.house.clock.monotonic()
        fields = (("authorization", name),)
        forget = lambda: self.forgotten.append(name)  # noqa: E731
        return Lease(now + left, LentCredential(name, fields, (), now + fresh, forget))

    def mark(self) -> int:
        """A refusal of this moment."""
        return int(self.house.clock.monotonic() * 1000)

    def hear(self, call: Call, *names: str, lost: int = 0) -> None:
        """The keeper answers with refusals."""
        call.fail(LendersRefused(LentRefusals(names, self.mark(), lost)))
        settle()


def told(asked: Asked) -> LentRefusals:
    error = asked.done().error
    assert isinstance(error, LendersRefused)
    return error.refusals


# A keeper.


def test_all_fronts_that_wait_are_told_of_a_refusal() -> None:
    """The front whose credential it was hears the answer, the others whose it was. By
    another one's credential the origin has been asked before they hear it; that poll is
    theirs when they are back."""
    story = KeeperStory()
    ann, ben, cai = story.crowd("ann", "ben", "cai")
    (poll := story.poll()).answer(401, [], b"")
    next_poll = story.poll()
    settle()

    assert (lender(poll), lender(next_poll)) == ("ann", "ben")
    assert ann.done().status == 401
    assert told(ben) == told(cai)
    assert told(ben).digests == ("ann",) and not told(ben).lost
    story.heard = told(ben).up_to
    ben, cai = story.ask("ben"), story.ask("cai")
    settle()
    assert ben.waits and cai.waits
    next_poll.reply(data(b"x", "0004"))
    assert ben.done().body == cai.done().body == b"x"


@pytest.mark.parametrize("mode", [*LIVE, Mode.CATCH_UP])
def test_a_front_that_comes_is_told_first_what_it_has_not_heard(mode: Mode) -> None:
    """Once: who has heard of it waits as any other."""
    story = KeeperStory()
    story.crowd("ann", "ben")
    story.poll().answer(401, [], b"")
    settle()
    at = "-1" if mode is Mode.CATCH_UP else TAIL
    late = story.ask("cai", mode, at)

    assert told(late).digests == ("ann",)
    story.heard = told(late).up_to
    assert story.ask("cai").waits


def test_of_two_refusals_a_front_is_told_the_one_that_it_has_not_heard_of() -> None:
    story = KeeperStory()
    _, ben, _ = story.crowd("ann", "ben", "cai")
    story.poll().answer(401, [], b"")
    second = story.poll()
    settle()
    story.heard = told(ben).up_to
    dan = story.ask("dan")
    second.answer(403, [], b"")
    settle()

    assert lender(second) == "ben"
    assert told(dan).digests == ("ben",)


def test_who_does_not_listen_is_not_told() -> None:
    """What goes one to one brings no mark: it would take the word for an answer."""
    story = KeeperStory()
    story.heard = None
    _, ben = story.crowd("ann", "ben")
    story.poll().answer(401, [], b"")
    settle()

    assert ben.waits


def test_what_concerns_no_verdict_any_more_is_not_told() -> None:
    """By then whoever was let in before has been judged anew (A17)."""
    story = KeeperStory()
    story.crowd("ann", "ben")
    story.poll().answer(401, [], b"")
    settle()
    story.house.clock.move(2 * TRUST)

    assert story.ask("cai").waits


def test_a_successor_tells_its_fronts_what_the_keeper_before_it_tells() -> None:
    """It asks the one before it as a front does, until the origin has answered it; its
    own readers are fronts, and are not ended but told."""
    story = KeeperStory()
    ann, ben = story.crowd("ann", "ben")
    mark = int(story.house.clock.monotonic() * 1000)
    poll = story.poll()
    poll.fail(LendersRefused(LentRefusals(("ben", "cai"), mark, mark - 1)))
    again = story.poll()
    settle()

    assert lender(again) == "ann"
    for front in (ann, ben):
        assert told(front).digests == ("ben", "cai")
        assert mark <= told(front).lost <= told(front).up_to


# A front.


@pytest.mark.parametrize("mode", LIVE)
def test_a_front_that_hears_of_a_refusal_ends_its_readers_and_asks_again(
    mode: Mode,
) -> None:
    """With the same credential, and it tells up to where it has heard. Nobody else
    hears of it, and nothing counts as a failure."""
    story = FrontStory()
    ann, ben, cai = story.crowd("ann", "ben", "cai", mode=mode)
    first = story.poll()
    story.hear(first, "ben")
    again = story.poll()

    assert ended_by_grant(ben) or ben.sink.finished
    assert story.forgotten == ["ben"]
    assert ann.waits and cai.waits
    assert lender(first) == lender(again) == "ann"
    assert again.request.link is not None and again.request.link.lent is not None
    assert again.request.link.lent.heard == story.mark()
    assert not story.house.counters.origin_faults
    assert not story.house.counters.refusals


def test_a_front_whose_own_credential_was_refused_asks_by_another_one() -> None:
    story = FrontStory()
    ann, ben = story.crowd("ann", "ben")
    story.hear(story.poll(), "ann")

    assert ended_by_grant(ann) and ben.waits
    assert lender(story.poll()) == "ben"


def test_whoever_comes_by_a_verdict_from_before_is_judged_anew() -> None:
    """Its client was between two polls when the refusal was told. A verdict from after
    it lets in, and lends."""
    story = FrontStory()
    story.crowd("ann")
    before = story.lease("ben")
    story.house.clock.move(2.0)
    story.hear(story.poll(), "ben")
    old = story.ask("ben", lease=before)
    settle()

    assert ended_by_grant(old) and story.forgotten == ["ben"]
    story.house.clock.move(0.1)
    anew = story.ask("ben")
    settle()
    assert anew.waits and story.forgotten == ["ben"]


def test_a_refusal_ends_nobody_who_was_judged_after_it() -> None:
    """Whatever an older one of the same credential was told."""
    story = FrontStory()
    story.crowd("ann")
    mark = story.mark()
    story.house.clock.move(2.0)
    ben = story.ask("ben")
    story.poll().fail(LendersRefused(LentRefusals(("ben",), mark)))
    settle()

    assert ben.waits and not story.forgotten


def test_where_something_is_lost_all_older_verdicts_are_asked_for_anew() -> None:
    """A flood fails to the safe side: a *yes* from before is believed no longer."""
    story = FrontStory()
    ann, ben = story.crowd("ann", "ben")
    lost = story.mark()
    story.house.clock.move(1.0)
    cai = story.ask("cai")
    settle()
    story.hear(story.poll(), lost=lost)

    assert ended_by_grant(ann) and ended_by_grant(ben) and cai.waits
    assert sorted(story.forgotten) == ["ann", "ben"]
    assert lender(story.poll()) == "cai"


# What is remembered.

_NAMES = [str(number) for number in range(3 * MAX_TOLD)]


@given(st.lists(st.tuples(st.sampled_from("rrrrh"), st.sampled_from(_NAMES))))
def test_every_refusal_is_heard_by_name_or_as_lost(
    steps: list[tuple[str, str]],
) -> None:
    """However many there are, in one millisecond or in many."""
    log, heard, due = RefusalMarks(), 0, dict[str, int]()
    for number, (step, name) in enumerate([*steps, ("h", "")]):
        if step == "r":
            log.add(name, 1000.0 + number // 7 * 0.001)
            due[name] = log.up_to
            continue
        refusals = log.since(heard, 0.0)
        assert (refusals is None) == (not due)
        if refusals is not None:
            named = set(refusals.digests)
            assert all(n in named or m <= refusals.lost for n, m in due.items())
            assert len(named) <= MAX_TOLD
            assert named <= due.keys() and refusals.lost <= refusals.up_to
            heard = refusals.up_to
        due.clear()


def test_a_flood_of_refusals_is_bounded_and_the_latest_are_named() -> None:
    log = RefusalMarks()
    for number in range(10 * MAX_TOLD):
        log.add(str(number), 1000.0)
    refusals = log.since(0, 0.0)

    assert refusals is not None and len(refusals.digests) == MAX_TOLD
    assert refusals.digests[-1] == str(10 * MAX_TOLD - 1)
    assert 0 < refusals.lost < refusals.up_to
    assert log.cost == MAX_TOLD * (log.cost // MAX_TOLD)
