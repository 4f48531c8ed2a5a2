"""What can be read from a log, what it knows, and what it costs."""

import tracemalloc

import pytest

from edge.core import costs
from edge.protocol.offsets import BEGIN
from edge.streamlog import segments
from edge.streamlog.segments import Segment
from edge.streamlog.stream_log import Joined, Page, StreamLog

KIB = 1024


def node_offset(position: int) -> str:
    return f"{0:016d}_{position:016d}"


def log_of_messages(*lengths: int, start: str = BEGIN) -> StreamLog:
    """A log with one range for each message, at offsets like the Node server's."""
    log = StreamLog(1, 30.0)
    position = 0
    for length in lengths:
        end = node_offset(position + length)
        assert log.join(start, end, bytes([position % 251]) * length) is Joined.GREW
        start, position = end, position + length
    return log


def cuts(log: StreamLog, offset: str, max_page: int) -> list[int]:
    """The lengths of all pages from ``offset`` on."""
    lengths = []
    while page := log.page(offset, max_page):
        lengths.append(len(page.data))
        offset = page.next
    return lengths


# Pages


@pytest.mark.parametrize(
    ("messages", "max_page", "expected"),
    [
        ((10, 10, 10), 100, [30]),
        ((10, 10, 10), 30, [30]),
        ((10, 10, 10), 29, [20, 10]),
        ((10, 10, 10), 10, [10, 10, 10]),
        ((10, 10, 10), 9, [10, 10, 10]),
        ((50, 10, 10), 20, [50, 20]),
        ((10, 50, 10), 20, [10, 50, 10]),
        ((10,), 0, [10]),
    ],
)
def test_pages_are_cut_at_the_last_boundary_within_or_take_the_first_range_whole(
    messages: tuple[int, ...], max_page: int, expected: list[int]
) -> None:
    """L9."""
    assert cuts(log_of_messages(*messages), BEGIN, max_page) == expected


def test_a_page_begins_and_ends_at_offsets_of_the_origin() -> None:
    log = log_of_messages(3, 2)

    first = Page(BEGIN, node_offset(3), b"\x00" * 3)
    assert log.page(BEGIN, 4) == first
    assert log.page_end(BEGIN, 4) == node_offset(3)
    assert log.page(node_offset(3), 4) == Page(
        node_offset(3), node_offset(5), b"\x03\x03"
    )


def test_nothing_follows_the_end_and_an_unknown_offset() -> None:
    log = log_of_messages(3)

    for offset in (node_offset(3), node_offset(2), node_offset(9)):
        assert log.page(offset, 100) is None
        assert log.page_end(offset, 100) is None
    assert log.holds(node_offset(3)) and not log.holds(node_offset(2))


def test_a_page_never_passes_over_a_hole() -> None:
    """A skipped byte would be silent (E14)."""
    log = log_of_messages(3)
    log.join("0000000000000000_0000000000000005", node_offset(9), b"abcd")

    assert cuts(log, BEGIN, 100) == [3]
    assert log.end_alias(node_offset(3)) == node_offset(3)
    assert log.distance(BEGIN) is None
    assert log.distance(node_offset(5)) == 4


def test_a_page_of_aliases_ends_at_the_furthest_of_them() -> None:
    """E14: the next offset is never behind what was delivered, nor asked twice."""
    log = log_of_messages(3)
    log.join(node_offset(3), node_offset(4), b"")

    assert log.page_end(BEGIN, 3) == node_offset(4)
    assert log.page_end(BEGIN, 1) == node_offset(4)


def test_whoever_stands_at_the_end_is_told_the_furthest_alias() -> None:
    """L20: never ``-1`` where the origin minted another."""
    log = StreamLog(1, 30.0)
    log.join(BEGIN, node_offset(0), b"")

    assert log.end_alias(BEGIN) == node_offset(0)
    log.join(BEGIN, node_offset(2), b"ab")
    assert log.end_alias(BEGIN) is None
    assert log.end_alias(node_offset(2)) == node_offset(2)
    assert log.end_alias(node_offset(1)) is None


def test_reading_goes_on_in_the_next_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also from an alias that only the segment before knows."""
    monkeypatch.setattr(segments, "SEGMENT_SIZE", 4)
    log = log_of_messages(4)
    log.join(node_offset(4), node_offset(5), b"")
    log.join(node_offset(5), node_offset(9), b"abcd")
    assert len(log._segments) == 2

    for alias in (node_offset(4), node_offset(5)):
        assert log.page(alias, 100) == Page(alias, node_offset(9), b"abcd")
        assert log.end_alias(alias) is None
        assert log.distance(alias) == 4
    assert log.distance(BEGIN) == 8


def test_a_page_copies_no_more_than_itself() -> None:
    log = log_of_messages(*[64 * KIB] * 32)
    tracemalloc.start()
    try:
        page = log.page(BEGIN, 128 * KIB)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert page is not None and len(page.data) == 128 * KIB
    assert peak < 132 * KIB


# What is known


def test_only_what_the_origin_returned_is_known() -> None:
    """L1: a client's guess can be read from, and is never believed."""
    log = log_of_messages(4)
    guess, tail, ack = node_offset(2), node_offset(7), node_offset(9)
    log.join(guess, node_offset(4), b"\x00\x00")
    log.tail.hear(log.tail.request_snapshot(0.0, 1), tail, False)
    log.tail.acknowledge(ack, closed=False)

    assert log.holds(guess) and not log.knows(guess)
    assert log.knows(tail) and not log.holds(tail)
    assert all(map(log.knows, (BEGIN, node_offset(4), tail, ack)))
    assert not log.knows(node_offset(5))


def test_the_beginning_comes_before_every_offset() -> None:
    """Offsets compare bytewise, ``-1`` first (section 8)."""
    empty, log = StreamLog(1, 30.0), log_of_messages(4)

    assert empty.is_above(BEGIN) and empty.end is None
    assert not log.is_above(BEGIN) and not log.is_above(node_offset(4))
    assert log.is_above(node_offset(5)) and log.is_above("~")


def test_a_range_is_closed_when_the_origin_named_a_later_offset() -> None:
    log = log_of_messages(4, 4)
    assert log.reaches_beyond(node_offset(4))
    assert not log.reaches_beyond(node_offset(8))

    log.tail.acknowledge(node_offset(9), closed=False)
    assert log.reaches_beyond(node_offset(8))
    assert not StreamLog(1, 30.0).reaches_beyond(BEGIN)


def test_a_place_is_opened_only_above_everything_held() -> None:
    log = log_of_messages(4)
    log.note_position(node_offset(2))
    log.note_position(node_offset(4))
    assert len(log._segments) == 1

    log.note_position(node_offset(8))
    assert log.end == node_offset(8)
    assert log.holds(node_offset(8)) and log.knows(node_offset(8))
    assert log.end_alias(node_offset(8)) == node_offset(8)


def test_an_open_place_holds_no_bytes() -> None:
    log = StreamLog(1, 30.0)
    log.note_position(node_offset(8))
    assert not log.holds_bytes

    log.join(node_offset(8), node_offset(9), b"a")
    assert log.holds_bytes


# The probe


@pytest.mark.parametrize(
    ("messages", "position"),
    [((5, 3), 5), ((64,), 0), ((5, 64), 5), ((5, 65), 70), ((65, 1), 65)],
)
def test_the_check_of_the_end_begins_at_the_last_boundary_before_it(
    messages: tuple[int, ...], position: int
) -> None:
    """L7: unless that range is too large; then it begins at the end."""
    expected = node_offset(position) if position else BEGIN
    assert log_of_messages(*messages).probe_start(64) == expected


def test_the_check_begins_neither_at_a_guess_nor_at_an_alias_of_the_end() -> None:
    log = log_of_messages(4, 4)
    log.join(node_offset(6), node_offset(8), b"\x04\x04")
    log.join(node_offset(8), node_offset(9), b"")

    assert log.probe_start(64) == node_offset(4)


def test_the_check_finds_a_longer_log_of_another_incarnation() -> None:
    """L7, E5: a delta from the end alone would be taken for growth."""
    log = log_of_messages(4, 4)
    start = log.probe_start(64)
    assert start is not None

    assert log.join(start, node_offset(12), b"otherlog") is Joined.DIFFERS


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ((), None),
        ((10, 20), node_offset(10)),
        ((10, 64), node_offset(10)),
        # Nothing short enough could be compared.
        ((10, 65), None),
        ((64,), BEGIN),
    ],
)
def test_an_event_stream_begins_where_it_can_prove_itself(
    messages: tuple[int, ...], expected: str | None
) -> None:
    """U20."""
    assert log_of_messages(*messages).proof_start(64) == expected


def test_an_event_stream_begins_at_an_end_before_which_no_byte_is_held() -> None:
    """U20: a stream that only a HEAD told of."""
    log = log_of_messages()
    log.note_position(node_offset(7))

    assert log.proof_start(64) == node_offset(7)


def test_a_log_without_its_bytes_is_the_same_log_with_the_same_end() -> None:
    """U16: what is dropped is read again."""
    log = log_of_messages(3, 4)
    log.tail.close(node_offset(7))
    log.by_events = True
    version, incarnation = log.tail.version, log.incarnation

    log.drop_bytes(node_offset(3))

    assert not log.holds_bytes and not log.by_events
    assert (log.end, log.incarnation) == (node_offset(7), incarnation)
    assert log.tail.closed and log.tail.version > version
    assert log.knows(node_offset(3)) and not log.knows(node_offset(5))
    assert log.join(node_offset(3), node_offset(7), b"4567") is Joined.GREW
    assert log.join(BEGIN, node_offset(7), b"1234567") is Joined.GREW
    assert log.page(BEGIN, 10) == Page(BEGIN, node_offset(7), b"1234567")


def test_messages_that_are_written_differently_agree() -> None:
    """U16."""
    log = StreamLog(1, 30.0)
    log.join(BEGIN, "1", b',{"a": 1}')
    log.join("1", "2", b",2")

    assert log.agrees(BEGIN, b',{"a":1},2,3')
    assert log.agrees("1", b", 2")
    assert not log.agrees(BEGIN, b',{"a":2},2')
    assert not log.agrees("0", b',{"a":1}')


def test_there_is_nothing_to_check_where_nothing_is_held() -> None:
    log = StreamLog(1, 30.0)
    assert log.probe_start(64) is None

    log.note_position(node_offset(3))
    assert log.probe_start(64) == node_offset(3)


# The cost


def tokens(log: StreamLog, count: int, size: int, keep: set[str] | None = None) -> None:
    """A token stream: ``count`` tiny ranges appended at the end."""
    position = 0
    log.note_position(node_offset(0))
    for _ in range(count):
        end = node_offset(position + size)
        assert log.join(node_offset(position), end, b"t" * size, keep or set())
        position += size


def boundaries(log: StreamLog) -> list[str]:
    return [offset for s in log._segments for offset, _ in s.boundaries]


def test_old_boundaries_are_thinned_and_recent_ones_are_not() -> None:
    """L10: older than the last 256 KiB, one per 16 KiB is kept."""
    log = StreamLog(1, 30.0)
    tokens(log, 12 * KIB, 64)

    held = boundaries(log)
    end = 12 * KIB * 64
    recent = end - 256 * KIB
    assert all(node_offset(p) in held for p in range(recent, end + 1, 64))
    assert sum(offset < node_offset(recent - 64 * KIB) for offset in held) == 28
    assert cuts(log, node_offset(0), 16 * KIB) == [16 * KIB] * 48


def test_a_thinned_offset_costs_one_fetch() -> None:
    """L10: from then on it can be read from again."""
    log = StreamLog(1, 30.0)
    tokens(log, 12 * KIB, 64)
    thinned, end = node_offset(64), node_offset(16 * KIB)
    assert not log.holds(thinned)

    assert log.join(thinned, end, b"t" * (16 * KIB - 64)) is Joined.GREW
    assert log.page(thinned, 1) == Page(thinned, end, b"t" * (16 * KIB - 64))


def test_boundaries_where_viewers_stand_are_not_thinned() -> None:
    """L10; once they left, the next look takes those too."""
    log = StreamLog(1, 30.0)
    stands = {node_offset(64 * n) for n in range(1, 40)}
    tokens(log, 12 * KIB, 64, keep=stands)
    assert all(map(log.holds, stands))

    position = 12 * KIB * 64
    for _ in range(KIB):
        log.join(node_offset(position), node_offset(position + 64), b"t" * 64)
        position += 64
    assert not any(map(log.holds, stands))


def test_the_first_offset_is_not_thinned_away_from_the_beginning() -> None:
    """Writers know it from their PUT; fetching it would fetch the whole stream."""
    log = StreamLog(1, 30.0)
    log.join(BEGIN, node_offset(0), b"")
    tokens(log, 12 * KIB, 64)

    assert log.holds(node_offset(0)) and log.holds(BEGIN)


def test_guesses_are_thinned_first() -> None:
    """Nobody can make a log forget where its pages end by inventing offsets (L1)."""
    log = StreamLog(1, 30.0)
    tokens(log, 12 * KIB, 64)
    old = [p for p in range(0, 64 * KIB, 16 * KIB) if log.holds(node_offset(p))]
    assert len(old) == 4
    for n in range(1, KIB + 1):
        start = 16 * KIB - n
        log.join(node_offset(start), node_offset(16 * KIB), b"t" * n)

    assert all(log.knows(node_offset(position)) for position in old)
    assert sum(not log.knows(offset) for offset in boundaries(log)) < 10


def test_a_guess_never_takes_the_place_of_a_minted_boundary() -> None:
    """L9, L10: pages can only be cut at minted ones, so those must stay dense."""
    segment = Segment(BEGIN)
    for end in range(100, 10_001, 100):
        segment.extend(b"t" * 100, node_offset(end))
        segment.mark(node_offset(end - 1), end - 1, minted=False)

    segment.thin(before=10_000, stride=999, keep=())

    assert [position for _, position in segment.boundaries] == [*range(0, 10_001, 1000)]


@pytest.mark.parametrize(("count", "size"), [(20_000, 4), (8_000, 200), (40, 64 * KIB)])
def test_the_cost_is_close_to_the_memory_really_held(count: int, size: int) -> None:
    """L10: boundaries count. E48: a budget that counts wrong is no bound."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        log = StreamLog(1, 30.0)
        tokens(log, count, size)
        held = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert 0.8 < held / log.cost < 1.25


def test_the_oldest_segments_are_evicted_and_the_last_one_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(segments, "SEGMENT_SIZE", 10)
    log = log_of_messages(10, 10, 10)
    cost = log.cost

    freed = log.evict_first()
    assert freed > 10 and log.cost == cost - freed
    assert not log.holds(BEGIN) and cuts(log, node_offset(10), 100) == [10, 10]
    assert log.evict_first() > 0
    assert log.evict_first() == 0
    assert log.end == node_offset(30) and log.holds(node_offset(20))


def test_an_evicted_beginning_is_joined_again_by_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(segments, "SEGMENT_SIZE", 10)
    log = log_of_messages(10, 10, 10)
    log.evict_first()

    assert log.join(BEGIN, node_offset(10), b"\x00" * 10) is Joined.GREW
    assert cuts(log, BEGIN, 100) == [10, 10, 10]


def test_an_empty_log_costs_what_it_takes_to_exist() -> None:
    """Otherwise a million streams that hold nothing would be free."""
    log = StreamLog(7, 30.0)

    assert log.cost == costs.LOG
    assert repr(log) == "<StreamLog #7 empty <Tail ? open>>"
    log.note_position("5")
    assert repr(log) == "<StreamLog #7 [5,5) <Tail ? open>>"
