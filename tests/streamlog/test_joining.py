"""Join by proof (L8): what an answer does to what is held, case by case.

Logs are written as they read: ``-1 abc 3 de 5 | 8 f 9`` are two segments, the
first with bytes ``abc`` between the offsets ``-1`` and ``3``; ``3?`` is an offset
that only a client named (L1); two offsets side by side are aliases.
"""

import pytest

from edge.protocol.json_arrays import fragment, whole
from edge.protocol.offsets import BEGIN
from edge.streamlog import segments
from edge.streamlog.segments import Segment
from edge.streamlog.stream_log import Joined, StreamLog

GREW, SAME = Joined.GREW, Joined.SAME
DIFFERS, NO_PROOF = Joined.DIFFERS, Joined.NO_PROOF


def show(log: StreamLog) -> str:
    return " | ".join(show_segment(segment) for segment in log._segments)


def show_segment(segment: Segment) -> str:
    words: list[str] = []
    last = 0
    for offset, position in segment.boundaries:
        words.append(segment.copy(last, position).decode())
        words.append(offset + ("" if segment.is_minted(offset) else "?"))
        last = position
    return " ".join(word for word in words if word)


def offer(log: StreamLog, answer: str) -> Joined:
    """Join an answer written as ``start bytes end`` or, when empty, ``start end``."""
    words = answer.split()
    return log.join(words[0], words[-1], "".join(words[1:-1]).encode())


def log_of(*answers: str, tail: str | None = None) -> StreamLog:
    """A log that took these answers; ``tail`` is known to it, and not held."""
    log = StreamLog(1, 30.0)
    for answer in answers:
        # Held whole, as if its start had been the tail once.
        log.tail.offset = answer.split()[0]
        assert offer(log, answer) is GREW
    log.tail.offset = tail
    return log


def case(name: str, *values: object) -> object:
    return pytest.param(*values, id=name.replace(" ", "-"))


@pytest.mark.parametrize(
    ("held", "answer", "verdict", "after"),
    [
        # Nothing in the way.
        case("the first answer", [], "-1 abc 3", GREW, "-1 abc 3"),
        case("an empty stream", [], "-1 0", GREW, "-1 0"),
        case("beyond a hole", ["-1 abc 3"], "5 f 6", GREW, "-1 abc 3 | 5? f 6"),
        # From the end on: what a follower hears.
        case("the next range", ["-1 abc 3"], "3 d 4", GREW, "-1 abc 3 d 4"),
        case("no news", ["-1 abc 3"], "3 3", SAME, "-1 abc 3"),
        case("an empty range", ["-1 abc 3"], "3 4", GREW, "-1 abc 3 4"),
        case("after aliases", ["-1 abc 3", "3 4"], "3 d 5", GREW, "-1 abc 3 4 d 5"),
        # By a common start.
        case("the same again", ["-1 abc 3"], "-1 abc 3", SAME, "-1 abc 3"),
        case("grown", ["-1 abc 3"], "-1 abcde 5", GREW, "-1 abc 3 de 5"),
        case("a part", ["-1 abcde 5"], "-1 ab 2", GREW, "-1 ab 2 cde 5"),
        case(
            "from inside", ["-1 ab 2 ", "2 cd 4"], "2 cde 5", GREW, "-1 ab 2 cd 4 e 5"
        ),
        case("an alias inside", ["-1 ab 2", "2 cd 4"], "2 3", GREW, "-1 ab 2 3 cd 4"),
        case("other bytes", ["-1 abc 3"], "-1 abX 3", DIFFERS, "-1 abc 3"),
        case("other bytes, grown", ["-1 abc 3"], "-1 aXcd 4", DIFFERS, "-1 abc 3"),
        case("too short for its end", ["-1 abc 3"], "-1 ab 3", DIFFERS, "-1 abc 3"),
        case("too long for its end", ["-1 abc 3"], "-1 abcd 3", DIFFERS, "-1 abc 3"),
        case("too short to be beyond", ["-1 abc 3"], "-1 ab 4", DIFFERS, "-1 abc 3"),
        case(
            "an end out of order",
            ["-1 ab 2", "2 cd 4"],
            "-1 abcd 3",
            GREW,
            "-1 ab 2 cd 3 4",
        ),
        case(
            "an end whose place contradicts the order",
            ["-1 ab 2", "2 cd 4"],
            "-1 abc 1",
            DIFFERS,
            "-1 ab 2 cd 4",
        ),
        # By a common end.
        case("history", ["2 cd 4"], "-1 abcd 4", GREW, "-1 ab 2 cd 4"),
        case("up to the start", ["2 cd 4"], "-1 ab 2", GREW, "-1 ab 2 cd 4"),
        case("an alias before", ["2 cd 4"], "-1 2", GREW, "-1 2 cd 4"),
        case(
            "its end inside", ["2 cd 4", "4 e 5"], "-1 abcd 4", GREW, "-1 ab 2 cd 4 e 5"
        ),
        case("history differs", ["2 cd 4"], "-1 abXd 4", DIFFERS, "2 cd 4"),
        case("history too short", ["2 cd 4"], "-1 d 4", DIFFERS, "2 cd 4"),
        # Holes that close.
        case("a hole closes", ["-1 a 1", "2 c 3"], "1 b 2", GREW, "-1 a 1 b 2 c 3"),
        case(
            "from before to after",
            ["-1 a 1", "2 c 3"],
            "-1 abc 3",
            GREW,
            "-1 a 1 b 2 c 3",
        ),
        case("an empty hole", ["-1 a 1", "2 c 3"], "1 2", GREW, "-1 a 1 2 c 3"),
        case(
            "the far side differs",
            ["-1 a 1", "2 c 3"],
            "1 bX 3",
            DIFFERS,
            "-1 a 1 | 2 c 3",
        ),
        # No common offset.
        case("longer, no proof", ["2 cd 4"], "-1 abcde 5", GREW, "-1 abcde 5"),
        case("no longer, no proof", ["2 cdef 6"], "-1 xyz 7", NO_PROOF, "2 cdef 6"),
        case("longer, but lower", ["5 fg 7"], "-1 abcdef 6", NO_PROOF, "5 fg 7"),
        case(
            "longer than what stands between",
            ["-1 a 1", "3 d 4", "6 g 7"],
            "1 bcdef 6",
            GREW,
            "-1 a 1 bcdef 6 g 7",
        ),
        case(
            "beyond the hole no proof, and shorter",
            ["-1 a 1", "3 defgh 8"],
            "-1 abc 4",
            NO_PROOF,
            "-1 a 1 | 3 defgh 8",
        ),
        # No progress is never taken.
        case(
            "went back", ["-1 abc 3", "5 f 6"], "3 abc 2", NO_PROOF, "-1 abc 3 | 5 f 6"
        ),
        case("bytes without progress", ["-1 abc 3"], "3 d 3", NO_PROOF, "-1 abc 3"),
    ],
)
def test_an_answer_is_joined_by_a_common_offset_and_equal_bytes(
    held: list[str], answer: str, verdict: Joined, after: str
) -> None:
    """L8; E1: the bytes between two minted offsets never change."""
    log = log_of(*held)

    assert offer(log, answer) is verdict
    assert show(log) == after


@pytest.mark.parametrize(
    ("held", "answer", "verdict", "after"),
    [
        case("first of all", [], "2 cd 4", GREW, "2? cd 4"),
        case("the whole message", ["-1 abcd 4"], "2 abcd 4", GREW, "-1 2? abcd 4"),
        case("the exact suffix", ["-1 abcd 4"], "2 cd 4", GREW, "-1 ab 2? cd 4"),
        case("nothing more", ["-1 abcd 4"], "2 4", GREW, "-1 abcd 2? 4"),
        case("beyond what is held", ["-1 abcd 4"], "2 cdef 6", NO_PROOF, "-1 abcd 4"),
        case("no suffix of ours", ["-1 abcd 4"], "2 cX 4", NO_PROOF, "-1 abcd 4"),
        case("longer than ours", ["-1 abcd 4"], "2 aabcd 4", NO_PROOF, "-1 abcd 4"),
        case("across a start", ["3 de 5"], "2 cde 5", GREW, "2? c 3 de 5"),
        case("longer, no proof", ["3 de 5"], "2 cdefg 7", NO_PROOF, "3 de 5"),
    ],
)
def test_a_guessed_start_proves_itself_by_its_end_and_never_differs(
    held: list[str], answer: str, verdict: Joined, after: str
) -> None:
    """L1: clients can invent offsets; one inside a message gives the message."""
    log = log_of(*held)

    assert offer(log, answer) is verdict
    assert show(log) == after
    assert not log.knows(answer.split()[0])


def test_a_guessed_offset_that_is_held_is_joined_by_its_start() -> None:
    log = log_of("-1 abcd 4")
    offer(log, "2 cd 4")

    assert offer(log, "2 cd 4") is SAME
    assert offer(log, "2 cX 4") is NO_PROOF
    assert offer(log, "2 cde 5") is GREW
    assert show(log) == "-1 ab 2? cd 4 e 5"


def test_no_seam_and_no_page_ends_at_a_guess() -> None:
    log = log_of()
    offer(log, "2 cd 4")

    assert offer(log, "-1 abcd 4") is GREW
    assert show(log) == "-1 ab 2? cd 4"
    page = log.page(BEGIN, 2)
    assert page is not None and (page.next, page.data) == ("4", b"abcd")


def test_a_guess_becomes_minted_when_the_origin_names_it_and_stays_so() -> None:
    log = log_of("-1 abcd 4")
    offer(log, "2 cd 4")

    assert offer(log, "-1 ab 2") is SAME
    assert show(log) == "-1 ab 2 cd 4"
    assert offer(log, "2 cd 4") is SAME
    assert log.knows("2")


def test_a_guess_becomes_minted_as_the_end_of_history() -> None:
    """A reader asked from there first; then the page before it came (L1)."""
    log = log_of("1 bcd 4")
    offer(log, "2 cd 4")
    assert show(log) == "1 b 2? cd 4"

    assert offer(log, "-1 ab 2") is GREW
    assert show(log) == "-1 a 1 b 2 cd 4"


def test_a_guess_stays_one_when_a_hole_before_it_closes() -> None:
    log = log_of("-1 a 1", "3 defg 7")
    offer(log, "5 fg 7")

    assert offer(log, "1 bc 3") is GREW
    assert show(log) == "-1 a 1 bc 3 de 5? fg 7"


def test_an_answer_from_a_guess_does_not_make_guesses_of_the_origins_offsets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(segments, "SEGMENT_SIZE", 4)
    log = log_of("-1 abcd 4", "6 gh 8")
    offer(log, "2 cd 4")

    assert offer(log, "2 cdefgh 8") is GREW
    assert show(log) == "-1 ab 2? cd 4 | 4 ef 6 gh 8"
    assert log.knows("4")


def test_a_tail_that_was_told_makes_a_start_known() -> None:
    """An acknowledged offset is the origin's word, though no range ended there."""
    log = log_of("-1 abcd 4", tail="2")

    assert offer(log, "2 cX 4") is DIFFERS
    assert offer(log, "2 cd 4") is GREW
    assert show(log) == "-1 ab 2 cd 4"


def test_the_first_offset_and_the_beginning_are_aliases() -> None:
    log = log_of("-1 0", "0 ab 2")

    assert show(log) == "-1 0 ab 2"
    for start in (BEGIN, "0"):
        page = log.page(start, 100)
        assert page is not None and (page.next, page.data) == ("2", b"ab")


def test_a_place_kept_open_is_filled_from_both_sides() -> None:
    """What a HEAD told is where the follower starts, before any byte is held."""
    log = log_of()
    log.note_position("4")

    assert offer(log, "4 e 5") is GREW
    assert offer(log, "-1 abcd 4") is GREW
    assert show(log) == "-1 abcd 4 e 5"


def test_places_without_bytes_give_way_to_any_answer_that_passes_over_them() -> None:
    log = log_of("-1 ab 2")
    log.note_position("4")

    assert offer(log, "2 cdef 6") is GREW
    assert show(log) == "-1 ab 2 cdef 6"


def test_tails_that_only_heads_told_do_not_pile_up() -> None:
    log = log_of("-1 a 1")
    for tail in "23456789":
        log.note_position(tail)

    assert show(log) == "-1 a 1 | 6 | 7 | 8 | 9"


def test_two_places_never_begin_at_one_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by the model: a hole filled from a place that was kept open."""
    monkeypatch.setattr(segments, "SEGMENT_SIZE", 4)
    log = log_of()
    log.note_position("0")
    log.note_position("7")

    assert offer(log, "0 abcdefg 7") is GREW
    assert show(log) == "0 abcdefg 7"
    assert offer(log, "-1 0") is GREW
    assert show(log) == "-1 0 abcdefg 7"


def test_large_segments_stay_apart_and_answers_are_laid_across_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Eviction takes whole segments, so none may hold all of a long stream."""
    monkeypatch.setattr(segments, "SEGMENT_SIZE", 3)
    log = log_of("-1 abc 3", "3 def 6", "6 ghi 9")
    assert show(log) == "-1 abc 3 | 3 def 6 | 6 ghi 9"

    assert offer(log, "-1 abcdefghi 9") is SAME
    assert offer(log, "-1 abcd 4") is GREW
    assert offer(log, "2 cdefgh 8") is NO_PROOF
    assert offer(log, "2 cdefghi 9") is GREW
    assert offer(log, "-1 abcdXfghi 9") is DIFFERS
    assert offer(log, "-1 ab 5") is DIFFERS
    assert show(log) == "-1 ab 2? c 3 | 3 d 4 ef 6 | 6 ghi 9"


def test_a_piece_before_a_large_segment_stands_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(segments, "SEGMENT_SIZE", 3)
    log = log_of("3 def 6")

    assert offer(log, "-1 abcdef 6") is GREW
    assert show(log) == "-1 abc 3 | 3 def 6"


def test_a_hole_before_a_large_segment_is_filled_from_the_small_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(segments, "SEGMENT_SIZE", 4)
    log = log_of("-1 a 1", "3 defg 7")

    assert offer(log, "1 bc 3") is GREW
    assert show(log) == "-1 a 1 bc 3 | 3 defg 7"


def test_json_arrays_are_joined_and_cut_as_fragments() -> None:
    """L8: JSON keeps the inner bytes; E20: every page is one whole array."""
    log = StreamLog(1, 30.0)
    log.join(BEGIN, "2", fragment(b'[{"n":1},{"n":2}]'))
    log.join("2", "2", fragment(b"[]"))
    log.join("2", "3", fragment(b'[{"n":3}]'))

    assert log.join("1", "3", fragment(b'[{"n":2},{"n":3}]')) is GREW
    assert pages(log, BEGIN, 1) == [b'[{"n":1},{"n":2}]', b'[{"n":3}]']
    assert pages(log, BEGIN, 100) == [b'[{"n":1},{"n":2},{"n":3}]']
    assert pages(log, "1", 100) == [b'[{"n":2},{"n":3}]']


def pages(log: StreamLog, offset: str, size: int) -> list[bytes]:
    bodies = []
    while page := log.page(offset, size):
        offset = page.next
        bodies.append(whole(page.data))
    return bodies


def test_bytes_beyond_a_closed_end_are_another_incarnation() -> None:
    """L4: closed at that offset, finally; E10: closure is monotonic."""
    log = log_of("-1 ab 2")
    log.tail.close("2")

    assert offer(log, "-1 ab 2") is SAME
    assert offer(log, "2 3") is GREW
    assert offer(log, "2 c 4") is DIFFERS
