"""An origin that fails for many streams is left alone, but for one call a step (U6)."""

from collections.abc import Callable

import gevent
import pytest

from edge.core.counters import Counters
from edge.core.errors import NotAsked, OriginFault
from edge.core.ports import Exchange
from edge.core.reasons import Reason
from edge.core.values import Headers, Mode, OriginRequest, Purpose
from edge.live.context import HubContext
from edge.live.control import HubControl
from edge.live.upstream import Upstream
from edge.policy.http.breaker import LONGEST_STEP
from origin_adapter.blocking import BeginsByOpen
from origin_adapter.scripted import LivingOrigin, PlayedExchange, ScriptedOrigin, data
from tests.live.support import QUICK, Asked, House, TestClock, fetch, settle
from tests.support.options import hub_options

PATHS = [f"/v1/stream/{number}" for number in range(30)]
SLOW = {"backoff_first": 1000.0, "backoff_max": 1000.0}
"""Back-off of streams that ask again only when a story says so."""


class City:
    """Thirty streams of three bytes, each followed and watched by a viewer; of each,
    all or nothing is held."""

    def __init__(self, holds: bool = True, **options: object) -> None:
        self.origin = LivingOrigin()
        options = {"long_poll_timeout": 90.0, **SLOW, **options}
        self.house = House(self.origin, **options)
        self.viewers: list[Asked] = []
        for path in PATHS:
            self.origin.create(path)
            self.origin.append(path, b"abc")
            if holds:
                assert self.read(path).done().body == b"abc"
            key, tail = self.house.key(path), self.origin.tail(path)
            self.viewers.append(self.house.ask(tail, Mode.LONG_POLL, key=key))
        settle()
        assert self.origin.requests["long-poll"] == len(PATHS)

    def read(self, path: str) -> Asked:
        return self.house.ask(key=self.house.key(path))

    def fall(self) -> None:
        """The origin goes down; the polls that it held end, one after the other, and
        are not made again."""
        self.house.clock.move(20)
        self.origin.down = True
        for path in PATHS:
            self.origin.lapse(path)
            settle()
        self.poll_again()
        assert self.refusals > len(PATHS)

    def tries(self) -> int:
        """Calls to the origin while it was down."""
        return self.origin.requests["down"]

    def is_open(self) -> bool:
        return HubControl(self.house.hub).gauges()["breaker_open"] == 1

    @property
    def refusals(self) -> int:
        return self.house.counters.refusals["origin-down"]

    def poll_again(self) -> None:
        """Every follower asks, though it was told to pause."""
        for path in PATHS:
            self.house.hub.followers.kick(
                self.house.hub.streams.obtain(self.house.key(path))
            )
        settle()

    def ask_again(self) -> None:
        """Every follower asks twice, and readers of all streams come."""
        refused = self.refusals + 2 * len(PATHS)
        for path in PATHS:
            self.read(path)
        for _ in range(3):
            self.poll_again()
        assert self.refusals > refused


def until(happened: Callable[[], bool]) -> None:
    """Wait for it; the test's own time-out says that it never came."""
    while not happened():
        gevent.sleep(0.001)


def test_an_origin_that_is_down_is_asked_by_one_call_a_step() -> None:
    """U6. Readers of what is held are answered all the while, as stale."""
    city = City()
    assert not city.is_open()
    city.fall()
    assert city.is_open() and city.house.counters.breaker_opened == 1
    assert city.tries() == 10, "half of the last twenty calls"

    for tries in (11, 12, 13, 14, 15, 16):
        city.house.pass_time(LONGEST_STEP)
        city.ask_again()
        assert city.tries() == tries
        sink = city.read(PATHS[0]).done()
        assert sink.body == b"abc" and sink.how.endswith("stale")

    assert all(viewer.waits for viewer in city.viewers)
    assert city.house.counters.origin_faults == {"origin-unreachable": 16}
    assert city.house.counters.breaker_opened == 1


def test_who_asks_for_what_is_not_held_is_told_when_to_come_again() -> None:
    """U6: at once, by the reason word that is in the log and the metrics too."""
    city = City()
    city.fall()
    error = city.read("/v1/stream/unknown").done().error

    assert isinstance(error, NotAsked)
    assert (error.status, error.reason) == (503, Reason.ORIGIN_DOWN)
    assert error.retry_after == 1
    assert city.tries() == 10


def test_all_is_served_once_the_origin_is_back() -> None:
    """U6: the first answer lets everybody ask again."""
    city = City()
    city.fall()
    city.house.pass_time(LONGEST_STEP)
    city.ask_again()
    waiting = city.house.ask("-1", Mode.LONG_POLL, key=city.house.key("/v1/stream/new"))
    assert city.is_open() and waiting.waits

    city.origin.down = False
    city.origin.create("/v1/stream/new")
    city.origin.append("/v1/stream/new", b"new")
    for path in PATHS:
        city.origin.append(path, b"de")
    city.house.pass_time(LONGEST_STEP)

    assert {viewer.done().body for viewer in city.viewers} == {b"de"}
    assert not city.is_open()
    city.house.pass_time(2)
    assert waiting.done().body == b"new"
    assert city.read(PATHS[3]).done().body == b"abcde"


def test_no_probe_is_a_poll_that_the_origin_holds() -> None:
    """Streams in which nothing happens must not keep it open for the time that an
    origin holds a poll."""
    city = City(holds=False)
    city.fall()
    polls = city.origin.requests["long-poll"]
    city.origin.down = False
    city.house.pass_time(LONGEST_STEP)
    until(lambda: city.origin.requests["long-poll"] == polls + len(PATHS))

    assert not city.is_open()
    assert city.origin.requests["catch-up"] == 1
    assert all(viewer.waits for viewer in city.viewers)
    assert city.house.counters.origin_faults == {"origin-unreachable": 10}


def test_an_operator_may_have_every_call_made() -> None:
    """``origin.breaker: off``: for an origin whose parts fail apart."""
    city = City(True, breaker=False, **QUICK)
    city.origin.down = True
    city.origin.lapse()
    until(lambda: city.tries() > 10 * len(PATHS))

    assert not city.is_open()
    assert not city.house.counters.refusals


# Upstream by itself.


class Statuses(BeginsByOpen):
    """An origin that answers each call with the next status."""

    def __init__(self, *statuses: int) -> None:
        self._left = list(statuses)

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        exchange = PlayedExchange(self._left.pop(0), (("via", "1.1 next-hop"),))
        exchange.end()
        return exchange


def is_edge(headers: Headers) -> bool:
    return ("via", "1.1 next-hop") in headers


def is_no_edge(headers: Headers) -> bool:
    return False


def upstream(
    origin: Statuses | ScriptedOrigin,
    from_an_edge: Callable[[Headers], bool] = is_no_edge,
) -> tuple[Upstream, Counters, TestClock]:
    counters, clock = Counters(), TestClock()
    context = HubContext(hub_options(), counters, clock)
    return Upstream(origin, context, from_an_edge), counters, clock


def get(
    number: int, query: str = "", purpose: Purpose = Purpose.FOLLOW
) -> OriginRequest:
    return OriginRequest("GET", f"/v1/stream/{number}{query}", purpose=purpose)


@pytest.mark.parametrize("status", [502, 503, 504, 522])
def test_it_opens_on_what_a_proxy_answers_for_an_origin_that_is_away(
    status: int,
) -> None:
    """U6: polls count as other reads do."""
    source, counters, _ = upstream(Statuses(*[status] * 10))
    for number in range(10):
        fetch(source, get(number))

    assert source.breaker.is_open and counters.breaker_opened == 1
    with pytest.raises(NotAsked):
        fetch(source, get(10))
    assert counters.origin_requests == {"follow": 10}
    assert counters.refusals == {"origin-down": 1}
    assert not counters.origin_faults


def test_a_failure_that_another_edge_reports_is_not_that_edges_own() -> None:
    """U11: the next hop lives; it is its origin that is away."""
    source, _, _ = upstream(Statuses(*[503] * 30), is_edge)
    for number in range(30):
        fetch(source, get(number))

    assert source.breaker.calm


@pytest.mark.parametrize(
    "targets",
    [
        [get(0, f"?offset={offset}") for offset in range(30)],
        [get(0, f"?shape={number % 7}") for number in range(30)],
        [get(number % 2) for number in range(30)],
    ],
    ids=["offsets", "extensions", "two streams"],
)
def test_a_stream_is_one_stream_however_it_is_read(
    targets: list[OriginRequest],
) -> None:
    source, _, _ = upstream(Statuses(*[503] * 30))
    for request in targets:
        fetch(source, request)

    assert not source.breaker.is_open


def test_what_fails_for_one_kind_of_call_holds_all_kinds_back() -> None:
    source, _, _ = upstream(Statuses(*[503] * 10))
    for number, purpose in enumerate([Purpose.CATCH_UP, Purpose.RELAY] * 5):
        source.open(get(number, purpose=purpose))

    for purpose in (Purpose.CATCH_UP, Purpose.FOLLOW, Purpose.RELAY):
        with pytest.raises(NotAsked):
            source.open(get(1, purpose=purpose))


def test_a_body_that_is_cut_says_nothing_of_the_origin() -> None:
    """It is judged once the head is there."""
    origin = ScriptedOrigin()
    source, _, _ = upstream(origin)
    callers = [gevent.spawn(fault_of, source, get(number)) for number in range(12)]
    for _ in callers:
        call = origin.expect()
        call.head(200)
        call.cut()
    gevent.joinall(callers)

    assert {str(caller.value) for caller in callers} == {"the script cut the body"}
    assert source.breaker.calm


def fault_of(source: Upstream, request: OriginRequest) -> OriginFault | None:
    try:
        fetch(source, request)
    except OriginFault as fault:
        return fault
    return None


def test_a_probe_that_is_cancelled_leaves_room_for_the_next() -> None:
    """Never stuck: nobody may ever tell what became of it."""
    origin = ScriptedOrigin()
    source, _, clock = upstream(origin)
    failing = [gevent.spawn(fault_of, source, get(number)) for number in range(10)]
    for _ in failing:
        origin.expect().cut()
    gevent.joinall(failing)
    assert source.breaker.is_open

    clock.move(LONGEST_STEP)
    probe = source.begin(get(1), lambda outcome: pytest.fail("it was cancelled"))
    origin.expect()
    probe.cancel()
    assert isinstance(fault_of(source, get(2)), NotAsked)

    clock.move(LONGEST_STEP)
    next_one = gevent.spawn(fetch, source, get(2))
    origin.expect().reply(data(b"abc", "0003"))
    assert next_one.get().body == b"abc"
    assert source.breaker.calm
