"""A crowd that is woken: each gets what it would have got alone."""

import socket
from collections.abc import Iterator, Sequence

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.ports import Ready
from edge.core.values import NO_END, Lease, Mode, Read
from edge.live.context import Guard
from edge.live.rows import Reader
from edge.live.waiters import BATCH_SIZE
from origin_adapter.scripted import LivingOrigin
from tests.live.support import PATH, Asked, House, RecordingSink, settle
from tests.support.patience import PATIENCE

OUTLIER = 10_000_000


def parked(
    mode: Mode, cursors: list[int | None]
) -> tuple[House, LivingOrigin, list[Asked]]:
    """Viewers at the end of a stream, one for each cursor."""
    origin = LivingOrigin(hold=1000.0)
    origin.create(PATH)
    tail = origin.append(PATH, b"one")
    house = House(origin)
    crowd = [house.ask(tail, mode, cursor=cursor) for cursor in cursors]
    settle()
    return house, origin, crowd


def test_everybody_gets_the_same_answer_and_it_is_made_once() -> None:
    """E47: the bytes of a wake-up are made once."""
    _, origin, crowd = parked(Mode.LONG_POLL, [None] * 40)
    tail = origin.append(PATH, b"two")
    sinks = [asked.done() for asked in crowd]

    assert {(sink.status, sink.body) for sink in sinks} == {(200, b"two")}
    assert {sink.header("Stream-Next-Offset") for sink in sinks} == {tail}
    assert len({id(sink.answer) for sink in sinks}) == 1
    assert len({id(sink.per_response) for sink in sinks}) <= 2


@pytest.mark.parametrize("mode", [Mode.LONG_POLL, Mode.SSE])
@pytest.mark.parametrize("crowd_size", [1, 40, 2 * BATCH_SIZE])
def test_each_viewer_that_is_woken_counts_once_for_each_growth(
    mode: Mode, crowd_size: int
) -> None:
    """The two counters together are the fan-out. An outlier counts as others do."""
    house, origin, crowd = parked(mode, [None] * (crowd_size - 1) + [OUTLIER])
    origin.append(PATH, b"two")
    for asked in crowd:
        assert asked.sink.wrote.wait(PATIENCE) if mode is Mode.SSE else asked.done()
    settle()
    counters = house.counters

    assert (counters.growths, counters.woken) == (1, crowd_size)


@pytest.mark.parametrize(("viewers", "kept"), [(1, 0), (2, 1)])
def test_the_event_of_one_viewer_alone_is_kept_for_nobody(
    viewers: int, kept: int
) -> None:
    """Others of a crowd are given the same bytes; nobody is given its own again."""
    house, origin, crowd = parked(Mode.SSE, [None] * viewers)
    before = house.hub.delivery.cost
    for asked in crowd:
        asked.sink.wrote.clear()
    origin.append(PATH, b"two")
    for asked in crowd:
        assert asked.sink.wrote.wait(PATIENCE)
        assert b"data:two" in b"".join(asked.sink.written)
    settle()

    assert bool(house.hub.delivery.cost - before) == kept


def test_who_is_served_first_in_a_long_pass_is_held_until_the_last_was() -> None:
    """Or the new polls of a few would keep thousands waiting for their bytes."""
    house, origin, crowd = parked(Mode.LONG_POLL, [None] * (2 * BATCH_SIZE))
    held: list[bool] = []

    class Watching(RecordingSink):
        def send_whole(self, ready: Ready, hold: bool = False) -> None:
            super().send_whole(ready, hold)
            held.extend([crowd[0].sink.held, crowd[1].sink.held])

    last = parked_too(house, origin, Watching())
    origin.append(PATH, b"two")
    last.done()
    settle()

    assert held == [False, True], "the first is decided by itself, others are held"
    assert not any(asked.sink.held for asked in (*crowd, last))


@pytest.mark.usefixtures("hub_errors")
def test_those_who_were_held_are_let_go_though_the_pass_breaks() -> None:
    """Every waiter is always released."""
    house, origin, crowd = parked(Mode.LONG_POLL, [None] * (2 * BATCH_SIZE))

    class Stuck(RecordingSink):
        def resume(self) -> None:
            raise ZeroDivisionError

    last = parked_too(house, origin, Stuck())
    origin.append(PATH, b"two")
    last.done()
    settle()

    assert not any(asked.sink.held for asked in crowd)
    assert house.counters.internal_errors == 1


def test_others_get_their_turn_in_the_middle_of_a_long_pass() -> None:
    """Thousands who are woken do not stop the sockets of everybody else."""
    house, origin, crowd = parked(Mode.LONG_POLL, [])
    ours, theirs = socket.socketpair()
    ready = gevent.get_hub().loop.io(ours.fileno(), 1)
    served: list[int] = []

    def look() -> None:
        ready.stop()
        served.append(sum(not asked.waits for asked in crowd))

    class First(RecordingSink):
        def send_whole(self, answer: Ready, hold: bool = False) -> None:
            super().send_whole(answer, hold)
            theirs.send(b"somebody else")
            ready.start(look)

    with ours, theirs:
        crowd.append(parked_too(house, origin, First()))
        crowd += [house.poll(origin.tail(PATH)) for _ in range(4 * BATCH_SIZE)]
        origin.append(PATH, b"two")
        crowd[-1].done()
        ready.close()

    assert served and served[0] < len(crowd)


def parked_too(house: House, origin: LivingOrigin, sink: RecordingSink) -> Asked:
    """One more, who stands behind all the others."""
    asked = house.ask(origin.tail(PATH), Mode.LONG_POLL, sink=sink)
    settle()
    return asked


def test_an_outlier_in_the_crowd_gets_a_cursor_above_its_own() -> None:
    """L22: strictly above each one's own, and one value for all but the outliers."""
    house, origin, crowd = parked(Mode.LONG_POLL, [None, 5, None, OUTLIER, 7, None])
    origin.append(PATH, b"two")
    stamps = [asked.done().per_response for asked in crowd]
    cursors = [
        int(per_response.cursor or "")
        for per_response in stamps
        if per_response is not None
    ]

    assert cursors[3] == OUTLIER + 1
    assert len({cursors[n] for n in (0, 1, 2, 4, 5)}) == 1
    assert house.counters.answers["collapsed"] == 6


def test_who_knows_of_a_newer_write_is_not_given_less() -> None:
    """L4: viewers who parked before and after a write are decided apart."""
    house, origin, crowd = parked(Mode.LONG_POLL, [None])
    start = origin.tail(PATH)
    tail = origin.append(PATH, b"two")
    house.wrote("POST", 204, stream_next_offset=tail)
    late = house.ask(start, Mode.LONG_POLL)
    further = origin.append(PATH, b"three")
    house.wrote("POST", 204, stream_next_offset=further)
    settle()

    for asked in (*crowd, late):
        offset = asked.done().header("Stream-Next-Offset") or ""
        assert offset >= tail


def test_a_crowd_of_event_streams_hears_every_event_once() -> None:
    """One that is slow is left behind and goes on from where it stands."""
    _, origin, crowd = parked(Mode.SSE, [None] * 10)
    slow = crowd[3].sink
    slow.room = False
    for word in (b"two", b"three", b"four"):
        origin.append(PATH, word)
        settle()
    assert "data:three" not in slow.text
    slow.room = True
    assert crowd[3].pending is not None
    crowd[3].pending.drained()
    settle()

    for asked in crowd:
        assert words(asked.sink.text) == "twothreefour"


def words(text: str) -> str:
    """What the data events of an event stream carry, one after another."""
    events = [e for e in text.split("\n\n") if e.startswith("event: data")]
    lines = [line for event in events for line in event.split("\n")[1:]]
    return "".join(line.removeprefix("data:") for line in lines)


@pytest.mark.usefixtures("hub_errors")
def test_a_sink_that_fails_ends_its_own_viewer_alone() -> None:
    """The guard is around each of the crowd."""
    house, origin, crowd = parked(Mode.LONG_POLL, [None] * 5)
    tail = origin.tail(PATH)

    class Failing(RecordingSink):
        def begin(self, *_: object) -> None:
            raise ZeroDivisionError

    failing = house.ask(tail, Mode.LONG_POLL, sink=Failing())
    more = house.ask(tail, Mode.LONG_POLL)
    settle()
    origin.append(PATH, b"two")

    for asked in (*crowd, more):
        assert asked.done().body == b"two"
    assert failing.sink.answer is None
    assert house.counters.internal_errors >= 1


@pytest.mark.usefixtures("hub_errors")
def test_an_event_stream_that_fails_ends_alone_and_the_others_hear_everything() -> None:
    """Also the last of a run, and two in a row."""
    house, origin, _ = parked(Mode.SSE, [])
    front, tail = Front(house), origin.tail(PATH)
    crowd = [front.ask(tail, Mode.SSE) for _ in range(4)]
    for fails in (False, True, True, False, True):
        sink = Failing() if fails else RecordingSink()
        crowd.append(front.ask(tail, Mode.SSE, sink=sink))
    settle()
    for asked in crowd:
        if isinstance(asked.sink, Failing):
            asked.sink.fails = True
    for word in (b"two", b"three"):
        origin.append(PATH, word)
        settle()

    heard = [words(asked.sink.text) for asked in crowd]
    assert heard == ["twothree"] * 5 + ["", "", "twothree", ""]
    assert house.hub.viewers == 6 and house.counters.internal_errors == 3


@pytest.mark.usefixtures("hub_errors")
def test_a_loop_that_serves_nobody_ends_all_and_is_not_begun_for_ever() -> None:
    """The guard goes on behind the one that a loop broke at."""
    house, _, crowd = parked(Mode.SSE, [None] * 3)
    readers = [one.pending for one in crowd if isinstance(one.pending, Reader)]

    def broken(left: Iterator[Reader]) -> None:
        raise ZeroDivisionError

    Guard(house.counters).serve_all(broken, readers)

    assert len(readers) == 3 and all(reader.done for reader in readers)
    assert house.counters.internal_errors == 3 and house.hub.viewers == 0


class Front:
    """Asks a house as fronts do: equal reads are one object."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._reads: dict[tuple[object, ...], Read] = {}

    def ask(
        self,
        offset: str,
        mode: Mode,
        cursor: int | None = None,
        left: float = NO_END,
        soon: bool = False,
        sink: RecordingSink | None = None,
    ) -> Asked:
        sink, now = sink or RecordingSink(), self._house.clock.monotonic()
        read = Read(self._house.key(), offset, mode, cursor, ends_soon=soon)
        read = self._reads.setdefault((offset, mode, cursor, soon), read)
        return Asked(sink, self._house.hub.ask(read, sink, now, Lease(now + left)))


class Failing(RecordingSink):
    """Fails as soon as it is told to."""

    fails = False

    def write(self, buffers: Sequence[bytes]) -> bool:
        if self.fails:
            raise ZeroDivisionError
        return super().write(buffers)


VIEWERS = st.tuples(
    st.sampled_from([Mode.LONG_POLL, Mode.SSE]),
    st.sampled_from([None, 5, OUTLIER]),
    st.sampled_from([NO_END, 30.0]),
    st.booleans(),
)


Viewer = tuple[Mode, int | None, float, bool]


@settings(deadline=None, max_examples=30)
@given(st.lists(VIEWERS, min_size=1, max_size=12), st.booleans())
def test_whoever_stands_beside_whom_each_gets_what_it_would_alone(
    crowd: list[Viewer], writes: bool
) -> None:
    """Runs of viewers who are alike, in any order: nobody is given another's answer,
    and who was answered is nowhere any more."""
    half = len(crowd) // 2 if writes else None
    house, asked = woken(crowd, half)
    for number, (viewer, one) in enumerate(zip(crowd, asked, strict=True)):
        _, [lone] = woken([viewer], None if half is None else int(number < half))
        assert one.sink.answer == lone.sink.answer
        assert words(one.sink.text) == words(lone.sink.text)
        assert one.waits is lone.waits
        mode, cursor, *_ = viewer
        if mode is Mode.LONG_POLL:
            given = int(one.sink.cursor or "")
            assert given > (cursor or 0)
            assert (given == OUTLIER + 1) is (cursor == OUTLIER)

    assert house.hub.viewers == sum(one.waits for one in asked)
    assert len(house.hub._waiters._wheel) == house.hub.viewers


def woken(crowd: list[Viewer], write_at: int | None) -> tuple[House, list[Asked]]:
    """A crowd after an event. A write is acknowledged when ``write_at`` have come."""
    house, origin, asked = parked(Mode.LONG_POLL, [])
    tail, front = origin.tail(PATH), Front(house)
    for number in range(len(crowd) + 1):
        if number == write_at:
            house.wrote("POST", 204, stream_next_offset=tail)
        for mode, cursor, left, soon in crowd[number : number + 1]:
            asked.append(front.ask(tail, mode, cursor, left, soon))
    settle()
    house.clock.move(31.0)
    origin.append(PATH, b"two")
    settle()
    return house, asked
