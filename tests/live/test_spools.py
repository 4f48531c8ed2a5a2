"""An answer too large to hold crosses once, for all who ask while it lasts (S1)."""

import pytest

from edge.core.errors import OriginTimeout
from edge.core.values import Framing, Lease, Mode, Purpose
from edge.live.spool import (
    BLOCK,
    DISK_SECONDS,
    MAX_UNWRITTEN,
    SLOW_RATE,
    SLOW_SECONDS,
)
from edge.live.spools import IDLE_SECONDS
from origin_adapter.scripted import Call, ScriptedOrigin
from tests.live.memory_files import MemoryFiles
from tests.live.support import Asked, House, RecordingSink, settle
from tests.support.patience import PATIENCE

SIZE = 4 * BLOCK
TYPE = ("content-type", "application/octet-stream")
NEXT = ("stream-next-offset", "9000")
UP_TO_DATE = ("stream-up-to-date", "true")


def spooling(
    **options: object,
) -> tuple[House, ScriptedOrigin, MemoryFiles]:
    """A house that holds next to nothing, and has a spool."""
    origin, files = ScriptedOrigin(), MemoryFiles()
    house = House(origin, files, **{"max_object": 8, **options})
    return house, origin, files


def pattern(size: int = SIZE) -> bytes:
    """Bytes that are nowhere the same as somewhere else."""
    return b"".join(b"%07d\n" % number for number in range(size // 8))


def head(call: Call, size: int | None = SIZE, *fields: tuple[str, str]) -> None:
    """The head of an answer with so many bytes; None: it does not say how many."""
    framing = Framing.CHUNKED if size is None else Framing.LENGTH
    fields = fields or (TYPE, NEXT, UP_TO_DATE)
    call.head(200, fields, framing=framing, content_length=size)


def begun(
    house: House, origin: ScriptedOrigin, size: int | None = SIZE
) -> tuple[Asked, Call]:
    """A reader of a large answer whose head has come."""
    asked = house.ask()
    call = origin.expect(Purpose.CATCH_UP)
    head(call, size)
    settle()
    return asked, call


@pytest.mark.parametrize("announced", [True, False])
def test_one_answer_serves_all_who_ask_while_it_lasts(announced: bool) -> None:
    house, origin, _ = spooling()
    body = pattern()
    crowd = [house.ask() for _ in range(3)]
    call = origin.expect(Purpose.CATCH_UP)
    head(call, SIZE if announced else None)
    call.piece(body[:100])
    settle()
    crowd.append(house.ask())
    call.piece(body[100 : BLOCK + 7])
    settle()
    crowd.append(house.ask())
    call.piece(body[BLOCK + 7 :])
    call.end()

    sinks = [asked.done() for asked in crowd]
    assert {sink.whole for sink in sinks} == {body}
    assert all(sink.finished and sink.status == 200 for sink in sinks)
    assert [sink.header("stream-next-offset") for sink in sinks] == ["9000"] * 5
    assert len(origin.calls) == 1
    assert house.counters.bytes_from_origin == SIZE
    assert house.counters.spooled == 1 and not house.counters.passes
    assert sinks[0].how == "fwd=miss spooled"
    assert sinks[-1].how == "fwd=miss collapsed spooled"
    lengths = {sink.answer.content_length for sink in sinks if sink.answer}
    assert lengths == {SIZE if announced else None}


def test_readers_that_stand_together_are_given_one_block() -> None:
    """However many they are, one read of the file serves them, and one piece of
    memory."""
    house, origin, files = spooling()
    crowd = [house.ask() for _ in range(50)]
    call = origin.expect(Purpose.CATCH_UP)
    head(call)
    call.piece(pattern())
    call.end()
    for asked in crowd:
        asked.done()

    assert files.reads == SIZE // BLOCK


def test_who_came_after_the_head_is_not_told_that_this_is_all() -> None:
    """L3: the origin said so before; the reader asks again from where it ends."""
    house, origin, _ = spooling()
    first, call = begun(house, origin)
    late = house.ask()
    call.piece(pattern())
    call.end()

    assert first.done().header("stream-up-to-date") == "true"
    assert late.done().header("stream-up-to-date") is None


def test_each_reads_at_its_own_pace() -> None:
    """One that takes nothing keeps nobody waiting, and misses nothing."""
    house, origin, _ = spooling()
    slow = house.ask(sink=RecordingSink(room=False))
    quick, call = begun(house, origin)
    call.piece(pattern())
    call.end()
    assert quick.done().whole == pattern()

    assert slow.waits and len(slow.sink.written) == 1
    for _ in range(SIZE // BLOCK):
        assert slow.pending is not None
        slow.pending.drained()
        settle()
    assert slow.done().whole == pattern() and slow.sink.finished


def test_the_origin_waits_for_the_disk_and_for_no_reader() -> None:
    house, origin, files = spooling()
    asked, call = begun(house, origin, size=4 * MAX_UNWRITTEN)
    files.hold()
    for _ in range(6):
        call.piece(b"x" * (MAX_UNWRITTEN // 2))
        settle()
    assert house.counters.bytes_from_origin <= 2 * MAX_UNWRITTEN
    files.let_go()
    settle()
    call.piece(b"x" * MAX_UNWRITTEN)
    call.end()

    assert len(asked.done().whole) == 4 * MAX_UNWRITTEN


def test_a_reader_that_may_know_of_a_later_write_does_not_join() -> None:
    """L4: the answer must reach what was acknowledged before the reader came."""
    house, origin, _ = spooling()
    first, call = begun(house, origin)
    house.wrote("POST", 204, stream_next_offset="9000")
    within = house.ask()
    settle()
    assert len(origin.calls) == 1

    house.wrote("POST", 204, stream_next_offset="9005")
    behind = house.ask()
    newer = origin.expect(Purpose.CATCH_UP)
    head(newer, SIZE + 8, TYPE, ("stream-next-offset", "9005"))
    newer.piece(pattern(SIZE + 8))
    newer.end()
    assert behind.done().header("stream-next-offset") == "9005"
    call.piece(pattern())
    call.end()
    assert first.done().whole == within.done().whole == pattern()


def test_who_waited_for_the_fetch_and_knows_more_asks_again() -> None:
    """L4, of those who came before the head."""
    house, origin, _ = spooling()
    first = house.ask()
    call = origin.expect(Purpose.CATCH_UP)
    house.wrote("POST", 204, stream_next_offset="9005")
    second = house.ask()
    head(call)
    newer = origin.expect(Purpose.CATCH_UP)
    head(newer, SIZE, TYPE, ("stream-next-offset", "9005"))
    for one in (call, newer):
        one.piece(pattern())
        one.end()

    assert first.done().header("stream-next-offset") == "9000"
    assert second.done().header("stream-next-offset") == "9005"


@pytest.mark.parametrize("what", ["deleted", "doubted", "old"])
def test_nobody_joins_what_may_not_be_there_any_more(what: str) -> None:
    """L5, L6, L7: who reads it already reads on."""
    house, origin, _ = spooling()
    first, call = begun(house, origin)
    if what == "deleted":
        house.wrote("DELETE", 204)
    elif what == "doubted":
        [row] = house.hub.streams
        row.log.tail.mark_unverified(house.clock.monotonic())
    else:
        house.clock.move(61)
    house.ask()
    origin.expect(Purpose.CATCH_UP)
    call.piece(pattern())
    call.end()

    assert first.done().whole == pattern()


def test_a_whole_answer_serves_who_comes_soon_after() -> None:
    house, origin, files = spooling()
    asked, call = begun(house, origin)
    call.piece(pattern())
    call.end()
    asked.done()
    house.clock.move(59)

    assert house.ask().done().whole == pattern()
    assert len(origin.calls) == 1
    house.pass_time(2)
    assert files.held == 0 and len(house.hub.spools) == 0
    assert house.hub.spools.used == 0


@pytest.mark.parametrize("late", [False, True])
def test_an_answer_that_breaks_is_whole_for_nobody(late: bool) -> None:
    """The origin stalls, or hangs up: all are cut, at once."""
    house, origin, files = spooling()
    quick, call = begun(house, origin)
    slow = house.ask(sink=RecordingSink(room=False))
    call.piece(pattern()[: SIZE - 8])
    if late:
        settle()
    call.fail(OriginTimeout("no more came"))

    for asked in (quick, slow):
        error = asked.done().error
        assert error is not None and error.reason.value == "origin-timeout"
        assert not asked.sink.finished
    assert house.counters.spool_cuts == {"origin-timeout": 2}
    assert files.held == 0
    house.ask()
    origin.expect(Purpose.CATCH_UP)


def test_an_answer_that_nobody_reads_any_more_is_given_up() -> None:
    house, origin, files = spooling()
    first, call = begun(house, origin)
    second = house.ask()
    call.piece(pattern()[:BLOCK])
    settle()
    for asked in (first, second):
        assert not call.closed.is_set()
        assert asked.pending is not None
        asked.pending.gone()
    settle()
    # What was on its way may still come; nothing is read behind it.
    call.piece(pattern()[BLOCK : 2 * BLOCK])
    settle()
    brought = house.counters.bytes_from_origin
    call.piece(pattern()[2 * BLOCK :])
    house.pass_time(0.25)
    assert house.counters.bytes_from_origin == brought
    house.pass_time(IDLE_SECONDS)

    assert call.closed.wait(PATIENCE) and files.held == 0
    assert len(house.hub.spools) == 0


def test_who_comes_back_at_once_finds_it_where_it_was() -> None:
    """A front that finds it too large for itself leaves, and asks again for each of its
    readers. Meanwhile the origin waits."""
    house, origin, _ = spooling()
    first, call = begun(house, origin)
    call.piece(pattern()[:BLOCK])
    settle()
    assert first.pending is not None
    first.pending.gone()
    house.pass_time(0.5)
    crowd = [house.ask() for _ in range(3)]
    call.piece(pattern()[BLOCK:])
    call.end()

    assert {asked.done().whole for asked in crowd} == {pattern()}
    assert len(origin.calls) == 1


def test_nobody_is_given_a_byte_after_its_grant_has_ended() -> None:
    """B3: in the middle of the body, and while nothing comes."""
    house, origin, _ = spooling()
    lease = Lease(house.clock.monotonic() + 10)
    ends = house.ask(lease=lease)
    stays, call = begun(house, origin)
    call.piece(pattern()[:BLOCK])
    settle()
    house.pass_time(11)
    assert ends.done().error is not None
    call.piece(pattern()[BLOCK:])
    call.end()

    assert stays.done().whole == pattern()
    assert ends.sink.whole == pattern()[:BLOCK]


def test_a_long_poll_that_is_far_behind_shares_it() -> None:
    house, origin, _ = spooling()
    poll = house.poll("0003")
    origin.expect().answer(200, (TYPE, ("stream-next-offset", "0003")))
    origin.expect(Purpose.FOLLOW).answer(200, (TYPE, NEXT), b"x" * 9)
    settle()

    assert poll.waits or poll.sink.status == 200


def test_an_event_stream_asks_for_itself() -> None:
    """What it is sent is made of events."""
    house, origin, _ = spooling()
    asked = house.ask()
    view = house.view("-1")
    call = origin.expect()
    calls = [call, origin.expect()]
    by_method = {one.request.method: one for one in calls}
    by_method["HEAD"].answer(200, (TYPE, NEXT))
    settle()
    head(by_method["GET"])
    relay = origin.expect(Purpose.RELAY)

    assert "live=sse" in relay.request.target
    assert view.waits and asked.waits


@pytest.mark.parametrize(
    "fields",
    [
        (TYPE, NEXT, ("cache-control", "no-store")),
        (TYPE, NEXT, ("set-cookie", "a=b")),
        (TYPE, NEXT, ("content-encoding", "gzip")),
        (TYPE, ("stream-next-offset", "-1")),
        (TYPE,),
    ],
)
def test_what_may_not_be_shared_passes_one_by_one(
    fields: tuple[tuple[str, str], ...],
) -> None:
    """L15, L1."""
    house, origin, files = spooling()
    crowd = [house.ask() for _ in range(2)]
    call = origin.expect(Purpose.CATCH_UP)
    head(call, SIZE, *fields)
    for _ in crowd:
        origin.expect(Purpose.RELAY)

    assert call.closed.is_set() and not files.files
    assert house.counters.passes == {"too-large": 2}


def test_what_does_not_fit_passes_one_by_one() -> None:
    """S1: and is counted."""
    house, origin, _ = spooling(spool_size=SIZE)
    asked, call = begun(house, origin)
    other = house.ask(key=house.key("/v1/stream/b"))
    head(origin.expect(Purpose.CATCH_UP))
    settle()
    head_of_other = origin.expect(Purpose.RELAY)
    assert head_of_other.request.target == "/v1/stream/b?offset=-1"
    assert house.counters.passes == {"spool-full": 1}

    call.piece(pattern())
    call.end()
    assert asked.done().whole == pattern() and other.waits


def test_an_answer_that_nobody_reads_makes_room() -> None:
    house, origin, files = spooling(spool_size=SIZE)
    asked, call = begun(house, origin)
    call.piece(pattern())
    call.end()
    asked.done()
    assert files.held == SIZE

    other = house.ask(key=house.key("/v1/stream/b"))
    call = origin.expect(Purpose.CATCH_UP)
    head(call)
    call.piece(pattern())
    call.end()
    assert other.done().whole == pattern()
    assert files.held == SIZE and house.hub.spools.used == SIZE


def test_an_endless_answer_takes_no_more_than_the_room() -> None:
    """What its readers have passed is given back; then nobody else can begin there."""
    house, origin, files = spooling(spool_size=SIZE)
    asked, call = begun(house, origin, size=None)
    piece = b"x" * (BLOCK // 2)
    for _ in range(40):
        call.piece(piece)
        settle()
        assert files.held <= SIZE
    house.ask()
    second = origin.expect(Purpose.CATCH_UP)
    call.end()

    assert len(asked.done().whole) == 40 * len(piece) and asked.sink.finished
    assert not second.closed.is_set()


def test_an_answer_waits_for_room_and_goes_on() -> None:
    """Its one reader is behind, though not slow: the origin is held back for it."""
    house, origin, files = spooling(spool_size=SIZE)
    sink = RecordingSink(room=False)
    asked = house.ask(sink=sink)
    call = origin.expect(Purpose.CATCH_UP)
    head(call, None)
    for _ in range(6 * SIZE // BLOCK):
        call.piece(b"x" * BLOCK)
    call.end()
    settle()
    assert files.held <= SIZE

    for _ in range(200):
        assert asked.pending is not None
        asked.pending.drained()
        house.pass_time(0.25)
        assert files.held <= SIZE
    assert len(asked.done().whole) == 6 * SIZE and sink.finished


def test_a_slow_reader_is_cut_where_room_is_wanted() -> None:
    """S1: never before, and never one that waits for the origin."""
    house, origin, _ = spooling(spool_size=SIZE)
    slow = house.ask(sink=RecordingSink(room=False))
    waits, call = begun(house, origin)
    call.piece(pattern())
    settle()
    house.pass_time(SLOW_SECONDS)
    house.pass_time(1)
    assert slow.waits
    call.end()
    assert waits.done().finished

    other = house.ask(key=house.key("/v1/stream/b"))
    call = origin.expect(Purpose.CATCH_UP)
    head(call)
    settle()
    error = slow.done().error
    assert error is not None and error.reason.value == "spool-slow"
    assert house.counters.spool_cuts == {"spool-slow": 1}
    call.piece(pattern())
    call.end()
    assert other.done().whole == pattern()


def test_who_keeps_pace_is_not_slow() -> None:
    house, origin, _ = spooling(spool_size=128 * BLOCK)
    sink = RecordingSink(room=False)
    asked = house.ask(sink=sink)
    call = origin.expect(Purpose.CATCH_UP)
    size = int(3 * SLOW_RATE * SLOW_SECONDS)
    head(call, size)
    call.piece(b"x" * size)
    settle()
    [spool] = house.hub.spools._all
    [one] = spool.readers.values()
    for _ in range(int(SLOW_SECONDS)):
        assert asked.pending is not None
        asked.pending.drained()
        house.pass_time(1.01)

    assert not one.is_slow


def test_a_disk_that_hangs_in_the_middle_cuts_who_waits_for_it() -> None:
    """S1: half a minute later, and as one that fails; what it says then is late."""
    house, origin, files = spooling()
    asked, call = begun(house, origin)
    call.piece(pattern()[:BLOCK])
    settle()
    files.hold()
    call.piece(pattern()[BLOCK:])
    settle()
    house.pass_time(1)
    house.pass_time(DISK_SECONDS - 1)
    assert asked.waits
    house.pass_time(2)
    error = asked.done().error
    assert error is not None and error.reason.value == "disk-slow"
    assert "too slow" in error.cause
    files.let_go()
    settle()

    assert len(house.hub.spools) == 0 and files.held == 0
    assert house.counters.spool_cuts == {"disk-slow": 1}
    house.ask()
    head(origin.expect(Purpose.CATCH_UP))
    origin.expect(Purpose.RELAY)


@pytest.mark.parametrize("when", ["first", "later"])
def test_a_disk_that_fails_cuts_the_answer_and_is_left_alone(when: str) -> None:
    """S1: then readers pass one by one for a minute."""
    house, origin, files = spooling()
    asked, call = begun(house, origin)
    if when == "later":
        call.piece(pattern()[:BLOCK])
        settle()
    files.error = OSError(28, "No space left on device")
    call.piece(pattern()[BLOCK:])
    error = asked.done().error
    assert error is not None and error.reason.value == "spool-failed"
    assert "No space" in error.cause and "No space" not in error.detail
    assert call.closed.is_set()

    house.ask()
    head(origin.expect(Purpose.CATCH_UP))
    origin.expect(Purpose.RELAY)
    assert house.counters.passes == {"spool-failed": 1}
    house.clock.move(61)
    files.error = None
    again, call = begun(house, origin)
    call.piece(pattern())
    call.end()
    assert again.done().whole == pattern()


def test_a_stream_with_a_spool_is_not_forgotten() -> None:
    """A write must find it, or a reader who knows of that might join (L4)."""
    house, origin, _ = spooling(max_streams=1)
    _, call = begun(house, origin)
    other = house.ask(key=house.key("/v1/stream/b"))
    error = other.done().error

    assert error is not None and error.reason.value == "limit-streams"
    assert not call.closed.is_set()


def test_a_stop_cuts_all_that_is_not_whole() -> None:
    house, origin, files = spooling()
    asked, call = begun(house, origin)
    call.piece(pattern()[:BLOCK])
    settle()
    house.hub.stop()

    assert asked.done().error is not None and files.held == 0
    assert call.closed.wait(PATIENCE)


def test_a_crowd_that_leaves_while_it_is_served_harms_nobody() -> None:
    """Each of them at another moment."""
    house, origin, _ = spooling()
    crowd = [house.ask(sink=RecordingSink(room=number % 3 > 0)) for number in range(12)]
    call = origin.expect(Purpose.CATCH_UP)
    head(call)
    for number in range(0, SIZE, BLOCK // 2):
        call.piece(pattern()[number : number + BLOCK // 2])
        settle()
        leaver = crowd[number // (BLOCK // 2)]
        assert leaver.pending is not None
        leaver.pending.gone()
    call.end()
    stays = [asked for asked in crowd[8:] if asked.sink.room]

    assert {asked.done().whole for asked in stays} == {pattern()}


def test_the_operator_sees_what_is_on_its_way() -> None:
    from edge.live.control import HubControl

    house, origin, _ = spooling()
    asked, call = begun(house, origin)
    house.ask(mode=Mode.CATCH_UP)
    gauges = HubControl(house.hub).gauges()

    assert (gauges["spools"], gauges["spool_readers"]) == (1, 2)
    assert gauges["spool_bytes"] == SIZE
    call.piece(pattern())
    call.end()
    asked.done()
