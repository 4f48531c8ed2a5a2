"""Above the end: laws, with a crowd that asks for anything at any time (U14).

The clock moves in quarters of a second, as the ticker does. What the origin answers is
made when it is asked, and may arrive later.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pytest
from gevent.event import Event
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.core.ports import Exchange
from edge.core.values import Framing, Mode, OriginAnswer, OriginRequest
from edge.live.paced_asks import PACE_SECONDS
from origin_adapter.blocking import BeginsByOpen
from origin_adapter.scripted import PlayedExchange, data, head_answer
from tests.live.support import Asked, House, settle

HELD = 20
"""Bytes that the edge holds at first."""

MODES = (Mode.CATCH_UP, Mode.LONG_POLL, Mode.SSE)
slow_is_fine = [HealthCheck.too_slow]
often = settings(deadline=None, max_examples=40, suppress_health_check=slow_is_fine)
HABITS = ("at-end", "echo", "refuse", "shield")
every_habit = pytest.mark.parametrize("habit", HABITS)


def mint(position: int) -> str:
    return f"{position:04d}"


@dataclass
class Guessed(BeginsByOpen):
    """An origin of one stream; ``habit`` is what it does with an offset beyond it.

    A "shield" is an edge before one: it believes a poll of its own, and so has ``seen``
    less than there is, until it is asked for more than it has seen, or ``sync``.

    ``asked`` are the times of its catch-up reads. While ``held`` an answer to one is on
    its way. While it is ``gone`` a HEAD counts as one of these.
    """

    habit: str
    now: Callable[[], float]
    body: bytes = b"." * HELD
    seen: int = HELD
    asked: list[float] = field(default_factory=list)
    held: bool = False
    gone: bool = False
    grown: Event = field(default_factory=Event)
    landed: Event = field(default_factory=Event)

    def grow(self, size: int) -> None:
        self.body += b"%c" % (97 + len(self.body) % 26) * size
        if self.habit != "shield":
            self.sync()

    def sync(self) -> None:
        self.seen = len(self.body)
        self.grown.set()
        self.grown = Event()

    def land(self) -> None:
        self.landed.set()
        self.landed = Event()

    def open(
        self, request: OriginRequest, on_sent: Callable[[], None] | None = None
    ) -> Exchange:
        """See ``ports.Origin.open``."""
        asked = parse_qs(urlsplit(request.target).query)
        if on_sent is not None:
            on_sent()
        if self.gone:
            self.asked.append(self.now())
            text = (("content-type", "text/plain"),)
            return played(OriginAnswer(404, text, b"gone"), request.method == "HEAD")
        if request.method == "HEAD":
            self.seen = len(self.body)
            return played(head_answer(mint(self.seen)), bodiless=True)
        start = asked["offset"][0]
        if "live" in asked:
            while self.position(start) >= self.seen:
                self.grown.wait()
            return played(self.get(start))
        self.asked.append(self.now())
        answer = self.get(start)
        if self.held:
            self.landed.wait()
        return played(answer)

    @staticmethod
    def position(offset: str) -> int:
        return 0 if offset == "-1" else int(offset)

    def get(self, start: str) -> OriginAnswer:
        at = self.position(start)
        if self.habit == "shield" and at > self.seen:
            self.sync()
        tail = self.seen
        if at > tail and self.habit == "refuse":
            return OriginAnswer(400, (("content-type", "text/plain"),), b"no offset")
        if at > tail and self.habit == "echo":
            return data(b"", start)
        if self.habit == "shield":
            hit = "ds-edge/up; hit"
            return data(self.body[at:tail], mint(tail), cache_status=hit)
        return data(self.body[at:tail], mint(tail))


def played(answer: OriginAnswer, bodiless: bool = False) -> PlayedExchange:
    framing = Framing.NONE if bodiless else Framing.LENGTH
    length = None if bodiless else len(answer.body)
    exchange = PlayedExchange(answer.status, answer.headers, framing, length)
    exchange.put(answer.body)
    exchange.end()
    return exchange


def opened(habit: str) -> tuple[House, Guessed]:
    """The edge holds the stream, and has described it. A second passes."""
    origin = Guessed(habit, lambda: house.clock.monotonic())
    house = House(origin, linger=0.0)
    house.ask().done()
    viewer = house.poll(mint(HELD))
    settle()
    assert viewer.pending is not None
    viewer.pending.gone()
    house.pass_time(PACE_SECONDS)
    origin.asked.clear()
    return house, origin


@every_habit
def test_a_hostile_crowd_costs_one_read_a_second(habit: str) -> None:
    """However many they are, and whatever they make up. And each of them is told, or
    is refused after a while; who waits is one whom the origin would let wait."""
    arrivals = st.tuples(
        st.integers(0, 6), st.sampled_from(MODES), st.integers(HELD + 1, HELD + 40)
    )

    @often
    @given(crowd=st.lists(arrivals, min_size=1, max_size=40))
    def hold(crowd: list[tuple[int, Mode, int]]) -> None:
        house, origin = opened(habit)
        readers = []
        for quarters, mode, position in crowd:
            for _ in range(quarters):
                house.pass_time(0.25)
            readers.append((mode, house.ask(mint(position), mode)))
            settle()
        for _ in range(40):
            house.pass_time(0.25)

        paces = [after - before for before, after in pairwise(origin.asked)]
        assert all(pace >= PACE_SECONDS for pace in paces), origin.asked
        assert not house.counters.passes and not house.counters.internal_errors
        for mode, reader in readers:
            assert not reader.waits or (habit == "echo" and mode.live)

    hold()


def test_a_crowd_that_comes_back_to_nothing_costs_two_reads_a_second() -> None:
    """One, but for the first of them after a while, which waits for nobody."""
    arrivals = st.tuples(
        st.integers(0, 12), st.sampled_from(MODES[1:]), st.integers(0, HELD + 40)
    )

    @often
    @given(crowd=st.lists(arrivals, min_size=1, max_size=40))
    def hold(crowd: list[tuple[int, Mode, int]]) -> None:
        house, origin = opened("at-end")
        origin.gone = True
        # So much is known of it: it is gone, and HEAD is believed on this route (U12).
        for mode in (Mode.CATCH_UP, Mode.LONG_POLL):
            house.ask(mint(HELD), mode).done()
        settle()
        house.pass_time(PACE_SECONDS)
        origin.asked.clear()
        readers = []
        for quarters, mode, position in crowd:
            for _ in range(quarters):
                house.pass_time(0.25)
            readers.append(house.ask(mint(position), mode))
            settle()
        for _ in range(8):
            house.pass_time(0.25)

        asked = origin.asked
        paces = [later - one for one, later in zip(asked, asked[2:], strict=False)]
        assert all(pace >= PACE_SECONDS for pace in paces), asked
        assert not any(reader.waits for reader in readers)

    hold()


@dataclass
class Newcomer:
    """A reader, where it stands, and how long the stream was when it came."""

    mode: Mode
    position: int
    length: int
    asked: Asked

    def judge(self, body: bytes) -> None:
        """What it was given begins where it stands, and it never goes back from an
        offset that the origin had minted."""
        ends, given = self.ends_and_bytes()
        for end in ends:
            assert end >= min(self.position, self.length)
        if given:
            first = ends[0] if len(ends) == 1 else ends[-1]
            assert given == body[self.position : first]

    def ends_and_bytes(self) -> tuple[list[int], bytes]:
        sink = self.asked.sink
        if self.mode is not Mode.SSE or not sink.written:
            if sink.answer is None or sink.status >= 400 or self.mode is Mode.SSE:
                return [], b""
            end = sink.header("Stream-Next-Offset")
            return [int(end or "")], sink.whole
        ends = [int(c["streamNextOffset"]) for kind, c in sink.events if kind != "data"]
        texts = [text for kind, text in sink.events if kind == "data"]
        return ends, "".join(texts).encode()


def happens(house: House, origin: Guessed, act: str, number: int) -> None:
    """Something that is not a reader's coming."""
    match act:
        case "grow":
            origin.grow(number)
        case "sync":
            origin.sync()
        case "wait":
            for _ in range(number):
                house.pass_time(0.25)
        case "hold":
            origin.held = bool(number)
            if not number:
                origin.land()


@every_habit
def test_nobody_goes_back_who_knows_more_than_this_edge(habit: str) -> None:
    """The stream grows behind the edge's back, and answers overtake what is written."""
    acts = st.one_of(
        st.tuples(st.just("grow"), st.integers(1, 9)),
        st.tuples(st.just("wait"), st.integers(1, 6)),
        st.tuples(st.just("hold"), st.booleans().map(int)),
        st.tuples(st.just("sync"), st.just(0)),
        st.tuples(st.sampled_from(MODES), st.integers(-8, 8)),
    )

    @often
    @given(story=st.lists(acts, min_size=3, max_size=30))
    def hold(story: list[tuple[str | Mode, int]]) -> None:
        house, origin = opened(habit)
        readers: list[Newcomer] = []
        for act, number in story:
            if isinstance(act, Mode):
                length = len(origin.body)
                position = max(HELD, length + number)
                asked = house.ask(mint(position), act)
                readers.append(Newcomer(act, position, length, asked))
            else:
                happens(house, origin, act, number)
            settle()
        origin.held = False
        origin.land()
        for _ in range(40):
            house.pass_time(0.25)

        assert not house.counters.internal_errors
        for reader in readers:
            assert reader.mode.live or not reader.asked.waits
            reader.judge(origin.body)

    hold()


def test_the_model_itself_tells_habits_apart() -> None:
    answers = {habit: Guessed(habit, float).get(mint(99)) for habit in HABITS}

    told = {h: (a.status, a.get("stream-next-offset")) for h, a in answers.items()}
    assert told == {
        "at-end": (200, mint(HELD)),
        "echo": (200, mint(99)),
        "refuse": (400, None),
        "shield": (200, mint(HELD)),
    }
