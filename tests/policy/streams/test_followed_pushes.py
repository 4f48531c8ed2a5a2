"""What a keeper pushes of one stream, as its front takes it (W15)."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.reasons import Reason
from edge.core.values import Framing, OriginAnswerHead
from edge.policy.http.link_frames import Push, push_payload
from edge.policy.streams.followed_events import (
    ENDS,
    LIFE_SECONDS,
    QUIET_SECONDS,
    AfterEvents,
    Blame,
    EventBatch,
    EventsEnd,
    Heard,
)
from edge.policy.streams.followed_pushes import FollowedPushes

LIFE = 3600.0


def followed(at: str = "3", status: int = 200) -> FollowedPushes:
    """One that was asked for at time 0."""
    pushes = FollowedPushes(at, max_object=1024, chance=0.0, life=LIFE)
    pushes.sent(0.0)
    assert pushes.stands_at is None
    head = OriginAnswerHead(status, (), Framing.CHUNKED, None)
    end = pushes.head(head, 0.0)
    assert (end is None) is (status == 200)
    return pushes


def pushed(
    start: str,
    to: str,
    data: bytes = b"",
    *,
    claims: bool = True,
    closed: bool = False,
    stale: bool = False,
) -> bytes:
    return push_payload(Push(start, to, "41", claims, closed, data, stale))


def reasons(heard: list[Heard]) -> list[Reason]:
    return [one.reason for one in heard if isinstance(one, EventsEnd)]


def test_each_push_is_the_answer_to_one_read() -> None:
    pushes = followed()
    [told] = pushes.heard(pushed("3", "3"), 0.1)
    [grown] = pushes.heard(pushed("3", "5", b"\xffde"), 0.2)

    assert told == EventBatch("3", "3", b"", "41", True, False, True, True)
    assert grown == EventBatch("3", "5", b"\xffde", "41", True, False, False, True)
    assert pushes.stands_at == "5"


def test_it_vouches_for_the_end_while_its_keeper_claims_it() -> None:
    """U17: silence ends nothing here."""
    pushes = followed()
    pushes.heard(pushed("3", "3"), 0.0)
    assert pushes.stands_at == "3"
    assert pushes.look(4 * QUIET_SECONDS) is None
    assert pushes.vouches_until > LIFE
    pushes.heard(pushed("3", "5", b"de", claims=False), 21.0)

    assert pushes.stands_at is None


def test_it_is_renewed_as_event_streams_are() -> None:
    pushes = followed()
    pushes.heard(pushed("3", "3"), 0.0)
    end = pushes.look(LIFE_SECONDS)
    assert end is not None and end.reason is Reason.LIFETIME
    assert pushes.heard(pushed("3", "5", b"de"), LIFE_SECONDS) == []


def test_one_that_is_never_silent_is_renewed_behind_a_push() -> None:
    pushes = followed()
    heard = pushes.heard(pushed("3", "5", b"de"), LIFE_SECONDS + 1)
    assert isinstance(heard[0], EventBatch)
    assert reasons(heard) == [Reason.LIFETIME]


@pytest.mark.parametrize("status", [404, 503])
def test_a_keeper_that_does_not_push_is_polled(status: int) -> None:
    assert followed(status=status).is_over


ENDINGS: dict[str, tuple[Callable[[FollowedPushes], object], Reason]] = {
    "the keeper ends it": (lambda it: [it.ended(1.0)], Reason.PUSHES_ENDED),
    "its channel breaks": (lambda it: [it.lost(1.0)], Reason.CONTACT_LOST),
    "what is stale": (
        lambda it: it.heard(pushed("3", "5", b"de", stale=True), 1.0),
        Reason.PUSHES_ENDED,
    ),
    "a range from elsewhere": (
        lambda it: it.heard(pushed("4", "5", b"e"), 1.0),
        Reason.EVENTS_MOVED,
    ),
    "an end that went back": (
        lambda it: it.heard(pushed("3", "2"), 1.0),
        Reason.TAIL_WENT_BACK,
    ),
    "a new end without bytes": (
        lambda it: it.heard(pushed("3", "5"), 1.0),
        Reason.EVENTS_MOVED,
    ),
    "what is no push": (lambda it: it.heard(b"\1", 1.0), Reason.CONTACT_LOST),
    "the stream is closed": (
        lambda it: it.heard(pushed("3", "5", b"de", closed=True), 1.0),
        Reason.CLOSED,
    ),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_it_ends_and_nobody_is_told_what_came_behind(name: str) -> None:
    act, reason = ENDINGS[name]
    pushes = followed()
    heard = act(pushes)
    assert isinstance(heard, list) and reasons(heard) == [reason]
    assert pushes.is_over or reason is Reason.CLOSED
    assert pushes.stands_at is None
    assert pushes.heard(pushed("3", "5", b"de"), 2.0) == []
    assert pushes.ended(2.0) is None and pushes.lost(2.0) is None


def test_nobody_is_blamed_when_a_keeper_ends_it() -> None:
    course = ENDS[Reason.PUSHES_ENDED]
    assert (course.after, course.blame) == (AfterEvents.AGAIN, Blame.NOTHING)
    assert course.rests, "polls until one brings something"


# A law: what a front holds is what its keeper has, whatever comes between.

TRUTH = bytes(range(97, 97 + 24))

moves = st.lists(
    st.sampled_from(
        ["grow", "grow", "push", "push", "push", "lose", "twice", "cut", "poll"]
    ),
    max_size=40,
)


class Front:
    """A row that follows by pushes, and polls where none are sent: as ``event_results``
    takes them in, by a common start. Offsets count octets, in two digits."""

    def __init__(self, judge: type[FollowedPushes]) -> None:
        self._judge = judge
        self.held = b""
        self.pushes: FollowedPushes | None = None

    @property
    def end(self) -> str:
        return f"{len(self.held):02}"

    def follow(self) -> None:
        pushes = self._judge(self.end, max_object=99, chance=0.0, life=LIFE)
        pushes.sent(0.0)
        pushes.head(OriginAnswerHead(200, (), Framing.CHUNKED, None), 0.0)
        self.pushes = pushes

    def take(self, payload: bytes) -> None:
        for one in self.pushes.heard(payload, 1.0) if self.pushes else ():
            if isinstance(one, EventsEnd):
                self.pushes = None
            elif one.start == self.end or self._judge is not FollowedPushes:
                self.held += one.data

    def poll(self, keeper: bytes) -> None:
        self.pushes = None
        self.held += keeper[len(self.held) :]


def play(steps: list[str], judge: type[FollowedPushes]) -> tuple[bytes, bytes]:
    """What the front holds, and what its keeper has, after these steps."""
    front, grown, told = Front(judge), 0, 0
    for step in steps:
        if step == "grow":
            grown = min(len(TRUTH), grown + 3)
        elif step == "poll":
            front.poll(TRUTH[:grown])
        elif step == "cut":
            front.pushes = None
        if front.pushes is None:
            front.follow()
            told = len(front.held)
        payload = pushed(f"{told:02}", f"{grown:02}", TRUTH[told:grown])
        if step in ("push", "twice", "lose") and grown > told:
            for _ in range({"push": 1, "twice": 2, "lose": 0}[step]):
                front.take(payload)
            told = grown
    return front.held, TRUTH[:grown]


@settings(max_examples=300)
@given(moves)
def test_no_byte_is_lost_or_doubled_whatever_comes_between(steps: list[str]) -> None:
    """Frames that come twice or never, channels that end, polls in between."""
    held, there = play(steps, FollowedPushes)
    assert there.startswith(held)
    held, there = play([*steps, "poll"], FollowedPushes)
    assert held == there


class Trusting(FollowedPushes):
    """One that does not look where a push begins."""

    def heard(self, piece: bytes, now: float) -> list[Heard]:
        from edge.policy.http.link_frames import push_of

        push = push_of(piece)._replace(start=self.position)
        return super().heard(push_payload(push), now)


def test_a_judge_that_looks_less_is_found_out() -> None:
    steps = ["grow", "lose", "grow", "push"]
    held, there = play(steps, Trusting)
    assert not there.startswith(held)
    held, there = play(steps, FollowedPushes)
    assert there.startswith(held)
