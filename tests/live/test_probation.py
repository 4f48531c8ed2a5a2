"""What is read once goes before what is worth keeping (U15)."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.values import Mode
from edge.live.registry import MAX_ROWS_OF_PATH
from edge.live.rows import Stream
from origin_adapter.scripted import LivingOrigin, data
from tests.live.support import (
    PATH,
    House,
    RecordingSink,
    scripted,
    settle,
    warm,
    watch,
)

MEMORY = 128 * 1024
"""Of it 96 KiB for rows, of which 16 KiB are for those in probation."""


def living(memory: int = MEMORY, **options: object) -> tuple[House, LivingOrigin]:
    """A house before a small whole origin with one closed stream."""
    origin = LivingOrigin()
    publish(origin, PATH)
    return House(origin, memory=memory, **options), origin


def publish(origin: LivingOrigin, path: str, body: bytes = b"x" * 4096) -> None:
    origin.create(path)
    origin.append(path, body)
    origin.finish(path)


def read(house: House, path: str = PATH, extension: str = "") -> RecordingSink:
    return house.ask(key=house.key(path, extension=extension)).done()


def asks(origin: LivingOrigin) -> int:
    return origin.requests["catch-up"]


def cost_of_rows(house: House) -> int:
    return sum(row.cost for row in house.hub.streams)


def in_probation(house: House) -> bool:
    """Whether the one row stands there."""
    [row] = house.hub.streams
    return house.hub.streams.cost_in_probation == row.cost


def test_what_is_read_is_kept_at_once() -> None:
    """History crosses once: the second read need not ask."""
    house, origin = living()
    read(house)
    assert in_probation(house)
    read(house)

    assert asks(origin) == 1
    assert not in_probation(house)


def test_a_scan_of_names_that_do_not_exist_evicts_no_page_that_was_read_twice() -> None:
    house, origin = living()
    read(house)
    read(house)
    for number in range(300):
        assert read(house, f"/v1/stream/junk/{number}").status == 404
    before = asks(origin)

    assert read(house).status == 200
    assert asks(origin) == before
    assert house.hub.streams.cost == cost_of_rows(house) <= MEMORY * 3 // 4
    assert house.hub.streams.cost > MEMORY // 2, "all of the memory is used"
    assert set(house.counters.evictions) == {"probation"}


def test_a_scan_of_streams_that_are_read_once_does_not_either() -> None:
    house, origin = living()
    read(house)
    read(house)
    for number in range(100):
        publish(origin, f"/v1/stream/{number}")
        assert read(house, f"/v1/stream/{number}").status == 200
    before = asks(origin)
    read(house)

    assert asks(origin) == before


def test_invented_parameters_do_not_drop_the_page_of_their_own_path() -> None:
    """A path has so many rows, and a new one takes the place of one in probation."""
    house, origin = living(memory=1 << 30)
    read(house)
    read(house)
    for number in range(MAX_ROWS_OF_PATH + 20):
        read(house, extension=f"utm={number}")
    before = asks(origin)
    read(house)

    assert asks(origin) == before
    key = house.key()
    assert len(house.hub.streams.of_path(key.route, key.path)) == MAX_ROWS_OF_PATH


def test_where_all_rows_of_a_path_are_worth_keeping_the_least_read_goes() -> None:
    """Else whoever asks twice for each made-up name would drop what others read."""
    house, origin = living(memory=1 << 30)
    for number in range(MAX_ROWS_OF_PATH):
        read(house, extension=f"page={number}")
        read(house, extension=f"page={number}")
    read(house, extension="page=0")
    read(house, extension="page=new")
    before = asks(origin)
    read(house, extension="page=0")
    assert asks(origin) == before
    read(house, extension="page=1")
    assert asks(origin) == before + 1


def test_no_name_is_looked_for_among_pages_worth_keeping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else each name that a client makes up costs a look at all rows of its path."""
    house, _ = living(memory=1 << 30)
    for number in range(MAX_ROWS_OF_PATH - 1):
        read(house, extension=f"page={number}")
        read(house, extension=f"page={number}")
    looks, idle = Counter[str](), vars(Stream)["idle"].fget

    def count(row: Stream) -> bool:
        looks["all"] += 1
        return bool(idle(row))

    monkeypatch.setattr(Stream, "idle", property(count))
    for number in range(20):
        read(house, extension=f"utm={number}")

    assert 19 <= looks["all"] <= 40


def test_where_rows_are_too_many_junk_goes_first() -> None:
    house, origin = living(max_streams=20)
    read(house)
    read(house)
    for number in range(60):
        read(house, f"/v1/stream/junk/{number}")
    before = asks(origin)
    read(house)

    assert asks(origin) == before
    assert len(house.hub.streams) == 20


def test_a_page_that_is_held_and_has_to_be_confirmed_is_worth_keeping() -> None:
    """L6: the origin is asked first; the bytes were here all the same."""
    house, origin = scripted()
    warm(house, origin)
    house.clock.move(61)
    again = house.ask()
    origin.expect().reply(data(b"abc", "0003"))

    assert again.done().body == b"abc"
    assert not in_probation(house)


def test_a_second_read_that_shares_the_first_fetch_is_no_second_read() -> None:
    """Else whoever asks for each junk name twice at once would keep it."""
    house, origin = scripted()
    crowd = [house.ask() for _ in range(3)]
    origin.expect().reply(data(b"abc", "0003"))
    for asked in crowd:
        asked.done()

    assert in_probation(house)


def test_a_row_that_a_live_reader_waited_on_is_worth_keeping() -> None:
    house, origin = scripted()
    viewer, _ = watch(house, origin)
    assert viewer.waits

    assert not in_probation(house)


def test_an_event_stream_of_held_history_keeps_its_row() -> None:
    """It never waits: the stream is closed."""
    house, origin = living()
    read(house)
    assert in_probation(house)
    house.view("-1").done()

    assert not in_probation(house)
    house, origin = living()
    house.view("-1").done()
    assert in_probation(house), "read once, by whatever means"
    assert origin.requests["catch-up"] == 1


def test_asking_live_for_a_name_that_does_not_exist_keeps_nothing() -> None:
    house, _ = living()
    viewer = house.ask("-1", Mode.LONG_POLL, key=house.key("/v1/stream/missing"))

    assert viewer.done().status == 404
    assert in_probation(house)


@pytest.mark.parametrize(
    ("method", "status", "keeps"),
    [
        ("POST", 204, True),
        ("PUT", 201, True),
        ("POST", 409, False),
        ("POST", None, False),
        ("DELETE", 204, False),
    ],
)
def test_a_row_is_worth_keeping_once_a_write_to_it_was_accepted(
    method: str, status: int | None, keeps: bool
) -> None:
    house, origin = scripted()
    warm(house, origin)
    house.wrote(method, status, stream_next_offset="0005")

    assert in_probation(house) is not keeps


def test_a_write_elsewhere_keeps_nothing() -> None:
    house, origin = scripted()
    warm(house, origin)
    house.wrote("POST", 204, "awareness=me", stream_next_offset="0900")

    assert in_probation(house)


class AsksOn(RecordingSink):
    """A client that asks for other streams as soon as it is answered, as one does that
    has sent its requests one behind the other."""

    house: House

    def finish(self) -> None:
        super().finish()
        for number in range(40):
            self.house.ask(key=self.house.key(f"/v1/stream/next/{number}"))


def test_a_row_lives_while_an_answer_of_it_is_being_handed_out() -> None:
    """1: a flight lands; 2: its first reader is answered, and asks for more than there
    is room for; 3: its second reader is decided on what came."""
    house, origin = scripted(memory=64 * 1024)
    sink = AsksOn()
    sink.house = house
    first, second = house.ask(sink=sink), house.ask()
    origin.expect().reply(data(b"abc", "0003"))

    assert first.done().body == second.done().body == b"abc"
    assert house.counters.evictions == {}
    assert house.hub.streams.cost > 48 * 1024
    assert origin.targets().count(f"GET {PATH}?offset=-1") == 1
    house.hub.stop()


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("missing"), st.integers(1, 40)),
            st.tuples(st.just("once"), st.integers(1, 8)),
            st.tuples(st.just("parameters"), st.integers(1, 40)),
            st.tuples(st.just("hot"), st.integers(0, 3)),
        ),
        max_size=12,
    )
)
def test_whatever_is_scanned_pages_read_twice_stay(
    steps: list[tuple[str, int]],
) -> None:
    house, origin = living()
    pages = [f"/v1/stream/hot/{number}" for number in range(4)]
    for page in pages:
        publish(origin, page)
        read(house, page)
        read(house, page)
    tail, watched = origin.create("/v1/stream/watched"), house.key("/v1/stream/watched")
    viewer = house.ask(tail, Mode.LONG_POLL, key=watched)
    settle()
    row = house.hub.streams.obtain(watched)
    fresh = iter(range(10_000))
    for what, number in steps:
        for _ in range(number if what != "hot" else 1):
            name = f"/v1/stream/{what}/{next(fresh)}"
            if what == "once":
                publish(origin, name)
            if what == "hot":
                read(house, pages[number])
            elif what == "parameters":
                read(house, pages[0], f"x={next(fresh)}")
            else:
                read(house, name)
        assert house.hub.streams.cost == cost_of_rows(house) <= MEMORY * 3 // 4
    before = asks(origin)
    for page in pages:
        read(house, page)

    assert asks(origin) == before
    assert viewer.waits and house.hub.streams.obtain(watched) is row
    house.hub.stop()
