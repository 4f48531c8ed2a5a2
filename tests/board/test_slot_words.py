"""The words of a slot: chains, what an end covers, and counts that wrap around."""

import pytest

from edge.board.slot_words import (
    COUNT_MASK,
    LIFE_COUNT_MASK,
    MAX_OVERTAKEN,
    NO_CHAIN,
    Chain,
    covering_end,
    life_stored,
    lives_concern,
    unplaced_write_stored,
    write_stored,
)
from edge.core.node_board import COVERS_NOBODY


def digest(path: str, offset: str) -> int:
    """One that people can read: p at 5 is 5, q at 5 is 105."""
    return int(offset) + (100 if path == "q" else 0)


class Lane:
    """A lane's word of writes in one slot, and the process that stores there."""

    def __init__(self, word: int = 0) -> None:
        self.word = word
        self.chain: Chain | None = None
        self.lives = b""

    def stores(self, *writes: str) -> "Lane":
        """``p5``: a write to p that named 5; ``-``: one that named nothing; ``life``:
        somebody stored another life; ``dies``: a successor has the lane."""
        for write in writes:
            if write == "-":
                self.word, self.chain = unplaced_write_stored(self.word), NO_CHAIN
            elif write == "life":
                self.lives += b"."
            elif write == "dies":
                self.chain = None
            else:
                new = Chain(write[0], write[1:], self.lives)
                self.word, self.chain = write_stored(self.word, self.chain, new, digest)
        return self


@pytest.mark.parametrize(
    ("before", "between", "end"),
    [
        # A chain is covered by its furthest, however long it is.
        ("", "p1", 1),
        ("p1", "p2", 2),
        ("p1", "p2 p3 p5 p9", 9),
        ("q1", "q2 q3 p4 p5", 5),
        # One that was overtaken is behind it.
        ("p1", "p3 p2", 3),
        ("p3", "p2", 3),
        ("p3", "p2 p4", 4),
        # What was seen of another path, or lost, is over.
        ("p3 -", "p5", 5),
        ("q3", "p5", 5),
        # What may hide something is not covered.
        ("", "p9 q1 p5", COVERS_NOBODY),
        ("p9", "q1 p5", COVERS_NOBODY),
        ("p1", "-", COVERS_NOBODY),
        ("p1", "- p2", COVERS_NOBODY),
        ("p1", "p2 -", COVERS_NOBODY),
        ("p1", "dies p2", COVERS_NOBODY),
        ("p1", "p9 life p2", COVERS_NOBODY),
        ("p9", "life p2", COVERS_NOBODY),
        ("p9", "p1 p2", COVERS_NOBODY),
        # And what comes after a look at that is covered again.
        ("p1 dies p2", "p3", 3),
        ("p9 life p2", "p3", 3),
        ("p9 q1 p5", "p6", 6),
    ],
)
def test_what_came_between_two_looks_is_covered_by_the_end_that_has_it_all(
    before: str, between: str, end: int
) -> None:
    lane = Lane().stores(*before.split())
    seen = lane.word

    assert covering_end(seen, lane.stores(*between.split()).word) == end


def test_each_acknowledgement_that_names_no_further_end_is_seen() -> None:
    """It may be more than it says: whoever looks must be told that something was."""
    lane = Lane().stores("p5")
    for write in ("p5", "p3", "q5", "-", "-"):
        before = lane.word
        assert lane.stores(write).word != before


def test_a_chain_that_stays_behind_its_furthest_for_long_begins_anew() -> None:
    """The stream was made anew behind the node's back: its ends cover again."""
    lane = Lane().stores("p900", *["p1"] * MAX_OVERTAKEN)
    seen = lane.word
    assert covering_end(seen, lane.stores("p2").word) == COVERS_NOBODY

    seen = lane.word
    assert covering_end(seen, lane.stores("p3").word) == 3


@pytest.mark.parametrize("count", [COUNT_MASK - 1, COUNT_MASK])
def test_a_count_wraps_around_and_is_never_nothing(count: int) -> None:
    """A word of 0 is one into which nobody stored; a store must not make it."""
    lane = Lane(count << 32 | 105)
    lane.chain = Chain("q", "5", b"")
    for write in ("-", "p1", "-", "-", "p2"):
        seen = lane.word
        lane.stores(write)
        assert 0 < lane.word >> 32 <= COUNT_MASK
        assert lane.word != seen
        if write == "-":
            assert covering_end(seen, lane.word) == COVERS_NOBODY
    assert lane.word >> 32 < 10


def test_where_the_count_wrapped_around_too_much_is_asked_and_not_too_little() -> None:
    lane = Lane(COUNT_MASK << 32 | 105)
    lane.chain = Chain("q", "5", b"")
    seen = lane.word

    assert covering_end(seen, lane.stores("p1").word) == COVERS_NOBODY
    seen = lane.word
    assert covering_end(seen, lane.stores("p2").word) == 2


def lives(word: int, *paths: int) -> int:
    for path in paths:
        word = life_stored(word, path)
    return word


@pytest.mark.parametrize("begun", [0, 77 << 24 | 1 << 16 | 9])
@pytest.mark.parametrize(
    ("paths", "concern"),
    [
        ((1,), {1}),
        ((1, 1, 1), {1}),
        ((1, 2), {1, 2, 3}),
        ((1, 2, 2, 2), {1, 2, 3}),
        ((2,) * 255, {2}),
        ((2,) * 256, {1, 2, 3}),
    ],
)
def test_other_lives_concern_the_paths_that_cannot_be_told_apart(
    begun: int, paths: tuple[int, ...], concern: set[int]
) -> None:
    word = lives(begun, *paths)

    assert {p for p in (1, 2, 3) if lives_concern([begun], [word], 9, p)} == concern
    assert not lives_concern([begun], [word], 0, 1), "one's own lane is no news"


def test_a_count_of_lives_wraps_around_and_still_concerns() -> None:
    begun = LIFE_COUNT_MASK << 24 | 1 << 16 | 9
    word = lives(begun, 1)

    assert word >> 24 == 1
    assert lives_concern([begun], [word], 9, 1)
    assert lives_concern([begun], [lives(word, 1, 2)], 9, 1)
