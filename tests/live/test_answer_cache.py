"""Reads that are asked again: ``peek`` says what ``ask`` would, or nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import Refusal
from edge.core.ports import Ready
from edge.core.values import Mode, Read
from edge.live.hub import Hub
from edge.live.rows import Reader
from edge.policy.http.conditional import matches
from edge.policy.streams.decide import decide
from edge.policy.streams.decisions import Park, ReadState
from edge.policy.streams.routes import Access, Route, TailMode
from edge.protocol.cursor import interval
from origin_adapter.scripted import LivingOrigin
from tests.live.support import ALICE, PATH, House, RecordingSink, settle

Reads = list[Read]
LINES = b"a line of text that is worth coding\n" * 40


def reads(house: House, offsets: tuple[str, ...]) -> Reads:
    """The same reads again and again: peek knows them by identity."""
    open_key, alice = house.key(), house.key(partition=ALICE)
    found = [Read(open_key, offset) for offset in offsets]
    found += [Read(open_key, offset, codings=("gzip",)) for offset in offsets[:2]]
    found += [Read(open_key, "-1", if_none_match='"x"'), Read(alice, "-1")]
    found.append(Read(open_key, "-1", expires_at=house.clock.unix + 1000))
    for mode in (Mode.LONG_POLL, Mode.SSE):
        found += [Read(open_key, offset, mode) for offset in offsets]
    return found


def asked(hub: Hub, read: Read, now: float) -> RecordingSink:
    sink = RecordingSink()
    pending = hub.ask(read, sink, now)
    assert pending is None, f"peek answered what ask had to wait for: {pending!r}"
    return sink


def numbers(house: House) -> tuple[object, ...]:
    """The counters that a read moves."""
    c = house.counters
    return (dict(c.reads), dict(c.answers), c.delivered, c.bytes_out)


def difference(house: House, before: tuple[object, ...]) -> list[object]:
    """What moved since ``before``, and by how much."""
    moved: list[object] = []
    for new, old in zip(numbers(house), before, strict=True):
        if isinstance(new, dict) and isinstance(old, dict):
            moved.append({k: n - old.get(k, 0) for k, n in new.items()})
        elif isinstance(new, int) and isinstance(old, int):
            moved.append(new - old)
    return [_nonzero(m) for m in moved]


def _nonzero(moved: object) -> object:
    return {k: n for k, n in moved.items() if n} if isinstance(moved, dict) else moved


def check(house: House, read: Read) -> Ready | None:
    """Peek, then ask at the same moment: the same answer, counted alike."""
    now = house.clock.monotonic()
    before = numbers(house)
    ready = house.hub.answer_cache.peek(read, now)
    if ready is None:
        return None
    peeked = difference(house, before)
    before = numbers(house)
    sink = asked(house.hub, read, now)
    assert (sink.answer, sink.per_response) == (ready.answer, ready.per_response)
    assert difference(house, before) == peeked
    return ready


def check_stand(house: House, read: Read) -> Park | None:
    """Where a newcomer is said to wait is where it would be sent."""
    now = house.clock.monotonic()
    try:
        stream = house.hub.streams.obtain(read.key)
    except Refusal:
        # The other stream has the only row, and somebody waits on it.
        return None
    reader = Reader(read, RecordingSink(), stream, house.hub, arrived=0.0)
    waits_at = house.hub.answer_cache.park_hint(read, now)
    if waits_at is None:
        return None
    rules = house.options.rules
    moment = ReadState(now, house.clock.wall(), reader.offset, reader.barrier)
    decision = decide(read, stream.log, moment, stream.route, rules)
    assert waits_at is stream and stream.bypass(now) is None
    assert decision == Park(read.offset)
    return decision


class Life:
    """An origin, a house before it, and what can happen to them."""

    def __init__(self, house: House, origin: LivingOrigin) -> None:
        self.house = house
        self.origin = origin
        self.offsets = ["-1", "now"]

    def append(self, size: int) -> None:
        """Behind the edge's back; nothing when it is closed or gone."""
        if self._is_open():
            self.offsets.append(self.origin.append(PATH, LINES[: size or 1]))

    def write(self, size: int) -> None:
        """Through the edge (L4)."""
        if self._is_open():
            self.append(size)
            self.house.wrote("POST", 204, stream_next_offset=self.offsets[-1])

    def write_unheard(self, size: int) -> None:
        """Its answer was lost (L4)."""
        self.append(size)
        self.house.wrote("POST", None)

    def write_aside(self, size: int) -> None:
        """By other extension parameters, to this very stream or another one (U13)."""
        other = size % 2
        if self._is_open() and not other:
            self.append(size)
        self.house.clock.move(0.001)
        named = "9" * 8 if other else self.offsets[-1]
        self.house.wrote("POST", 204, f"x={other}", stream_next_offset=named)

    def write_failed(self, size: int) -> None:
        """It was answered 5xx, and may have happened (U5)."""
        self.house.wrote(("POST", "PUT", "DELETE")[size % 3], 503)

    def close(self, _: int) -> None:
        if self._is_open():
            self.origin.finish(PATH)
            tail = self.origin.tail(PATH)
            self.house.wrote("POST", 204, stream_next_offset=tail, stream_closed="true")
            self._open = False

    def recreate(self, told: int) -> None:
        """Another incarnation, behind the edge's back or not (L5)."""
        self.origin.create(PATH)
        self._open = True
        if told % 2:
            self.house.wrote("PUT", 201)

    def go_down(self, size: int) -> None:
        self.origin.down = bool(size % 2)

    def lapse(self, _: int) -> None:
        """The polls that are held time out."""
        self.origin.lapse()
        settle()

    def move(self, size: int) -> None:
        """Up to four minutes, often less than a second."""
        self.house.clock.move(size * size / 6000)

    def ask(self, size: int) -> None:
        """Somebody asks anew, and perhaps waits."""
        mode = (Mode.CATCH_UP, Mode.CATCH_UP, Mode.LONG_POLL)[size % 3]
        offset = self.offsets[size % len(self.offsets)]
        self.house.ask(offset, mode)

    def crowd_out(self, _: int) -> None:
        """Another stream takes the only row, if that is free (eviction)."""
        self.house.ask("-1", key=self.house.key(path="/v1/stream/other"))

    def tick(self, _: int) -> None:
        """Who waited too long is answered, who polls for nobody stops."""
        self.house.hub.tick(self.house.clock.monotonic())
        settle()

    def settle(self, _: int) -> None:
        settle()

    _open = True

    def _is_open(self) -> bool:
        return self._open


GETS = (Mode.CATCH_UP, Mode.LONG_POLL, Mode.SSE)
ACTS = (
    *("append", "write", "write_unheard", "write_aside", "write_failed"),
    *("close", "recreate", "go_down"),
    *("lapse", "move", "move", "ask", "ask", "crowd_out", "settle", "tick"),
)
HISTORIES = st.lists(
    st.tuples(st.sampled_from(ACTS), st.integers(0, 1200)), max_size=40
)
ROUTES = st.sampled_from(
    [Route(), Route(tail=TailMode.STRICT), Route(access=Access.PUBLIC)]
)


@settings(max_examples=150, deadline=None)
@given(HISTORIES, ROUTES, st.sampled_from([1, 100]))
def test_peek_says_what_ask_would(
    history: list[tuple[str, int]], route: Route, rows: int
) -> None:
    """Whatever happened: growth, writes, closure, recreation, faults, time."""
    origin = LivingOrigin(hold=1000.0)
    origin.create(PATH)
    origin.create("/v1/stream/other")
    house = House(origin, routes=(route,), max_streams=rows, backoff_first=0.001)
    life = Life(house, origin)
    again = reads(house, ("-1", "now"))
    try:
        for act, size in history:
            getattr(life, act)(size)
            if act == "append":
                again += [Read(house.key(), life.offsets[-1], mode) for mode in GETS]
                # Some with a cursor: one of the crowd's, and an outlier (L22).
                cursor = interval(house.clock.wall()) + size * size
                poll = Read(house.key(), life.offsets[-2], Mode.LONG_POLL, cursor)
                again.append(poll)
            for read in again:
                check(house, read)
                check_stand(house, read)
                house.hub.ask(read, RecordingSink(), house.clock.monotonic())
                if size % 2:
                    settle()
                check(house, read)
                check_stand(house, read)
    finally:
        house.hub.stop()
        settle()


def followed() -> tuple[House, LivingOrigin, Read]:
    """A house that follows a stream of two messages, and a read of all of it."""
    origin = LivingOrigin(hold=1000.0)
    origin.create(PATH)
    origin.append(PATH, b"one")
    origin.append(PATH, b"two")
    house = House(origin)
    read = Read(house.key(), "-1")
    house.ask("-1").done()
    house.ask(origin.tail(PATH), Mode.LONG_POLL)
    settle()
    asked(house.hub, read, house.clock.monotonic())
    return house, origin, read


def test_a_crowd_that_comes_back_waits_where_the_first_of_it_does() -> None:
    """Long-poll and SSE; one that is given history first is decided each time."""
    house, origin, read = followed()
    for mode in (Mode.LONG_POLL, Mode.SSE):
        again = Read(read.key, origin.tail(PATH), mode)
        house.hub.ask(again, RecordingSink(), house.clock.monotonic())
        assert check_stand(house, again) == Park(origin.tail(PATH))
        behind = Read(read.key, "-1", mode)
        house.hub.ask(behind, RecordingSink(), house.clock.monotonic())
        assert check_stand(house, behind) is None


def test_a_read_of_a_followed_tail_is_answered_again() -> None:
    """L24: reading a followed stream costs the origin nothing."""
    house, _, read = followed()
    ready = check(house, read)

    assert ready is not None and ready.answer.body == b"onetwo"
    assert house.hub.answer_cache.peek(Read(house.key(), "-1"), 0.0) is None


@pytest.mark.parametrize(
    "act", ["append", "write", "recreate", "lost", "failed", "elsewhere", "delete"]
)
def test_what_changes_the_answer_ends_its_repetition(act: str) -> None:
    """L3, L4, L5, U5, U13."""
    house, origin, read = followed()
    if act == "append":
        origin.append(PATH, b"three")
        settle()
    elif act == "write":
        house.wrote("POST", 204, stream_next_offset="9999")
    elif act == "recreate":
        house.wrote("PUT", 201)
    elif act == "lost":
        house.wrote("POST", None)
    elif act == "failed":
        house.wrote("DELETE", 503)
    elif act == "elsewhere":
        house.wrote("POST", 204, "x=1", stream_next_offset="9999")
    else:
        origin.remove(PATH)
        settle()

    assert house.hub.answer_cache.peek(read, house.clock.monotonic()) is None


def test_time_ends_a_repetition() -> None:
    """L3: an armed poll is believed no longer than the origin ever held one."""
    house, _, read = followed()
    house.clock.move(69.0)
    # Confirmed while followed? Not by silence: L6 asks again after a minute.
    assert house.hub.answer_cache.peek(read, house.clock.monotonic()) is None


def test_a_follower_that_stopped_ends_a_repetition() -> None:
    """L3: between polls the tail is unknown."""
    house, _, read = followed()
    house.hub.followers.stop(house.hub.streams.obtain(read.key))

    assert house.hub.answer_cache.peek(read, house.clock.monotonic()) is None


def test_a_304_is_repeated_as_a_304() -> None:
    """L17: its conditional is part of the read."""
    house, _, read = followed()
    first = asked(house.hub, read, house.clock.monotonic())
    tag = first.header("ETag") or ""
    again = Read(read.key, "-1", if_none_match=tag)
    asked(house.hub, again, house.clock.monotonic())
    ready = check(house, again)

    assert ready is not None and ready.answer.status == 304
    assert matches(tag, tag)


def test_a_coded_answer_that_is_still_to_come_is_waited_for() -> None:
    """L19: the plain answer is not repeated to one who takes a coding."""
    origin = LivingOrigin(hold=1000.0)
    origin.create(PATH)
    origin.append(PATH, LINES)
    origin.append(PATH, LINES)
    house = House(origin)
    house.ask("-1").done()
    house.ask(origin.tail(PATH), Mode.LONG_POLL)
    settle()
    read = Read(house.key(), "-1", codings=("gzip",))
    now = house.clock.monotonic()
    plain = asked(house.hub, read, now)

    assert plain.header("Content-Encoding") is None
    assert house.hub.answer_cache.peek(read, now) is None
    while asked(house.hub, read, now).header("Content-Encoding") is None:
        settle()
    ready = check(house, read)
    assert ready is not None and ("Content-Encoding", "gzip") in ready.answer.headers


def test_kept_answers_stay_within_their_share_of_the_memory() -> None:
    """A kept answer holds its body."""
    origin = LivingOrigin(hold=1000.0)
    origin.create(PATH)
    for _ in range(40):
        origin.append(PATH, LINES)
    house = House(origin, memory=8 * 10_000)
    for _ in range(3):
        house.ask("-1").done()
        settle()

    assert len(house.hub.answer_cache) <= 20


def test_a_read_that_is_asked_with_much_is_not_kept() -> None:
    """Its answer is small, and it is not."""
    house, origin, read = followed()
    kept = len(house.hub.answer_cache)
    for mode in (Mode.CATCH_UP, Mode.LONG_POLL):
        long = Read(read.key, origin.tail(PATH), mode, if_none_match="a" * 2000)
        house.hub.ask(long, RecordingSink(), house.clock.monotonic())
        assert check_stand(house, long) is None

    assert len(house.hub.answer_cache) == kept


def test_whoever_still_knows_an_evicted_stream_does_not_hold_its_bytes() -> None:
    """A kept answer does, and those bytes count in no budget any more."""
    origin = LivingOrigin(hold=1000.0)
    origin.create(PATH)
    origin.append(PATH, LINES)
    house = House(origin, max_streams=1)
    house.ask("-1").done()
    stream = house.hub.streams.obtain(house.key())
    assert stream.log.holds_bytes
    house.ask("-1", key=house.key(path="/v1/stream/other"))

    assert house.hub.streams.obtain(house.key(path="/v1/stream/other")) is not stream
    assert not stream.log.holds_bytes


def test_a_poll_that_finds_data_is_answered_again() -> None:
    """A crowd that is behind finds the same news, one after the other; L22: but for
    whoever has another cursor."""
    house, origin, read = followed()
    behind = origin.tail(PATH)
    origin.append(PATH, b"three")
    settle()
    poll = Read(read.key, behind, Mode.LONG_POLL, interval(house.clock.wall()) + 3)
    first = asked(house.hub, poll, house.clock.monotonic())
    ready = check(house, poll)

    assert ready is not None and ready.answer.body == b"three"
    assert ready.per_response.cursor == first.cursor
    ahead = Read(read.key, behind, Mode.LONG_POLL, int(first.cursor or ""))
    assert asked(house.hub, ahead, house.clock.monotonic()).cursor != first.cursor
    assert check(house, poll) is None
    house.clock.move(20.0)
    assert check(house, ahead) is None
