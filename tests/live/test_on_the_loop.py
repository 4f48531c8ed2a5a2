"""Flights, followers and lent fetches are data that the event loop moves (U25).

Every call here is told by callbacks in gevent's hub, where switching would raise.
"""

import gc
import re

import gevent
import pytest
from greenlet import greenlet

from edge.core.counters import Counters
from edge.core.errors import (
    ClientFault,
    EdgeError,
    NotAsked,
    OriginFault,
    OriginUnreachable,
)
from edge.core.reasons import Reason
from edge.core.values import (
    Mode,
    OriginAnswer,
    OriginAnswerHead,
    OriginRequest,
    Purpose,
)
from edge.live.context import HubContext
from edge.live.follower_states import FollowerState
from edge.live.rows import Follower
from edge.live.upstream import Outcome, TooLarge, Upstream
from edge.policy.http.cache_status import is_from_an_edge
from origin_adapter.scripted import data, head_answer, no_content
from tests.live.on_the_loop import HeldCall, LoopOrigin
from tests.live.support import Asked, House, RecordingSink, TestClock, settle
from tests.support.hub_errors import HubError
from tests.support.options import hub_options

LIVE = [Mode.LONG_POLL, Mode.SSE]
SLOW = {"backoff_first": 1000.0, "backoff_max": 1000.0}
GET = OriginRequest("GET", "/v1/stream/a")


def on_the_loop(**options: object) -> tuple[House, LoopOrigin]:
    origin = LoopOrigin()
    return House(origin, **options), origin


def watch(
    house: House, origin: LoopOrigin, mode: Mode = Mode.LONG_POLL, path: str = "a"
) -> tuple[Asked, HeldCall]:
    """A first live reader at the tail: one HEAD opened it, and a poll is armed."""
    asked = house.ask("0003", mode, key=house.key(f"/v1/stream/{path}"))
    origin.expect().reply(head_answer("0003"))
    poll = origin.expect()
    assert poll.request.purpose is Purpose.FOLLOW
    return asked, poll


def follower(house: House) -> Follower:
    (stream,) = [one for one in house.hub.streams if one.follower is not None]
    assert stream.follower is not None
    return stream.follower


def greenlets() -> int:
    """How many there are that have not ended."""
    gc.collect()
    return sum(isinstance(one, greenlet) and not one.dead for one in gc.get_objects())


def test_a_thousand_followed_streams_cost_no_greenlet() -> None:
    """Neither while they are opened, nor while they wait, nor when an event comes."""
    house, origin = on_the_loop(max_followers=2000)
    settle()
    # What other tests have left behind may come and go meanwhile.
    most = greenlets() + 100
    viewers = [
        house.ask("0003", Mode.SSE, key=house.key(f"/v1/stream/{number}"))
        for number in range(1000)
    ]
    settle()
    assert len(house.hub.flights) == 1000 and greenlets() < most
    for call in list(origin.calls):
        call.reply(head_answer("0003"))
    settle()
    assert len(house.hub.followers) == 1000 and greenlets() < most
    for call in origin.calls[1000:]:
        call.reply(data(b"de", "0005"))
    settle()

    assert all("de" in viewer.sink.text for viewer in viewers)
    assert len(origin.calls) == 3000 and greenlets() < most


@pytest.mark.parametrize("mode", LIVE)
def test_whatever_a_poll_brings_is_taken_in_without_a_switch(mode: Mode) -> None:
    """Data, a time-out, a failure, a check that works, and the stream's end."""
    house, origin = on_the_loop(backoff_first=0.001, backoff_max=0.001)
    viewer, poll = watch(house, origin, mode)
    poll.reply(data(b"de", "0005"))
    settle()
    assert b"de" in viewer.sink.whole
    late = house.ask("0005", mode)
    house.clock.move(20)
    origin.expect().reply(no_content("0005"))
    origin.expect().fail(OriginUnreachable("it is away"))
    origin.expect().reply(data(b"de", "0005"))
    last = origin.expect()
    assert last.request.purpose is Purpose.FOLLOW and late.waits
    last.reply(data(b"f", "0006", closed=True))

    assert b"f" in late.done().whole
    assert len(house.hub.followers) == 0


def test_the_next_poll_is_on_the_wire_before_the_crowd_is_woken() -> None:
    """The origin works meanwhile, and the claims of the crowd rest on it (L3)."""
    house, origin = on_the_loop()
    sent: list[int] = []

    class Watching(RecordingSink):
        def finish(self) -> None:
            sent.append(len(origin.calls))
            super().finish()

    first, poll = watch(house, origin)
    second = house.ask("0003", Mode.LONG_POLL, Watching())
    poll.reply(data(b"de", "0005"))

    assert (first.done().body, second.done().body) == (b"de", b"de")
    assert sent == [3]
    assert second.sink.header("Stream-Up-To-Date") == "true"


def test_the_fields_of_a_followers_polls_are_made_once() -> None:
    """Only what tells for which request it is differs, and stands last."""
    house, origin = on_the_loop()
    _, poll = watch(house, origin, Mode.SSE)
    poll.reply(data(b"de", "0005"))
    fields, again = poll.request.headers, origin.expect().request.headers

    assert all(one is other for one, other in zip(fields[:-2], again, strict=False))
    assert [name for name, _ in again[-2:]] == ["traceparent", "x-request-id"]
    assert fields[-2:] != again[-2:]


def test_ids_of_requests_are_well_formed_and_unique() -> None:
    """W3C Trace Context section 3.2; no sampling is asked for."""
    source = Upstream(LoopOrigin(), context(), is_from_an_edge)
    traces = [dict(source._traces.next()) for _ in range(10_000)]

    form = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-00")
    assert all(form.fullmatch(one["traceparent"]) for one in traces)
    assert all(re.fullmatch("[0-9a-f]{24}", one["x-request-id"]) for one in traces)
    for name in ("traceparent", "x-request-id"):
        assert len({one[name] for one in traces}) == len(traces)


@pytest.mark.parametrize("mode", LIVE)
def test_a_defect_in_what_a_poll_brought_ends_that_follower_alone(
    mode: Mode, monkeypatch: pytest.MonkeyPatch, hub_errors: list[HubError]
) -> None:
    """Who waited for the poll is decided again; the other stream hears nothing."""
    house, origin = on_the_loop()
    viewer, poll = watch(house, origin, mode)
    other, others_poll = watch(house, origin, mode, "b")
    house.wrote("POST", 204, stream_next_offset="0005")
    reader = house.ask("0003")
    asked = len(origin.calls)
    with monkeypatch.context() as broken:
        broken.setattr("edge.live.poll_results.judge", _break)
        poll.reply(data(b"de", "0005"))
        settle()
    assert [error.kind for error in hub_errors] == [ZeroDivisionError]
    assert house.counters.internal_errors == 1
    assert len(house.hub.followers) == 1 and not others_poll.cancelled
    (fetch,) = origin.calls[asked:]
    fetch.reply(data(b"de", "0005"))
    settle()

    assert reader.done().body == b"de" and b"de" in viewer.sink.whole
    others_poll.reply(data(b"xy", "0005"))
    settle()
    assert b"xy" in other.sink.whole


def _break(*args: object, **more: object) -> object:
    raise ZeroDivisionError


def test_a_defect_when_a_poll_is_to_be_sent_ends_the_follower(
    monkeypatch: pytest.MonkeyPatch, hub_errors: list[HubError]
) -> None:
    """The tick has the viewers followed anew."""
    house, origin = on_the_loop()
    viewer, poll = watch(house, origin, Mode.SSE)
    with monkeypatch.context() as broken:
        broken.setattr("edge.policy.streams.upstream_requests.read_request", _break)
        poll.reply(data(b"de", "0005"))
        settle()
    assert len(house.hub.followers) == 0 and "de" in viewer.sink.text
    house.pass_time(0.25)
    origin.expect().reply(data(b"f", "0006"))
    settle()

    assert viewer.sink.text.count("event: data") == 2
    assert [error.kind for error in hub_errors] == [ZeroDivisionError]


@pytest.mark.parametrize("mode", list(Mode))
def test_a_flight_that_cannot_be_sent_releases_everybody(
    mode: Mode, monkeypatch: pytest.MonkeyPatch, hub_errors: list[HubError]
) -> None:
    house, _ = on_the_loop(cold_patience=0.0)
    for name in ("head_request", "read_request"):
        monkeypatch.setattr(f"edge.policy.streams.upstream_requests.{name}", _break)
    crowd = [house.ask("0003", mode) for _ in range(3)]
    settle()

    for asked in crowd:
        error = asked.done().error
        assert error is not None and error.reason is Reason.INTERNAL
    assert {error.kind for error in hub_errors} == {ZeroDivisionError}
    assert len(house.hub.flights) == 0


# A follower is stopped wherever it is.


def due(house: House, origin: LoopOrigin) -> Asked:
    """Its first poll has not been sent."""
    asked = house.ask("0003", Mode.SSE)
    origin.expect().reply(head_answer("0003"))
    while not house.hub.followers:
        gevent.sleep(0)
    return asked


def asking(house: House, origin: LoopOrigin) -> Asked:
    """Between the sending of its poll and the head of the answer."""
    return watch(house, origin, Mode.SSE)[0]


def reading(house: House, origin: LoopOrigin) -> Asked:
    """Between the head of the answer and its body."""
    asked, poll = watch(house, origin, Mode.SSE)
    poll.head(data(b"de", "0005"))
    settle()
    return asked


def pausing(house: House, origin: LoopOrigin) -> Asked:
    """It backs off."""
    asked, poll = watch(house, origin, Mode.SSE)
    poll.fail(OriginUnreachable("it is away"))
    settle()
    return asked


def bound(house: House, origin: LoopOrigin) -> Asked:
    """A Retry-After runs."""
    asked, poll = watch(house, origin, Mode.SSE)
    poll.reply(OriginAnswer(503, (("retry-after", "60"),)))
    settle()
    stream = follower(house).stream
    assert stream.contact is not None
    stream.contact.poll_again_at = 0.0
    house.hub.followers.kick(stream)
    settle()
    return asked


WHERE = {
    due: FollowerState.DUE,
    asking: FollowerState.ASKING,
    reading: FollowerState.ASKING,
    pausing: FollowerState.PAUSING,
    bound: FollowerState.BOUND,
}


@pytest.mark.parametrize("begin", WHERE)
def test_a_stop_ends_a_follower_wherever_it_is(begin: object) -> None:
    """Nothing is asked after it, and what comes late is for nobody."""
    house, origin = on_the_loop(**SLOW)
    assert callable(begin)
    viewer: Asked = begin(house, origin)
    row, calls = follower(house), list(origin.calls)
    assert row.state is WHERE[begin]
    house.hub.stop()
    assert row.state is FollowerState.ENDED and viewer.done().finished
    for call in calls:
        if not call.cancelled:
            call.receiver.failed(OriginUnreachable("late"))
    settle()

    assert origin.calls == calls and len(house.hub.followers) == 0
    assert row.stream.follower is None and row.stream.log.tail.armed is None


def test_news_ends_a_back_off_and_no_retry_after() -> None:
    """U7; and once for each pause: a second kick in the same turn asks no second
    time."""
    house, origin = on_the_loop(**SLOW)
    pausing(house, origin)
    stream, asked = follower(house).stream, len(origin.calls)
    for _ in range(2):
        house.hub.followers.kick(stream)
    settle()
    assert len(origin.calls) == asked + 1

    assert stream.contact is not None
    stream.contact.bind(house.clock.monotonic() + 60)
    origin.expect().fail(OriginUnreachable("it is away"))
    settle()
    for _ in range(3):
        house.hub.followers.kick(stream)
        settle()
    assert follower(house).state is FollowerState.BOUND
    assert len(origin.calls) == asked + 1


def test_a_follower_that_nobody_wants_after_its_pause_asks_no_more() -> None:
    """The last viewer left meanwhile, and the linger is over."""
    house, origin = on_the_loop(**SLOW, linger=1.0)
    viewer = pausing(house, origin)
    row, asked = follower(house), len(origin.calls)
    assert viewer.pending is not None
    viewer.pending.gone()
    house.clock.move(2.0)
    house.hub.followers.kick(row.stream)
    settle()

    assert row.state is FollowerState.ENDED and len(origin.calls) == asked


def test_a_follower_makes_no_move_that_its_table_does_not_have() -> None:
    house, origin = on_the_loop(**SLOW)
    pausing(house, origin)
    row = follower(house)

    with pytest.raises(RuntimeError, match="cannot become due"):
        row.move(FollowerState.DUE)
    assert "pausing" in repr(row)


# One call.


def context(max_object: int = 10) -> HubContext:
    return HubContext(hub_options(max_object=max_object), Counters(), TestClock())


class Told:
    """A Receiver that notes what it is told, and raises where it is to."""

    def __init__(self, raises: str = "") -> None:
        self.raises = raises
        self.told: list[str] = []
        self.fault: EdgeError | None = None

    def _note(self, what: str) -> None:
        self.told.append(what)
        if what == self.raises:
            raise ZeroDivisionError

    def sent(self) -> None:
        self._note("sent")

    def head(self, head: OriginAnswerHead) -> None:
        self._note("head")

    def data(self, piece: bytes) -> None:
        self._note("data")

    def ended(self) -> None:
        self._note("ended")

    def failed(self, fault: EdgeError) -> None:
        self.fault = fault
        self._note("failed")


@pytest.mark.parametrize("raises", ["sent", "head", "data"])
def test_a_receiver_that_raises_is_told_that_its_call_failed(
    raises: str, hub_errors: list[HubError]
) -> None:
    """Once, in a later turn; the origin is asked no more of it."""
    origin, told = LoopOrigin(), Told(raises)
    source = Upstream(origin, context(), is_from_an_edge)
    source.stream(GET, told)
    (call,) = origin.calls
    call.reply(data(b"abc", "0003"))
    settle()

    order = ["sent", "head", "data"]
    assert told.told == [*order[: order.index(raises) + 1], "failed"]
    assert call.cancelled and told.fault is not None
    assert told.fault.reason is Reason.INTERNAL
    assert [error.kind for error in hub_errors] == [ZeroDivisionError]


@pytest.mark.parametrize("raises", ["ended", "failed"])
def test_a_receiver_that_raises_at_the_end_harms_nobody(
    raises: str, hub_errors: list[HubError]
) -> None:
    origin, told, its = LoopOrigin(), Told(raises), context()
    Upstream(origin, its, is_from_an_edge).stream(GET, told)
    (call,) = origin.calls
    if raises == "ended":
        call.reply(data(b"abc", "0003"))
    else:
        call.fail(OriginUnreachable("it is away"))
    settle()

    assert told.told[-1] == raises and told.told.count(raises) == 1
    assert its.counters.internal_errors == len(hub_errors) == 1


def test_an_answer_in_pieces_is_counted_and_told_to_the_breaker() -> None:
    """U6: for who takes an answer as it comes, as for who takes it whole."""
    origin, its = LoopOrigin(), context()
    source = Upstream(origin, its, is_from_an_edge)
    for number in range(10):
        source.stream(OriginRequest("GET", f"/v1/stream/{number}"), Told())
        origin.calls[-1].reply(OriginAnswer(503, ()))
    settle()
    assert source.breaker.is_open and its.counters.origin_statuses == {"503": 10}
    told = Told()
    source.stream(GET, told)
    assert told.told == [], "not before it knows its call"
    settle()

    assert told.told == ["failed"] and isinstance(told.fault, NotAsked)
    assert len(origin.calls) == 10


def test_a_call_that_was_not_made_and_is_cancelled_tells_nobody() -> None:
    origin, told = LoopOrigin(), Told()
    source = Upstream(origin, context(), is_from_an_edge)
    for number in range(10):
        source.stream(OriginRequest("GET", f"/v1/stream/{number}"), Told())
        origin.calls[-1].fail(OriginUnreachable("it is away"))
    settle()
    call = source.stream(GET, told)
    call.pause()
    call.resume()
    call.cancel()
    settle()

    assert told.told == []


def test_a_call_that_is_cancelled_while_it_is_begun_is_cancelled_at_the_origin() -> (
    None
):
    """``sent`` may come before the caller has the call in hand."""
    origin = LoopOrigin()
    source = Upstream(origin, context(), is_from_an_edge)
    told: list[Outcome] = []

    def raise_in_sent() -> None:
        raise ZeroDivisionError

    with pytest.MonkeyPatch.context() as quiet:
        quiet.setattr("edge.live.context.Guard.report", lambda *_: None)
        source.begin(GET, told.append, raise_in_sent)
    settle()

    assert origin.calls[0].cancelled
    (outcome,) = told
    assert isinstance(outcome, OriginFault) and outcome.reason is Reason.INTERNAL


def test_what_cannot_be_sent_is_a_defect_and_not_the_origins() -> None:
    origin, its = LoopOrigin(), context()
    told: list[Outcome] = []
    Upstream(origin, its, is_from_an_edge).begin(GET, told.append)
    origin.calls[0].fail(ClientFault("a line break in a field"))
    settle()

    (outcome,) = told
    assert isinstance(outcome, OriginFault) and outcome.reason is Reason.INTERNAL
    assert its.counters.internal_errors == 1 and not its.counters.origin_faults


def test_an_origin_that_raises_has_failed(hub_errors: list[HubError]) -> None:
    class Broken(LoopOrigin):
        def begin(self, *_: object) -> HeldCall:
            raise ZeroDivisionError

    told: list[Outcome] = []
    Upstream(Broken(), context(), is_from_an_edge).begin(GET, told.append)
    assert told == []
    settle()

    (outcome,) = told
    assert isinstance(outcome, OriginFault) and outcome.reason is Reason.INTERNAL
    assert [error.kind for error in hub_errors] == [ZeroDivisionError]


def test_an_answer_that_is_too_large_is_given_up_at_its_head() -> None:
    """L11."""
    origin = LoopOrigin()
    told: list[Outcome] = []
    Upstream(origin, context(), is_from_an_edge).begin(GET, told.append)
    origin.calls[0].head(data(b"x" * 11, "0011"))
    settle()

    assert [type(outcome) for outcome in told] == [TooLarge]
    assert origin.calls[0].cancelled


def test_a_body_in_one_piece_is_not_copied() -> None:
    origin, body = LoopOrigin(), b"0123456789"
    told: list[Outcome] = []
    Upstream(origin, context(), is_from_an_edge).begin(GET, told.append)
    origin.calls[0].reply(data(body, "0010"))
    settle()

    (outcome,) = told
    assert getattr(outcome, "body", None) is body
