"""Where the origin judges, the fetch that all share goes with a lent credential.

A3, A4, A17; B3, B6, B7, B8.
"""

import logging
from collections.abc import Callable

import pytest
from gevent.event import Event

from edge.core.errors import EdgeError, OriginUnreachable
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import (
    GRANTED,
    Lease,
    LentCredential,
    Mode,
    OriginRequest,
    Purpose,
)
from edge.live.followers import LENDER_GRACE_SECONDS
from edge.live.lending import MAX_TRIED
from edge.policy.streams.routes import Access, Route, UpstreamCredential
from edge.policy.streams.ways import OriginWay
from origin_adapter.scripted import (
    Call,
    ScriptedOrigin,
    data,
    head_answer,
    no_content,
)
from tests.live.support import Asked, House, settle

TRUST = 30.0
ROUTE = Route(
    access=Access.GRANTED,
    ways=(OriginWay(TRUST),),
    upstream=UpstreamCredential.LENT,
    origin_headers=(("Authorization", "edge"),),
)
TAIL = "0003"


class Story:
    """A house whose origin judges, before a scripted one; viewers have names."""

    def __init__(
        self,
        route: Route = ROUTE,
        origin: ScriptedOrigin | None = None,
        **options: object,
    ) -> None:
        self.origin = origin or ScriptedOrigin()
        self.house = House(self.origin, routes=(route,), **options)

    def lease(self, name: str, fresh: float = TRUST, left: float = 1e6) -> Lease:
        """What a viewer holds whom the origin let in just now."""
        now = self.house.clock.monotonic()
        lent = LentCredential(name, (("authorization", name),), (), now + fresh)
        return Lease(now + left, lent)

    def ask(
        self,
        name: str,
        mode: Mode = Mode.LONG_POLL,
        at: str = TAIL,
        lease: Lease | None = None,
    ) -> Asked:
        key = self.house.key(partition=GRANTED)
        return self.house.ask(at, mode, key=key, lease=lease or self.lease(name))

    def crowd(self, *names: str, mode: Mode = Mode.LONG_POLL) -> list[Asked]:
        """Viewers at the tail; the first one's HEAD has opened the stream."""
        viewers = [self.ask(names[0], mode)]
        self.origin.expect(Purpose.CATCH_UP).reply(head_answer(TAIL))
        settle()
        viewers += [self.ask(name, mode) for name in names[1:]]
        settle()
        return viewers

    def poll(self) -> Call:
        """The follower's next poll."""
        return self.origin.expect(Purpose.FOLLOW)

    def kick(self) -> None:
        """Whoever pauses has paused enough."""
        for stream in self.house.hub.streams:
            self.house.hub.followers.kick(stream)

    def refused(self, status: int) -> int:
        return self.house.counters.lent_refusals[str(status)]

    def tick(self, seconds: float) -> None:
        self.house.pass_time(seconds)


def lender(call: Call | OriginRequest) -> str:
    """Whose credential a request carries; only one, and not the edge's."""
    request = call.request if isinstance(call, Call) else call
    (name,) = (value for key, value in request.headers if key == "authorization")
    return name


def ended_by_grant(asked: Asked) -> bool:
    """Whether its client is to ask again, and hears why then (B12)."""
    sink = asked.sink
    if sink.answer is None:
        return sink.error is not None and sink.error.reason is Reason.GRANT_ENDED
    unclaimed = sink.header("stream-up-to-date") is None
    return sink.finished and sink.status == 204 and unclaimed


# Who lends.


def test_a_cold_read_goes_with_the_credential_of_who_asked() -> None:
    """And all who come meanwhile share it (A2, A4)."""
    story = Story()
    crowd = [story.ask(name, Mode.CATCH_UP, "-1") for name in ("ann", "ben", "cai")]
    call = story.origin.expect(Purpose.CATCH_UP)
    call.reply(data(b"abc", TAIL))

    assert lender(call) == "ann"
    assert {one.done().body for one in crowd} == {b"abc"}
    assert len(story.origin.calls) == 1


def test_a_flight_goes_with_the_credential_of_who_needs_it() -> None:
    """Nobody spends with made-up offsets what the origin lets others ask."""
    story = Story()
    story.crowd("ann", "ben")
    story.poll()
    asked = [story.ask("cai", Mode.CATCH_UP, f"000{at}") for at in (1, 2)]
    calls = [story.origin.expect(Purpose.CATCH_UP) for _ in asked]

    assert list(map(lender, calls)) == ["cai", "cai"]


def test_lenders_take_turns_poll_by_poll() -> None:
    """Each of three event streams lends once before the first one does again. The first
    poll went out when only one of them was there."""
    story = Story()
    story.crowd("ann", "ben", "cai", mode=Mode.SSE)
    turns = []
    for end in range(4, 11):
        call = story.poll()
        turns.append(lender(call))
        call.reply(data(b"x", f"{end:04d}"))
        settle()

    assert turns[0] == "ann"
    assert sorted(turns[1:4]) == ["ann", "ben", "cai"]
    assert turns[4:] == turns[1:4]


def test_what_is_lent_is_the_whole_set_in_canonical_order() -> None:
    """B8: it left the key, and is put back into the target."""
    story = Story()
    now = story.house.clock.monotonic()
    fields = (("authorization", "ann"), ("cookie", "a=1"))
    lent = LentCredential("ann", fields, ("token=t%20t", "a=1"), now + TRUST)
    key = story.house.key(partition=GRANTED, extension="b=2&lang=en")
    story.house.ask("-1", Mode.CATCH_UP, key=key, lease=Lease(now + 600, lent))
    request = story.origin.expect(Purpose.CATCH_UP).request

    query = request.target.partition("?")[2]
    assert query == "offset=-1&a=1&b=2&lang=en&token=t%20t"
    assert request.headers[:2] == fields


def test_no_poll_is_sent_for_who_has_left() -> None:
    """B6: there is no following without viewers, not even for a while."""
    story = Story()
    (viewer,) = story.crowd("ann")
    call = story.poll()
    assert viewer.pending is not None
    viewer.pending.gone()
    settle()
    call.reply(no_content(TAIL))
    settle()

    story.origin.assert_quiet()
    assert not story.house.hub.followers


def test_reading_a_tail_often_makes_nobody_follow_it() -> None:
    """B6, L24."""
    story = Story(follow_reads=1)
    story.ask("ann", Mode.CATCH_UP, "-1")
    story.origin.expect().reply(data(b"abc", TAIL))
    settle()
    again = story.ask("ann", Mode.CATCH_UP, "-1")
    for _ in range(2):
        if again.waits:
            story.origin.expect(Purpose.CATCH_UP).reply(data(b"abc", TAIL))
            settle()
    again.done()

    assert not story.house.hub.followers


def test_a_poll_goes_on_while_its_lender_is_between_two_polls() -> None:
    """A client that was answered asks again: the poll is not given up for that."""
    story = Story()
    crowd = story.crowd("ann", "ben")
    story.poll().reply(data(b"x", "0004"))
    call = story.poll()
    assert all(viewer.done().body == b"x" for viewer in crowd)
    settle()
    for name in ("ann", "ben"):
        story.ask(name, at="0004")
    story.tick(LENDER_GRACE_SECONDS + 1)

    assert not call.closed.is_set()
    story.origin.assert_quiet()


def test_a_poll_whose_lender_stays_away_is_another_ones() -> None:
    """B7: it lends while its owner has a request here."""
    story = Story()
    crowd = dict(zip(("ann", "ben"), story.crowd("ann", "ben"), strict=True))
    first = story.poll()
    left = crowd.pop(lender(first))
    assert left.pending is not None
    left.pending.gone()
    story.tick(0.25)
    assert not first.closed.is_set()
    story.tick(LENDER_GRACE_SECONDS)

    second = story.poll()
    (other,) = crowd
    assert first.closed.is_set() and lender(second) == other
    second.reply(data(b"x", "0004"))
    assert crowd[other].done().body == b"x"


def test_a_poll_whose_lease_ends_is_given_up_at_once() -> None:
    """B3: like the viewers themselves."""
    story = Story()
    leases = {name: story.lease(name) for name in ("ann", "ben")}
    crowd = {"ann": story.ask("ann", lease=leases["ann"])}
    story.origin.expect(Purpose.CATCH_UP).reply(head_answer(TAIL))
    first = story.poll()
    crowd["ben"] = story.ask("ben", lease=leases["ben"])
    leases["ann"].ends_at = story.house.clock.monotonic()
    story.tick(0.25)

    assert first.closed.is_set()
    assert lender(story.poll()) == "ben"
    assert crowd["ben"].waits


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_poll_outlives_its_lenders_time_if_that_one_is_let_in_anew(
    comes_back: bool,
) -> None:
    """Each viewer is judged anew after ``trust``; that gives up no poll."""
    story = Story()
    first = story.ask("ann", lease=story.lease("ann", fresh=5.0, left=5.0))
    story.origin.expect(Purpose.CATCH_UP).reply(head_answer(TAIL))
    call = story.poll()
    story.ask("ben")
    story.tick(5.0)
    story.tick(0.25)
    assert first.done().status == 204
    if comes_back:
        story.ask("ann")
    story.tick(LENDER_GRACE_SECONDS)
    story.tick(0.25)

    assert call.closed.is_set() is not comes_back
    if not comes_back:
        assert lender(story.poll()) == "ben"


def test_a_verdict_that_is_not_fresh_lends_nothing() -> None:
    """Its owner is kept (A17), and others lend meanwhile."""
    story = Story()
    stale = story.ask("ann", lease=story.lease("ann", fresh=1.0))
    story.origin.expect(Purpose.CATCH_UP).reply(head_answer(TAIL))
    first = story.poll()
    story.ask("ben")
    story.house.clock.move(2.0)
    first.reply(no_content(TAIL))

    assert lender(first) == "ann" and stale.waits
    for _ in range(3):
        call = story.poll()
        assert lender(call) == "ben"
        story.house.clock.move(1.0)
        call.reply(no_content(TAIL))


def test_while_nobody_lends_the_follower_waits_and_nobody_is_ended() -> None:
    """And goes on when somebody lends again."""
    story = Story()
    viewer = story.ask("ann", lease=story.lease("ann", fresh=1.0))
    story.origin.expect(Purpose.CATCH_UP).reply(head_answer(TAIL))
    first = story.poll()
    story.house.clock.move(2.0)
    first.reply(no_content(TAIL))
    settle()
    story.origin.assert_quiet()
    assert viewer.waits
    assert story.house.counters.refusals["no-lender"] == 1
    other = story.ask("ben")
    call = story.poll()

    assert lender(call) == "ben"
    call.reply(data(b"x", "0004"))
    assert viewer.done().body == other.done().body == b"x"


def test_nothing_is_asked_for_who_does_not_lend() -> None:
    """A cold read is 503 then; what is held goes out stale (U4)."""
    story = Story()
    cold = story.ask("ann", Mode.CATCH_UP, "-1", story.lease("ann", fresh=0.0))
    error = cold.done().error
    assert isinstance(error, EdgeError)
    assert (error.status, error.reason) == (503, Reason.NO_LENDER)
    story.ask("ben", Mode.CATCH_UP, "-1")
    story.origin.expect().reply(data(b"abc", TAIL))
    settle()
    story.house.clock.move(TRUST + 1)
    held = story.ask("ann", Mode.CATCH_UP, "-1", story.lease("ann", fresh=0.0))

    assert held.done().body == b"abc"
    assert held.sink.header("cache-control") == "no-store"
    story.origin.assert_quiet()


def test_what_is_held_goes_out_stale_for_twice_the_trust() -> None:
    """U4, B17: no longer, for the origin is the judge."""
    story = Story()
    story.ask("ann", Mode.CATCH_UP, "-1")
    story.origin.expect().reply(data(b"abc", TAIL))
    settle()
    bodies = []
    for seconds in (2 * TRUST - 1, 2.0):
        story.house.clock.move(seconds)
        again = story.ask("ann", Mode.CATCH_UP, "-1")
        story.origin.expect().fail(OriginUnreachable("away"))
        sink = again.done()
        bodies.append(sink.body if sink.answer is not None else None)

    assert bodies == [b"abc", None]


# Who is refused.


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
def test_the_one_that_is_refused_ends_and_nobody_else_hears_of_it(
    status: int, mode: Mode
) -> None:
    story, names = Story(), ("ann", "ben", "cai")
    crowd = dict(zip(names, story.crowd(*names, mode=mode), strict=True))
    call = story.poll()
    refused = crowd.pop(lender(call))
    call.answer(status, [], b"no")
    second = story.poll()
    settle()

    assert lender(second) in crowd
    assert refused.sink.finished and b"no" not in refused.sink.whole
    assert story.house.counters.viewers_ended["grant-ended"] == 1
    assert all(other.waits for other in crowd.values())
    second.reply(data(b"<1>", "0006"))
    settle()
    assert all(b"<1>" in other.sink.whole for other in crowd.values())
    assert b"<1>" not in refused.sink.whole
    assert story.refused(status) == 1


def test_who_was_refused_lends_no_more_until_it_is_judged_anew() -> None:
    """An older verdict does not make it lend; a newer one does."""
    story = Story()
    old = story.lease("ann")
    story.crowd("ann")
    story.poll().answer(401, [], b"")
    settle()
    story.ask("ann", lease=Lease(old.ends_at, old.lends))
    settle()
    story.origin.assert_quiet()
    story.house.clock.move(5.0)
    story.ask("ann")

    assert lender(story.poll()) == "ann"


def test_who_was_judged_anew_is_not_ended_by_the_old_refusal() -> None:
    """1: a credential is refused; 2: another one's poll is sent; 3: the origin lets the
    first one in again; 4: that poll is answered, which says nothing new of it."""
    story = Story()
    story.crowd("ann", "ben")
    story.poll().answer(401, [], b"")
    poll = story.poll()
    story.house.clock.move(5.0)
    ann = story.ask("ann")
    settle()
    poll.reply(data(b"x", "0004"))

    assert lender(poll) == "ben"
    assert ann.done().body == b"x"


def test_a_front_that_comes_back_is_told_what_its_credential_was_told_meanwhile() -> (
    None
):
    """W10. 1: a front's poll lends; 2: it leaves, and the keeper's poll is on its way
    with that credential; 3: the origin refuses it, and nobody is there to be told; 4:
    the front polls again. Else whose token was taken back reads on until ``trust``
    ends. What the front has judged anew since is let in."""
    story = Story(serves_fronts=True)
    ann, _ = story.crowd("ann", "ben")
    poll = story.poll()
    assert lender(poll) == "ann"
    old = story.lease("ann")
    assert ann.pending is not None
    ann.pending.gone()
    poll.answer(401, [], b"")
    assert lender(story.poll()) == "ben"

    for mode, at in ((Mode.LONG_POLL, TAIL), (Mode.CATCH_UP, "-1"), (Mode.SSE, TAIL)):
        again = story.ask("ann", mode, at, Lease(old.ends_at, old.lends))
        assert again.done().status == 401
    story.house.clock.move(5.0)
    anew = story.ask("ann")
    settle()

    assert anew.waits
    story.origin.assert_quiet()


def test_a_404_of_the_life_before_turns_nobody_away_from_the_next_one() -> None:
    """W10, A17. 1: ann hears that it is gone; 2: it is made anew behind the edge, and
    ben is answered: the 404 was ann's own; 3: it is made anew through the edge. Else
    who may read it would find nothing there until its verdict is much newer."""
    story = Story(serves_fronts=True)
    ann, _ = story.crowd("ann", "ben")
    poll = story.poll()
    assert lender(poll) == "ann"
    old = story.lease("ann")
    assert ann.pending is not None
    poll.answer(404, [], b"")
    story.poll().reply(data(b"x", "0004"))
    settle()
    assert story.ask("ann", lease=Lease(old.ends_at, old.lends)).done().status == 404

    story.house.wrote("PUT", 201)
    again = story.ask("ann", Mode.CATCH_UP, "-1", Lease(old.ends_at, old.lends))
    story.origin.expect(Purpose.CATCH_UP).reply(data(b"y", "0001"))
    settle()
    assert again.done().body == b"y"


def test_a_404_from_before_the_stream_was_made_anew_is_nobodys_refusal() -> None:
    """A17. 1: ann hears that it is gone, and ben is asked; 2: it is made anew through
    the edge; 3: ben is answered. Who is told that it is there, ann finds it."""
    story = Story(serves_fronts=True)
    waiting = [story.ask(name, Mode.CATCH_UP, "-1") for name in ("ann", "ben")]
    story.origin.expect(Purpose.CATCH_UP).answer(404, [], b"")
    settle()
    by_another = story.origin.expect(Purpose.CATCH_UP)
    story.house.wrote("PUT", 201)
    by_another.reply(data(b"", "0000"))
    settle()
    story.origin.expect(Purpose.CATCH_UP).reply(data(b"y", "0001"))
    settle()

    assert [asked.done().body for asked in waiting] == [b"y", b"y"]
    assert story.ask("ann", Mode.CATCH_UP, "-1").waits


def test_whoever_judged_it_is_told_of_a_refusal() -> None:
    """A3: so that it is judged anew, and not believed until its time is over."""
    story, told = Story(), list[str]()
    fields = (("authorization", "ann"),)
    fresh = story.house.clock.monotonic() + TRUST
    lent = LentCredential("ann", fields, (), fresh, lambda: told.append("ann"))
    story.ask("ann", Mode.CATCH_UP, "-1", Lease(fresh, lent))
    call = story.origin.expect(Purpose.CATCH_UP)
    assert not told
    call.answer(401, [], b"")
    settle()

    assert told == ["ann"]


def test_up_to_three_others_are_tried_at_once() -> None:
    """Then the follower pauses, and the crowd hears nothing of it."""
    names = [f"v{number}" for number in range(MAX_TRIED + 2)]
    story = Story()
    crowd = dict(zip(names, story.crowd(*names), strict=True))
    for _ in range(MAX_TRIED):
        call = story.poll()
        crowd.pop(lender(call))
        call.answer(403, [], b"")
    settle()

    story.origin.assert_quiet()
    assert all(viewer.waits for viewer in crowd.values())
    assert story.house.counters.origin_faults == {}
    story.kick()
    assert lender(story.poll()) in crowd


def test_a_crowd_of_refused_ones_holds_up_nobody_else() -> None:
    """B18: whoever has a hundred tokens, and takes all of them back, is in line before
    everybody. The last one to be tried is one who was answered before."""
    bad = [f"bad{number}" for number in range(2 * MAX_TRIED)]
    story = Story()
    ann, *_ = story.crowd("ann", *bad)
    for _ in range(2):
        (call := story.poll()).reply(no_content(TAIL))
        assert lender(call) == "ann"
    for _ in range(MAX_TRIED - 1):
        call = story.poll()
        assert lender(call) in bad
        call.answer(403, [], b"")
    story.poll().reply(data(b"x", "0004"))

    assert ann.done().body == b"x"


def test_a_flight_that_is_refused_goes_on_with_others_for_those_who_are_left() -> None:
    """They wait for one answer, however many are refused on the way to it."""
    names = [f"v{number}" for number in range(MAX_TRIED + 1)]
    story = Story()
    crowd = {name: story.ask(name, Mode.CATCH_UP, "-1") for name in names}
    for _ in range(MAX_TRIED):
        call = story.origin.expect(Purpose.CATCH_UP)
        refused = crowd.pop(lender(call))
        call.answer(401, [], b"no")
        settle()
        assert ended_by_grant(refused)
    story.origin.expect(Purpose.CATCH_UP).reply(data(b"abc", TAIL))

    assert [one.done().body for one in crowd.values()] == [b"abc"]


@pytest.mark.parametrize("status", [404, 410])
def test_gone_is_what_a_second_one_hears_too(status: int) -> None:
    story = Story()
    crowd = story.crowd("ann", "ben", "cai")
    story.poll().answer(status, [], b"gone")
    assert all(viewer.waits for viewer in crowd)
    story.poll().answer(status, [], b"gone")

    assert [status_of(viewer) for viewer in crowd] == [status] * 3
    story.origin.assert_quiet()


class SlowOrigin(ScriptedOrigin):
    """Takes a request only when ``taken`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.taken = Event()
        self.taken.set()

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """See ``ports.Origin.open``."""
        self.taken.wait()
        return super().open(request, on_sent)


def test_between_two_lenders_nobody_is_told_that_the_tail_is_known() -> None:
    """L3: the first one's poll was no poll; what comes before the second one's is on
    the wire may be news."""
    story = Story(origin=(origin := SlowOrigin()))
    story.crowd("ann", "ben")
    call = story.poll()
    origin.taken.clear()
    call.answer(401, [], b"")
    settle()
    late = story.ask("cai", Mode.SSE)
    settle()
    assert "upToDate" not in late.sink.text
    origin.taken.set()
    story.poll()
    settle()

    assert '"upToDate":true' in late.sink.text


def test_gone_is_what_the_only_one_hears() -> None:
    story = Story()
    (viewer,) = story.crowd("ann")
    story.poll().answer(404, [], b"gone")

    assert viewer.done().status == 404


def told_of(asked: Asked) -> str:
    """All that its client can read in the answer."""
    sink = asked.done()
    if sink.error is not None:
        return f"{sink.error.status} {sink.error.detail} {sink.error.reason}"
    assert sink.answer is not None
    return f"{sink.answer.status} {sink.answer.headers} {sink.answer.body!r}"


def status_of(asked: Asked) -> int:
    """By what status it ended."""
    sink = asked.done()
    return sink.status if sink.error is None else sink.error.status


@pytest.mark.parametrize("mode", [Mode.CATCH_UP, Mode.HEAD])
@pytest.mark.parametrize("status", [404, 410, 400, 500, 503])
def test_what_is_said_to_a_lender_is_told_to_nobody_else(
    status: int, mode: Mode
) -> None:
    """A1, A4: error pages repeat what they were asked with. The others hear of the
    status, in the edge's own words."""
    story, names = Story(), ("ann", "ben", "cai")
    crowd = {name: story.ask(name, mode, "-1") for name in names}
    asked = names[:2] if status < 500 else names[:1]
    for _ in asked:
        call = story.origin.expect(Purpose.CATCH_UP)
        own = f"no page for {lender(call)}"
        call.answer(status, [("x-page", own)], own.encode())
        settle()

    for name, viewer in crowd.items():
        told = told_of(viewer)
        assert all(f"for {other}" not in told for other in names if other != name)
        assert str(status) in told


@pytest.mark.parametrize("status", [404, 410])
def test_what_a_poll_is_told_is_its_lenders_alone(status: int) -> None:
    """A1, A4: also of those who are parked, and of who comes a moment later."""
    story, names = Story(), ("ann", "ben", "cai")
    crowd = dict(zip(names, story.crowd(*names), strict=True))
    for _ in range(2):
        call = story.poll()
        call.answer(status, [("x-page", f"for {lender(call)}")], b"for " + b"one")
        settle()

    heard = [n for n, viewer in crowd.items() if "for " in told_of(viewer)]
    assert heard == [lender(call)]
    assert all(str(status) in told_of(viewer) for viewer in crowd.values())


def test_a_404_that_others_belie_is_a_no_to_that_one() -> None:
    """Some origins hide what one may not read (A17)."""
    story = Story()
    crowd = dict(zip(("ann", "ben"), story.crowd("ann", "ben"), strict=True))
    call = story.poll()
    refused = crowd.pop(lender(call))
    call.answer(404, [], b"")
    story.poll().reply(data(b"x", "0004"))
    settle()

    assert ended_by_grant(refused)
    assert [other.done().body for other in crowd.values()] == [b"x"]
    assert story.house.counters.drops == {}


def test_after_a_404_an_answer_from_the_end_proves_nothing() -> None:
    """L7: the stream may be another one by the time that a second lender asks. What
    follows the old end there is nobody's news."""
    story = Story()
    story.ask("ann", Mode.CATCH_UP, "-1")
    story.origin.expect().reply(data(b"old", TAIL))
    settle()
    crowd = story.crowd("ann", "ben", "cai")
    story.poll().answer(404, [], b"")
    story.poll().reply(data(b"+more", "0008"))
    settle()
    left = [viewer for viewer in crowd if viewer.waits]
    assert len(left) == 2
    check = story.origin.expect(Purpose.CATCH_UP)
    assert check.request.target.endswith("offset=-1")
    check.reply(data(b"new+more", "0008"))
    settle()

    # B7: another one's credential brought other bytes, and so each reads for itself.
    assert story.house.counters.drops == {"access-differs": 1}
    assert not any(viewer.sink.text for viewer in left)


def test_a_429_lets_that_one_rest_and_another_one_asks() -> None:
    """Its lease holds: it was not refused. It is asked for again when it has rested."""
    story = Story()
    crowd = story.crowd("ann", "ben", mode=Mode.SSE)
    first = story.poll()
    first.answer(429, [("retry-after", "10")], b"")
    turns = []
    for end in ("0004", "0005", "0006"):
        call = story.poll()
        turns.append(lender(call))
        call.reply(data(b"x", end))
        settle()
    assert lender(first) not in turns
    story.house.clock.move(11.0)
    for end in ("0007", "0008", "0009"):
        call = story.poll()
        turns.append(lender(call))
        call.reply(data(b"x", end))
        settle()

    assert lender(first) in turns[3:]
    assert all(viewer.waits for viewer in crowd)


@pytest.mark.parametrize("status", [400, 402, 407, 431, 451, 302])
def test_what_one_brings_about_ends_nobody(status: int) -> None:
    """A cookie that is too long, an account that has not paid: it rests, and the others
    hear what a better one hears."""
    story = Story()
    crowd = story.crowd("ann", "ben", "cai")
    story.poll().answer(status, [], b"")
    story.poll().reply(data(b"x", "0004"))

    assert [viewer.done().body for viewer in crowd] == [b"x"] * 3
    assert story.refused(status) == 1
    assert story.house.counters.viewers_ended == {}


def test_what_a_second_one_brings_about_too_is_the_streams() -> None:
    """Here nothing has a boundary at that offset: another stream is there (L5)."""
    story = Story()
    crowd = story.crowd("ann", "ben", "cai", mode=Mode.SSE)
    for _ in range(2):
        story.poll().answer(400, [], b"")
    settle()

    story.origin.assert_quiet()
    assert not any(viewer.waits for viewer in crowd)
    assert story.house.counters.drops == {"offset-refused": 1}


def test_a_429_to_all_who_lend_is_the_streams() -> None:
    """U7: its Retry-After is obeyed, and nobody is told."""
    story = Story()
    crowd = story.crowd("ann", "ben")
    for _ in range(2):
        story.poll().answer(429, [("retry-after", "10")], b"")
    settle()

    story.origin.assert_quiet()
    assert all(viewer.waits for viewer in crowd)
    assert story.house.counters.origin_faults["origin-status"] == 1


def test_a_5xx_is_the_origins_whoever_lends() -> None:
    """The outage rules stay: nobody else is tried for it."""
    story = Story()
    crowd = story.crowd("ann", "ben")
    story.poll().answer(503, [], b"")
    settle()

    story.origin.assert_quiet()
    assert all(viewer.waits for viewer in crowd)
    assert not story.house.counters.lent_refusals


def test_a_head_that_all_are_refused_is_about_the_head() -> None:
    """U12: a GET decides. Nobody's lease ends for it."""
    story = Story()
    crowd = [story.ask(name) for name in ("ann", "ben")]
    for _ in range(2):
        call = story.origin.expect(Purpose.CATCH_UP)
        assert call.request.method == "HEAD"
        call.answer(401, [], b"")
    read = story.origin.expect(Purpose.CATCH_UP)

    assert read.request.method == "GET"
    read.reply(data(b"", TAIL))
    settle()
    assert all(viewer.waits for viewer in crowd)


def test_a_clients_own_head_is_refused_by_its_own_answer() -> None:
    """L15: the one whose credential was asked with last has the answer; the other one
    asks by itself."""
    story, names = Story(), ("ann", "ben")
    crowd = {name: story.ask(name, Mode.HEAD, "-1") for name in names}
    for _ in range(2):
        call = story.origin.expect(Purpose.CATCH_UP)
        call.answer(401, [("x-whose", lender(call))], b"")
    relay = story.origin.expect(Purpose.RELAY)
    relay.answer(401, [("x-whose", lender(relay))], b"")

    for name, asked in crowd.items():
        assert (asked.done().status, asked.sink.header("x-whose")) == (401, name)


def test_a_head_that_one_is_refused_is_about_that_one() -> None:
    story = Story()
    crowd = {name: story.ask(name) for name in ("ann", "ben")}
    call = story.origin.expect(Purpose.CATCH_UP)
    refused = crowd.pop(lender(call))
    call.answer(403, [], b"")
    story.origin.expect(Purpose.CATCH_UP).reply(head_answer(TAIL))
    story.poll()
    settle()

    assert ended_by_grant(refused)
    assert all(other.waits for other in crowd.values())


def test_a_status_for_one_asker_goes_to_nobody_but_the_lender() -> None:
    """L15: the others ask for themselves."""
    story, names = Story(), ("ann", "ben", "cai")
    crowd = {name: story.ask(name, Mode.CATCH_UP, "-1") for name in names}
    askers = []
    for purpose in (Purpose.CATCH_UP, Purpose.CATCH_UP, Purpose.RELAY, Purpose.RELAY):
        call = story.origin.expect(purpose)
        askers.append(lender(call))
        call.answer(302, [("location", f"/for/{askers[-1]}")], b"")

    assert sorted(askers[1:]) == sorted(names)
    for name, asked in crowd.items():
        assert asked.done().header("location") == f"/for/{name}"


# What an origin that judges says.


def test_a_cookie_passes_the_key_and_goes_to_whose_it_is() -> None:
    """B6: it is a reader's own, not the edge's."""
    story = Story()
    first = story.ask("ann", Mode.CATCH_UP, "-1")
    cookie = [("stream-next-offset", TAIL), ("set-cookie", "s=ann")]
    story.origin.expect(Purpose.CATCH_UP).answer(200, cookie, b"abc")
    assert first.done().header("set-cookie") is None
    second = story.ask("ben", Mode.CATCH_UP, "-1")
    relay = story.origin.expect(Purpose.RELAY)
    cookie = [("stream-next-offset", TAIL), ("set-cookie", "s=ben")]
    relay.answer(200, cookie, b"abc")

    assert lender(relay) == "ben"
    assert second.done().header("set-cookie") == "s=ben"


@pytest.mark.parametrize("field", ["private", "no-cache"])
def test_what_is_private_to_all_of_them_is_joined(field: str) -> None:
    story = Story()
    crowd = [story.ask(name, Mode.CATCH_UP, "-1") for name in ("ann", "ben")]
    story.origin.expect().reply(data(b"abc", TAIL, cache_control=field))

    assert {one.done().body for one in crowd} == {b"abc"}
    assert len(story.origin.calls) == 1


def test_unequal_bytes_for_two_lenders_let_the_path_pass(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """B7: for a minute each reads for itself. That is logged once, without a name."""
    story = Story()
    story.ask("ann", Mode.CATCH_UP, "-1")
    story.origin.expect().reply(data(b"for ann", "0007"))
    settle()
    story.house.clock.move(3600.0)
    with caplog.at_level(logging.WARNING, "edge.live"):
        second = story.ask("ben", Mode.CATCH_UP, "-1")
        story.origin.expect(Purpose.CATCH_UP).reply(data(b"for ben", "0007"))
        relay = story.origin.expect(Purpose.RELAY)
        relay.reply(data(b"for ben", "0007"))
    third = story.ask("ann", Mode.CATCH_UP, "-1")
    passed = story.origin.expect(Purpose.RELAY)
    passed.reply(data(b"for ann", "0007"))

    assert (second.done().whole, third.done().whole) == (b"for ben", b"for ann")
    assert (lender(relay), lender(passed)) == ("ben", "ann")
    assert story.house.counters.drops == {"access-differs": 1}
    assert story.house.counters.passes == {"access-differs": 2}
    (record,) = caplog.records
    assert "ann" not in record.getMessage()
    story.house.clock.move(61.0)
    again = story.ask("ben", Mode.CATCH_UP, "-1")
    assert story.origin.expect(Purpose.CATCH_UP)
    assert again.waits


def test_a_shorter_stream_for_another_lender_lets_the_path_pass_too() -> None:
    """L2, B7: its tail contradicts the other one's, and a HEAD confirms it."""
    story = Story()
    story.ask("ann", Mode.CATCH_UP, "-1")
    story.origin.expect().reply(data(b"abcdef", "0006"))
    settle()
    story.house.clock.move(3600.0)
    second = story.ask("ben", Mode.CATCH_UP, "-1")
    story.origin.expect(Purpose.CATCH_UP).reply(data(b"abc", TAIL))
    story.origin.expect(Purpose.CATCH_UP).reply(head_answer(TAIL))
    story.origin.expect(Purpose.RELAY).reply(data(b"abc", TAIL))

    assert second.done().whole == b"abc"
    assert story.house.counters.drops == {"access-differs": 1}


def test_unequal_bytes_for_one_lender_are_another_stream() -> None:
    """L5: as where nothing is lent."""
    story = Story()
    for body in (b"old", b"new"):
        asked = story.ask("ann", Mode.CATCH_UP, "-1")
        story.origin.expect().reply(data(body, TAIL))
        settle()
        story.house.clock.move(3600.0)
    while asked.waits:
        story.origin.expect(Purpose.CATCH_UP).reply(data(b"new", TAIL))
        settle()

    assert asked.done().whole == b"new"
    assert story.house.counters.drops == {"bytes-differ": 1}


def test_a_reader_that_passes_asks_with_its_own_credential() -> None:
    story = Story(max_object=4)
    asked = story.ask("ann", Mode.CATCH_UP, "-1")
    story.origin.expect(Purpose.CATCH_UP).reply(data(b"abcdef", "0006"))
    relay = story.origin.expect(Purpose.RELAY)
    relay.reply(data(b"abcdef", "0006"))

    assert lender(relay) == "ann" and asked.done().whole == b"abcdef"


def test_where_the_edge_asks_in_its_own_name_nobody_lends() -> None:
    """``upstream: own``: the same leases, and the edge's credential."""
    route = Route(
        access=Access.GRANTED,
        ways=(OriginWay(TRUST),),
        origin_headers=(("Authorization", "edge"),),
    )
    story = Story(route)
    story.ask("ann", Mode.CATCH_UP, "-1")
    assert lender(story.origin.expect()) == "edge"
